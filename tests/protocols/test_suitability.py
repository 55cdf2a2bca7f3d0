"""Whether tables suit an experiment: one message names every setting to change."""

import dataclasses
import re
import shlex

import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from configs import reproduce
from siamese_jax.datasets import dataset
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.errors import InputError
from siamese_jax.protocols import config, suitability
from siamese_jax.protocols.plan import Plan

EXPERIMENT = config.resolve(reproduce.get_config()).replace(source="source.npz", target="target.npz")
SOURCE = make_table("source", seed=3)


def refusal(experiment, source, target):
    with pytest.raises(InputError) as caught:
        suitability.check(experiment, {"source.npz": source}, target)
    return str(caught.value)


def with_advice(experiment, message):
    """The experiment with the settings that a message names."""
    changes = {}
    for flag in shlex.split(message[message.index("--config") :]):
        name, value = re.fullmatch(r"--config\.\w+\.(\w+)=(.*)", flag).groups()
        changes[name] = eval(value)  # the values of our own message
    return experiment.replace(**changes)


def without(table, emotion, *speakers):
    return table.select(~((table.emotion == emotion) & np.isin(table.speaker, speakers or table.speaker)))


def plan_of(experiment, target, source=SOURCE):
    suitability.check(experiment, {"source.npz": source}, target)
    return Plan.make(experiment, *(dataset.from_table(t, experiment.data.emotions, "t") for t in (source, target)))


def test_one_message_names_all_settings_that_a_small_corpus_needs():
    target = without(make_table(n_speakers=4), "fear")
    message = refusal(EXPERIMENT, SOURCE, target)
    assert re.search(r"target\.npz: no clip of 'fear'; it holds anger \(8\)", message)
    assert "4 of 4 speakers have a clip of every emotion; at most 3 can be drawn" in message
    changed = with_advice(EXPERIMENT, message)
    assert changed.data.emotions == EMOTIONS[:3]
    assert (changed.training.batch_size, changed.protocol.n_speakers, changed.report.fixed_n_speakers) == (30, (2,), 2)
    assert changed.metric_network.source_batch == 30
    suitability.check(changed, {"source.npz": SOURCE}, target)


def test_missing_emotions_of_both_tables_are_one_message():
    message = refusal(EXPERIMENT, without(SOURCE, "anger"), without(make_table(n_speakers=30), "fear"))
    assert "source.npz: no clip of 'anger'" in message
    assert "target.npz: no clip of 'fear'" in message
    assert message.endswith('''--config.data.emotions="('happiness','sadness')"''')


def test_an_emotion_of_one_speaker_is_named_with_the_speaker():
    table = make_table(n_speakers=30)
    others = [f"toy_{i:02d}" for i in range(1, 30)]
    message = refusal(EXPERIMENT, SOURCE, without(table, "fear", *others))
    assert "'fear' has clips of 1 speaker only (toy_00)" in message
    suitability.check(with_advice(EXPERIMENT, message), {"source.npz": SOURCE}, without(table, "fear", *others))


def test_one_speaker_cannot_be_a_target():
    message = refusal(EXPERIMENT, SOURCE, make_table(n_speakers=1))
    assert message.endswith("Give other tables, or add clips")


def incomplete():
    """A corpus of twelve speakers, each of whom lacks an emotion."""
    table = make_table(n_speakers=12)
    for i, speaker in enumerate(np.unique(table.speaker).tolist()):
        table = without(table, EMOTIONS[i % 4], speaker)
    return table


def test_a_corpus_in_which_no_speaker_has_every_emotion_is_a_target():
    target = incomplete()
    experiment = EXPERIMENT.replace(n_speakers=(2, 4), fixed_n_speakers=4, n_draws=3)
    plan = plan_of(experiment, target)
    assert plan.draws_by_class
    assert plan.draws_note(4).startswith("each class drawn from the speakers who have it (0 of 12 have every class); 3")
    assert plan.draws.support(4).shape == (3, 16)


def test_more_draws_than_sets_of_speakers_are_a_remark():
    experiment = EXPERIMENT.replace(n_speakers=(2,), fixed_n_speakers=2, n_draws=10)
    no_draws = FewShotDraws(np.zeros((0, 0), int), np.zeros((0, 0, 0), int))
    for n_speakers, note in ((4, "10 draws of 6 distinct sets of speakers"), (6, "")):
        target = dataset.from_table(make_table(n_speakers=n_speakers), EMOTIONS, "t")
        assert Plan(experiment, target, target, no_draws, 0).draws_note(2) == note


def test_a_source_that_holds_the_targets_recordings_is_refused_unless_it_is_allowed():
    target = make_table(n_speakers=30)
    message = refusal(EXPERIMENT, target, target)
    assert "the source source.npz holds 240 of the 240 recordings of the target target.npz" in message
    assert "config.data.allow_shared_recordings=True allows it, and every row says so" in message
    allowed = EXPERIMENT.replace(allow_shared_recordings=True, n_draws=1, n_speakers=(2,), fixed_n_speakers=2)
    assert plan_of(allowed, incomplete(), target).source_note == (
        "the source holds 72 of the target's 72 recordings (config.data.allow_shared_recordings)"
    )
    other = dataclasses.replace(target, corpus=np.full(len(target), "x"), features=target.features + 1)
    suitability.check(EXPERIMENT, {"source.npz": other}, target)

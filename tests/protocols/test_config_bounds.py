"""Configurations of any content: refused by name where a value is of no use, before anything is computed."""

import random

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import facenet, smoke
from siamese_jax.errors import InputError
from siamese_jax.experiments import rerun, retrain, run_context
from siamese_jax.experiments.cross_training import config as cross_training
from siamese_jax.protocols import config
from siamese_jax.runtime import config_dict, config_files


def changed(group, name, value):
    given = smoke.get_config().to_dict()
    given[group][name] = value
    return ConfigDict(given)


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("training", "learning_rate", float("inf"), "holds inf; expected a finite number"),
        ("training", "learning_rate", float("nan"), "holds nan; expected a finite number"),
        pytest.param("training", "clip_norm", 10**400, "expected a finite number", id="large"),
        ("protocol", "seed", 2**70, "holds 1180591620717411303424; expected a number of at most 4294967295"),
        ("protocol", "seed", 2**32, "expected a number of at most 4294967295"),
        ("protocol", "seed", -1, "is -1; expected a number from 0 to 4294967295"),
        pytest.param("protocol", "seed", 10**5000, "holds a number of type int that is too large", id="huge"),
        ("protocol", "n_draws", 10**12, "holds 1000000000000; expected a number of at most"),
        ("protocol", "n_draws", 10**9, r"is 1000000000; expected at most 1,000,000"),
        ("protocol", "steps", (0, 10**7), "expected at most 1,000,000"),
        ("protocol", "n_speakers", tuple(range(1, 2000)), "holds 1999 values; expected 1000 at most"),
        ("network", "encoder_widths", (10**9,), "expected at most 16,384"),
        ("network", "encoder_widths", (4,) * 100, "expected 1 to 64 widths"),
        ("network", "encoder_widths", (0, 4), "expected 1 to 64 widths of at least 1"),
        ("data", "source", "a\0b", "no control character"),
        ("data", "source", "x" * 5000, "expected at most 4096 characters"),
    ],
)
def test_a_value_that_nothing_can_work_with_is_refused_by_name(group, name, value, message):
    with pytest.raises(InputError, match=rf"config\.{group}\.{name} .*({message})"):
        config.resolve(changed(group, name, value))


def test_a_seed_at_the_upper_end_is_taken():
    assert config.resolve(changed("protocol", "seed", 2**32 - 1)).protocol.seed == 2**32 - 1


def test_settings_of_a_cross_training_that_memory_grows_with_are_refused_by_name():
    for place in ("images.fft_size", "images.size", "network.width", "pretraining.embed_batch", "neighbours"):
        given = facenet.get_config()
        with given.ignore_type():
            given.update_from_flattened_dict({place: 10**9})
        with pytest.raises(InputError, match=rf"config\.{place} is 1000000000(\.0)?; expected at most"):
            cross_training.resolve(cross_training.with_audio(given, ["mine=clips.csv"]))


@pytest.mark.sweep
def test_a_configuration_that_holds_itself_is_refused():
    given = facenet.get_config()
    given.unlock()
    given.itself = given
    with pytest.raises(InputError, match="nested too deep"):
        cross_training.resolve(given)


def test_draws_beyond_any_memory_are_refused_before_the_tables_are_read(tmp_path):
    experiment = config.resolve(smoke.get_config())
    with pytest.raises(InputError, match=r"1000000000000 draws.*expected 1 to 10,000,000 draws"):
        rerun.run(experiment, tmp_path, 10**12, 0)
    with pytest.raises(InputError, match=r"1000000000000 trainings.*expected 1 to 10,000,000"):
        retrain.run(experiment, tmp_path, "out_of_domain", 10**12)
    with pytest.raises(InputError, match=r"n_draws is 1,000,000: the predictions of 12 cells on 1440 clips would take"):
        run_context._check_size(
            experiment.replace(n_draws=10**6, losses=("none",), steps=(0, 1, 10), frozen=(0, 1, 2, 3)), 1440
        )


@pytest.mark.parametrize(
    "text",
    ["def get_config(:", "x = 1", "raise KeyError('mine')", "import nowhere", "def get_config():\n    1 / 0", "\0"],
)
def test_a_configuration_file_that_fails_is_named(tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=r"mine\.py: cannot be loaded \(\w+: .*\); expected Python with a function"):
        config_files.load(tmp_path / "mine.py")


def test_keys_that_are_no_texts_are_named():
    given = smoke.get_config()
    given.data = ConfigDict({1: 2, "source": "emodb"}, convert_dict=True)
    with pytest.raises(InputError, match="keys that are no texts"):
        config.resolve(given)


VALUES = (
    None, True, False, 0, 1, -1, 2, 10**12, 2**70, 10**400, 10**5000, -(2**63), 0.0, -0.0, 0.5, 1e-320, 1e300,
    float("inf"), float("-inf"), float("nan"), 1j, "", "x", "anger", "x" * 10_000, "\0", "\ud800", "../..", b"x", (),
    (0,), ((),), [], [1], ("anger",), ("anger", "anger"), (2**70,), (None,), (float("nan"),), {}, {"a": 1}, {1: 2},
    {"anger": {}}, np.int64(3), np.float64("nan"), np.zeros(3), np.array(["a"]), object, range(3), frozenset((1,)),
)  # fmt: skip
"""Values of every type, and at the edges of each."""


def places_of(group, way=()):
    for key, value in group.items():
        yield (*way, key)
        if isinstance(value, dict):
            yield from places_of(value, (*way, key))


def mutated(given, rng):
    """The nested values with one to three keys changed, removed, renamed, or moved."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        *way, last = rng.choice(list(places_of(given)))
        group = given
        for key in way:
            group = group[key]
        how = rng.random()
        if how < 0.7:
            group[last] = rng.choice(VALUES)
        elif how < 0.8:
            del group[last]
        elif how < 0.9:
            group[last + rng.choice(("s", "_", "é", "\n"))] = group.pop(last)
        else:
            group[rng.choice(("new", "", "\x1b"))] = rng.choice(VALUES)
    return given


@pytest.mark.sweep
def test_two_thousand_mutated_configurations_resolve_or_are_refused_by_name():
    rng, messages = random.Random(15), []
    plain = smoke.get_config().to_dict()
    matrix = cross_training.with_audio(facenet.get_config(), ["mine=clips.csv"]).to_dict()
    for number in range(2000):
        crossed = number % 8 == 0
        given = ConfigDict(mutated(_copied(matrix if crossed else plain), rng), convert_dict=True)
        try:
            (cross_training.resolve if crossed else config.resolve)(given)
        except InputError as error:
            messages.append(str(error))
    assert 1000 < len(messages) < 2000
    assert all("onfig" in message and len(message) < 2000 for message in messages)


def _copied(value):
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def test_a_value_in_a_message_is_cut():
    assert len(config_dict.shown("x" * 10**6)) < 300

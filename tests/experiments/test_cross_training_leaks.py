"""FaceNet and its baselines learn from no clip that its fold tests, and see none beyond their scaling scope.

Poison, as in protocols/test_leaks.py: a fold's test clips get wrong labels, other sounds, and huge features.
"""

import dataclasses
import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from corpora_for_tests import FIRST, SECOND, small
from synthetic_audio import SEGMENTS, tone
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset, segments
from siamese_jax.datasets.folds import random_folds, speaker_folds
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.experiments.cross_training import baselines, run
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.plan import Plan
from siamese_jax.protocols.config import SCALINGS

N_SPEAKERS, FOLD = 6, 1
SETTINGS = small({FIRST: "first.csv", SECOND: "second.csv"}, cells=("matrix",))
SETTINGS = dataclasses.replace(
    SETTINGS, features=SETTINGS.features.replace(scalings=SCALINGS, source_steps=8, in_domain_steps=8)
)


@functools.cache
def corpus(name, split="speakers"):
    # Without clips of other emotions, so that rows of the table are the clips.
    data = dataset.from_table(make_table(name, N_SPEAKERS, extra=(), seed=len(name), apart=0.5), EMOTIONS, name)
    table = data.table
    sounds = [tone(table.emotion[i], int(s), i)[:6000] for i, s in enumerate(data.speaker)]
    source = segments.from_arrays(sounds, table.emotion.tolist(), table.speaker.tolist(), SEGMENTS)
    if split == "random":
        folds = random_folds(data.label, data.duplicate, 3, 0)
    else:
        folds = speaker_folds(table.speaker.tolist(), table.sex.tolist(), data.duplicate, 3)
    return Corpus(name, data, source, np.arange(len(data)), folds, (), {}, 0.0)


def poisoned(clean, labels, features):
    """The corpus with wrong labels and other sounds at the clips `labels`, huge features at the clips `features`."""
    data = clean.dataset
    label, x = data.label.copy(), data.full_table.features.copy()
    label[labels] = (label[labels] + 1) % len(EMOTIONS)
    x[features] *= 1e4
    emotion = np.array(EMOTIONS)[label]
    table = dataclasses.replace(data.full_table, features=x, emotion=emotion)
    samples = clean.source.samples
    hashes = tuple("other" if i in set(labels) else digest for i, digest in enumerate(samples.hashes))
    source = dataclasses.replace(
        clean.source,
        samples=dataclasses.replace(samples, hashes=hashes),
        emotion=emotion[clean.source.clip],
    )
    return dataclasses.replace(clean, dataset=dataclasses.replace(data, label=label, full_table=table), source=source)


@pytest.mark.parametrize("split", ["speakers", "random"])
def test_no_training_of_a_cell_sees_the_clips_that_its_fold_tests(split):
    corpora = {name: corpus(name, split) for name in (FIRST, SECOND)}
    test = corpora[FIRST].folds[FOLD].test
    other = {**corpora, FIRST: poisoned(corpora[FIRST], test, test)}
    seen = []
    for cell in SETTINGS.matrix():
        found = []
        for each in (corpora, other):
            plan = Plan(SETTINGS, EMOTIONS, each)
            parts = [(cell.fine_tuning, plan.fine_tuning_part(cell.fine_tuning, FOLD))]
            if cell.pretraining is not None:
                parts.append((cell.pretraining, plan.pretraining_part(cell, FOLD)))
            used = [source for material, part in parts for source in plan.sources(material, part)]
            found.append([None if source is None else source.fingerprint() for source in used])
        if cell.fine_tuning.corpus == FIRST:
            assert found[0] == found[1], str(cell)
        else:
            seen.append(found[0] != found[1])
    # Where the other corpus is tested, all clips of this one may be learned from.
    assert any(seen)


def test_decisions_learn_from_the_training_clips_of_their_fold_alone():
    clean = corpus(FIRST)
    fold = clean.folds[FOLD]
    other = poisoned(clean, np.union1d(fold.test, fold.validation), [])
    emb = np.random.default_rng(0).normal(size=(len(clean.source), 3)).astype(np.float32)
    scores = [
        run.labelled(Plan(SETTINGS, EMOTIONS, {FIRST: one}), one, FOLD, emb).scores.values for one in (clean, other)
    ]
    np.testing.assert_array_equal(*scores)
    seen = poisoned(clean, fold.train, [])
    scores[1] = run.labelled(Plan(SETTINGS, EMOTIONS, {FIRST: seen}), seen, FOLD, emb).scores.values
    assert (scores[0] != scores[1]).any()


PROGRESS = SimpleNamespace(start=lambda *_: lambda n: None)
SYSTEMS = [system for system in baselines.every(SETTINGS, [FIRST, SECOND]) if system.target == FIRST]


def predictions(corpora, system):
    return baselines._run(SETTINGS, EMOTIONS, corpora, system, PROGRESS).predictions.values


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(s, marks=pytest.mark.long if s.method == "siamese" else (), id=f"{s.title}, {s.scope}")
        for s in SYSTEMS
    ],
)
def test_no_baseline_learns_from_a_tested_clip_or_sees_a_hidden_one(system):
    corpora = {name: corpus(name) for name in (FIRST, SECOND)}
    target = corpora[FIRST]
    tested, data = target.folds[FOLD].test, target.dataset
    rows, scope = tested[::2], IN_DOMAIN_SCOPE[system.scope] if system.in_domain else system.scope
    own = np.isin(np.arange(len(data)), rows)
    learned = np.setdiff1d(np.arange(len(data)), tested) if system.in_domain else np.zeros(0, int)
    may_see = {
        "corpus": np.ones(len(data), bool),
        "speaker": np.isin(data.speaker, data.speaker[np.concatenate([rows, learned])]),
        **dict.fromkeys(("train", "source", "support"), own | np.isin(np.arange(len(data)), learned)),
    }[scope]
    # Without labelled clips of the target the scope "support" is "source".
    other = {**corpora, FIRST: poisoned(target, np.setdiff1d(np.arange(len(data)), learned), ~may_see)}
    clean, after = (predictions(each, system) for each in (corpora, other))
    np.testing.assert_array_equal(clean[:, rows], after[:, rows])


def test_every_system_of_a_target_is_in_the_table():
    methods = {(s.method, s.scope, s.in_domain) for s in SYSTEMS}
    names = ("siamese", *SETTINGS.features.protocol.baselines)
    expected = set(itertools.product(names, SCALINGS, (True, False)))
    assert methods == {case for case in expected if case[1:] != ("train", False)}

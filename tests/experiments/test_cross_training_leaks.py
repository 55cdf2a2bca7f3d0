"""FaceNet and its baselines learn from no clip that its fold tests, and see none beyond their scaling scope.

Poison, as in protocols/test_leaks.py: a fold's test clips get wrong labels, other sounds, and huge features.
"""

import contextlib
import dataclasses
import functools
import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from corpora_for_tests import FIRST, SECOND, small
from synthetic_audio import SEGMENTS, tone
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset, segments
from siamese_jax.datasets.folds import random_folds, speaker_folds
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training import baselines, results, run
from siamese_jax.experiments.cross_training import corpora as corpora_of_cross_training
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, Material
from siamese_jax.experiments.cross_training.plan import Plan
from siamese_jax.protocols import baselines as protocol_baselines
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


def test_each_purpose_and_fold_has_a_key_of_its_own():
    plan, other = (Plan(dataclasses.replace(SETTINGS, seed=seed), EMOTIONS, {FIRST: corpus(FIRST)}) for seed in (3, 4))
    data = [
        tuple(jax.random.key_data(each.key(purpose, fold)).tolist())
        for each in (plan, other, plan)
        for purpose in ("init of a", "fine-tuning on a")
        for fold in range(3)
    ]
    assert len(set(data)) == 12
    assert data[:6] == data[12:]


def test_pretraining_on_another_corpus_learns_from_all_groups_but_the_one_that_validates():
    corpora = {name: corpus(name) for name in (FIRST, SECOND)}
    cell = Cell(Material(SECOND, "spectrogram"), Material(FIRST, "waveform"))
    parts = [Plan(SETTINGS, EMOTIONS, corpora).pretraining_part(cell, fold) for fold in range(3)]
    for part in parts:
        assert part.name == "all"
        np.testing.assert_array_equal(np.sort([*part.train, *part.validation]), np.arange(len(corpora[SECOND].dataset)))
        np.testing.assert_array_equal(part.validation, corpora[SECOND].folds[0].validation)


def test_each_stage_has_its_own_settings_clips_and_key(monkeypatch):
    settings = dataclasses.replace(
        SETTINGS, pretraining=dataclasses.replace(SETTINGS.pretraining, epochs=5),
        fine_tuning=dataclasses.replace(SETTINGS.fine_tuning, epochs=7),
    )  # fmt: skip
    plan = Plan(settings, EMOTIONS, {name: corpus(name) for name in (FIRST, SECOND)})
    seen = []

    class Seen(Exception):
        pass

    def train(plan, work, progress, config, title, material, part, start, key):
        seen.append((config.epochs, config.view, material, part.name, jax.random.key_data(key).tolist()))
        raise Seen

    monkeypatch.setattr(run, "_train", train)
    monkeypatch.setattr(run.facenet, "init", lambda key, network: {})
    work = SimpleNamespace(arrays=lambda name, make: make())
    first, second = Material(FIRST, "waveform"), Material(SECOND, "spectrogram")
    for stage, before, fold in ((run._pretrained, second, 1), (run._pretrained, first, 1), (run._fold, None, 1)):
        with pytest.raises(Seen):
            stage(plan, work, PROGRESS, Cell(before, first), fold, *([None] if stage is run._fold else []))
    keys = [plan.key(f"pre-training on {second}", 3), plan.key(f"pre-training on {first}", 1)]
    keys.append(plan.key(f"fine-tuning on {first}", 1))
    expected = [(5, "spectrogram", second, "all"), (5, "waveform", first, "fold_1"), (7, "waveform", first, "fold_1")]
    assert seen == [(*e, jax.random.key_data(k).tolist()) for e, k in zip(expected, keys)]


@pytest.mark.parametrize("field", ["neighbours", "split", "strict", "seed", "fine_tuning", "pretraining", "segments"])
def test_another_setting_of_the_arrays_finds_no_old_arrays(tmp_path, field):
    value = getattr(SETTINGS, field)
    other = {
        "neighbours": 3 + SETTINGS.neighbours, "split": "random", "strict": not SETTINGS.strict, "seed": 99
    }.get(field)  # fmt: skip
    if other is None:
        number = {"segments": "quiet_db"}.get(field, "margin")
        other = dataclasses.replace(value, **{number: getattr(value, number) / 2})
    for settings, refused in ((SETTINGS, False), (dataclasses.replace(SETTINGS, level=0.8, decision="linear"), False),
                              (dataclasses.replace(SETTINGS, **{field: other}), True)):  # fmt: skip
        with pytest.raises(InputError, match=field) if refused else contextlib.nullcontext():
            run.WorkDir(tmp_path / "run", settings, {}, run.KIND, may_change=run.MAY_CHANGE).close()


def counted(name, decision, view, pretraining, counts):
    row = SimpleNamespace(
        name=name, corpus=FIRST, system="facenet" if decision else "svm", view=view, pretraining=pretraining,
        decision=decision, n_runs=1,
    )  # fmt: skip
    return results.Counted(row, counts)


def test_differences_are_of_the_configured_decision_and_of_one_view_with_adjusted_p():
    rng = np.random.default_rng(0)
    cells = [(view, before) for view in ("waveform", "spectrogram") for before in (None, "second/spectrogram")]
    counts = {(*cell, d): rng.integers(1, 9, (12, 4, 4)) for cell in cells for d in ("centroid", "linear")}
    rows = [counted(f"{view} after {before}", d, view, before, n) for (view, before, d), n in counts.items()]
    plan = Plan(dataclasses.replace(SETTINGS, decision="centroid", level=0.9), EMOTIONS, {FIRST: None})
    found = results.differences(plan, rows)
    pairs = [(f"{view} after second/spectrogram", f"{view} after None") for view in ("waveform", "spectrogram")]
    assert [(d.name, d.minus) for d in found] == pairs

    def uar(table):
        total = table.sum(axis=0)
        return 100 * np.mean(np.diag(total) / total.sum(axis=1))

    for difference, view in zip(found, ("waveform", "spectrogram")):
        gap = uar(counts[view, "second/spectrogram", "centroid"]) - uar(counts[view, None, "centroid"])
        assert difference.difference == pytest.approx(gap, abs=1e-3)
    small_p, large_p = sorted(found, key=lambda d: d.p)
    assert small_p.p_adjusted == pytest.approx(min(1, 2 * small_p.p))
    assert large_p.p_adjusted == pytest.approx(max(large_p.p, small_p.p_adjusted))
    wider = results.differences(
        dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, level=0.95)), rows
    )
    assert all(a.high - a.low < b.high - b.low for a, b in zip(found, wider))


def test_classifiers_on_features_have_the_configured_regularisation(monkeypatch):
    system = next(s for s in SYSTEMS if s.method == "logistic_regression")
    made = []
    real = protocol_baselines.CLASSIFIERS[system.method]
    monkeypatch.setitem(protocol_baselines.CLASSIFIERS, system.method, lambda c: made.append(c) or real(c))
    settings = dataclasses.replace(SETTINGS, features=SETTINGS.features.replace(logistic_c=0.3))
    baselines._run(settings, EMOTIONS, {name: corpus(name) for name in (FIRST, SECOND)}, system, PROGRESS)
    assert set(made) == {0.3}


def test_segments_and_places_are_those_of_clips_that_are_left():
    whole = corpus(FIRST)
    left = np.delete(np.arange(len(whole.dataset)), [0, 5])
    part = dataclasses.replace(whole, source=whole.source.subset(left), row=left)
    clips = np.array([0, 4, 7])
    assert np.unique(part.segments_of(clips).clip).tolist() == left[clips].tolist()
    np.testing.assert_array_equal(left[part.place], part.source.clip)


def test_folds_of_a_corpus_keep_clips_of_the_same_samples_together():
    whole = corpus(FIRST)
    duplicate = whole.source.duplicate.copy()
    twins = [0, int(np.flatnonzero(whole.dataset.speaker != whole.dataset.speaker[0])[0])]
    duplicate[whole.source.clip == twins[1]] = twins[0]
    source = dataclasses.replace(whole.source, duplicate=duplicate)
    for split in ("speakers", "random"):
        settings = dataclasses.replace(SETTINGS, split=split)
        for fold in corpora_of_cross_training._folds(settings, FIRST, whole.dataset, source, whole.row):
            of = [name for name in ("train", "validation", "test") if np.isin(twins, getattr(fold, name)).any()]
            assert len(of) == 1, split

"""The arguments of a stage's trials: folds hold their own clips and scaling; draws their seed, layers and scaling."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
import xarray as xr
from tiny_plan import FOLD_STEPS, PLAN, SOURCE, TARGET, scaled, settings

from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.datasets.mixture import mixture
from siamese_jax.models import siamese
from siamese_jax.protocols import stages
from siamese_jax.protocols.trials import FineTuned
from siamese_jax.training.siamese import SECOND_UPDATES, BatchLog

SPEC = PLAN.spec("abs_difference")
BLOCK = dataclasses.replace(PLAN, draws=FewShotDraws(*(field[::-1] for field in PLAN.draws)), first_draw=1)
"""A later block of a rerun: it has draws and seeds of its own, and the programs of the first block's plan."""


@pytest.mark.parametrize("scope", ["train", "corpus"])
def test_a_fold_holds_its_training_clips_by_class_and_its_scaling(scope):
    splits = leave_one_speaker_out(TARGET)[1:]
    clips = PLAN.target_clips(scope)
    fold, tests = stages._folds(PLAN, clips, scope, splits)
    for i, (train, test) in enumerate(splits):
        for c in range(4):
            rows, count = fold.by_class.rows[i, c], fold.by_class.counts[i, c]
            own = train[TARGET.label[train] == c]
            assert count == len(own)
            assert set(rows[:count].tolist()) == set(rows.tolist()) == set(own.tolist())
        np.testing.assert_array_equal(fold.train[i][fold.train_valid[i]], train)
        np.testing.assert_array_equal(fold.test[i][: len(test)], test)
        np.testing.assert_array_equal(tests[i], test)
        x = (clips.x - fold.scaling.shift[i]) / fold.scaling.scale[i]
        np.testing.assert_allclose(x, scaled(TARGET, scope, train), atol=2e-3)


@pytest.mark.parametrize("scope", ["corpus", "speaker", "source", "support"])
def test_a_draw_has_its_seed_frozen_layers_clips_and_scaling(scope):
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(PLAN, "abs_difference", (), executor)  # compiles nothing
    keys = jax.random.split(jax.random.key(0), 2)
    params = jax.tree.map(np.asarray, jax.vmap(lambda key: siamese.init(SPEC.network, key, 9))(keys))
    starts, few_shot, target, _ = tuning.arguments(BLOCK, 2, scope, params)
    support = BLOCK.draws.support(2)
    for i, frozen in enumerate((0, 1, 3)):
        for draw in range(3):
            trial = 3 * i + draw
            assert few_shot.frozen[trial] == frozen
            assert few_shot.valid[trial].tolist() == [True] * 8 + [False] * 4
            np.testing.assert_array_equal(few_shot.support[trial, :8], support[draw])
            jax.tree.map(
                lambda a, b, t=trial, d=draw: np.testing.assert_array_equal(a[t], b[(d + 1) % 2]), starts, params
            )
            x = (target.x - few_shot.scaling.shift[trial]) / few_shot.scaling.scale[trial]
            np.testing.assert_allclose(x, scaled(TARGET, scope, support[draw]), atol=2e-3)
    np.testing.assert_array_equal(target.label, TARGET.label)


@pytest.fixture
def calls(monkeypatch):
    """The calls of trials, (name, settings, arguments), answered by `answers[name]`; nothing compiles."""
    calls, answers = [], {}

    class Program:
        def __init__(self, trial, axes, chunk):
            self.trial = trial

        def prepare(self, *arguments):
            return self

        def __call__(self, *arguments, on_chunk):
            calls.append((*self.trial, arguments))
            return answers[self.trial[0]](*arguments)

    for name in ("source", "out_of_domain", "in_domain", "fine_tuning"):
        monkeypatch.setattr(stages.trials, f"make_{name}_trial", lambda *given, name=name: (name, given))
    monkeypatch.setattr(stages.vectorize, "TrialProgram", Program)
    return calls, answers


def parameters(n):
    keys = jax.random.split(jax.random.key(0), n)
    return jax.tree.map(np.asarray, jax.vmap(lambda key: siamese.init(SPEC.network, key, 9))(keys))


def same_keys(keys, expected):
    np.testing.assert_array_equal(jax.random.key_data(keys), jax.random.key_data(expected))


def seed_keys(purpose):
    return jax.random.split(jax.random.fold_in(jax.random.key(PLAN.experiment.protocol.seed), purpose), 2)


@pytest.mark.parametrize("scope", ["corpus", "speaker"])
def test_pre_training_and_its_tests_have_their_keys_clips_and_steps(calls, scope):
    calls, answers = calls
    params, log = parameters(2), BatchLog(*(np.ones((2, 5), np.float32) for _ in range(3)))
    log.cross_entropy[1, 1:] = np.nan  # the second seed's training diverges after the first reading
    answers["source"] = lambda keys, clips, index: (params, log)
    answers["out_of_domain"] = lambda params, source, weight, target: np.zeros((2, len(TARGET)), np.int8)
    trained = stages.source_training(PLAN, "abs_difference", scope, lambda _: None)
    tested = stages.out_of_domain(PLAN, "abs_difference", scope, trained, lambda _: None)
    assert tested.diverged.values.tolist() == [False, True]
    (_, (spec, steps), (keys, source, index)), (_, (other,), (given, references, weight, target)) = calls
    assert spec == other == SPEC
    assert steps == (1, 2, 3, 4, 6)
    same_keys(keys, seed_keys(0))
    for clips, expected in ((source, SOURCE), (references, SOURCE), (target, TARGET)):
        np.testing.assert_allclose(clips.x, scaled(expected, scope), atol=2e-3)
        np.testing.assert_array_equal(clips.label, expected.label)
        np.testing.assert_array_equal(clips.speaker, expected.speaker)
    np.testing.assert_array_equal(index.counts, np.bincount(SOURCE.label))
    np.testing.assert_array_equal(weight, 1)
    jax.tree.map(np.testing.assert_array_equal, given, params)


def test_each_source_has_its_share_of_every_class_in_out_of_domain_tests(calls):
    calls, answers = calls
    smaller = dataclasses.replace(TARGET, rows=TARGET.rows[1:], label=TARGET.label[1:], speaker=TARGET.speaker[1:])
    smaller = dataclasses.replace(smaller, duplicate=TARGET.duplicate[1:])
    plan = dataclasses.replace(PLAN, source=mixture([SOURCE, smaller], ["source", "target"], (1.0, 3.0)))
    answers["out_of_domain"] = lambda params, source, weight, target: np.zeros((2, len(TARGET)), np.int8)
    log = dict.fromkeys(BatchLog._fields, (("seed", "source_step"), np.ones((2, 1))))
    trained = xr.Dataset({**log, **stages.params_to_arrays(parameters(2))})
    stages.out_of_domain(plan, "abs_difference", "corpus", trained, lambda _: None)
    ((_, _, (_, source, weight, _)),) = calls
    corpus = plan.source.corpus[plan.source.rows]
    for c in range(4):
        shares = np.bincount(corpus[source.label == c], weight[source.label == c])
        np.testing.assert_allclose(shares / shares.sum(), [0.25, 0.75], rtol=1e-5)


def test_in_domain_training_has_its_keys_steps_and_folds_and_pools_their_predictions(calls):
    calls, answers = calls
    plan = dataclasses.replace(PLAN, experiment=settings(n_seeds=3))  # in-domain trainings have two
    splits = leave_one_speaker_out(TARGET)
    n, most = len(splits), max(len(test) for _, test in splits)
    # The classes tell trials and clips apart; the second seed's third training diverges.
    classes = (np.arange(2 * n)[:, None] * 8 + np.arange(most)).astype(np.int8)
    loss = np.ones((2 * n, 1))
    loss[n + 2] = np.nan
    answers["in_domain"] = lambda keys, folds, clips: (classes, BatchLog(loss, np.ones((2 * n, 1)), 1.0))
    found = stages.in_domain(plan, "abs_difference", "support", splits, lambda _: None)
    ((_, (spec, steps), (keys, folds, clips)),) = calls
    assert (spec, steps) == (SPEC, FOLD_STEPS)
    same_keys(keys.reshape(2, n)[1], jax.vmap(lambda i: jax.random.fold_in(seed_keys(1)[1], i))(np.arange(n)))
    assert found.diverged.values.tolist() == [False, True]
    assert found.tested.all()
    for i, (train, test) in enumerate(splits):
        for seed in range(2):
            trial = seed * n + i
            np.testing.assert_array_equal(folds.test[trial][: len(test)], test)
            x = (clips.x - folds.scaling.shift[trial]) / folds.scaling.scale[trial]
            np.testing.assert_allclose(x, scaled(TARGET, "train", train), atol=2e-3)
            np.testing.assert_array_equal(found.predictions[seed, test], classes[trial, : len(test)])


def test_each_loss_of_fine_tuning_is_run_and_kept_under_its_name(calls):
    calls, answers = calls

    def tuned(params, few_shot, target, probe, which):
        def full(*shape):
            return np.broadcast_to(which + 10 * np.arange(9).reshape(9, *(1 for _ in shape)), (9, *shape))

        log = BatchLog(full(3), full(3), full(3))
        return FineTuned(full(3, len(TARGET)), log, full(3, 4, 4), full())

    answers["fine_tuning"] = tuned
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(PLAN, "abs_difference", (2,), executor)
        found = tuning.run(BLOCK, 2, "corpus", parameters(2), lambda _: None)
    assert [given for _, given, _ in calls] == [(SPEC, SECOND_UPDATES, (0, 2, 4))] * len(SECOND_UPDATES)
    for which, loss in enumerate(SECOND_UPDATES):
        for i, frozen in enumerate((0, 1, 3)):
            of_draws = found.sel(loss=loss, frozen=frozen)
            for name in ("predictions", "cross_entropy", "emotion_distances", "skipped"):
                by_draw = of_draws[name].values.reshape(3, -1)
                assert (by_draw == which + 10 * (3 * i + np.arange(3))[:, None]).all(), name
    np.testing.assert_array_equal(found.support, BLOCK.draws.support(2))
    assert found.seed_of_draw.values.tolist() == [1, 0, 1]

"""One trial is the same alone, mapped, chunked and sharded, in every form; changing one leaves the others alone."""

import functools
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_implementation

from configs import rerun as rerun_config
from siamese_jax.datasets.draws import class_index, evaluation_masks, few_shot_draws
from siamese_jax.errors import InputError
from siamese_jax.experiments import run_context
from siamese_jax.features.scaling import identity
from siamese_jax.losses import pair_masks
from siamese_jax.models import siamese, similarity
from siamese_jax.protocols import config, stages, trials
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import Clips, FewShot, ProtocolSpec
from siamese_jax.runtime import interrupt, vectorize
from siamese_jax.stats.scoring import score
from siamese_jax.training.siamese import TrainingSpec

LOSSES = ("none", "ratio", "cross_entropy_twice")
SPEC = ProtocolSpec(
    siamese.SiameseSpec((8, 6, 4), "abs_difference", 4),
    TrainingSpec(1e-2, 1e-2, 1.0, "balanced", "any"),
    4,
    8,
    "mean_log",
)
READOUTS = (0, 2, 5)
PROBE = np.arange(0, 48, 3, dtype=np.int32)


def corpus(dtype=np.float32):
    rng = np.random.default_rng(0)
    label = np.tile(np.arange(4), 12).astype(np.int32)
    x = rng.normal(size=(48, 6)) + 1.5 * np.eye(4, 6)[label]
    return Clips(x.astype(dtype), label, np.repeat(np.arange(6), 8).astype(np.int32))


def few_shot_trials(n, padding=0):
    target = corpus()
    draws = few_shot_draws(jax.random.key(1), target.label, target.speaker, 4, n)
    support = draws.support(2)
    padded = np.concatenate([support, np.full((n, padding), 5)], axis=1).astype(np.int32)
    valid = np.tile(np.arange(8 + padding) < 8, (n, 1))
    return FewShot(padded, valid, (np.arange(n) % 3).astype(np.int32), identity(n, 6))


def start(n):
    return jax.vmap(lambda key: siamese.init(SPEC.network, key, 6))(jax.random.split(jax.random.key(2), n))


@functools.cache
def fine_tuning(losses, chunk, padding=0, dtype="float32"):
    """The program of these losses; compiled at its first call, for arguments of this padding and type."""
    trial = trials.make_fine_tuning_trial(SPEC, losses, READOUTS)
    return vectorize.TrialProgram(trial, (0, 0, None, None, None), chunk)


def run(n, chunk, which, few_shot=None):
    few_shot = few_shot or few_shot_trials(n)
    return fine_tuning(LOSSES, chunk)(start(n), few_shot, corpus(), PROBE, np.int32(which))


@functools.cache
def one_trial():
    return jax.jit(trials.make_fine_tuning_trial(SPEC, LOSSES, READOUTS))


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def first(tree, n):
    return jax.tree.map(lambda leaf: leaf[:n], tree)


def test_a_trial_gives_the_same_bits_whatever_the_number_of_trials():
    seven = run(7, 4, 1)
    assert_same_bits(first(seven, 3), run(3, 4, 1))
    assert seven.predictions.shape == (7, 3, 48)


class InMemory:
    """Keeps the trials of one call; after `stop_after` chunks a signal comes."""

    def __init__(self, stop_after=None):
        self.kept, self.stop_after = [], stop_after

    def restore(self, results):
        done = np.zeros(len(results.skipped), bool)
        for held, found in self.kept:
            done[held] = True
            jax.tree.map(lambda into, leaf, held=held: into.__setitem__(held, leaf), results, found)
        return done

    def add(self, rows, results):
        self.kept.append((rows, results))
        if len(self.kept) == self.stop_after:
            signal.raise_signal(signal.SIGTERM)
            while not interrupt.requested():
                time.sleep(0.01)


@pytest.mark.parametrize("lost", [(), (0,), (1, 2)])
def test_a_stopped_call_resumes_with_the_trials_that_are_missing(lost):
    program = fine_tuning(LOSSES, 2)
    arguments = (start(7), few_shot_trials(7), corpus(), PROBE, np.int32(1))
    whole = program(*arguments)
    # The third chunk is in flight when the signal comes.
    kept, counted = InMemory(stop_after=2), []
    with interrupt.watch(), pytest.raises(interrupt.Stopped, match="SIGTERM"):
        program(*arguments, kept=kept)
    assert [rows.tolist() for rows, _ in kept.kept] == [[0, 1], [2, 3], [4, 5]]
    kept.kept, kept.stop_after = [part for i, part in enumerate(kept.kept) if i not in lost], None
    assert_same_bits(program(*arguments, kept=kept, on_chunk=counted.append), whole)
    assert len(kept.kept) == 4
    assert sum(counted) == 7
    counted.clear()
    assert_same_bits(program(*arguments, kept=kept, on_chunk=counted.append), whole)
    assert counted == [7]


def test_changing_one_trial_leaves_the_others_alone():
    few_shot = few_shot_trials(4)
    support = few_shot.support.copy()
    support[2] = support[2][::-1]
    frozen = few_shot.frozen.copy()
    frozen[2] = 1 - frozen[2] % 2
    before, after = (
        run(4, 4, 1, few_shot=few_shot),
        run(4, 4, 1, few_shot=few_shot._replace(support=support, frozen=frozen)),
    )
    others = np.array([0, 1, 3])
    assert_same_bits(*(jax.tree.map(lambda leaf: leaf[others], tree) for tree in (before, after)))
    assert (before.log.cross_entropy[2] != after.log.cross_entropy[2]).any()


@pytest.mark.parametrize("which", range(len(LOSSES)))
@pytest.mark.long
def test_alone_mapped_and_padded_agree_in_float64(which):
    with jax.enable_x64(True):
        target, few_shot = corpus(np.float64), few_shot_trials(3)
        params = jax.tree.map(lambda leaf: leaf.astype(np.float64), start(3))
        few_shot = few_shot._replace(scaling=jax.tree.map(lambda s: s.astype(np.float64), few_shot.scaling))
        mapped = fine_tuning(LOSSES, 4, dtype="float64")(params, few_shot, target, PROBE, np.int32(which))
        padded = few_shot_trials(3, padding=3)._replace(scaling=few_shot.scaling)
        padded = fine_tuning(LOSSES, 4, 3, "float64")(params, padded, target, PROBE, np.int32(which))
        for i in range(3):
            alone = one_trial()(
                *jax.tree.map(lambda leaf, i=i: leaf[i], (params, few_shot)), target, PROBE, np.int32(which)
            )
            for other in (mapped, padded):
                one = jax.tree.map(lambda leaf, i=i: leaf[i], other)
                np.testing.assert_array_equal(one.predictions, alone.predictions)
                jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), one.log, alone.log)


@pytest.mark.long
def test_each_loss_of_a_shared_program_equals_a_program_of_its_own():
    for which, loss in enumerate(LOSSES):
        alone = fine_tuning((loss,), 2)(start(2), few_shot_trials(2), corpus(), PROBE, np.int32(0))
        shared = run(2, 2, which)
        np.testing.assert_array_equal(alone.predictions, shared.predictions)
        np.testing.assert_allclose(alone.log.cross_entropy, shared.log.cross_entropy, rtol=1e-5)


def test_the_compiled_grid_holds_no_collective():
    program = fine_tuning(LOSSES, 4)
    program.prepare(start(1), few_shot_trials(1), corpus(), PROBE, np.int32(0))
    text = program.compiled.as_text()
    assert "num_partitions=2" in text
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text


def test_a_step_is_traced_once():
    traced = []
    original = siamese.encode

    def counting(spec, encoder, x):
        traced.append(x.shape)
        return original(spec, encoder, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siamese, "encode", counting)
        jax.make_jaxpr(trials.make_fine_tuning_trial(SPEC, LOSSES, (0, 1, 2, 3, 4, 5, 6, 7)))(
            *jax.tree.map(lambda leaf: leaf[0], (start(1), few_shot_trials(1))), corpus(), PROBE, np.int32(0)
        )
        many = len(traced)
        traced.clear()
        jax.make_jaxpr(trials.make_fine_tuning_trial(SPEC, LOSSES, (7,)))(
            *jax.tree.map(lambda leaf: leaf[0], (start(1), few_shot_trials(1))), corpus(), PROBE, np.int32(0)
        )
    assert many == len(traced)  # evaluation steps share one traced step and one traced classification


def test_source_and_in_domain_training_learn():
    target = corpus()
    by_class = class_index(target.label, 4, np.ones(48, bool))
    program = vectorize.TrialProgram(trials.make_source_trial(SPEC, (1, 300)), (0, None, None), 2)
    params, log = program(jax.random.split(jax.random.key(0), 2), target, by_class)
    assert (log.cross_entropy[:, 1] < log.cross_entropy[:, 0]).all()
    program = vectorize.TrialProgram(trials.make_out_of_domain_trial(SPEC), (0, None, None, None), 2)
    classes = program(params, target, np.ones(48, np.float32), target)
    assert (classes == target.label).mean() > 0.6


def test_mapped_arguments_must_agree_on_the_number_of_trials():
    program = vectorize.TrialProgram(lambda a, b: a + b, (0, 0), 2)
    with pytest.raises(InputError, match=r"\[2, 3\] trials"):
        program(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match="at least 1"):
        program(np.zeros(0), np.zeros(0))


def test_chunks_cover_all_trials_and_report_them():
    seen = []
    program = vectorize.TrialProgram(lambda a, b: a * b, (0, None), 4)
    result = program(np.arange(10.0, dtype=np.float32), jnp.float32(2), on_chunk=seen.append)
    np.testing.assert_array_equal(result, 2 * np.arange(10.0))
    assert seen == [4, 4, 2]


def test_chunks_fit_the_budget_and_are_of_nearly_equal_size():
    assert vectorize.chunk_size(10, 1.0) == 10
    most = int(vectorize.CPU_FLOATS // 1e6) * 2
    size = vectorize.chunk_size(10 * most + 1, 1e6)
    assert size <= most
    assert -(-(10 * most + 1) // size) == 11
    assert vectorize.chunk_size(5, 1e12) == 2


@pytest.mark.long
def test_the_fast_form_has_the_mean_uar_of_the_plain_one_over_200_draws():
    """In float32 single trials drift apart (Adam amplifies rounding), their mean does not."""
    given = rerun_config.get_config()
    given.protocol.update({"n_draws": 200, "n_seeds": 10, "n_speakers": (2,), "losses": ("ratio",)})
    given.report.update({"fixed_n_speakers": 2})
    given.protocol.update({"steps": (100,)})
    given.report.update({"fixed_steps": 100})
    given.training.update({"source_steps": 300})
    settings = config.resolve(given)
    plan = Plan.make(settings, *run_context.load(settings))
    spec = plan.spec("abs_difference")
    params = stages.params_from_arrays(stages.source_training(plan, "abs_difference", "corpus", lambda _: None))
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(plan, "abs_difference", (2,), executor)
    fast = tuning.run(plan, 2, "corpus", params, lambda _: None).predictions.values[0, 0, :, 0]

    def plain(start, support, target):
        x, label = target.x[support], target.label[support]
        masks = pair_masks.pair_masks(label, support, target.speaker[support], jnp.ones(len(label), bool), "any")
        tuned = reference_implementation.steps(spec.training, start, (x, masks), 0, 100)
        return similarity.classify(spec.network, tuned, target.x, x, label, jnp.ones(len(label), bool), 4, spec.pooling)

    starts, few_shot, target, _ = tuning.arguments(plan, 2, "corpus", params)
    slow = vectorize.TrialProgram(plain, (0, 0, None), 20)(starts, few_shot.support, target)
    masks = evaluation_masks(plan.target, plan.draws.support(2))["paper"]
    uar = [score(predictions, plan.target.label, masks).uar for predictions in (fast, slow)]
    assert uar[0].shape == (200,)
    assert abs(float((uar[0] - uar[1]).mean())) < 0.1

"""Each axis of the grid is the one it is called: every cell against a plain implementation that reads the settings.

All values are distinct (rates, widths, seeds, draws, weights of pairs), so that no two of them can change places. The
comparisons are in float64: in float32, Adam makes whole steps from gradients that are rounding.
"""

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_implementation as plain
import tiny_plan
from tiny_plan import FOLD_STEPS, SOURCE_STEPS

from siamese_jax.datasets.draws import balanced_batch, class_index
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.losses import pair_masks
from siamese_jax.models import siamese
from siamese_jax.protocols import stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.vectorize import TrialProgram
from siamese_jax.training.siamese import SECOND_UPDATES

pytestmark = pytest.mark.long


def in_float64(data):
    table = data.full_table
    return dataclasses.replace(data, full_table=dataclasses.replace(table, features=table.features.astype(np.float64)))


SOURCE, TARGET = in_float64(tiny_plan.SOURCE), in_float64(tiny_plan.TARGET)
PLAN = Plan.make(tiny_plan.settings(), SOURCE, TARGET)
SPEC = PLAN.spec("abs_difference")
CLOSE = {"rtol": 1e-6, "atol": 1e-9}


@pytest.fixture(scope="module", autouse=True)
def float64():
    """For all threads: programs are compiled in threads of their own."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def standardised(x, by):
    """By means and standard deviations that are kept in float32."""
    return (x - by.mean(axis=0).astype(np.float32)) / by.std(axis=0).astype(np.float32)


def scaled(data, scope, rows=None):
    """The experiment's clips of a corpus under a scope; `rows` of the support set or the fold."""
    table, x = data.full_table, data.table.features
    if scope == "train":
        return standardised(x, x[rows])
    if scope == "support":
        x = scaled(data, "source")
        return standardised(x, x[rows])
    if scope == "speaker":
        of = {name: table.features[table.speaker == name] for name in np.unique(table.speaker)}
        return np.concatenate([standardised(row[None], of[name]) for row, name in zip(x, data.table.speaker)])
    return standardised(x, (SOURCE if scope == "source" else data).full_table.features)


def from_scratch(key, data, x, rows, n_steps, evaluated=()):
    """Parameters after training on the clips at `rows`, and the cross entropy of the next batch after these steps."""
    init_key, batch_key = jax.random.split(key)
    params = jax.tree.map(jnp.float64, siamese.init(SPEC.network, init_key, x.shape[1]))
    index = class_index(data.label, 4, np.isin(np.arange(len(data)), rows))
    x, label, speaker = jnp.asarray(x), jnp.asarray(data.label), jnp.asarray(data.speaker)

    def batch(i):
        drawn = balanced_batch(jax.random.fold_in(batch_key, i), index, 12)
        return x[drawn], pair_masks.pair_masks(label[drawn], drawn, speaker[drawn], jnp.ones(12, bool), "any")

    log = []
    for n in (*evaluated, n_steps):
        trained = plain.steps(SPEC.training, params, batch, 0, n, "none")
        log.append(plain.entropy(trained, *batch(n), SPEC.training.weighting))
    return trained, np.array(log[: len(evaluated)])


@pytest.fixture(scope="module")
def trained():
    return stages.source_training(PLAN, "abs_difference", "corpus", lambda _: None)


@pytest.mark.parametrize("scope", ["corpus", "speaker"])
def test_pre_training_is_the_plain_one_and_logs_the_next_batch(scope):
    trained = stages.source_training(PLAN, "abs_difference", scope, lambda _: None)
    x = scaled(SOURCE, scope)
    assert trained.source_step.values.tolist() == [1, 2, 3, 4, 6]
    seed_keys = jax.random.split(jax.random.fold_in(jax.random.key(5), 0), 2)
    params = stages.params_from_arrays(trained)
    for seed in range(2):
        ours = jax.tree.map(lambda leaf, seed=seed: leaf[seed], params)
        theirs, log = from_scratch(seed_keys[seed], SOURCE, x, np.arange(len(SOURCE)), SOURCE_STEPS, (1, 3))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), ours, theirs)
        np.testing.assert_allclose(trained.cross_entropy.values[seed, [0, 2]], log, **CLOSE)


@pytest.mark.parametrize("scope", ["corpus", "speaker", "source"])
def test_out_of_domain_tests_compare_with_the_source(trained, scope):
    found = stages.out_of_domain(PLAN, "abs_difference", scope, trained, lambda _: None)
    x, references = scaled(TARGET, scope), scaled(SOURCE, "speaker" if scope == "speaker" else "corpus")
    for seed in range(2):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], stages.params_from_arrays(trained))
        classes = plain.classes(params, x, references, SOURCE.label, 4, "mean_probability")
        np.testing.assert_array_equal(found.predictions.values[seed], classes)


@pytest.fixture(scope="module")
def tuning():
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(PLAN, "abs_difference", (), executor)
    # Compiled at its first call, for float64.
    program: Future[TrialProgram] = Future()
    program.set_result(TrialProgram(tuning.trial, (0, 0, None, None, None), 9))
    tuning._programs[tuning._padded(2)] = program
    return tuning


@pytest.mark.parametrize("scope", ["corpus", "speaker", "support", "source"])
def test_every_cell_of_fine_tuning_is_the_plain_one(tuning, trained, scope):
    """Its loss, frozen layers, draw, seed, step, scaling, rates, weights of pairs, clipping and pooling."""
    start = stages.params_from_arrays(trained)
    found = tuning.run(PLAN, 2, scope, start, lambda _: None)
    support = PLAN.draws.support(2)
    # The whole grid under one scope; under the others a cell of each draw.
    cells = [(loss, frozen, draw) for loss in SECOND_UPDATES for frozen in (0, 1, 3) for draw in range(3)]
    for loss, frozen, draw in cells if scope == "corpus" else [("ratio", 1, draw) for draw in range(3)]:
        rows = support[draw]
        x, label = jnp.asarray(scaled(TARGET, scope, rows)), jnp.asarray(TARGET.label[rows])
        masks = pair_masks.pair_masks(label, jnp.asarray(rows), jnp.zeros(8, int), jnp.ones(8, bool), "any")
        params = jax.tree.map(lambda leaf, draw=draw: jnp.asarray(leaf[draw % 2]), start)
        params = compiled_steps(loss)(params, x[rows], masks, frozen)
        cell = found.sel(loss=loss, frozen=frozen, step=4).isel(draw=draw)
        entropy = plain.entropy(params, x[rows], masks, "uniform")
        np.testing.assert_allclose(cell.cross_entropy, entropy, **CLOSE, err_msg=f"{loss} {frozen} {draw}")
        distances = [cell.d_same, cell.d_different]
        np.testing.assert_allclose(distances, plain.mean_distances(params["encoder"], x[rows], masks), **CLOSE)
        classes = plain.classes(params, x, x[rows], TARGET.label[rows], 4, "mean_probability")
        np.testing.assert_array_equal(cell.predictions.values, classes)


COMPILED = {}


def compiled_steps(loss):
    """Four plain steps; one program for all frozen layers and draws."""
    if loss not in COMPILED:
        COMPILED[loss] = jax.jit(
            lambda params, x, masks, frozen: plain.steps(SPEC.training, params, (x, masks), frozen, 4, loss)
        )
    return COMPILED[loss]


def test_layers_frozen_to_the_last_leave_every_embedding_as_it_was_bit_for_bit(tuning, trained):
    found = tuning.run(PLAN, 2, "corpus", stages.params_from_arrays(trained), lambda _: None).sel(frozen=3)
    for name in ("d_same", "d_different", "emotion_distances"):
        first = found[name].sel(step=[0], loss=["none"]).values
        np.testing.assert_array_equal(found[name].values, np.broadcast_to(first, found[name].shape))
    # The head learns.
    assert (found.cross_entropy.sel(step=4) != found.cross_entropy.sel(step=0)).all()


@pytest.mark.parametrize("scope", ["corpus", "train"])
def test_in_domain_training_is_the_plain_one(scope):
    splits = leave_one_speaker_out(TARGET)
    found = stages.in_domain(PLAN, "abs_difference", scope, splits, lambda _: None)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(5), 1), 2)
    for seed, fold in ((0, 0), (1, 3)):
        train, test = splits[fold]
        x = scaled(TARGET, scope, train)
        params, _ = from_scratch(jax.random.fold_in(keys[seed], fold), TARGET, x, train, FOLD_STEPS)
        classes = plain.classes(params, x[test], x[train], TARGET.label[train], 4, "mean_probability")
        np.testing.assert_array_equal(found.predictions.values[seed, test], classes)

"""Steps: what they touch, what they leave alone, and what they do at the pole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax import pairs, training
from siamese_jax.models import siamese

NETWORK = siamese.SiameseSpec((8, 6, 4), "abs_difference", 4)
TRAINING = training.TrainingSpec(1e-2, 1e-2, 1.0, "balanced", "any")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    label = jnp.array([0, 1, 2, 3] * 3)
    x = jnp.asarray(rng.normal(size=(12, 5)) + 2 * np.eye(4, 5)[np.asarray(label)], jnp.float32)
    return x, pairs.pair_masks(label, jnp.arange(12), jnp.zeros(12, int), jnp.ones(12, bool), "any")


def start(frozen, seed=0):
    params = siamese.init(NETWORK, jax.random.key(seed), 5)
    return training.init_state(params), siamese.trainable_mask(params, jnp.asarray(frozen))


def changed(before, after):
    return jax.tree.map(lambda a, b: bool((a != b).any()), before, after)


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_frozen_layers_keep_their_bits_through_both_updates(batch, frozen):
    state, mask = start(frozen)
    after = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, mask)
    after = training.second_step(NETWORK, TRAINING, "ratio", after, *batch, mask)
    moved = changed(state.params, after.params)
    for layer in range(3):
        assert moved["encoder"][f"layer_{layer}"]["kernel"] == (layer >= frozen)
    assert moved["head"]["kernel"]


@pytest.mark.parametrize("kind", ["ratio", "ratio_bounded", "cross_entropy_twice"])
def test_the_second_update_leaves_the_head_and_the_first_adam_alone(batch, kind):
    state, mask = start(0)
    state = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, mask)
    after = training.second_step(NETWORK, TRAINING, kind, state, *batch, mask)
    assert not any(jax.tree.leaves(changed(state.params["head"], after.params["head"])))
    assert any(jax.tree.leaves(changed(state.params["encoder"], after.params["encoder"])))
    assert not any(jax.tree.leaves(changed(state.adam, after.adam)))


def test_no_second_update_is_no_change(batch):
    state, mask = start(0)
    after = training.second_step(NETWORK, TRAINING, "none", state, *batch, mask)
    assert not any(jax.tree.leaves(changed(state, after)))


def test_at_the_pole_the_ratio_update_is_skipped_and_counted():
    # The one same pair and the one different pair are equally far apart, to the bit.
    masks = pairs.PairMasks(
        jnp.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool), jnp.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    )
    x = jnp.array([[0.0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    state, mask = start(0)
    after = training.second_step(NETWORK, TRAINING, "ratio", state, x, masks, mask)
    assert int(after.skipped) == 1
    assert not any(jax.tree.leaves(changed(state.params, after.params)))
    assert not any(jax.tree.leaves(changed(state.second_adam, after.second_adam)))


def test_clipping_holds_the_norm_even_where_squares_overflow():
    clipped, finite = training._clipped(jnp.array([3e30, 4e30, 0]), 1.0)
    assert bool(finite)
    np.testing.assert_allclose(clipped, [0.6, 0.8, 0], rtol=1e-6)
    small, _ = training._clipped(jnp.array([0.03, 0.04]), 1.0)
    np.testing.assert_allclose(small, [0.03, 0.04], rtol=1e-6)
    none, finite = training._clipped(jnp.array([jnp.inf, 1.0]), 1.0)
    assert not bool(finite)
    np.testing.assert_array_equal(none, 0)


@pytest.mark.parametrize("kind", training.SECOND_UPDATES)
def test_training_lowers_the_cross_entropy_and_the_ratio(batch, kind):
    state, mask = start(0)

    @jax.jit
    def step(state):
        state = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, mask)
        return training.second_step(NETWORK, TRAINING, kind, state, *batch, mask)

    before = training.look(NETWORK, TRAINING, state.params, *batch)
    for _ in range(60):
        state = step(state)
    after = training.look(NETWORK, TRAINING, state.params, *batch)
    assert after.cross_entropy < before.cross_entropy
    assert after.d_same / after.d_different < before.d_same / before.d_different
    assert int(state.skipped) == 0


def test_the_first_step_is_adams():
    """After one step every weight with a gradient moved by the learning rate (Adam's bias-corrected first step)."""
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(8, 5)), jnp.float32)
    masks = pairs.pair_masks(jnp.arange(8) % 2, jnp.arange(8), jnp.zeros(8, int), jnp.ones(8, bool), "any")
    state, mask = start(0)
    after = training.cross_entropy_step(NETWORK, TRAINING, state, x, masks, mask)
    moved = np.abs(np.asarray(after.params["head"]["kernel"] - state.params["head"]["kernel"]))
    np.testing.assert_allclose(moved[moved > 0], TRAINING.learning_rate, rtol=1e-3)

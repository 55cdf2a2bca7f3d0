"""Steps: what they touch, what they leave alone, and what they do at the pole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_implementation

from siamese_jax.losses import pair_masks
from siamese_jax.losses import siamese as losses
from siamese_jax.models import siamese
from siamese_jax.runtime import xla
from siamese_jax.training import adam
from siamese_jax.training import siamese as training

NETWORK = siamese.SiameseSpec((8, 6, 4), "abs_difference", 4)
TRAINING = training.TrainingSpec(1e-2, 4e-3, 0.2, "balanced", "any")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    label = jnp.array([0, 1, 2, 3] * 3)
    x = jnp.asarray(rng.normal(size=(12, 5)) + 2 * np.eye(4, 5)[np.asarray(label)], jnp.float32)
    return x, pair_masks.pair_masks(label, jnp.arange(12), jnp.zeros(12, int), jnp.ones(12, bool), "any")


def start(frozen, seed=0):
    params = siamese.init(NETWORK, jax.random.key(seed), 5)
    return training.init_state(params), siamese.trainable_mask(params, jnp.asarray(frozen))


def changed(before, after):
    return jax.tree.map(lambda a, b: bool((a != b).any()), before, after)


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_frozen_layers_keep_their_bits_through_both_updates(batch, frozen):
    state, trainable = start(frozen)
    after = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, trainable)
    after = training.second_step(NETWORK, TRAINING, "ratio", after, *batch, trainable)
    moved = changed(state.params, after.params)
    for layer in range(3):
        assert moved["encoder"][f"layer_{layer}"]["kernel"] == (layer >= frozen)
    assert moved["head"]["kernel"]


@pytest.mark.parametrize("kind", ["ratio", "ratio_bounded", "cross_entropy_twice"])
def test_the_second_update_leaves_the_head_and_the_first_adam_alone(batch, kind):
    state, trainable = start(0)
    state = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, trainable)
    after = training.second_step(NETWORK, TRAINING, kind, state, *batch, trainable)
    assert not any(jax.tree.leaves(changed(state.params["head"], after.params["head"])))
    assert any(jax.tree.leaves(changed(state.params["encoder"], after.params["encoder"])))
    assert not any(jax.tree.leaves(changed(state.adam, after.adam)))


@pytest.mark.parametrize("weighting", losses.PAIR_WEIGHTINGS)
def test_the_control_is_the_cross_entropy_step_of_the_encoder_with_its_own_rate(batch, weighting):
    spec = dataclasses.replace(TRAINING, weighting=weighting)
    as_first = dataclasses.replace(spec, learning_rate=spec.second_learning_rate)
    state, trainable = start(0)
    expected = training.cross_entropy_step(NETWORK, as_first, state, *batch, trainable).params["encoder"]
    found = training.second_step(NETWORK, spec, "cross_entropy_twice", state, *batch, trainable).params["encoder"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), found, expected)


@pytest.mark.parametrize("weighting", losses.PAIR_WEIGHTINGS)
def test_the_log_weighs_pairs_as_training_does(batch, weighting):
    params = start(0)[0].params
    log = training.evaluate(NETWORK, dataclasses.replace(TRAINING, weighting=weighting), params, *batch)
    np.testing.assert_allclose(
        log.cross_entropy, reference_implementation.entropy(params, *batch, weighting), rtol=1e-5
    )


def test_a_run_makes_the_steps_from_the_first_to_before_the_last():
    def step(i, state):
        return state._replace(params=jax.tree.map(lambda leaf: 10 * leaf + i, state.params))

    state = training.init_state({"encoder": {"kernel": jnp.zeros((1, 2))}, "head": {"bias": jnp.zeros(1)}})
    found = training.run(step, state, jnp.int32(2), jnp.int32(5)).params
    np.testing.assert_array_equal(found["encoder"]["kernel"], [[234, 234]])
    np.testing.assert_array_equal(found["head"]["bias"], [234])


def test_no_second_update_is_no_change(batch):
    state, trainable = start(0)
    after = training.second_step(NETWORK, TRAINING, "none", state, *batch, trainable)
    assert not any(jax.tree.leaves(changed(state, after)))


def test_at_the_pole_the_ratio_update_is_skipped_and_counted():
    # The one same pair and the one different pair are equally far apart, to the bit.
    masks = pair_masks.PairMasks(
        jnp.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool), jnp.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    )
    x = jnp.array([[0.0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    state, trainable = start(0)
    after = training.second_step(NETWORK, TRAINING, "ratio", state, x, masks, trainable)
    assert int(after.skipped) == 1
    assert not any(jax.tree.leaves(changed(state.params, after.params)))
    assert not any(jax.tree.leaves(changed(state.second_adam, after.second_adam)))


def test_clipping_holds_the_norm_of_what_may_learn_however_steep_the_loss():
    direction = {"a": jnp.array([3e-3, 4e-3]), "b": jnp.array([0.5])}
    trainable = {"a": jnp.array(1.0), "b": jnp.array(0.0)}
    steep = training._clip(direction, jnp.float32(3e30), trainable, 1.0)
    assert bool(steep.finite)
    np.testing.assert_allclose(direction["a"] * steep.factor, [0.6, 0.8], rtol=1e-6)
    flat = training._clip(direction, jnp.float32(10), trainable, 1.0)
    np.testing.assert_allclose(direction["a"] * flat.factor, [0.03, 0.04], rtol=1e-6)
    for steepness, value in ((jnp.inf, 1.0), (1.0, jnp.inf), (1.0, jnp.nan)):
        scale = training._clip({"a": jnp.array([value])}, jnp.float32(steepness), {"a": jnp.array(1.0)}, 1.0)
        assert not bool(scale.finite)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(value):
    params, trainable = {"a": jnp.array([1.0, -2.0])}, {"a": jnp.array(1.0)}
    _, state = adam.update({"a": jnp.ones(2)}, adam.init(params), params, trainable, 0.1, None)
    direction = {"a": jnp.array([value, 1.0])}
    scale = training._clip(direction, jnp.float32(1), trainable, 1.0)
    after_params, after = adam.update(direction, state, params, trainable, 0.1, scale)
    for old, new in zip(jax.tree.leaves((params, state)), jax.tree.leaves((after_params, after))):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("form", ["literal", "bounded"])
def test_the_ratio_gradient_is_that_of_the_loss(batch, form):
    x, masks = batch
    encoder = start(0)[0].params["encoder"]
    direction, steepness = training._ratio_gradient(NETWORK, encoder, x, masks, form)
    plain = jax.grad(lambda e: losses.ratio_loss(siamese.encode(NETWORK, e, x), masks, form))(encoder)
    jax.tree.map(lambda d, g: np.testing.assert_allclose(d * steepness, g, rtol=1e-4, atol=1e-6), direction, plain)


def test_a_batch_without_a_same_pair_leaves_the_ratio_update_at_zero(batch):
    x, masks = batch
    state, trainable = start(0)
    masks = masks._replace(same=jnp.zeros_like(masks.same))
    after = training.second_step(NETWORK, TRAINING, "ratio", state, x, masks, trainable)
    assert not any(jax.tree.leaves(changed(state.params, after.params)))
    assert int(after.skipped) == 0


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("frozen", [0, 2])
def test_the_fast_steps_are_the_plain_ones_in_float64(batch, frozen, one_pass, monkeypatch):
    monkeypatch.setattr(xla, "one_pass", lambda _: one_pass)
    with jax.enable_x64(True):
        x, masks = jnp.asarray(np.asarray(batch[0]), jnp.float64), batch[1]
        params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), start(0)[0].params)
        trainable, state = siamese.trainable_mask(params, jnp.asarray(frozen)), training.init_state(params)

        def step(_, state):
            state = training.cross_entropy_step(NETWORK, TRAINING, state, x, masks, trainable)
            return training.second_step(NETWORK, TRAINING, "ratio", state, x, masks, trainable)

        ours = jax.jit(lambda s: jax.lax.fori_loop(0, 30, step, s))(state).params
        plain = reference_implementation.steps(TRAINING, params, (x, masks), frozen, 30)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), ours, plain)


def test_one_evaluation_in_float32_is_the_plain_one(batch):
    params = start(0)[0].params
    ours = jax.value_and_grad(lambda p: training._cross_entropy(NETWORK, p, *batch, "balanced"))(params)
    plain = jax.value_and_grad(lambda p: reference_implementation.entropy(p, *batch))(params)
    np.testing.assert_allclose(ours[0], plain[0], rtol=1e-5)
    a, b = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found[1])]) for found in (ours, plain))
    assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize("kind", training.SECOND_UPDATES)
def test_training_lowers_the_cross_entropy_and_the_ratio(batch, kind):
    state, trainable = start(0)

    @jax.jit
    def step(state):
        state = training.cross_entropy_step(NETWORK, TRAINING, state, *batch, trainable)
        return training.second_step(NETWORK, TRAINING, kind, state, *batch, trainable)

    before = training.evaluate(NETWORK, TRAINING, state.params, *batch)
    for _ in range(60):
        state = step(state)
    after = training.evaluate(NETWORK, TRAINING, state.params, *batch)
    assert after.cross_entropy < before.cross_entropy
    assert after.d_same / after.d_different < before.d_same / before.d_different
    assert int(state.skipped) == 0


def test_the_first_step_is_adams():
    """After one step every weight with a gradient moved by the learning rate (Adam's bias-corrected first step)."""
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(8, 5)), jnp.float32)
    masks = pair_masks.pair_masks(jnp.arange(8) % 2, jnp.arange(8), jnp.zeros(8, int), jnp.ones(8, bool), "any")
    state, trainable = start(0)
    after = training.cross_entropy_step(NETWORK, TRAINING, state, x, masks, trainable)
    moved = np.abs(np.asarray(after.params["head"]["kernel"] - state.params["head"]["kernel"]))
    np.testing.assert_allclose(moved[moved > 0], TRAINING.learning_rate, rtol=1e-3)

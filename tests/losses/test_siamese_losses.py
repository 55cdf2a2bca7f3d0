"""Losses by value and gradient against float64 on both sides of the pole, at it, and on masks that leave nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.losses import siamese as losses
from siamese_jax.losses.pair_masks import PairMasks, pair_masks


def masks_of(label):
    n = len(label)
    return pair_masks(jnp.asarray(label), jnp.arange(n), jnp.zeros(n, int), jnp.ones(n, bool), "any")


def reference_ratio(emb, label, form):
    """Equation 1 by two loops over unordered pairs, in float64."""
    same, different = [], []
    for i in range(len(label)):
        for j in range(i):
            (same if label[i] == label[j] else different).append(np.linalg.norm(emb[i] - emb[j]))
    d_same, d_different = np.mean(same), np.mean(different)
    literal = (d_different + d_same) / (d_different - d_same)
    return literal if form == "literal" else d_same / (d_same + d_different)


LABEL = np.array([0, 0, 1, 1, 2, 2])


def embedding_with_ratio(ratio):
    """Pairs of clips `ratio` apart, at the corners of a triangle of side about 1, so that D_s / D_d is near `ratio`."""
    corners = np.repeat(np.array([[0.0, 0, 0], [1, 0, 0], [0.5, np.sqrt(0.75), 0]]), 2, axis=0)
    corners[1::2, 2] += ratio
    return corners


@pytest.mark.parametrize("form", ["literal", "bounded"])
@pytest.mark.parametrize("apart", [0.1, 0.9, 1.2, 3.0, 20.0])
def test_ratio_loss_value_and_gradient_against_float64(form, apart):
    emb = embedding_with_ratio(apart) + np.random.default_rng(0).normal(scale=0.01, size=(6, 3))
    value, grad = jax.value_and_grad(losses.ratio_loss)(jnp.asarray(emb, jnp.float32), masks_of(LABEL), form)
    np.testing.assert_allclose(value, reference_ratio(emb, LABEL, form), rtol=2e-4)
    step, numeric = 1e-6, np.zeros_like(emb)
    for index in np.ndindex(emb.shape):
        up, down = emb.copy(), emb.copy()
        up[index] += step
        down[index] -= step
        numeric[index] = (reference_ratio(up, LABEL, form) - reference_ratio(down, LABEL, form)) / (2 * step)
    np.testing.assert_allclose(grad, numeric, rtol=5e-3, atol=1e-3 * np.abs(numeric).max())


def test_literal_loss_descends_towards_smaller_ratio_on_both_sides_of_the_pole():
    for ratio in (0.5, 0.99, 1.01, 4.0):
        slope = jax.grad(lambda d_same: losses.ratio_of_distances(d_same, jnp.float32(1.0), "literal"))(
            jnp.float32(ratio)
        )
        assert slope > 0
        np.testing.assert_allclose(slope, 2 / (1 - ratio) ** 2, rtol=1e-3)


def test_the_pole_itself_is_infinite_and_only_collapse_is_defined_away():
    one, zero = jnp.float32(1.0), jnp.float32(0.0)
    assert np.isinf(losses.ratio_of_distances(one, one, "literal"))
    assert losses.ratio_of_distances(one, one, "bounded") == 0.5
    for form in losses.RATIO_FORMS:
        value, grad = jax.value_and_grad(lambda e, f=form: losses.ratio_loss(e, masks_of(LABEL), f))(jnp.zeros((6, 3)))
        assert value == 0 == zero
        np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize("form", ["literal", "bounded"])
@pytest.mark.parametrize("label", [[0, 0, 0, 0], [0, 1, 2, 3], [0]], ids=["all same", "all different", "one clip"])
def test_ratio_loss_of_a_batch_without_both_kinds_of_pair_is_zero_with_zero_gradient(form, label):
    emb = jnp.asarray(np.random.default_rng(1).normal(size=(len(label), 3)), jnp.float32)
    value, grad = jax.value_and_grad(losses.ratio_loss)(emb, masks_of(label), form)
    assert value == 0
    np.testing.assert_array_equal(grad, 0)


def test_coinciding_clips_do_not_make_the_gradient_nan():
    emb = embedding_with_ratio(0.0)
    for form in losses.RATIO_FORMS:
        assert np.isfinite(jax.grad(losses.ratio_loss)(jnp.asarray(emb, jnp.float32), masks_of(LABEL), form)).all()


@pytest.mark.parametrize("weighting", ["balanced", "uniform"])
def test_pair_cross_entropy_against_a_loop(weighting):
    rng = np.random.default_rng(2)
    label = np.array([0, 0, 0, 1, 2])
    logit = rng.normal(size=(5, 5))
    logit = logit + logit.T
    same, different = [], []
    for i in range(5):
        for j in range(5):
            if i != j:
                kind, sign = (same, -1) if label[i] == label[j] else (different, 1)
                kind.append(np.log1p(np.exp(sign * logit[i, j])))
    expected = (np.mean(same) + np.mean(different)) / 2 if weighting == "balanced" else np.mean(same + different)
    found = losses.pair_cross_entropy(jnp.asarray(logit, jnp.float32), masks_of(label), weighting)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_empty_masks_give_zero_cross_entropy_and_zero_gradient():
    nothing = PairMasks(jnp.zeros((4, 4), bool), jnp.zeros((4, 4), bool))
    for weighting in losses.PAIR_WEIGHTINGS:
        value, grad = jax.value_and_grad(losses.pair_cross_entropy)(jnp.ones((4, 4)), nothing, weighting)
        assert value == 0
        np.testing.assert_array_equal(grad, 0)


def test_padding_changes_no_loss():
    rng = np.random.default_rng(3)
    emb, label = rng.normal(size=(6, 3)).astype(np.float32), LABEL
    padded = np.concatenate([emb, rng.normal(size=(4, 3)).astype(np.float32)])
    valid = np.arange(10) < 6
    masks = pair_masks(
        jnp.asarray(np.concatenate([label, [0, 1, 2, 0]])),
        jnp.arange(10),
        jnp.zeros(10, int),
        jnp.asarray(valid),
        "any",
    )
    for form in losses.RATIO_FORMS:
        np.testing.assert_allclose(
            losses.ratio_loss(padded, masks, form), losses.ratio_loss(emb, masks_of(label), form), rtol=1e-6
        )
    logit = rng.normal(size=(10, 10)).astype(np.float32)
    for weighting in losses.PAIR_WEIGHTINGS:
        short = losses.pair_cross_entropy(logit[:6, :6], masks_of(label), weighting)
        np.testing.assert_allclose(losses.pair_cross_entropy(logit, masks, weighting), short, rtol=1e-6)

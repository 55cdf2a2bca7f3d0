"""The written-out gradients against automatic differentiation of the plain definitions, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.models import pairwise


def naive_abs_difference(emb, weight):
    gap = emb[:, None, :] - emb[None, :, :]
    # At 0 the absolute value has no derivative: JAX's own takes 1 there, the symmetric choice is 0.
    return jnp.einsum("ijd,d->ij", jnp.where(gap == 0, 0.0, jnp.abs(gap)), weight)


def naive_distances(emb):
    squared = jnp.sum((emb[:, None, :] - emb[None, :, :]) ** 2, axis=-1)
    apart = squared > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1.0)), 0.0)


def embeddings(seed, n, width, dtype):
    emb = np.maximum(np.random.default_rng(seed).normal(size=(n, width)), 0).astype(dtype)
    emb[-1] = emb[0]  # a duplicate: distance 0, and ReLU gives exact ties
    return emb


@functools.partial(jax.jit, static_argnums=0)
def with_gradient(function, emb, weight, cotangent):
    value, pull_back = jax.vjp(function, emb, weight)
    return value, *pull_back(cotangent)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.sampled_from([2, 5, 8, 11]), width=st.sampled_from([1, 4]))
def test_abs_difference_within_has_the_gradient_of_its_definition(seed, n, width):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        emb, weight = embeddings(seed, n, width, np.float64), rng.normal(size=width)
        cotangent = rng.normal(size=(n, n))
        value, grad_emb, grad_weight = with_gradient(pairwise.abs_difference_within, emb, weight, cotangent)
        plain, plain_emb, plain_weight = with_gradient(naive_abs_difference, emb, weight, cotangent)
        np.testing.assert_allclose(value, plain, atol=1e-12)
        np.testing.assert_allclose(grad_weight, plain_weight, atol=1e-11)
        np.testing.assert_allclose(grad_emb, plain_emb, atol=1e-11)


@jax.jit
def sum_gradients(emb, weights):
    """The gradients of our sums and of the plain ones."""

    def plain(emb):
        return jnp.stack([jnp.sum(weight * naive_distances(emb)) for weight in weights])

    return jax.jacobian(lambda emb: pairwise.weighted_distance_sums(emb, *weights))(emb), jax.jacobian(plain)(emb)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.sampled_from([2, 5, 8]))
def test_distance_sums_have_the_gradient_of_their_definition(seed, n):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        emb = embeddings(seed, n, 4, np.float64)
        weights = rng.uniform(size=(2, n, n))
        weights = weights + weights.transpose(0, 2, 1)

        ours, plain = sum_gradients(emb, weights)
        np.testing.assert_allclose(ours, plain, atol=1e-11)


def test_float32_distances_do_not_cancel_where_embeddings_are_close():
    emb = 100 + 1e-3 * np.random.default_rng(0).normal(size=(6, 3))
    exact = sum(
        np.linalg.norm(emb.astype(np.float32).astype(float)[:, None] - emb.astype(np.float32)[None], axis=-1).flat
    )
    ones = jnp.ones((6, 6))
    found = pairwise.weighted_distance_sums(jnp.asarray(emb, jnp.float32), ones, ones)
    np.testing.assert_allclose(found, [exact, exact], rtol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, -1.0, 0.0, 3.0, 200.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_binary_cross_entropy_is_stable_in_value_and_gradient(logit, target):
    value, grad = jax.value_and_grad(pairwise.binary_cross_entropy)(jnp.float32(logit), jnp.float32(target))
    with np.errstate(over="ignore"):
        exact = np.logaddexp(0.0, logit) - target * logit
        slope = 1 / (1 + np.exp(-logit)) - target
    np.testing.assert_allclose(value, exact, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(grad, slope, rtol=1e-5, atol=1e-6)


def test_cross_comparison_equals_comparison_within():
    emb = embeddings(1, 7, 5, np.float32)
    weight = np.linspace(-1, 1, 5, dtype=np.float32)
    np.testing.assert_allclose(
        pairwise.abs_difference(emb, emb, weight), pairwise.abs_difference_within(emb, weight), rtol=1e-6
    )

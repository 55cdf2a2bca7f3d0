"""Adam (Kingma & Ba 2015) with `init` and `update`, as in an optax transformation; unbatched over trials.

It is `optax.adam`, with which the tests compare it. Written out, a trial of eight clips takes a quarter less time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from siamese_jax.models.siamese import Params
from siamese_jax.runtime import xla

DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.999, 1e-8
"""Decay rates of both moments, and the summand of the root of the second."""


class AdamState(NamedTuple):
    """The number of updates [] int and both moments, a vector for each parameter array: an update over [64, 64] arrays
    of many trials runs slower than over [4096]."""

    updates: jax.Array
    mean: Params
    square: Params


class GradientScale(NamedTuple):
    """A factor [] of a whole gradient, and whether the gradient is finite []; an update with False changes nothing."""

    factor: jax.Array
    finite: jax.Array


def vectors(tree: Params) -> Params:
    """Each leaf as a vector."""
    return jax.tree.map(jnp.ravel, tree)


def init(params: Params) -> AdamState:
    """A state without updates."""
    zeros = jax.tree.map(jnp.zeros_like, vectors(params))
    return AdamState(jnp.zeros((), jnp.int32), zeros, zeros)


def update(
    grads: Params, state: AdamState, params: Params, trainable: Params, rate: float, scale: GradientScale | None
) -> tuple[Params, AdamState]:
    """The updated parameters and state; unlike optax's, the new parameters themselves: memory bounds an update.

    With c = sqrt(1 - b2^t), m / (1 - b1^t) over sqrt(v / c^2) + e is m c / (1 - b1^t) over sqrt(v) + c e, which spares
    two divisions for each parameter. The gradient's scale is a factor of the decay rates.

    Args:
      trainable: [] factors, 1 or 0, of the parameter arrays (`siamese.trainable_mask`).
      rate, scale: the learning rate; the factor of the gradients, None for 1.
    """
    dtype = jax.tree.leaves(params)[0].dtype
    updates = state.updates + 1
    correction = jnp.sqrt(1 - DECAY_SQUARE ** updates.astype(dtype))
    step = rate * correction / (1 - DECAY_MEAN ** updates.astype(dtype))
    add_mean, add_root = jnp.asarray(1 - DECAY_MEAN, dtype), jnp.asarray((1 - DECAY_SQUARE) ** 0.5, dtype)
    if scale is not None:
        step = jnp.where(scale.finite, step, 0)
        add_mean, add_root = add_mean * scale.factor, add_root * scale.factor
    # Computed once for each trial, not for each parameter.
    step, floor, add_mean, add_root = jax.lax.optimization_barrier((step, EPSILON * correction, add_mean, add_root))

    def if_finite(new: jax.Array, old: jax.Array) -> jax.Array:
        return new if scale is None else jnp.where(scale.finite, new, old)

    def mean(m_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return if_finite(DECAY_MEAN * m_P + (add_mean * k) * g_P, m_P)

    def square(v_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return if_finite(DECAY_SQUARE * v_P + jnp.square((add_root * k) * g_P), v_P)

    def moved(p_P: jax.Array, m_P: jax.Array, v_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return p_P - (step * k) * mean(m_P, g_P, k) / (jnp.sqrt(square(v_P, g_P, k)) + floor)

    grads = vectors(grads)
    means = jax.tree.map(mean, state.mean, grads, trainable)
    squares = jax.tree.map(square, state.square, grads, trainable)
    # From the old moments: see `xla.unshared`.
    flat = jax.tree.map(moved, *xla.unshared((vectors(params), state.mean, state.square, grads)), trainable)
    params = jax.tree.map(lambda p_P, param: p_P.reshape(param.shape), flat, params)
    return params, AdamState(if_finite(updates, state.updates), means, squares)

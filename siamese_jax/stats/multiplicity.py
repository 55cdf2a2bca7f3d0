"""Adjusted p values for a family of tests, to be compared with the level of a single test."""

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.stats import records


def holm(p_values: jax.typing.ArrayLike) -> jax.Array:
    """Holm's step-down adjustment: bounds the chance of any false rejection, whatever the tests' dependence.

    Args:
      p_values: [..., m] a family along the last axis. A test that could not be computed (NaN) stays NaN and counts in m
        as a test that did not reject, so that dropping it cannot help the others.

    Raises:
      InputError: an empty family or (concrete arrays only) a p value outside 0..1.
    """
    p, order, back = _sorted(p_values)
    m = p.shape[-1]
    stepped = jnp.take_along_axis(p, order, axis=-1) * jnp.arange(m, 0, -1).reshape((1,) * (p.ndim - 1) + (m,))
    adjusted = jnp.minimum(jax.lax.cummax(stepped, axis=p.ndim - 1), 1.0)
    return _restored(p_values, adjusted, back)


def benjamini_hochberg(p_values: jax.typing.ArrayLike) -> jax.Array:
    """Benjamini & Hochberg's step-up adjustment: bounds the expected share of false rejections.

    Holds for independent tests and for those that depend positively. Arguments, result and errors as `holm`.
    """
    p, order, back = _sorted(p_values)
    m = p.shape[-1]
    factors = (m / jnp.arange(1, m + 1)).reshape((1,) * (p.ndim - 1) + (m,))
    stepped = jnp.take_along_axis(p, order, axis=-1) * factors
    adjusted = jnp.minimum(jax.lax.cummin(stepped, axis=p.ndim - 1, reverse=True), 1.0)
    return _restored(p_values, adjusted, back)


def _sorted(p_values: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    p = records.as_units("p_values", p_values)
    if not isinstance(p, jax.core.Tracer):
        outside = np.asarray((p < 0) | (p > 1))
        if outside.any():
            raise InputError(f"p_values: expected 0..1, found {float(p[outside][0])}")
    p = jnp.where(jnp.isnan(p), 1.0, p)
    order = jnp.argsort(p, axis=-1)
    return p, order, jnp.argsort(order, axis=-1)


def _restored(p_values: jax.typing.ArrayLike, adjusted: jax.Array, back: jax.Array) -> jax.Array:
    in_place = jnp.take_along_axis(adjusted, back, axis=-1)
    return jnp.where(jnp.isnan(jnp.asarray(p_values)), jnp.nan, in_place)

"""Small positive definite systems under vmap, without LAPACK.

JAX's own routines run a batch on threads. On a CPU with a device for each core these threads wait for one another
(jaxlib 0.10.2).
"""

import jax
import jax.numpy as jnp


def cholesky(gram_MxM: jax.Array, least: jax.Array | float) -> jax.Array:
    """Returns the lower triangular factor; columns whose pivot is at most `least` are zeros."""

    def column(j: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rest, lower = state
        pivot = rest[j, j]
        column_M = jnp.where(pivot > least, rest[:, j] * jax.lax.rsqrt(jnp.maximum(pivot, least)), 0)
        return rest - column_M[:, None] * column_M[None], lower.at[:, j].set(column_M)

    # Rounding leaves values above the diagonal.
    return jnp.tril(jax.lax.fori_loop(0, len(gram_MxM), column, (gram_MxM, jnp.zeros_like(gram_MxM)))[1])


def solve(lower_MxM: jax.Array, right_CxM: jax.Array) -> jax.Array:
    """Returns X [C, M] of X lower = right; columns of X whose diagonal value is 0 are zeros."""

    def column(i: jax.Array, x_CxM: jax.Array) -> jax.Array:
        j = len(lower_MxM) - 1 - i
        value_C = right_CxM[:, j] - jnp.sum(x_CxM * lower_MxM[:, j][None], axis=1)
        diagonal = lower_MxM[j, j]
        return x_CxM.at[:, j].set(jnp.where(diagonal > 0, value_C / jnp.where(diagonal > 0, diagonal, 1), 0))

    return jax.lax.fori_loop(0, len(lower_MxM), column, jnp.zeros_like(right_CxM))


def solve_positive(a_MxM: jax.Array, right_CxM: jax.Array) -> jax.Array:
    """Returns X [C, M] of X A = right for a positive definite A."""
    lower_MxM = cholesky(a_MxM, float(jnp.finfo(a_MxM.dtype).tiny))
    # X L L' = right: first X L is found from its transpose's forward substitution, by reversing the order of rows.
    reverse = slice(None, None, -1)
    upper_MxM = lower_MxM.T[reverse, reverse]
    between_CxM = solve(upper_MxM, right_CxM[:, reverse])[:, reverse]
    return solve(lower_MxM, between_CxM)

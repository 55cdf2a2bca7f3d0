"""Sums over all pairs of a batch, with gradients written out. Unbatched over trials.

They make [B, B] arrays only, never [B, B, D]: pair arrays would take most of a trial's time and compilation.
"""

import jax
import jax.numpy as jnp

UNROLL = 8
"""Rows of the batch in a pass of the loop over pairs; measured on CPU, without effect on results."""


def _by_feature(emb_BxD: jax.Array) -> jax.Array:
    """The embeddings as [D, B], in memory too, by an exact product with the identity.

    A bare transpose leaves the memory as it is, which makes all sums over pairs three times slower on CPU.
    """
    identity_DxD = jnp.eye(emb_BxD.shape[1], dtype=emb_BxD.dtype)
    return jnp.matmul(identity_DxD, emb_BxD.T, precision=jax.lax.Precision.HIGHEST)


def _weighted_gaps(a_DxM: jax.Array, b_DxQ: jax.Array, weight_D: jax.Array) -> jax.Array:
    total_MxQ = jnp.zeros((a_DxM.shape[1], b_DxQ.shape[1]), a_DxM.dtype)
    for d in range(a_DxM.shape[0]):
        total_MxQ += weight_D[d] * jnp.abs(a_DxM[d][:, None] - b_DxQ[d][None, :])
    return total_MxQ


def abs_difference(a_MxD: jax.Array, b_QxD: jax.Array, weight_D: jax.Array) -> jax.Array:
    """sum_d weight_d |a_md - b_qd|, [M, Q]; for classification (differentiable, but slowly)."""
    return _weighted_gaps(_by_feature(a_MxD), _by_feature(b_QxD), weight_D)


@jax.custom_vjp
def abs_difference_within(emb_BxD: jax.Array, weight_D: jax.Array) -> jax.Array:
    """sum_d weight_d |e_id - e_jd| for all pairs of one batch, [B, B]; the sign of 0 is 0 in its gradient."""
    emb_DxB = _by_feature(emb_BxD)
    return _weighted_gaps(emb_DxB, emb_DxB, weight_D)


def _abs_difference_backward(residuals: tuple, grad_BxB: jax.Array) -> tuple[jax.Array, jax.Array]:
    emb_BxD, weight_D = residuals
    both_BxB = grad_BxB + grad_BxB.T

    def row(i: jax.Array, signed_BxD: jax.Array) -> jax.Array:
        other_1xD = jax.lax.dynamic_index_in_dim(emb_BxD, i, axis=0)
        grad_Bx1 = jax.lax.dynamic_index_in_dim(both_BxB, i, axis=1)
        up_BxD = jnp.where(emb_BxD > other_1xD, grad_Bx1, 0)
        return signed_BxD + up_BxD - jnp.where(emb_BxD < other_1xD, grad_Bx1, 0)

    # signed_bd = sum_i (g_ib + g_bi) sign(e_bd - e_id); since |x| = x sign(x), it serves both gradients.
    signed_BxD = jax.lax.fori_loop(0, emb_BxD.shape[0], row, jnp.zeros_like(emb_BxD), unroll=UNROLL)
    return weight_D[None, :] * signed_BxD, jnp.sum(emb_BxD * signed_BxD, axis=0)


abs_difference_within.defvjp(lambda *args: (abs_difference_within(*args), args), _abs_difference_backward)


@jax.custom_vjp
def weighted_distance_sums(emb_BxD: jax.Array, first_BxB: jax.Array, second_BxB: jax.Array) -> jax.Array:
    """Two weighted sums of the Euclidean distances of all pairs of a batch, [2].

    Distances are summed from differences, feature by feature: a Gram matrix would cancel where embeddings are close.
    The gradient of a distance of 0 is 0. The weights (each [B, B], symmetric) are not differentiated.
    """
    return _distance_sums_forward(emb_BxD, first_BxB, second_BxB)[0]


def distances(emb_BxD: jax.Array) -> jax.Array:
    """Euclidean distances of all pairs of a batch, [B, B]; not to be differentiated (NaN gradient at distance 0)."""
    emb_DxB = _by_feature(emb_BxD)
    total_BxB = jnp.zeros((emb_DxB.shape[1],) * 2, emb_DxB.dtype)
    for d in range(emb_DxB.shape[0]):
        total_BxB += jnp.square(emb_DxB[d][:, None] - emb_DxB[d][None, :])
    return jnp.sqrt(total_BxB)


def _distance_sums_forward(
    emb_BxD: jax.Array, first_BxB: jax.Array, second_BxB: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    distance_BxB = distances(emb_BxD)
    sums = jnp.stack([jnp.sum(first_BxB * distance_BxB), jnp.sum(second_BxB * distance_BxB)])
    return sums, (emb_BxD, first_BxB, second_BxB, distance_BxB)


def _distance_sums_backward(residuals: tuple[jax.Array, ...], grad_2: jax.Array) -> tuple[jax.Array, None, None]:
    emb_BxD, first_BxB, second_BxB, distance_BxB = residuals
    apart_BxB = distance_BxB > 0
    # Weights and distances are symmetric: the pull of j on i is that of i on j, and each pair counts twice.
    weight_BxB = 2 * grad_2[0] * first_BxB + 2 * grad_2[1] * second_BxB
    pull_BxB = jnp.where(apart_BxB, weight_BxB / jnp.where(apart_BxB, distance_BxB, 1), 0)
    # Kept apart from what follows: fused with it, the product takes three times as long on CPU.
    drawn_BxD = jax.lax.optimization_barrier(jnp.matmul(pull_BxB, emb_BxD, precision=jax.lax.Precision.HIGHEST))
    return jnp.sum(pull_BxB, axis=1)[:, None] * emb_BxD - drawn_BxD, None, None


weighted_distance_sums.defvjp(_distance_sums_forward, _distance_sums_backward)


@jax.custom_vjp
def binary_cross_entropy(logit: jax.Array, target: jax.Array) -> jax.Array:
    """-log p(target) of logits, elementwise, target in [0, 1]; its gradient needs no logarithm. Target: no gradient."""
    return jax.nn.softplus(logit) - target * logit


def _binary_cross_entropy_backward(residuals: tuple, grad: jax.Array) -> tuple[jax.Array, None]:
    logit, target = residuals
    return grad * (jax.nn.sigmoid(logit) - target), None


binary_cross_entropy.defvjp(lambda *args: (binary_cross_entropy(*args), args), _binary_cross_entropy_backward)

"""The triplet loss max(0, |a - p|^2 - |a - n|^2 + margin) and its mining (Schroff et al. 2015, section 3.2).

- "semi-hard": for every anchor and positive, the nearest negative that is farther by less than the margin, if any.
- "hardest": for every anchor, its farthest positive and its nearest negative (Hermans et al. 2017, "batch hard"); from
  a fresh network it can collapse to a point.
- "all": every triplet.

The loss is the mean over the mined triplets whose loss is above zero; without any, 0 with gradient 0. Negatives are
sorted by distance for each anchor, so that memory is [B, B], not [B, B, B].
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError

MININGS = ("semi-hard", "hardest", "all")


class TripletLoss(NamedTuple):
    """The mean loss [] over the triplets that count, their number [] int32, and the number [] int32 of anchor-positive
    pairs of the batch, in both directions."""

    loss: jax.Array
    triplets: jax.Array
    pairs: jax.Array


@functools.partial(jax.jit, static_argnames="mining")
def triplet_loss(
    emb_BxD: jax.Array, class_B: jax.Array, valid_B: jax.Array, margin: float | jax.Array, mining: str
) -> TripletLoss:
    """The triplet loss of a batch by squared Euclidean distance; unbatched.

    Args:
      emb_BxD: embeddings, on the unit sphere for the margin (0.2 in the paper) to have its meaning.
      class_B, valid_B: integers, the class of each; bool, false for padding, which is left out.
      mining: of MININGS; InputError for another.
    """
    if mining not in MININGS:
        raise InputError(f"mining {mining!r}: expected one of {', '.join(MININGS)}")
    chex.assert_rank([emb_BxD, class_B, valid_B], [2, 1, 1])
    valid_BxB = valid_B[:, None] & valid_B[None, :]
    same_BxB = class_B[:, None] == class_B[None, :]
    positive_BxB = valid_BxB & same_BxB & ~jnp.eye(len(class_B), dtype=bool)
    negative_BxB = valid_BxB & ~same_BxB
    distance_BxB = squared_distances(emb_BxD)
    choose = {"semi-hard": _semi_hard, "hardest": _hardest, "all": _all}[mining]
    total, triplets = choose(distance_BxB, positive_BxB, negative_BxB, margin)
    return TripletLoss(total / jnp.maximum(triplets, 1), triplets, jnp.sum(positive_BxB, dtype=jnp.int32))


def squared_distances(emb_BxD: jax.Array) -> jax.Array:
    """|a - b|^2 of all pairs, [B, B], from the Gram matrix; never negative."""
    gram_BxB = jnp.matmul(emb_BxD, emb_BxD.T, precision=jax.lax.Precision.HIGHEST)
    norm_B = jnp.diagonal(gram_BxB)
    return jnp.maximum(norm_B[:, None] + norm_B[None, :] - 2 * gram_BxB, 0)


def _sorted_negatives(distance_BxB: jax.Array, negative_BxB: jax.Array) -> jax.Array:
    """Each anchor's distances to its negatives, ascending, then infinities."""
    return jnp.sort(jnp.where(negative_BxB, distance_BxB, jnp.inf), axis=1)


def _semi_hard(
    distance_BxB: jax.Array, positive_BxB: jax.Array, negative_BxB: jax.Array, margin: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    sorted_BxB = _sorted_negatives(distance_BxB, negative_BxB)
    # The first negative that is farther than the positive.
    place_BxB = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="right"))(sorted_BxB, distance_BxB)
    exists_BxB = place_BxB < sorted_BxB.shape[1]
    nearest_BxB = jnp.take_along_axis(sorted_BxB, jnp.where(exists_BxB, place_BxB, 0), axis=1)
    counts_BxB = positive_BxB & exists_BxB & (nearest_BxB < distance_BxB + margin)
    loss_BxB = distance_BxB - jnp.where(counts_BxB, nearest_BxB, 0) + margin
    return jnp.sum(jnp.where(counts_BxB, loss_BxB, 0)), jnp.sum(counts_BxB, dtype=jnp.int32)


def _hardest(
    distance_BxB: jax.Array, positive_BxB: jax.Array, negative_BxB: jax.Array, margin: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    both_B = positive_BxB.any(axis=1) & negative_BxB.any(axis=1)
    farthest_B = jnp.max(jnp.where(positive_BxB, distance_BxB, -jnp.inf), axis=1)
    nearest_B = jnp.min(jnp.where(negative_BxB, distance_BxB, jnp.inf), axis=1)
    loss_B = jnp.where(both_B, farthest_B, 0) - jnp.where(both_B, nearest_B, 0) + margin
    counts_B = both_B & (loss_B > 0)
    return jnp.sum(jnp.where(counts_B, loss_B, 0)), jnp.sum(counts_B, dtype=jnp.int32)


def _all(
    distance_BxB: jax.Array, positive_BxB: jax.Array, negative_BxB: jax.Array, margin: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    sorted_BxB = _sorted_negatives(distance_BxB, negative_BxB)
    bound_BxB = distance_BxB + margin
    count_BxB = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="left"))(sorted_BxB, bound_BxB)
    count_BxB = jnp.where(positive_BxB, count_BxB, 0)
    # Sum of the k nearest negatives, for every k from 0.
    sums_BxB = jnp.pad(jnp.cumsum(jnp.where(jnp.isfinite(sorted_BxB), sorted_BxB, 0), axis=1), ((0, 0), (1, 0)))
    loss_BxB = count_BxB * bound_BxB - jnp.take_along_axis(sums_BxB, count_BxB, axis=1)
    return jnp.sum(jnp.where(positive_BxB, loss_BxB, 0)), jnp.sum(count_BxB, dtype=jnp.int32)

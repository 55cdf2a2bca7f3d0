"""The losses of the Siamese system, as functions of embeddings or logits and of same/different masks.

All are unbatched over trials, differentiable, and 0 with gradient 0 for empty masks.
"""

import chex
import jax
import jax.numpy as jnp

from siamese_jax.losses.pair_masks import PairMasks
from siamese_jax.models import pairwise

PAIR_WEIGHTINGS = ("balanced", "uniform")
RATIO_FORMS = ("literal", "bounded")


def _share(mask: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Weights that average over the mask: each pair's share of 1; 0 for an empty mask."""
    return mask.astype(dtype) / jnp.maximum(jnp.sum(mask), 1).astype(dtype)


def pair_cross_entropy(logit_BxB: jax.Array, masks: PairMasks, weighting: str) -> jax.Array:
    """Cross entropy of "same" against "different" (paper, section 4), in nats, from logits [B, B] of p(same).

    `weighting`: "balanced" gives the same and the different pairs half of the loss each, "uniform" each pair equally.
    """
    chex.assert_equal_shape([logit_BxB, masks.same, masks.different])
    dtype = logit_BxB.dtype
    if weighting == "balanced":
        weight_BxB = (_share(masks.same, dtype) + _share(masks.different, dtype)) / 2
    else:
        weight_BxB = _share(masks.same | masks.different, dtype)
    return jnp.sum(weight_BxB * pairwise.binary_cross_entropy(logit_BxB, masks.same.astype(dtype)))


def mean_distances(emb_BxD: jax.Array, masks: PairMasks) -> tuple[jax.Array, jax.Array]:
    """(D_s, D_d): the mean Euclidean distance over the same and over the different pairs (equation 1); 0 for none."""
    chex.assert_rank(emb_BxD, 2)
    dtype = emb_BxD.dtype
    sums = pairwise.weighted_distance_sums(emb_BxD, _share(masks.same, dtype), _share(masks.different, dtype))
    return sums[0], sums[1]


def ratio_of_distances(d_same: jax.Array, d_different: jax.Array, form: str) -> jax.Array:
    """The ratio loss of two mean distances [], D_s and D_d; 0 where both are 0.

    `form`: "literal" is equation 1, (D_d + D_s) / (D_d - D_s), with its pole at D_s = D_d; "bounded" is D_s / (D_s +
    D_d), which falls and rises with it and stays in [0, 1].
    """
    total = d_same + d_different
    numerator, denominator = (total, d_different - d_same) if form == "literal" else (d_same, total)
    # Only the collapse of every embedding is defined away; at the pole itself the loss is infinite, as it should be.
    return jnp.where(total > 0, numerator / jnp.where(total > 0, denominator, 1), 0)


def ratio_of_batch(d_same: jax.Array, d_different: jax.Array, masks: PairMasks, form: str) -> jax.Array:
    """The ratio loss of a batch's mean distances; 0, with gradient 0, without a same or without a different pair."""
    complete = jnp.any(masks.same) & jnp.any(masks.different)
    # Distances of an incomplete batch are replaced before the quotient, so that no infinity meets the zero gradient.
    d_same, d_different = jnp.where(complete, d_same, 0), jnp.where(complete, d_different, 1)
    return jnp.where(complete, ratio_of_distances(d_same, d_different, form), 0)


def ratio_loss(emb_BxD: jax.Array, masks: PairMasks, form: str) -> jax.Array:
    """The ratio ("distance") loss of equation 1 over a batch of embeddings [B, D]; see `ratio_of_batch`."""
    return ratio_of_batch(*mean_distances(emb_BxD, masks), masks, form)

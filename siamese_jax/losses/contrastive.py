"""The supervised contrastive loss (Khosla et al. 2020), unbatched over trials."""

import chex
import jax
import jax.numpy as jnp
from chex import Array

from siamese_jax.losses.pair_masks import PairMasks


def supervised_contrastive(emb_BxD: Array, masks: PairMasks, weight_B: Array, temperature: Array | float) -> jax.Array:
    """Returns the weighted mean over clips of the loss of equation 2 ("out"), [] in nats.

    A clip's loss is the mean, over the clips of its class, of the cross entropy of that clip among all others, by
    similarities over `temperature`. A clip alone in its class does not count; the loss is 0 if none counts.

    Args:
      emb_BxD: embeddings of length 1.
      masks: of the pairs that count.
      weight_B: of the clips as anchors, at least 0.
    """
    chex.assert_rank([emb_BxD, weight_B], [2, 1])
    other_BxB = masks.same | masks.different
    logit_BxB = jnp.matmul(emb_BxD, emb_BxD.T, precision="highest") / temperature
    # A row without any pair has a finite sum, so that its gradient is 0.
    total_B = jax.nn.logsumexp(jnp.where(other_BxB, logit_BxB, jnp.finfo(logit_BxB.dtype).min), axis=1)
    n_same_B = jnp.sum(masks.same, axis=1)
    same_B = jnp.sum(jnp.where(masks.same, logit_BxB, 0), axis=1) / jnp.maximum(n_same_B, 1)
    share_B = jnp.where(n_same_B > 0, weight_B, 0)
    total = jnp.sum(share_B)
    loss = jnp.sum(share_B * jnp.where(n_same_B > 0, total_B - same_B, 0))
    return loss / jnp.where(total > 0, total, 1)

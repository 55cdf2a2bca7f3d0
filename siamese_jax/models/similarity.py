"""Classification by log-similarity to the labelled clips (Feng & Chaspari 2020, section 4). Unbatched over trials."""

import jax
import jax.numpy as jnp

from siamese_jax.models import siamese
from siamese_jax.models.siamese import Params, SiameseSpec

POOLINGS = ("mean_log", "sum_log", "mean_probability")

QUERY_BLOCK, PAIRS_AT_ONCE = 128, 2**17
"""Query clips compared at once beyond PAIRS_AT_ONCE pairs: bounds the [Q, M] array of logits."""


def class_scores(
    spec: SiameseSpec, head: Params, query_QxD: jax.Array, reference_MxD: jax.Array, member_MxC: jax.Array, pooling: str
) -> jax.Array:
    """Scores [Q, C] of query clips against the labelled clips; the largest is the decision.

    Args:
      query_QxD, reference_MxD: embeddings.
      member_MxC: [M, C] 1 where a reference is of a class, 0 elsewhere; a padding row is all 0.
      pooling: of a class's similarities p(same): "mean_log", "sum_log" (the same for classes with equally many
        references; else it favours the rarest class, since logs are negative) or "mean_probability".
    """
    counts_C = jnp.maximum(member_MxC.sum(axis=0), 1)

    def score(block_QxD: jax.Array) -> jax.Array:
        logit_QxM = siamese.pair_logits(spec, head, block_QxD, reference_MxD)
        if pooling == "mean_probability":
            return (jax.nn.sigmoid(logit_QxM) @ member_MxC) / counts_C[None, :]
        total_QxC = jax.nn.log_sigmoid(logit_QxM) @ member_MxC
        return total_QxC if pooling == "sum_log" else total_QxC / counts_C[None, :]

    if query_QxD.shape[0] * reference_MxD.shape[0] <= PAIRS_AT_ONCE:
        return score(query_QxD)
    return jax.lax.map(lambda q_D: score(q_D[None])[0], query_QxD, batch_size=QUERY_BLOCK)


def classify(
    spec: SiameseSpec, params: Params, query_QxF: jax.Array, reference_MxF: jax.Array, label_M: jax.Array,
    valid_M: jax.Array, n_classes: int, pooling: str,
) -> jax.Array:  # fmt: skip
    """Classes [Q] int8 of query clips [Q, F], by their similarity to labelled clips [M, F].

    `valid_M` marks padding; or weighs the clips within their class, with mean 1.
    """
    query_QxD = siamese.encode(spec, params["encoder"], query_QxF)
    reference_MxD = siamese.encode(spec, params["encoder"], reference_MxF)
    return classify_embeddings(spec, params["head"], query_QxD, reference_MxD, label_M, valid_M, n_classes, pooling)


def classify_embeddings(
    spec: SiameseSpec, head: Params, query_QxD: jax.Array, reference_MxD: jax.Array, label_M: jax.Array,
    valid_M: jax.Array, n_classes: int, pooling: str,
) -> jax.Array:  # fmt: skip
    """As `classify`, from embeddings: queries [Q, D] and references [M, D]."""
    dtype = query_QxD.dtype
    member_MxC = jax.nn.one_hot(label_M, n_classes, dtype=dtype) * valid_M[:, None].astype(dtype)
    scores_QxC = class_scores(spec, head, query_QxD, reference_MxD, member_MxC, pooling)
    return jnp.argmax(scores_QxC, axis=1).astype(jnp.int8)

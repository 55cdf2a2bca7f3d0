"""From embeddings to emotions: each segment is scored against the training embeddings, an utterance is their mean.

Liu et al. 2021 do not say how an embedding becomes a class; the nearest centroid, the nearest neighbours and a linear
head are this project's choice. Letters as in types.py, and K segments to classify, E dimensions of the sphere's space.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from siamese_jax.errors import InputError

DECISIONS = ("centroid", "neighbours", "linear")

_AT_ONCE = 1024
"""Segments compared with all training segments at once: bounds the [K, M] distances."""


def segment_scores(
    decision: str, emb_KxE: np.ndarray, train_MxE: np.ndarray, label_M: np.ndarray, n_classes: int, neighbours: int
) -> np.ndarray:
    """Scores [K, C] of segments; the largest is the decision.

    Args:
      decision: one of DECISIONS. "centroid": minus the squared distance to each class's mean training embedding;
        "neighbours": share of each class among the nearest training segments (which favours large classes);
        "linear": the probabilities of a logistic regression on the training embeddings.
      emb_KxE: embeddings to classify.
      train_MxE, label_M: training embeddings and their classes, 0..C-1.
      neighbours: how many nearest training segments vote; for "neighbours" alone.

    Raises:
      InputError: an unknown decision, shapes that do not fit, embeddings that are not finite, a class without a
        training segment, or more neighbours than training segments.
    """
    _check(decision, emb_KxE, train_MxE, label_M, n_classes, neighbours)
    if decision == "centroid":
        return np.asarray(_centroid_scores(emb_KxE, train_MxE, label_M, n_classes))
    if decision == "neighbours":
        return np.asarray(_neighbour_scores(emb_KxE, train_MxE, label_M, n_classes, neighbours))
    head = LogisticRegression(max_iter=2000).fit(train_MxE.astype(np.float64), label_M)
    return head.predict_proba(emb_KxE.astype(np.float64)).astype(np.float32)


def utterance_scores(score_KxC: np.ndarray, clip_K: np.ndarray, n_clips: int) -> np.ndarray:
    """Scores [Q, C] of clips, the mean of their segments'.

    Args:
      clip_K: the clip, 0..Q-1, that each segment is of.

    Raises:
      InputError: a clip has no segment, or a segment is of none of the clips.
    """
    if len(clip_K) != len(score_KxC):
        raise InputError(f"{len(score_KxC)} segments have scores, {len(clip_K)} have a clip; expected as many")
    if len(clip_K) and not 0 <= clip_K.min() <= clip_K.max() < n_clips:
        raise InputError(f"segments of clips {clip_K.min()}..{clip_K.max()}; expected 0..{n_clips - 1}")
    count_Q = np.bincount(clip_K, minlength=n_clips)
    if not count_Q.all():
        raise InputError(f"clip {int(np.argmin(count_Q))} has no segment, so it has no score; leave it out")
    total_QxC = np.zeros((n_clips, score_KxC.shape[1]), np.float64)
    np.add.at(total_QxC, clip_K, score_KxC)
    return (total_QxC / count_Q[:, None]).astype(np.float32)


@functools.partial(jax.jit, static_argnames="n_classes")
def _centroid_scores(emb_KxE: jax.Array, train_MxE: jax.Array, label_M: jax.Array, n_classes: int) -> jax.Array:
    member_MxC = jax.nn.one_hot(label_M, n_classes, dtype=train_MxE.dtype)
    centroid_CxE = (member_MxC / member_MxC.sum(axis=0)[None, :]).T @ train_MxE
    return -_squared_distances(emb_KxE, centroid_CxE)


@functools.partial(jax.jit, static_argnames=("n_classes", "neighbours"))
def _neighbour_scores(
    emb_KxE: jax.Array, train_MxE: jax.Array, label_M: jax.Array, n_classes: int, neighbours: int
) -> jax.Array:
    def votes(emb_E: jax.Array) -> jax.Array:
        # Of training segments at one distance the first ones count, as top_k takes them.
        _, nearest = jax.lax.top_k(-_squared_distances(emb_E[None], train_MxE)[0], neighbours)
        return jax.nn.one_hot(label_M[nearest], n_classes).mean(axis=0)

    return jax.lax.map(votes, emb_KxE, batch_size=_AT_ONCE)


def _squared_distances(a_KxE: jax.Array, b_MxE: jax.Array) -> jax.Array:
    inner = jnp.matmul(a_KxE, b_MxE.T, precision=jax.lax.Precision.HIGHEST)
    lengths = jnp.square(a_KxE).sum(axis=1)[:, None] + jnp.square(b_MxE).sum(axis=1)[None, :]
    return jnp.maximum(lengths - 2 * inner, 0)


def _check(
    decision: str, emb_KxE: np.ndarray, train_MxE: np.ndarray, label_M: np.ndarray, n_classes: int, neighbours: int
) -> None:
    if decision not in DECISIONS:
        raise InputError(f"decision {decision!r}: expected one of {', '.join(DECISIONS)}")
    if emb_KxE.ndim != 2 or train_MxE.ndim != 2 or emb_KxE.shape[1:] != train_MxE.shape[1:]:
        raise InputError(f"embeddings {emb_KxE.shape} and {train_MxE.shape}: expected [K, E] and [M, E]")
    if label_M.shape != train_MxE.shape[:1]:
        raise InputError(f"{len(train_MxE)} training embeddings have {label_M.shape} classes; expected one each")
    if len(label_M) and not 0 <= label_M.min() <= label_M.max() < n_classes:
        raise InputError(f"classes {label_M.min()}..{label_M.max()} in training; expected 0..{n_classes - 1}")
    absent = np.flatnonzero(np.bincount(label_M, minlength=n_classes) == 0)
    if len(absent):
        raise InputError(f"class {int(absent[0])} has no training segment; leave the class out, or add clips of it")
    for name, emb in (("embeddings to classify", emb_KxE), ("training embeddings", train_MxE)):
        if not np.isfinite(emb).all():
            raise InputError(f"{name} hold NaN or infinite values: the training diverged; lower its learning rate")
    if decision == "neighbours" and not 1 <= neighbours <= len(train_MxE):
        raise InputError(f"{neighbours} neighbours among {len(train_MxE)} training segments; expected 1 to as many")

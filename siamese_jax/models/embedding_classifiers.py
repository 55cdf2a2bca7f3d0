"""From embeddings to emotions: segments are scored against the training embeddings, an utterance has their mean.

Liu et al. 2021 do not say how an embedding becomes a class; the nearest centroid, the nearest neighbours and a linear
head are this project's choice. K segments to classify, E dimensions of an embedding.
"""

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from siamese_jax.errors import InputError

DECISIONS = ("centroid", "neighbours", "linear")

_AT_ONCE = 8192
"""Segments scored at once; their distances to all training segments are scikit-learn's own to bound."""


def segment_scores(
    decision: str, emb_KxE: np.ndarray, train_MxE: np.ndarray, label_M: np.ndarray, n_classes: int, neighbours: int
) -> np.ndarray:
    """Scores [K, C] of segments by their embeddings [K, E]; the largest is the decision.

    Args:
      decision: of DECISIONS. "centroid": minus the squared distance to each class's mean training embedding;
        "neighbours": share of each class among the nearest training segments (which favours large classes); "linear":
        the probabilities of a logistic regression on the training embeddings.
      train_MxE, label_M: training embeddings and their classes, 0..C-1.
      neighbours: how many nearest training segments vote; for "neighbours" alone.

    Raises InputError for an unknown decision, shapes that do not fit, embeddings that are not finite, a class without a
    training segment, or more neighbours than training segments.
    """
    _check(decision, emb_KxE, train_MxE, label_M, n_classes, neighbours)
    train_MxE = train_MxE.astype(np.float64)
    if decision == "centroid":
        score = _centroid(train_MxE, label_M, n_classes)
    elif decision == "neighbours":
        score = KNeighborsClassifier(neighbours, algorithm="brute").fit(train_MxE, label_M).predict_proba
    else:
        score = LogisticRegression(max_iter=2000).fit(train_MxE, label_M).predict_proba
    score_KxC = np.zeros((len(emb_KxE), n_classes), np.float32)
    for start in range(0, len(emb_KxE), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        score_KxC[block] = score(emb_KxE[block].astype(np.float64))
    return score_KxC


def utterance_scores(score_KxC: np.ndarray, clip_K: np.ndarray, n_clips: int) -> np.ndarray:
    """Scores [Q, C] of clips, the mean of their segments'; `clip_K` holds each segment's clip, 0..Q-1.

    Raises InputError if a clip has no segment or a segment no clip.
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


def _centroid(train_MxE: np.ndarray, label_M: np.ndarray, n_classes: int) -> Callable[[np.ndarray], np.ndarray]:
    centroid_CxE = np.stack([train_MxE[label_M == c].mean(axis=0) for c in range(n_classes)])
    return lambda emb_BxE: -squared_distances(emb_BxE, centroid_CxE)


def squared_distances(emb_KxE: np.ndarray, centre_CxE: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances [K, C] to a few centres."""
    # Centre by centre: [K, C, E] would be several times the embeddings.
    return np.stack([np.square(emb_KxE - centre_E).sum(axis=1) for centre_E in centre_CxE], axis=1)


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
        raise InputError(f"{neighbours} neighbours among {len(train_MxE)} training segments; expected 1 to all of them")

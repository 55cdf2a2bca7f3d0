"""From predictions to confusion counts, and from counts to UAR and WA in per cent."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from chex import Array

from siamese_jax.stats import metrics


@dataclasses.dataclass(frozen=True)
class Scored:
    """UAR and WA of repetitions, in per cent, each [..., runs]."""

    uar: np.ndarray
    wa: np.ndarray


def stacked(each: Sequence[Scored], axis: int = 0) -> Scored:
    """Scores of equal shapes as one record, with a new axis."""
    return Scored(np.stack([one.uar for one in each], axis), np.stack([one.wa for one in each], axis))


def score(predictions: np.ndarray, label_N: np.ndarray, mask: np.ndarray) -> Scored:
    """UAR and WA in per cent, [...], of predicted classes [..., N] on the clips of `mask` [..., N]; true ones [N]."""
    return score_counts(metrics.confusion(predictions, label_N, mask, int(label_N.max()) + 1))


def score_counts(counts: Array) -> Scored:
    """UAR and WA in per cent, [...], of confusion counts [..., C, C]."""
    uar, wa = metrics.unweighted_average_recall(counts), metrics.weighted_accuracy(counts)
    return Scored(100 * np.asarray(uar, np.float64), 100 * np.asarray(wa, np.float64))

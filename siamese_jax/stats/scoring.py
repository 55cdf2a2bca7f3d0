"""From predictions to confusion counts by speaker, and from counts to UAR and WA in per cent, on the host."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from chex import Array

from siamese_jax.stats import metrics


@dataclasses.dataclass(frozen=True)
class Scored:
    """UAR and WA of repetitions, in per cent, each [..., runs]."""

    uar: np.ndarray
    wa: np.ndarray


def stacked(scores: Sequence[Scored], axis: int = 0) -> Scored:
    """Scores of equal shapes as one record, with a new axis."""
    return Scored(np.stack([scored.uar for scored in scores], axis), np.stack([scored.wa for scored in scores], axis))


def counts_by_speaker(
    predictions: np.ndarray, label_N: np.ndarray, mask: np.ndarray, speaker_N: np.ndarray, n_speakers: int,
    n_classes: int,
) -> np.ndarray:  # fmt: skip
    """Confusion counts [..., S, C, C] of predictions [..., N] on the clips of `mask` [..., N]; rows the true class.

    Raises InputError where shapes do not fit or a class or speaker is out of range (`metrics.confusion_by_group`).
    """
    return np.asarray(metrics.confusion_by_group(predictions, label_N, mask, speaker_N, n_speakers, n_classes))


def uar(counts: Array) -> np.ndarray:
    """UAR in per cent, [...] float64 of counts [..., C, C]; NaN if a class has no clip."""
    return 100 * np.asarray(_recall(counts), np.float64)


_recall = jax.jit(metrics.unweighted_average_recall)
"""One program for each shape instead of one for each of its operations; the same bits."""


def score_counts(counts: Array) -> Scored:
    """UAR and WA in per cent, [...], of confusion counts [..., C, C]."""
    return Scored(uar(counts), 100 * np.asarray(metrics.weighted_accuracy(counts), np.float64))


def score(predictions: np.ndarray, label_N: np.ndarray, mask: np.ndarray) -> Scored:
    """UAR and WA in per cent, [...], of predicted classes [..., N] on the clips of `mask` [..., N]; true ones [N]."""
    return score_counts(metrics.confusion(predictions, label_N, mask, int(label_N.max()) + 1))


def average_recall(true_N: np.ndarray, predicted_N: np.ndarray) -> float:
    """UAR as a share in 0..1, float64, over the classes that occur in `true_N` (held-out clips may lack some)."""
    return float(np.mean([np.mean(predicted_N[true_N == name] == name) for name in np.unique(true_N)]))

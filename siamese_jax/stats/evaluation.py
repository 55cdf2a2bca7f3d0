"""All measures of probabilities on labelled clips, with intervals over speakers: what `evaluate` prints."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.errors import InputError
from siamese_jax.stats import calibration, intervals, metrics, records
from siamese_jax.stats.calibration import N_BINS, Reliability
from siamese_jax.stats.records import Interval

COVERAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of clips accepted at which the error is given."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Measures of class probabilities on labelled clips.

    Fields:
      n_clips, n_speakers: the clips and speakers.
      confusion: [C, C] counts, rows the true class.
      uar, wa, log_loss, brier, ece: jackknife t intervals over speakers, UAR and WA as shares. UAR, and its limits, are
        NaN if a class has no clip.
      ideal_ece: the calibration error that perfectly calibrated probabilities of these clips show on average.
      reliability: the bins behind `ece`, of equal mass.
      coverage, risk: [K] shares accepted, the most confident clips first, and an interval [K] of their error.
    """

    n_clips: int
    n_speakers: int
    confusion: np.ndarray
    uar: Interval
    wa: Interval
    log_loss: Interval
    brier: Interval
    ece: Interval
    ideal_ece: float
    reliability: Reliability
    coverage: np.ndarray
    risk: Interval


def evaluate(
    p: Array, label: Array, speaker: Array, level: float = 0.95, seed: int = 0, n_bins: int = N_BINS,
    coverages: Array = COVERAGES,
) -> Evaluation:  # fmt: skip
    """Returns the measures of probabilities [N, C] of clips with labels [N] int, 0..C-1, and speakers [N] (any values).

    `seed` draws the labels behind `ideal_ece`. Intervals over speakers have the bins and thresholds of all clips.

    Raises:
      InputError: shapes do not fit, there is no clip, a label is out of range, or a row is no distribution.
    """
    p, label = _checked(p, label, speaker)
    speakers, owner = np.unique(np.asarray(speaker), return_inverse=True)
    confidence, predicted = p.max(axis=1), p.argmax(axis=1)
    correct = predicted == label
    right = calibration.tied_means(correct, confidence)  # so that the order of the clips does not matter
    by_speaker = metrics.confusion_by_group(predicted, label, np.ones(len(p), bool), owner, len(speakers), p.shape[1])
    losses = -np.log(np.maximum(p[np.arange(len(p)), label], np.finfo(np.float32).tiny))
    curve = calibration.risk_coverage(confidence, correct, np.asarray(coverages))
    return Evaluation(
        len(p), len(speakers), np.asarray(by_speaker.sum(axis=0)),
        records.within(intervals.jackknife_t_interval(by_speaker, level), 0, 1),
        _mean(correct, owner, level, top=1), _mean(losses, owner, level, top=np.inf),
        _mean(calibration.brier_scores(p, label), owner, level, top=2),
        _calibration_error(confidence, right, owner, level, n_bins),
        calibration.ideal_calibration_error(confidence, seed, n_bins=n_bins),
        calibration.reliability(confidence, correct, n_bins),
        curve.coverage, _risks(confidence, 1 - right, owner, curve.coverage, level),
    )  # fmt: skip


def as_record(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the measures as JSON values; an interval is {"estimate", "low", "high", "interval"}, NaN is None."""

    def plain(value: Any) -> Any:
        if isinstance(value, Interval):
            limits = {name: plain(np.asarray(getattr(value, name))) for name in ("estimate", "low", "high")}
            return {**limits, "interval": value.label}
        if isinstance(value, Reliability):
            return {name: plain(column) for name, column in value._asdict().items()}
        array = np.asarray(value)
        if array.dtype.kind == "f":
            return _finite(np.round(array.astype(float), 6).tolist())
        return array.tolist()

    return {field.name: plain(getattr(evaluation, field.name)) for field in dataclasses.fields(evaluation)}


def _finite(value: Any) -> Any:
    """Returns a float, or a list of values, with None in place of NaN and infinity."""
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value if math.isfinite(value) else None


def _by_speaker(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the sums [S, ...] over each speaker's clips of values [N, ...]."""
    sums = np.zeros((owner.max() + 1, *values.shape[1:]), np.float32)
    np.add.at(sums, owner, values)
    return sums


def _ratio(sums: jax.Array) -> jax.Array:
    return sums[1] / sums[0]


def _mean(
    values: np.ndarray, owner: np.ndarray, level: float, top: float, inside: np.ndarray | bool = True
) -> Interval:
    """Returns the interval of the mean of values [N] over the clips `inside` [N]."""
    inside = np.broadcast_to(inside, values.shape)
    sums = _by_speaker(owner, np.stack([inside, inside * values], axis=1))
    return records.within(intervals.jackknife_interval(sums, _ratio, level, over="speakers"), 0, top)


def _risks(
    confidence: np.ndarray, wrong: np.ndarray, owner: np.ndarray, coverage: np.ndarray, level: float
) -> Interval:
    """Returns intervals [K] of the error of the most confident clips at each coverage."""
    rank = np.empty(len(confidence), int)
    rank[np.argsort(-confidence, kind="stable")] = np.arange(len(confidence))
    rows = [_mean(wrong, owner, level, 1, inside=rank < round(share * len(rank))) for share in coverage]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)


def _bins_error(sums: jax.Array) -> jax.Array:
    """Returns the calibration error of sums [B, 3] over bins: clips, confidences, right labels."""
    return jnp.sum(jnp.abs(sums[:, 1] - sums[:, 2])) / jnp.sum(sums[:, 0])


def _calibration_error(
    confidence: np.ndarray, right: np.ndarray, owner: np.ndarray, level: float, n_bins: int
) -> Interval:
    bin_N = calibration.bins_of_equal_mass(confidence, n_bins)
    values = np.zeros((len(bin_N), bin_N.max() + 1, 3))
    values[np.arange(len(bin_N)), bin_N] = np.stack([np.ones(len(bin_N)), confidence, right], axis=1)
    sums = _by_speaker(owner, values)
    return records.within(intervals.jackknife_interval(sums, _bins_error, level, over="speakers"), 0, 1)


def _checked(p: Array, label: Array, speaker: Array) -> tuple[np.ndarray, np.ndarray]:
    p, label = np.asarray(p, np.float64), np.asarray(label)
    if p.ndim != 2 or not len(p) or label.shape != p.shape[:1] or np.shape(speaker) != p.shape[:1]:
        raise InputError(
            f"probabilities {p.shape}, labels {label.shape}, speakers {np.shape(speaker)}: expected [N, C], [N], [N] "
            "with at least one clip"
        )
    if not np.issubdtype(label.dtype, np.integer) or label.min() < 0 or label.max() >= p.shape[1]:
        raise InputError(f"labels: expected integers from 0 to {p.shape[1] - 1}, the columns of the probabilities")
    if not ((p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-3)):
        raise InputError("probabilities: expected rows that are not negative and sum to 1")
    return p / p.sum(axis=1, keepdims=True), label

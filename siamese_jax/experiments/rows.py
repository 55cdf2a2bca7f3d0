"""From labelled arrays to rows of results: one a method, cell, readout and split. All scores are in per cent."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.stats import intervals
from siamese_jax.stats.records import Interval
from siamese_jax.stats.scoring import Scored, counts_by_speaker, score_counts

SPLITS = ("paper", "speaker_disjoint")


@dataclasses.dataclass(frozen=True)
class Row:
    """One result.

    Fields:
      source, target: corpora; method: oodt, idt, fine_tuning, logistic_regression or svm.
      loss: what follows the cross-entropy step (none, ratio, ratio_bounded, cross_entropy_twice); null for classifiers,
        and for oodt and idt "none".
      head: of the network; null for classifiers.
      data: what it learnt from: source, target, source+target, or loso (target, leave one speaker out).
      frozen, n_speakers, steps: the cell and readout; null where they do not apply.
      selection: cell (one cell of the grid), best (the best cell of the grid, chosen on the test clips as the paper
        does) or fixed (the cell named in the config).
      split: paper (all clips not drawn are tested) or speaker_disjoint (only other speakers' clips).
      scaling: whose clips the features were standardised by.
      interval: kind of ci_low..ci_high and what it is over.
      n_seeds, n_draws: repetitions behind the mean; 0 draws where nothing is drawn.
      uar_mean, uar_sd, ci_low, ci_high, wa_mean: per cent; null where not computable.
      seconds: share of the wall time of the stage that made it.
    """

    source: str
    target: str
    method: str
    loss: str | None
    head: str | None
    data: str
    frozen: int | None
    n_speakers: int | None
    steps: int | None
    selection: str
    split: str
    scaling: str
    interval: str
    n_seeds: int
    n_draws: int
    uar_mean: float | None
    uar_sd: float | None
    ci_low: float | None
    ci_high: float | None
    wa_mean: float | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference of UAR, in points, between two methods on the same draws and test clips."""

    source: str
    target: str
    method: str
    minus: str
    head: str
    frozen: int
    n_speakers: int
    steps: int
    split: str
    scaling: str
    interval: str
    n_seeds: int
    n_draws: int
    uar_difference: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None


def _limits(interval: Interval, index: tuple[int, ...], factor: float) -> dict[str, Any]:
    low, high = (_number(factor * np.asarray(limit)[index]) for limit in (interval.low, interval.high))
    return {"ci_low": low, "ci_high": high, "interval": interval.label}


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def over_runs(scored: Scored, level: float, over: str) -> Callable[..., dict[str, Any]]:
    """Summaries of repetitions on the last axis: a function of the other axes' index, giving a row's score fields."""
    interval = intervals.t_interval(scored.uar, level, over=over)
    mean, wa = scored.uar.mean(axis=-1), scored.wa.mean(axis=-1)
    runs = scored.uar.shape[-1]
    sd = scored.uar.std(axis=-1, ddof=1) if runs > 1 else np.full(mean.shape, np.nan)

    def fields(*index: int) -> dict[str, Any]:
        return {
            "uar_mean": _number(mean[index]),
            "uar_sd": _number(sd[index]),
            "wa_mean": _number(wa[index]),
            **_limits(interval, index, 1.0),
        }

    return fields


def over_speakers(predictions: np.ndarray, target: Dataset, mask: np.ndarray, level: float) -> dict[str, Any]:
    """The score fields of one set of predictions [N], with a jackknife t interval over the target's speakers."""
    n_classes, n_speakers = int(target.label.max()) + 1, len(target.speakers)
    counts = counts_by_speaker(predictions, target.label, mask, target.speaker, n_speakers, n_classes)
    scored = score_counts(counts.sum(axis=0))
    limits = _limits(intervals.jackknife_t_interval(counts, level), (), 100.0)
    return {"uar_mean": _number(scored.uar), "uar_sd": None, "wa_mean": _number(scored.wa), **limits}

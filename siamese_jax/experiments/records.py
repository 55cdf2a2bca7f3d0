"""The records of summary.json and differences.json: a row a method, cell, evaluation step and split."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from siamese_jax.corpora.csv_files import some


@dataclasses.dataclass(frozen=True)
class Row:
    """One result. Scores are in per cent; fields that do not apply or are not computable are null.

    Fields:
      method: oodt, idt, fine_tuning, logistic_regression or svm. head: of the network.
      loss: the update after the cross-entropy step (none, ratio, ratio_bounded, cross_entropy_twice); null for
        classifiers, and for oodt and idt "none".
      data: the training data: source, target, source+target, or loso (target, leave one speaker out).
      selection: cell (of the grid), best (cell, chosen on the test clips as in the paper) or fixed (by configuration).
      split: paper (all clips not drawn are tested) or speaker_disjoint (only other speakers' clips).
      scaling: whose clips the features were standardised by. interval: kind of ci_low..ci_high and its units.
      n_seeds, n_draws: repetitions behind the mean; 0 draws where nothing is drawn.
      n_speaker_sets: the distinct sets of speakers that the draws can take; null where nothing is drawn.
      remarks: what a reader must know beside the numbers, such as diverged trainings; mostly empty.
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
    n_speaker_sets: int | None
    remarks: str
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
    remarks: str


def joined(*remarks: str) -> str:
    """The remarks that are not empty, as one text."""
    return "; ".join(remark for remark in remarks if remark)


def diverged(n_diverged: int, n: int) -> str:
    """The remark on trainings that diverged; "" for none."""
    return f"{n_diverged} of {n} trainings diverged (lower config.training.learning_rate)" if n_diverged else ""


def marked(remarks: Sequence[str]) -> str:
    """A line on the rows with remarks, from those of all rows; "" for none."""
    given = [remark for remark in remarks if remark]
    listed = some(list(dict.fromkeys(given)))
    return f"Mind: {len(given)} of {len(remarks)} rows have a remark: {listed}." if given else ""


def number(value: Any) -> float | None:
    """The value as JSON stores it; null if it is not finite."""
    return float(value) if math.isfinite(value) else None

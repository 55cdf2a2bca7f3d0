"""How a few-shot classifier's temperature is chosen, and which of its labels are accepted.

The temperature divides the log-probabilities last, after the balancing of class proportions. It is the most probable
one given a normal prior of its logarithm and the labelled clips, each scored by a classifier that was fitted without
its fold of speakers. The prior's mean comes from other corpora than the target (`experiments.calibration` computes it).
No test clip's label is used. The source's own held-out speakers are not used either: they are easier than the target's,
and the temperature would be too low.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from chex import Array

from siamese_jax.stats import calibration

MOST_FOLDS = 5
"""Folds of the labelled clips: more cost more fits, and change little."""

PRIOR_SD = 0.15
"""Standard deviation of log temperature between corpora: 16 % of the temperature."""

STATED_ERRORS = (0.2, 0.1)
"""Errors that `unsure` is reported for."""


class Prior(NamedTuple):
    """The normal prior of log temperature."""

    log_mean: float
    sd: float


class Fitted(NamedTuple):
    """What a temperature belongs to: a method and C, an adaptation and its strength (0 for none), scope of scaling.

    `within` is the group, "corpus" or "speaker", whose class proportions an adaptation balances.
    """

    method: str
    c: float
    adaptation: str
    strength: float
    scaling: str
    within: str = "corpus"


TEMPERATURES: dict[Fitted, dict[int, float]] = {
    Fitted("logistic_regression", 0.01, "balanced", 0.5, "corpus"): {8: 1.129, 32: 1.035, 80: 0.998},
    Fitted("logistic_regression", 0.01, "balanced", 0.5, "speaker"): {8: 0.907, 32: 0.827, 80: 0.796},
    Fitted("logistic_regression", 0.01, "balanced", 1.0, "corpus"): {8: 1.069, 32: 1.06, 80: 1.028},
    Fitted("logistic_regression", 0.01, "balanced", 1.0, "speaker"): {8: 0.87, 32: 0.862, 80: 0.838},
    Fitted("logistic_regression", 0.01, "none", 0.0, "corpus"): {8: 1.211, 32: 1.054, 80: 1.009},
    Fitted("logistic_regression", 0.01, "none", 0.0, "speaker"): {8: 0.972, 32: 0.838, 80: 0.799},
    Fitted("logistic_regression", 0.01, "none", 0.0, "support"): {8: 1.606, 32: 1.123, 80: 1.064},
    Fitted("logistic_regression", 0.01, "balanced", 0.3, "corpus", "speaker"): {8: 1.051, 32: 0.935, 80: 0.911},
    Fitted("logistic_regression", 0.01, "balanced", 0.3, "speaker", "speaker"): {8: 0.882, 32: 0.79, 80: 0.796},
    Fitted("layer_ensemble", 0.1, "none", 0.0, "corpus"): {8: 1.444, 16: 1.405, 80: 1.319},
    Fitted("layer_ensemble", 0.1, "balanced", 1.0, "corpus"): {8: 1.252, 16: 1.297, 80: 1.252},
    Fitted("layer_ensemble", 0.1, "none", 0.0, "speaker"): {8: 1.141, 16: 1.083, 80: 1.041},
    Fitted("layer_ensemble", 0.1, "balanced", 1.0, "speaker"): {8: 0.997, 16: 1.02, 80: 1.03},
    Fitted("layer_ensemble", 0.1, "none", 0.0, "support"): {8: 1.932, 16: 1.627, 80: 1.427},
}
"""The best temperature by number of labelled clips: the mean of its logarithm over EMO-DB and RAVDESS as targets.

Made by `siamese-jax calibration` ("priors" in calibration.json), for the layer ensemble with
`--methods=layer_ensemble/0.1/none/0,layer_ensemble/0.1/balanced/1 --speakers=2,4,20 --draws=20`, and for balance within
speakers with `--methods=logistic_regression/0.01/balanced/0.3/speaker --scalings=corpus,speaker --draws=20`. They are
the prior for a corpus of one's own. In the reported results each of the two targets has the other's alone.
"""

UNKNOWN_SD = 0.3
"""The standard deviation of log temperature for methods that TEMPERATURES lacks; its mean is then 0."""

UNKNOWN = Prior(0.0, UNKNOWN_SD)
"""The prior of methods and of features that nothing is known of."""


def prior(fitted: Fitted, n_labelled: int) -> Prior:
    """Returns the prior of a classifier with this many labelled clips.

    It is interpolated in the log of their number, and between the measured strengths of an adaptation.
    """
    measured = {
        of.strength: temperatures
        for of, temperatures in TEMPERATURES.items()
        if (of.method, of.c, of.scaling) == (fitted.method, fitted.c, fitted.scaling)
        and (of.adaptation == "none" or (of.adaptation, of.within) == (fitted.adaptation, fitted.within))
    }
    strengths = sorted(measured)
    if not strengths or not strengths[0] <= fitted.strength <= strengths[-1]:
        return UNKNOWN
    means = [_at_number(measured[strength], n_labelled) for strength in strengths]
    return Prior(float(np.interp(fitted.strength, strengths, means)), PRIOR_SD)


def _at_number(temperatures: Mapping[int, float], n_labelled: int) -> float:
    """Returns the log temperature for a number of labelled clips; beyond the measured numbers the nearest counts."""
    counts = sorted(temperatures)
    return float(np.interp(np.log(max(n_labelled, 1)), np.log(counts), np.log([temperatures[n] for n in counts])))


class Fold(NamedTuple):
    """Rows of labelled clips: to fit on, and to hold out."""

    train: np.ndarray
    held_out: np.ndarray


def folds(label: Array, speaker: Array | None, most: int = MOST_FOLDS) -> list[Fold]:
    """Returns folds over the speakers of labelled clips [M]; each clip is held out at most once.

    There are as many folds as speakers, but at most `most`. Without speakers, or with a single one, the i-th clips of
    the classes make a group, as a speaker's clips do; the temperature is then too low for other speakers. A clip is not
    held out where its class would have no other clip to learn from. With fewer than two groups there is no fold.
    """
    label = np.asarray(label)
    group = _groups(label, speaker)
    n_folds = min(int(group.max(initial=-1)) + 1, most)
    found = []
    for number in range(n_folds if n_folds > 1 else 0):
        outside = group % n_folds == number
        learned = np.isin(label, label[~outside])
        found.append(Fold(np.flatnonzero(~outside), np.flatnonzero(outside & learned)))
    return [fold for fold in found if len(fold.train) and len(fold.held_out)]


def _groups(label: np.ndarray, speaker: Array | None) -> np.ndarray:
    """Returns the group [M] of each clip, 0 to G-1: its speaker, or its rank within its class."""
    if speaker is not None:
        names, group = np.unique(np.asarray(speaker).astype(str), return_inverse=True)
        if len(names) > 1:
            return group
    order = np.argsort(label, kind="stable")
    rank = np.empty(len(label), int)
    rank[order] = np.arange(len(label)) - np.searchsorted(label[order], label[order])
    return rank


def temperature(score: Callable[[Fold], np.ndarray], label: Array, clip_folds: Sequence[Fold], prior: Prior) -> float:
    """Returns the temperature of a classifier from its labelled clips; the prior's mean without a fold.

    `score` returns the log-probabilities [K, C] of a fold's held-out clips, by a classifier fitted on its training
    clips alone and balanced together with the unlabelled clips where the final one is.
    """
    label = np.asarray(label)
    if not clip_folds:
        return float(np.exp(prior.log_mean))
    log_p = np.concatenate([score(fold) for fold in clip_folds]).astype(np.float32)
    true = np.concatenate([label[fold.held_out] for fold in clip_folds])
    return float(calibration.fit_temperature(log_p, true, np.ones(len(true), np.float32), *prior))


def accepted(confidence: Array, stated_error: float) -> np.ndarray:
    """Returns which clips [N] to accept: the largest set whose mean confidence is at least 1 - `stated_error`.

    The set holds the most confident clips. Where all clips together are confident enough, all are accepted.
    """
    return np.asarray(confidence) >= threshold(confidence, stated_error)


def threshold(confidence: Array, stated_error: float) -> float:
    """Returns the least confidence that `accepted` accepts among clips [N]; infinite where it accepts none.

    A model keeps the threshold of its own held-out clips for clips that come one at a time. This is weaker: those
    clips' confidences may be distributed otherwise.
    """
    ordered_N = np.sort(np.asarray(confidence, np.float64))[::-1]
    mean_N = np.cumsum(ordered_N) / np.arange(1, len(ordered_N) + 1)
    # The last clip of equal confidence decides for all of them; a mean of equal values may lie below them by rounding.
    last_N = np.append(ordered_N[1:] < ordered_N[:-1], True) if len(ordered_N) else np.zeros(0, bool)
    enough = np.flatnonzero(last_N & (mean_N >= 1 - stated_error - 1e-12))
    return float(ordered_N[enough[-1]]) if len(enough) else float("inf")


def oracle_threshold(confidence: Array, correct: Array, stated_error: float) -> float:
    """Returns the least confidence at which the error of all clips above it is at most `stated_error`; or infinity.

    It sees the true labels, so it is the most that any threshold can accept.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct)
    order = np.argsort(-confidence, kind="stable")
    ordered_N = confidence[order]
    error_N = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
    last_N = np.append(ordered_N[1:] < ordered_N[:-1], True) if len(order) else np.zeros(0, bool)
    enough = np.flatnonzero(last_N & (error_N <= stated_error))
    return float(ordered_N[enough[-1]]) if len(enough) else float("inf")

"""Calibration of class probabilities: temperature, proper scores, calibration error, risk against coverage.

The confidence of a clip is the largest of its probabilities. Probabilities are calibrated if, among clips of confidence
c, a share c has the right label. All functions take log-probabilities or probabilities of clips that the classifier and
its temperature were not fitted on.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.errors import InputError

N_BINS = 15
"""Bins of the calibration error, of equal mass (as many clips in each)."""

TEMPERATURES = (0.05, 20.0)
"""The bounds of a fitted temperature."""

_HALVINGS = 40  # of an interval of log temperature 6 wide: to 6e-12


def tempered(log_p: Array, temperature: Array) -> jax.Array:
    """Returns log-probabilities [..., C] divided by a temperature [...] and normalised; no label changes.

    Source: Guo et al. 2017, "On calibration of modern neural networks".
    """
    log_p = jnp.asarray(log_p)
    temperature = jnp.broadcast_to(jnp.asarray(temperature, log_p.dtype), log_p.shape[:-1])
    return jax.nn.log_softmax(log_p / temperature[..., None], axis=-1)


@jax.jit
def fit_temperature(log_p: Array, label: Array, weight: Array, prior_log_mean: Array, prior_sd: Array) -> jax.Array:
    """Returns the temperature [] of the least weighted log loss plus (log T - mean)^2 / (2 sd^2), within TEMPERATURES.

    Args:
      log_p: [N, C] log-probabilities of held-out clips; N may be 0.
      label, weight: [N]; a clip of weight 0 is left out.
      prior_log_mean, prior_sd: the normal prior of log T; an infinite sd means no prior.

    In log T the loss has a single minimum near the prior; bisection of its derivative finds a minimum.
    """
    log_p, weight = jnp.asarray(log_p), jnp.asarray(weight)
    true_N = jnp.take_along_axis(log_p, jnp.asarray(label)[:, None], axis=1)[:, 0] if len(log_p) else jnp.zeros(0)

    def slope(log_t: jax.Array) -> jax.Array:
        inverse = jnp.exp(-log_t)
        expected_N = jnp.sum(jax.nn.softmax(log_p * inverse, axis=1) * log_p, axis=1)
        loss = inverse * jnp.sum(jnp.where(weight > 0, weight * (true_N - expected_N), 0.0))
        return loss + (log_t - prior_log_mean) / jnp.square(prior_sd)

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        rises = slope(middle) > 0
        return jnp.where(rises, low, middle), jnp.where(rises, middle, high)

    start = jnp.log(jnp.asarray(TEMPERATURES, jnp.float32))
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (start[0], start[1]))
    return jnp.exp((low + high) / 2)


def log_losses(log_p: Array, label: Array) -> np.ndarray:
    """Returns minus the log-probability [...] of the true class of log_p [..., C] and label [...]."""
    return -np.take_along_axis(np.asarray(log_p), np.asarray(label)[..., None], axis=-1)[..., 0]


def brier_scores(p: Array, label: Array) -> np.ndarray:
    """Returns the squared distance [...], 0 to 2, of probabilities [..., C] from the true class's indicator."""
    p = np.asarray(p)
    return np.square(p - np.eye(p.shape[-1])[np.asarray(label)]).sum(axis=-1)


def bins_of_equal_mass(confidence: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Returns the bin [N] of each clip, by rising confidence; as many bins as clips where there are fewer clips."""
    order = np.argsort(confidence, kind="stable")
    bin_N = np.empty(len(order), int)
    for number, rows in enumerate(np.array_split(order, min(n_bins, len(order)))):
        bin_N[rows] = number
    return bin_N


def tied_means(values: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Returns for each clip the mean value [N] of the clips that have its confidence."""
    _, tied, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    return (np.bincount(tied, values) / counts)[tied]


class Reliability(NamedTuple):
    """Bins of a reliability diagram [B], by rising confidence: clips, their mean confidence, their accuracy."""

    n_clips: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(confidence: Array, correct: Array, n_bins: int = N_BINS) -> Reliability:
    """Returns bins of equal mass of clips' confidences [N] and whether their labels are right [N].

    Clips of equal confidence count with their mean, so the order of the clips does not matter. There are fewer bins
    where there are fewer clips. Raises InputError for shapes that do not fit, no clips, or confidences outside 0..1.
    """
    confidence, correct = _checked(confidence, correct)
    bin_N, right_N = bins_of_equal_mass(confidence, n_bins), tied_means(correct, confidence)
    count = np.bincount(bin_N)
    return Reliability(count, np.bincount(bin_N, confidence) / count, np.bincount(bin_N, right_N) / count)


def calibration_error(confidence: Array, correct: Array, n_bins: int = N_BINS) -> float:
    """Returns the expected calibration error: the mean over clips of |confidence - accuracy| of their bin.

    Source: Naeini et al. 2015; bins of equal mass as Nixon et al. 2019. Raises InputError as `reliability`.
    """
    bins = reliability(confidence, correct, n_bins)
    return float(np.sum(bins.n_clips * np.abs(bins.confidence - bins.accuracy)) / bins.n_clips.sum())


def ideal_calibration_error(
    confidence: Array, seed: int, n_simulations: int = 50, n_bins: int = N_BINS, clip: Array | None = None
) -> float:
    """Returns the mean calibration error that these confidences [N] show where they are right as often as they say.

    Args:
      seed: of the simulated labels.
      clip: [N] int, the clip of each confidence where a clip occurs repeatedly (in several draws). Its confidences
        then share one random number, as they share one label. Independent without it.
    """
    confidence = np.asarray(confidence, np.float64)
    rng = np.random.default_rng(seed)
    group = np.arange(len(confidence)) if clip is None else np.unique(np.asarray(clip), return_inverse=True)[1]
    errors = [
        calibration_error(confidence, rng.random(group.max() + 1)[group] < confidence, n_bins)
        for _ in range(n_simulations)
    ]
    return float(np.mean(errors))


class RiskCoverage(NamedTuple):
    """Coverages (shares accepted, the most confident clips first) and the error [K] of the accepted clips."""

    coverage: np.ndarray
    risk: np.ndarray


def risk_coverage(confidence: Array, correct: Array, coverage: Array) -> RiskCoverage:
    """Returns the error of the most confident clips at shares of all clips [K] in 0..1, at least one clip at each.

    Clips of equal confidence count with their mean. Source: El-Yaniv & Wiener 2010. Raises InputError as `reliability`.
    """
    confidence, correct = _checked(confidence, correct)
    wrong = 1 - tied_means(correct, confidence)[np.argsort(-confidence, kind="stable")]
    n_accepted = np.clip(np.ceil(np.asarray(coverage) * len(wrong) - 1e-9).astype(int), 1, len(wrong))
    return RiskCoverage(n_accepted / len(wrong), np.cumsum(wrong)[n_accepted - 1] / n_accepted)


def _checked(confidence: Array, correct: Array) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(confidence):
        raise InputError(
            f"confidence {confidence.shape} and correct {correct.shape}: expected one axis of as many clips, at least 1"
        )
    if not ((confidence >= 0) & (confidence <= 1 + 1e-5)).all():
        raise InputError("confidence: expected probabilities from 0 to 1; take the largest probability of each clip")
    return np.minimum(confidence, 1), correct.astype(np.float64)

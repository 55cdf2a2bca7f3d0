"""Standardisation of features: means and standard deviations, pure."""

from typing import NamedTuple

import numpy as np
from chex import Array


class Scaling(NamedTuple):
    """An affine map of features, (x - shift) / scale, each [F]; zeros and ones leave a scaled table alone."""

    shift: Array
    scale: Array

    def __call__(self, x_NxF: Array) -> Array:
        return (x_NxF - self.shift[None, :]) / self.scale[None, :]


def moments(x_NxF: np.ndarray, least_F: np.ndarray) -> Scaling:
    """Returns mean and population standard deviation [F] of clips, the latter at least `least_F`; float64 inside."""
    x = x_NxF.astype(np.float64)
    return Scaling(x.mean(axis=0).astype(np.float32), np.maximum(x.std(axis=0), least_F).astype(np.float32))


def shrunken(x_NxF: np.ndarray, wider: Scaling, wider_clips: float, least_F: np.ndarray) -> Scaling:
    """Returns mean and standard deviation [F] of clips together with `wider` ones that count for `wider_clips`.

    Means and variances are averages weighted by the number of clips, so a few clips hardly move those of `wider`, and
    many clips have their own. With `wider_clips` 0 it is `moments`.
    """
    own, n_clips = moments(x_NxF, np.zeros(1)), len(x_NxF)
    share = wider_clips / (wider_clips + n_clips)
    mean = share * wider.shift.astype(np.float64) + (1 - share) * own.shift
    variance = share * np.square(wider.scale.astype(np.float64)) + (1 - share) * np.square(own.scale.astype(np.float64))
    return Scaling(mean.astype(np.float32), np.maximum(np.sqrt(variance), least_F).astype(np.float32))


def floor(x_NxF: np.ndarray, share: float) -> np.ndarray:
    """Returns the least standard deviation [F]: a share of the corpus's own, 1 for a constant column."""
    std_F = x_NxF.astype(np.float64).std(axis=0)
    return np.where(_constant(x_NxF, std_F), 1.0, share * std_F)


def _constant(x_NxF: np.ndarray, std_F: np.ndarray) -> np.ndarray:
    # Rounding leaves a constant column a spread of its size times the float32 step.
    return std_F <= 1e-6 * np.abs(x_NxF).max(axis=0)


def identity(n_trials: int, n_features: int) -> Scaling:
    """Returns scalings [G, F] that change nothing."""
    return Scaling(np.zeros((n_trials, n_features), np.float32), np.ones((n_trials, n_features), np.float32))


def over_rows(x_NxF: np.ndarray, rows: list[np.ndarray], least: float) -> Scaling:
    """Returns scalings [G, F] by the clips at each of G sets of rows, which no other clip changes.

    A column whose standard deviation in a set is at most `least`, or rounding, keeps the unit of x there.
    """
    scalings = []
    for r in rows:
        found = moments(x_NxF[r], np.zeros(1))
        constant_F = (found.scale <= least) | _constant(x_NxF[r], found.scale)
        scalings.append(found._replace(scale=np.where(constant_F, np.float32(1), found.scale)))
    return Scaling(np.stack([s.shift for s in scalings]), np.stack([s.scale for s in scalings]))

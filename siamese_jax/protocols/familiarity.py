"""Are clips like those that were enrolled? A check on features before any probability is trusted.

Added noise, another microphone or other sounds move all clips alike. In mode "folder" the folder's own statistics
remove this, and the accepted labels of noisy and of telephone speech are about as right as those of clean speech
(docs/results.md). In mode "clip" they are not, so the check compares raw features with those of the enrolled clips.
Distances are root mean squares over features, in standard deviations.

Measured with 8 enrolled clips of 2 speakers and the shipped speech encoder's features, 40 draws on each of RAVDESS and
EMO-DB: all clean recordings of other speakers shift together by 0.34 to 0.63, 8 clean recordings of one speaker by up
to 1.02, recordings with pink noise at 10 dB by 1.1 to 1.9, and telephone speech by 0.7 to 1.3. Of clean single clips
1 % exceed a distance of 1.75.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FAR_FOLDER = 1.05
"""The shift of many clips beyond which no label is accepted in mode "clip"; other voices alone stay below it."""

FEWEST = 8
"""Clips that a shift is computed of; fewer may be of one emotion."""

FAR_CLIP = 1.75
"""The distance of a single clip beyond which its label is not accepted."""

REASON = "features far from all that was learned"


class Reference(NamedTuple):
    """Mean [F] of the enrolled clips, and the standard deviation [F] of a clip within a corpus, for raw features."""

    mean: np.ndarray
    deviation: np.ndarray


def reference(enrolled_MxF: np.ndarray, sources: Sequence[np.ndarray]) -> Reference | None:
    """Returns the reference of enrolled clips, with the mean variance of them and of the sources' clips [N, F].

    None with fewer than two enrolled clips: clips differ more between corpora than by noise.
    """
    if len(enrolled_MxF) < 2:
        return None
    variances = [np.var(x, axis=0, dtype=np.float64) for x in (enrolled_MxF, *sources) if len(x) > 1]
    deviation_F = np.sqrt(np.mean(variances, axis=0))
    return Reference(
        np.asarray(np.mean(enrolled_MxF, axis=0, dtype=np.float64)), np.where(deviation_F > 0, deviation_F, np.inf)
    )


def distances(x_QxF: np.ndarray, known: Reference) -> np.ndarray:
    """Returns the distance [Q] of each clip from the enrolled clips' mean."""
    return np.sqrt(np.mean(np.square((x_QxF - known.mean) / known.deviation), axis=1))


def shift(x_QxF: np.ndarray, known: Reference) -> float:
    """Returns the distance of the clips' mean from the enrolled clips' mean; 0 without a clip."""
    if not len(x_QxF):
        return 0.0
    mean_F = np.asarray(np.mean(x_QxF, axis=0, dtype=np.float64))
    return float(distances(mean_F[None], known)[0])


def far(x_QxF: np.ndarray, known: Reference | None, scaled_together: bool) -> np.ndarray:
    """Returns which clips [Q] are far from the enrolled ones: all, where they have shifted as a whole, or some.

    Where clips are `scaled_together`, their own mean is subtracted first, so only clips unlike the others are far.
    """
    if known is None or not len(x_QxF):
        return np.zeros(len(x_QxF), bool)
    if scaled_together:
        mean_F = np.asarray(np.mean(x_QxF, axis=0, dtype=np.float64))
        near = np.minimum(distances(x_QxF, known), distances(x_QxF, known._replace(mean=mean_F)))
        return near > FAR_CLIP
    if len(x_QxF) >= FEWEST and shift(x_QxF, known) > FAR_FOLDER:
        return np.ones(len(x_QxF), bool)
    return distances(x_QxF, known) > FAR_CLIP

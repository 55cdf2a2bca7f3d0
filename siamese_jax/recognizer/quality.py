"""Facts of a recording beside its features, which tell whether a label can be trusted."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from siamese_jax.corpora.audio import RATE
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.recognizer.segments import sounding_seconds

SHORTEST = 0.5  # seconds that are not quiet; the corpora's clips have 1 to 9 s
MOST_CLIPPED = 0.01  # share of the samples at full scale
QUIETEST = -60.0  # dBFS, root mean square; 16 bits leave 5 bits of sound there

_FULL_SCALE = 32767
_NAMES = ("quality.seconds", "quality.sounding", "quality.clipped", "quality.level")


class Quality(NamedTuple):
    """Length and sounding part in seconds, share of samples at full scale, and level in dBFS; each [N]."""

    seconds: np.ndarray
    sounding: np.ndarray
    clipped: np.ndarray
    level: np.ndarray


def with_quality(extractor: Extractor) -> Extractor:
    """Returns the feature set with the columns of `Quality` at the end."""

    def features(samples: Sequence[np.ndarray], bucket: int) -> np.ndarray:
        return np.concatenate([extractor.features(samples, bucket), np.array([_facts(s) for s in samples])], axis=1)

    names = (*extractor.feature_names, *_NAMES)
    return dataclasses.replace(extractor, feature_names=names, features=features)


def split(rows_NxF: np.ndarray) -> tuple[np.ndarray, Quality]:
    """Returns the features of rows of `with_quality`, and the facts."""
    n_facts = len(_NAMES)
    return rows_NxF[:, :-n_facts].astype(np.float32), Quality(*rows_NxF[:, -n_facts:].T)


def problem(seconds: float, sounding: float, clipped: float, level: float) -> str:
    """Returns why a recording is too poor for its label to be trusted, or ""."""
    if seconds < SHORTEST:
        return f"too short: {seconds:.2f} s"
    if level < QUIETEST:
        return f"almost silent: {level:.0f} dBFS"
    if sounding < SHORTEST:
        return f"too little speech: {sounding:.2f} s of {seconds:.2f} s"
    if clipped > MOST_CLIPPED:
        return f"clipped: {100 * clipped:.0f} % of the samples at full scale"
    return ""


def _facts(samples_L: np.ndarray) -> tuple[float, ...]:
    wide = samples_L.astype(np.int32)
    power = float(np.mean(np.square(samples_L, dtype=np.float64))) / _FULL_SCALE**2
    clipped = float(np.mean(np.abs(wide) >= _FULL_SCALE))
    return len(samples_L) / RATE, sounding_seconds(samples_L, RATE), clipped, 10 * np.log10(max(power, 1e-12))

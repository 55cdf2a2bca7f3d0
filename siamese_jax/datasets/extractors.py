"""The feature sets that `extraction` can compute: from samples to a row of named features."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from siamese_jax.features import is09
from siamese_jax.features.bucketing import Engine


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A feature set; its functions are thread-safe.

    Fields:
      version: identifies everything except the clip that a row depends on; rows of another version are not resumed.
      feature_names: F unique names.
      made: the record of the feature set in a table, plain JSON values.
      bucket: number of samples -> bucket of a clip; it depends on this clip alone.
      clips: bucket -> number of clips in a full batch.
      features: at most a batch of clips, int16 arrays [L], and their bucket -> features [N, F] float32.
    """

    version: str
    feature_names: tuple[str, ...]
    made: dict[str, Any]
    bucket: Callable[[int], int]
    clips: Callable[[int], int]
    features: Callable[[Sequence[np.ndarray], int], np.ndarray]


def interspeech_2009() -> Extractor:
    """Returns the paper's 64 features, see `features.is09`."""
    engine = Engine()
    made = {
        "features": "INTERSPEECH 2009, mean and standard deviation", "extractor": is09.VERSION, "rate": is09.RATE
    }  # fmt: skip
    return Extractor(is09.VERSION, is09.FEATURE_NAMES, made, engine.bucket, engine.clips, engine.features)

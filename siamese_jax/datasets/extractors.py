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
      version: all that a row depends on beside its clip; rows of another version are not resumed.
      feature_names: F unique names.
      made: what a table records of it, plain JSON values.
      bucket: the bucket of a clip of so many samples: it depends on the clip alone.
      clips: the clips of a full batch of a bucket.
      features: the features of at most a batch of clips, int16 arrays [L] of one bucket -> [N, F] float32.
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

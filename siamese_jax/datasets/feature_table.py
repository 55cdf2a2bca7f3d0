"""A table of features, one row a clip."""

import dataclasses
from typing import Any

import numpy as np

COLUMNS = ("clip", "emotion", "speaker", "corpus", "sex", "audio_hash")
"""The fields of a table that hold a text per clip."""


@dataclasses.dataclass(frozen=True)
class FeatureTable:
    """A row of features for each clip, with the clip's labels.

    Fields:
      features, feature_names: [N, F] float32, finite; F unique names.
      clip, emotion, corpus: [N] str; clips are unique within a corpus.
      speaker: [N] str, prefixed by the corpus ("ravdess_07"), so that pooling corpora cannot merge two people.
      sex: [N] str, "female", "male" or "" if unknown.
      audio_hash: [N] str, a digest of the samples, shared by duplicates; "" if the audio was unavailable.
      made: how the table was made (plain JSON values): program, sampling rate, resampling, versions.
    """

    features: np.ndarray
    feature_names: tuple[str, ...]
    clip: np.ndarray
    emotion: np.ndarray
    speaker: np.ndarray
    corpus: np.ndarray
    sex: np.ndarray
    audio_hash: np.ndarray
    made: dict[str, Any]

    def __len__(self) -> int:
        return len(self.clip)

    def select(self, rows: np.ndarray) -> "FeatureTable":
        """Returns the table of `rows`, an index or boolean array of [N]."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in ("features", *COLUMNS)})

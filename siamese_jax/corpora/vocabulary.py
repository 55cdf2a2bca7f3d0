"""The shared vocabulary: the letter table of array axes, and the records that modules hand to one another.

Letters, used as suffixes of local names (`emb_BxD`) and in field docs (`[B, D]`):

    B  clips in a training batch             Q  query clips (to be classified)
    C  classes (emotions)                    R  readouts: numbers of steps at which a trial is tested
    D  width of the embedding                S  speakers
    F  features of a clip                    T  frames of a clip
    G  trials of a grid                      L  samples of a clip
    M  reference clips (the labelled ones)   P  pairs
    N  clips of a table
"""

import dataclasses
from typing import Any

import numpy as np

Array = Any
"""A jax.Array or a np.ndarray: records that go into a trial are made on the host and arrive on a device."""

EMOTIONS = (
    "anger", "happiness", "sadness", "fear", "disgust", "surprise", "neutral", "calm", "boredom",
)  # fmt: skip
"""The label nouns that corpus adapters may use (audformat's)."""

PAPER_EMOTIONS = ("anger", "happiness", "sadness", "fear")
"""The four classes of Feng & Chaspari 2020, section 3."""


@dataclasses.dataclass(frozen=True)
class FeatureTable:
    """One row of features a clip, with what is known of the clip.

    Fields:
      features: [N, F] float32, finite.
      feature_names: F names, unique.
      clip: [N] str, unique within a corpus.
      emotion: [N] str.
      speaker: [N] str, prefixed by the corpus ("ravdess_07"), so that pooling corpora cannot merge two people.
      corpus: [N] str.
      sex: [N] str, "female", "male" or "" where it is not known.
      audio_hash: [N] str, a digest of the samples; "" where the audio was not at hand. Twins share it.
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
        """The table's rows at `rows`, an index or boolean array of [N]."""
        columns = ("features", "clip", "emotion", "speaker", "corpus", "sex", "audio_hash")
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in columns})

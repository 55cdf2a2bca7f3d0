"""Clips cut into segments of equal length: their starts, and the samples of any batch of them.

A corpus keeps two integers a segment; samples are gathered a batch at a time. Segments of 1 s every 0.5 s are this
project's choice; Liu et al. 2021 say "at a given time interval".
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from siamese_jax.errors import ClipError, InputError


@dataclasses.dataclass(frozen=True)
class SegmentConfig:
    """The cutting of clips.

    Fields:
      rate: sampling rate in Hz of every clip.
      seconds: length of a segment.
      hop_seconds: from the start of a segment to the start of the next.
      shortest_seconds: a shorter clip is an error; a clip between this and a segment is padded.
      quiet_db: segments more than this below their clip's loudest are left out: silence before and after speech tells
        no emotion. 200 keeps all, 16 bits having 96 dB.
    """

    rate: int
    seconds: float
    hop_seconds: float
    shortest_seconds: float
    quiet_db: float

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "hop_seconds", "shortest_seconds", "quiet_db"):
            if not getattr(self, name) > 0:
                raise InputError(f"SegmentConfig.{name} = {getattr(self, name)!r}: expected a number above 0")
        if self.length < 1 or not 1 <= self.hop <= self.length:
            raise InputError(
                f"SegmentConfig: segments of {self.seconds} s every {self.hop_seconds} s at {self.rate} Hz; expected "
                "one sample or more, and a hop no longer than the segment, which would lose samples between them"
            )

    @property
    def length(self) -> int:
        """The samples of a segment."""
        return round(self.seconds * self.rate)

    @property
    def hop(self) -> int:
        """The samples from start to start."""
        return round(self.hop_seconds * self.rate)


@dataclasses.dataclass(frozen=True)
class SegmentIndex:
    """The places of the segments of many clips, in the clips' order; each has `length` samples.

    `clip` [K] int64 is the row of the clip, `start` [K] int64 the first sample; zeros follow a clip's end.
    """

    clip: np.ndarray
    start: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.clip)


def segment_starts(samples: int, config: SegmentConfig, file: str) -> np.ndarray:
    """Returns the starts [K] of a clip's segments: 0, hop, ..., up to the first whose segment reaches the end.

    So every sample is in a segment, and padding is shorter than the hop unless the clip is shorter than a segment.
    Raises ClipError, naming `file`, where the clip of `samples` samples is shorter than `shortest_seconds`.
    """
    if samples < round(config.shortest_seconds * config.rate):
        expected = f"{config.shortest_seconds} s or more are expected (SegmentConfig.shortest_seconds)"
        remedy = "leave the clip out or lower the bound"
        raise ClipError(file, f"{samples / config.rate:.3f} s is too short: {expected}; {remedy}")
    beyond = max(0, samples - config.length)
    return np.arange(-(-beyond // config.hop) + 1) * config.hop


def sounding_starts(samples: np.ndarray, config: SegmentConfig, file: str) -> np.ndarray:
    """As `segment_starts`, of a clip's samples [n] (int16 or float): the starts of segments at most `quiet_db` below
    the loudest, by mean square; the loudest is always included."""
    starts_K = segment_starts(len(samples), config, file)
    exact = np.int64 if samples.dtype == np.int16 else np.float64
    energy = np.append(0, np.cumsum(np.square(samples.astype(exact)))).astype(np.float64)
    energy_K = energy[np.minimum(starts_K + config.length, len(samples))] - energy[starts_K]
    return starts_K[energy_K >= energy_K.max() * 10 ** (-config.quiet_db / 10)]


def index_segments(clips: Sequence[np.ndarray], files: Sequence[str], config: SegmentConfig) -> SegmentIndex:
    """Returns the segments of clips, samples [n] each. Raises ClipError for the first clip that is too short."""
    starts = [sounding_starts(samples, config, file) for samples, file in zip(clips, files, strict=True)]
    clip_K = np.repeat(np.arange(len(starts)), [len(clip_starts) for clip_starts in starts])
    return SegmentIndex(clip_K, np.concatenate([*starts, np.zeros(0, np.int64)]), config.length)


def gather_segments(clips: Sequence[np.ndarray], index: SegmentIndex, rows: np.ndarray) -> np.ndarray:
    """Returns samples [B, L] float32 of the segments at `rows` [B] of the index, zero beyond the end of a clip.

    `clips` holds each clip's samples [n], float in [-1, 1] or int16 (scaled by 1 / 32768), also memory-mapped.
    """
    out_BxL = np.zeros((len(rows), index.length), np.float32)
    for out_L, row in zip(out_BxL, rows):
        start = index.start[row]
        samples = clips[index.clip[row]][start : start + index.length]
        scale = np.float32(1 / 32768) if samples.dtype == np.int16 else np.float32(1)
        out_L[: len(samples)] = samples.astype(np.float32) * scale
    return out_BxL


def cut(samples: np.ndarray, config: SegmentConfig, file: str) -> np.ndarray:
    """Returns the segments [K, L] float32 of a clip's samples [n]. Raises as `segment_starts`."""
    index = index_segments([samples], [file], config)
    return gather_segments([samples], index, np.arange(len(index)))

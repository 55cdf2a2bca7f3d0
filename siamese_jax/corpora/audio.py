"""Decodes sound files to 16-bit mono samples: equal sounds stored in two ways have equal features and hashes."""

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from siamese_jax.corpora.decoders import AUDIO_SUFFIXES, VIDEO_SUFFIXES, Block, Stream, open_stream
from siamese_jax.corpora.sound_files import bad_clip, is_lfs_pointer
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.files import user_path

__all__ = [
    "AUDIO_SUFFIXES", "KINDS", "RATE", "VIDEO_SUFFIXES", "Decoded", "audio_hash", "decode", "is_lfs_pointer",
    "recording_seconds", "sound_blocks",
]  # fmt: skip

KINDS = (
    "missing", "git-lfs pointer", "unreadable", "empty", "too short", "too long", "silent", "not finite",
    "out of range", "bad segment",
)  # fmt: skip
"""The kinds of bad clips; the reason of a `ClipError` raised here begins with its kind and a colon."""

RATE = 16000  # Hz, of the INTERSPEECH 2009 features
MIN_SECONDS = 0.055  # four frames of 25 ms at a hop of 10 ms, below which the functionals are undefined
MAX_SAMPLES = 2**26  # of a clip after resampling: 70 minutes at 16 kHz, 128 MiB
SOXR_QUALITY = "HQ"  # soxr's recipe; also librosa's default (`soxr_hq`)
CUT_OFF = ", cut off at full scale"
"""The end of `Decoded.resampling` where samples beyond [-1, 1] were cut off."""

_SOURCE_RATES = (1000, 1_000_000)  # Hz; outside, the header is damaged: speech has its formants at 500 Hz to 4 kHz
_MOST_FRAMES = 2**32  # of a file that is read block by block: 24 hours at 48 kHz
_MAX_PEAK = 4.0  # lossy decoders overshoot 1 a little; samples in [-32768, 32767] stored as float do not
_MAX_CUT_OFF = 1e-3  # share of the samples of a floating-point file that may lie beyond [-1, 1]
_MIX_STEP = 16  # every so many frames tell whether the channels cancel
_MIN_MIX = 1e-4  # power of the mean of the channels, relative to theirs; below, one is the other inverted


@dataclasses.dataclass(frozen=True)
class Decoded:
    """The sound of a clip: [L] int16, mono.

    `source_rate` is the file's in Hz; `resampling` is "none", or the resampler and its quality ("soxr HQ"), followed by
    `CUT_OFF` where samples were cut off.
    """

    samples: np.ndarray
    source_rate: int
    resampling: str


def decode(path: str | Path, start: float | None = None, end: float | None = None, rate: int = RATE) -> Decoded:
    """Decodes a clip: mean of the channels, resampled to `rate` (Hz), rounded to 16 bits and clipped.

    `start` and `end` bound the segment to take, in seconds; None means the file's beginning and end. Reads wav, flac,
    ogg or mp3 by soundfile, AVI, MP4 or FLV by PyAV, block by block: memory is bounded by the sound that is there. The
    samples of a 16-bit mono file of `rate` stay bit by bit.

    Raises ClipError where the file is missing, may not be read, is a git-lfs pointer, empty, cut short or corrupt; the
    segment lies outside it; the sound is shorter than 55 ms, longer than `MAX_SAMPLES`, not finite, far outside
    [-1, 1], or silent (all 16-bit samples equal, zero or not).
    Raises InputError for a video if PyAV is not installed.
    """
    path = user_path(path)
    with open_stream(path, start, end) as stream:
        mixer = _Mixer(path, rate, stream, MAX_SAMPLES)
        parts = [part for block in stream.blocks for part in mixer.samples(block)]
        parts += mixer.rest()
    samples = np.concatenate([*parts, np.zeros(0, np.int16)])
    mixer.check()
    _require_sound(path, samples, rate)
    return Decoded(samples, mixer.source_rate, mixer.resampling)


def sound_blocks(path: str | Path, rate: int = RATE) -> Iterator[np.ndarray]:
    """Yields the samples [n] int16 of a whole file block by block, as `decode` gives them, for any length.

    Raises ClipError as `decode`, but for a short or silent sound, and for a long one not before `_MOST_FRAMES`; a part
    may have been yielded before.
    """
    path = user_path(path)
    with open_stream(path, None, None) as stream:
        mixer = _Mixer(path, rate, stream, most=math.floor(_MOST_FRAMES * rate / max(stream.rate, 1)))
        for block in stream.blocks:
            interrupt.check()
            yield from mixer.samples(block)
        yield from mixer.rest()
    mixer.check()


def recording_seconds(path: str | Path) -> float | None:
    """Returns the length of a file by its header; None where that is known at its end alone. Raises ClipError."""
    with open_stream(user_path(path), None, None) as stream:
        return None if stream.frames is None else stream.frames / stream.rate


def audio_hash(samples: np.ndarray) -> str:
    """Returns a digest of int16 samples [L]: 32 hexadecimal digits, equal for equal samples on every machine."""
    if samples.dtype != np.int16:
        raise TypeError(f"expected int16 samples, got {samples.dtype}")
    return hashlib.blake2b(np.ascontiguousarray(samples, "<i2").data, digest_size=16).hexdigest()


class _Mixer:
    """Turns the blocks of a clip into 16-bit mono samples; the same bits as for the whole clip at once."""

    def __init__(self, path: Path, rate: int, stream: Stream, most: float):
        self.path, self.rate, self._floating, self._most = path, rate, stream.floating, most
        self.source_rate, self._channels = stream.rate, 0
        self._resampler: soxr.ResampleStream | None = None
        self._length = self._values = self._beyond = 0
        self._peak = self._mix_power = self._channel_power = 0.0
        low, high = _SOURCE_RATES
        if not low <= stream.rate <= high:
            wrong = f"unreadable: its header claims {stream.rate} Hz, expected {low} to {high}; fetch the file again"
            raise bad_clip(path, wrong)
        if stream.frames is not None:
            self._require_short(math.ceil(stream.frames * rate / stream.rate))
        if stream.rate != rate:
            self._resampler = soxr.ResampleStream(stream.rate, rate, 1, dtype="float64", quality=SOXR_QUALITY)

    @property
    def resampling(self) -> str:
        return ("none" if self._resampler is None else f"soxr {SOXR_QUALITY}") + (CUT_OFF if self._beyond else "")

    def samples(self, block: Block) -> Iterator[np.ndarray]:
        """Yields the samples [n] int16 of the next block."""
        rate, sound_LxC = block
        channels = sound_LxC.shape[1]
        if (rate, channels) != (self.source_rate, self._channels or channels):
            raise bad_clip(
                self.path,
                f"unreadable: {rate} Hz and {channels} channels after {self.source_rate} Hz and "
                f"{self._channels or channels}; "
                "expected the same throughout, so convert the file",
            )
        self._channels = channels
        if self._resampler is None and channels == 1 and sound_LxC.dtype == np.int16:
            yield self._counted(sound_LxC[:, 0].copy())  # the same as the steps below give, several times faster
            return
        yield self._rounded(self._mono(sound_LxC), last=False)

    def rest(self) -> list[np.ndarray]:
        """Returns the samples that the resampler still holds."""
        return [] if self._resampler is None else [self._rounded(np.zeros(0), last=True)]

    def _rounded(self, sound_L: np.ndarray, last: bool) -> np.ndarray:
        if self._resampler is not None:
            sound_L = self._resampler.resample_chunk(sound_L, last=last)
        return self._counted(np.clip(np.rint(sound_L * 32768.0), -32768, 32767).astype(np.int16))

    def _counted(self, samples: np.ndarray) -> np.ndarray:
        self._length += len(samples)
        self._require_short(self._length)
        return samples

    def _require_short(self, length: int) -> None:
        if length > self._most:
            raise bad_clip(
                self.path,
                f"too long: {length} samples at {self.rate} Hz, by its header or as decoded; expected {self._most} "
                "at most. Bound the clip by start and end; where the file is short, its header is damaged",
            )

    def _mono(self, sound_LxC: np.ndarray) -> np.ndarray:
        """Returns the mean of the channels, float64."""
        if sound_LxC.dtype == np.int16:
            mono_L = sound_LxC.mean(axis=1, dtype=np.float64) / 32768.0
            scale = 32768.0
        else:
            peak = max(float(sound_LxC.max(initial=0.0)), -float(sound_LxC.min(initial=0.0)))
            if not math.isfinite(peak):
                raise bad_clip(self.path, "not finite: holds NaN or infinite samples; export the clip again")
            self._peak = max(self._peak, peak)
            self._beyond += int((np.abs(sound_LxC) > 1.0).sum()) if peak > 1.0 else 0
            self._values += sound_LxC.size
            mono_L, scale = sound_LxC.mean(axis=1), 1.0
        if self._channels > 1:
            self._mix_power += float(np.square(mono_L[::_MIX_STEP]).sum())
            self._channel_power += float(np.square(sound_LxC[::_MIX_STEP] / scale).mean(axis=1).sum())
        return mono_L

    def check(self) -> None:
        """Raises ClipError where the channels cancel, or too much lies outside [-1, 1]."""
        too_many = self._floating and self._beyond > _MAX_CUT_OFF * self._values
        if self._peak > _MAX_PEAK or too_many:
            raise bad_clip(
                self.path,
                f"out of range: samples reach {self._peak:g}, expected within [-1, 1], and {self._beyond} of "
                f"{self._values} lie outside; divide them by their peak (integer samples by 32768) before storing "
                "them as floating point",
            )
        if self._mix_power < _MIN_MIX * self._channel_power:
            raise bad_clip(
                self.path,
                "silent: the channels cancel, since one is the other inverted; keep a single channel, or invert one",
            )


def _require_sound(path: Path, samples: np.ndarray, rate: int) -> None:
    least = math.ceil(MIN_SECONDS * rate)
    if len(samples) < least:
        short = f"too short: {len(samples)} samples at {rate} Hz, expected at least {least}; leave it out"
        raise bad_clip(path, short)
    if (samples == samples[0]).all():
        raise bad_clip(path, f"silent: every sample is {samples[0]}; leave it out")

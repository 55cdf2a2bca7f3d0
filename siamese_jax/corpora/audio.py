"""Decodes sound files to 16-bit mono samples: equal sounds stored in two ways have equal features and hashes."""

import dataclasses
import hashlib
import math
import re
from pathlib import Path

import numpy as np
import soundfile
import soxr

from siamese_jax.errors import ClipError, InputError
from siamese_jax.runtime.files import user_path

KINDS = (
    "missing", "git-lfs pointer", "unreadable", "empty", "too short", "silent", "not finite", "out of range",
    "bad segment",
)  # fmt: skip
"""The kinds of bad clips; the reason of a `ClipError` raised here begins with its kind and a colon."""

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
VIDEO_SUFFIXES = (".avi", ".mp4", ".flv", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".m4a", ".aac")
"""Containers that libsndfile does not read; PyAV (extra `video`) takes their first audio stream."""

RATE = 16000  # Hz, of the INTERSPEECH 2009 features
MIN_SECONDS = 0.055  # four frames of 25 ms at a hop of 10 ms, below which the functionals are undefined
SOXR_QUALITY = "HQ"  # soxr's recipe; also librosa's default (`soxr_hq`)

_LFS_MAGIC = b"version https://git-lfs"
_LFS_MAX_BYTES = 1024  # the git-lfs specification: a pointer file is smaller than this
_END_TOLERANCE = 0.01  # seconds; segment tables round their ends to hundredths
_MAX_PEAK = 4.0  # lossy decoders overshoot 1 a little; samples in [-32768, 32767] stored as float do not
_CUT_SHORT = re.compile(r"^data\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)  # in libsndfile's log of a wav
_STREAM_LENGTH = 2**30  # programs that write to a pipe claim about 2 or 4 GiB, since they cannot know
_MAX_HOURS = 12.0  # a broken header claims billions of frames: never allocate for it


@dataclasses.dataclass(frozen=True)
class Decoded:
    """The sound of a clip: [L] int16, mono.

    `source_rate` is the file's in Hz; `resampling` is "none", or the resampler and its quality ("soxr HQ").
    """

    samples: np.ndarray
    source_rate: int
    resampling: str


def is_lfs_pointer(path: str | Path) -> bool:
    """Returns whether `path` is the short text that git-lfs leaves in place of a file it has not fetched."""
    path = user_path(path)
    if path.stat().st_size >= _LFS_MAX_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_MAGIC)) == _LFS_MAGIC


def decode(path: str | Path, start: float | None = None, end: float | None = None, rate: int = RATE) -> Decoded:
    """Decodes a clip: mean of the channels, resampled to `rate` (Hz), rounded to 16 bits and clipped.

    `start` and `end` bound the segment to take, in seconds; None means the file's beginning and end. Reads wav, flac,
    ogg or mp3 by soundfile, AVI, MP4 or FLV by PyAV. The samples of a 16-bit mono file of `rate` stay bit by bit.

    Raises ClipError where the file is missing, a git-lfs pointer, empty or corrupt; the segment lies outside it; the
    sound is shorter than 55 ms, not finite, far outside [-1, 1], or silent (all 16-bit samples equal, zero or not).
    Raises InputError for a video if PyAV is not installed.
    """
    path = user_path(path)
    _require_file(path)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        sound_LxC, source_rate = _read_video(path, start, end)
    else:
        sound_LxC, source_rate = _read_audio(path, start, end)
    resampling = "none" if source_rate == rate else f"soxr {SOXR_QUALITY}"
    if resampling == "none" and sound_LxC.dtype == np.int16 and sound_LxC.shape[1] == 1:
        samples = np.ascontiguousarray(sound_LxC[:, 0])  # the same as the steps below give, several times faster
    else:
        sound_L = _mono(path, sound_LxC)
        if resampling != "none":
            sound_L = soxr.resample(sound_L, source_rate, rate, quality=SOXR_QUALITY)
        samples = np.clip(np.rint(sound_L * 32768.0), -32768, 32767).astype(np.int16)
    _require_sound(path, samples, rate)
    return Decoded(samples, source_rate, resampling)


def audio_hash(samples: np.ndarray) -> str:
    """Returns a digest of int16 samples [L]: 32 hexadecimal digits, equal for equal samples on every machine."""
    if samples.dtype != np.int16:
        raise TypeError(f"expected int16 samples, got {samples.dtype}")
    return hashlib.blake2b(samples.astype("<i2").tobytes(), digest_size=16).hexdigest()


def _mono(path: Path, sound_LxC: np.ndarray) -> np.ndarray:
    """Returns the mean of the channels, float64 within [-1, 1]."""
    if sound_LxC.dtype == np.int16:
        return sound_LxC.mean(axis=1, dtype=np.float64) / 32768.0
    if not np.isfinite(sound_LxC).all():
        raise ClipError(str(path), "not finite: holds NaN or infinite samples; export the clip again")
    peak = float(np.abs(sound_LxC).max(initial=0.0))
    if peak > _MAX_PEAK:
        remedy = "divide integer samples by 32768 before storing them as floating point"
        raise ClipError(str(path), f"out of range: samples reach {peak:g}, expected within [-1, 1]; {remedy}")
    return sound_LxC.mean(axis=1)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ClipError(str(path), "missing: no such file; correct its path or the corpus root")
    if path.stat().st_size == 0:
        raise ClipError(str(path), "empty: the file has 0 bytes; fetch it again")
    if is_lfs_pointer(path):
        remedy = "run `git lfs pull` in the clone, or download the corpus' files themselves"
        raise ClipError(str(path), f"git-lfs pointer: a text in place of the sound; {remedy}")


def _require_sound(path: Path, samples: np.ndarray, rate: int) -> None:
    least = math.ceil(MIN_SECONDS * rate)
    if len(samples) < least:
        short = f"too short: {len(samples)} samples at {rate} Hz, expected at least {least}; leave it out"
        raise ClipError(str(path), short)
    if (samples == samples[0]).all():
        raise ClipError(str(path), f"silent: every sample is {samples[0]}; leave it out")


def _span(path: Path, start: float | None, end: float | None, frames: int, rate: int) -> tuple[int, int]:
    """Returns the first and one-past-last frame of a segment given in seconds."""
    seconds = frames / rate
    if frames == 0:
        raise ClipError(str(path), "empty: the file holds no samples; fetch it again")
    if seconds > _MAX_HOURS * 3600:
        raise ClipError(str(path), f"unreadable: its header claims {frames} samples; the file is cut short")
    first = 0.0 if start is None else start
    last = seconds if end is None else end
    if not 0.0 <= first < last:
        raise ClipError(str(path), f"bad segment: start {first:g} s, end {last:g} s; expected 0 <= start < end")
    if last > seconds + _END_TOLERANCE:
        late = f"bad segment: ends at {last:g} s, but the file ends at {seconds:.3f} s; correct `end`"
        raise ClipError(str(path), late)
    return round(first * rate), min(round(last * rate), frames)


def _require_whole(path: Path, log: str) -> None:
    """libsndfile reads a cut wav without an error, but its log tells the length that the header promised."""
    sizes = _CUT_SHORT.search(log)
    if sizes and int(sizes[2]) < int(sizes[1]) < _STREAM_LENGTH:
        raise ClipError(str(path), f"unreadable: {sizes[2]} of {sizes[1]} bytes are there; fetch the file again")


def _read_audio(path: Path, start: float | None, end: float | None) -> tuple[np.ndarray, int]:
    """Returns the segment [L, C], int16 where the file is and else float64, and the file's rate, by libsndfile."""
    try:
        with soundfile.SoundFile(path) as sound:
            first, last = _span(path, start, end, sound.frames, sound.samplerate)
            _require_whole(path, sound.extra_info)
            sound.seek(first)
            dtype = "int16" if sound.subtype == "PCM_16" else "float64"
            sound_LxC = sound.read(last - first, dtype=dtype, always_2d=True)
            rate = sound.samplerate
    except soundfile.LibsndfileError as error:
        known = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES + VIDEO_SUFFIXES)
        problem = f"unreadable: {error.error_string} Expected sound as {known}; fetch or convert the file again"
        raise ClipError(str(path), problem) from error
    if len(sound_LxC) < last - first:
        problem = f"unreadable: {len(sound_LxC)} of {last - first} samples decoded; the file is cut short"
        raise ClipError(str(path), problem)
    return sound_LxC, rate


def _read_video(path: Path, start: float | None, end: float | None) -> tuple[np.ndarray, int]:
    """Returns the segment [L, C] float64 of the first audio stream and its rate, by FFmpeg."""
    try:
        import av
    except ImportError as error:
        remedy = "install it with: pip install 'siamese_jax[video]'"
        raise InputError(f"{path}: reading {path.suffix} needs PyAV; {remedy}") from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ClipError(str(path), "empty: the video has no audio stream; fetch it again")
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            # Only the sample format changes here: soxr resamples all sources alike.
            to_double = av.AudioResampler(format="dblp", layout=stream.layout, rate=rate)
            frames = (*container.decode(stream), None)
            planes = [double.to_ndarray() for frame in frames for double in to_double.resample(frame)]
    except av.FFmpegError as error:
        raise ClipError(str(path), f"unreadable: {error}; fetch or convert the file again") from error
    sound_LxC = np.concatenate(planes, axis=1).T if planes else np.zeros((0, 1))
    first, last = _span(path, start, end, len(sound_LxC), rate)
    return sound_LxC[first:last], rate

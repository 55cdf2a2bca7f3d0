"""Sound files as blocks of samples, by libsndfile and by FFmpeg; half a download is told from a whole file."""

import contextlib
import dataclasses
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from siamese_jax.corpora import containers
from siamese_jax.corpora.sound_files import bad_clip, opened
from siamese_jax.errors import InputError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
VIDEO_SUFFIXES = (".avi", ".mp4", ".flv", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".m4a", ".aac")
"""Containers that libsndfile does not read; PyAV (extra `video`) takes their first audio stream."""

Block = tuple[int, np.ndarray]
"""The rate in Hz of samples [n, C], and the samples: int16, or float64 in [-1, 1]."""

_UNCOUNTED = 2**63 - 1  # libsndfile's number of frames of a FLAC stream whose header does not tell
_BLOCK = 2**18  # values of a block
_END_TOLERANCE = 0.01  # seconds; segment tables round their ends to hundredths
_LONGEST = 1e9  # seconds; beyond any file
_UNTIMED = (0.3, 0.05)  # seconds, or share, by which a video may end before its declared end
_FRAMES = re.compile(r"(?:Frames|Cols)\s*:\s*(\d+)")  # in libsndfile's log
_FRAMES_IN_LOG = ("AVR", "MPC2K", "MAT4", "MAT5")
"""Formats whose log holds the number of frames that the header declares."""


@dataclasses.dataclass(frozen=True)
class Stream:
    """The sound of a clip: its `rate` in Hz, its number of `frames` where it is known, and its blocks.

    `floating` tells whether the file holds floating-point samples, without loss.
    """

    rate: int
    frames: int | None
    floating: bool
    blocks: Iterator[Block]


class _Sound(soundfile.SoundFile):
    """A sound file that is read from front to end: soundfile seeks after each read, which some codecs cannot."""

    def seekable(self) -> bool:
        return False

    def skip(self, frames: int, block: int) -> None:
        """Moves to a frame, counted from the beginning."""
        if super().seekable() and not self.subtype.startswith("DWVW"):
            # Also to 0: MP3 decodes to other last bits without it.
            self.seek(frames)
            return
        while frames > 0:
            frames -= len(self.read(min(block, frames), dtype="float32", always_2d=True)) or frames


def open_stream(path: Path, start: float | None, end: float | None) -> contextlib.AbstractContextManager[Stream]:
    """Returns a context with the segment of a clip: by the file's content where it is known, else by its suffix.

    Raises ClipError, or InputError where a video is read without PyAV.
    """
    with opened(path) as file:
        is_video = containers.is_video(file)
    if is_video is None:
        is_video = path.suffix.lower() in VIDEO_SUFFIXES
    return (_video_stream if is_video else _audio_stream)(path, start, end)


@contextlib.contextmanager
def _audio_stream(path: Path, start: float | None, end: float | None) -> Iterator[Stream]:
    """Yields the segment of a file that libsndfile reads. Raises ClipError."""
    try:
        with opened(path) as file, _sound(path, file) as sound:
            floating = sound.subtype in ("FLOAT", "DOUBLE")
            if sound.frames == _UNCOUNTED:
                blocks = _within(path, _audio_blocks(path, sound, 0, None), start, end, sound.samplerate)
                yield Stream(sound.samplerate, None, floating, blocks)
            else:
                first, last = _span(path, start, end, sound.frames, sound.samplerate)
                yield Stream(sound.samplerate, last - first, floating, _audio_blocks(path, sound, first, last))
    except soundfile.SoundFileError as error:
        text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
        known = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES + VIDEO_SUFFIXES)
        problem = f"unreadable: {text} Expected sound as {known}; fetch or convert the file again"
        raise bad_clip(path, problem) from error


@contextlib.contextmanager
def _sound(path: Path, file: BinaryIO) -> Iterator[_Sound]:
    """Yields the sound of an open file. Raises ClipError where its header declares more than there is."""
    length = os.fstat(file.fileno()).st_size
    inexact = require_whole(path, file, length)
    if inexact and (repaired := containers.repaired(file, length)):
        with _Sound(repaired) as sound:
            yield sound
        return
    file.seek(0)
    with _Sound(file.fileno(), closefd=False) as sound:
        declared = _FRAMES.findall(sound.extra_info) if sound.format in _FRAMES_IN_LOG else []
        if declared and int(declared[-1]) > sound.frames:
            problem = f"unreadable: {sound.frames} of {declared[-1]} samples are there; fetch the file again"
            raise bad_clip(path, problem)
        if sound.frames:
            yield sound
            return
    repaired = containers.repaired(file, length)
    if repaired is None:
        raise bad_clip(path, "empty: the file holds no samples; fetch it again")
    with _Sound(repaired) as sound:
        yield sound


def require_whole(path: Path, file: BinaryIO, length: int) -> bool:
    """Raises ClipError where the header declares more bytes than the file has; returns whether it needs a repair."""
    declared = containers.declared(file, length)
    if declared and (missing := declared.missing(length)):
        whole = length + missing
        raise bad_clip(path, f"unreadable: {length} of {whole} bytes are there; fetch the file again")
    if declared and declared.fault:
        remedy = "fetch the file again, or convert it where it is whole"
        raise bad_clip(path, f"unreadable: {declared.fault}; {remedy}")
    return declared is not None and declared.is_inexact(length)


def _audio_blocks(path: Path, sound: _Sound, first: int, last: int | None) -> Iterator[Block]:
    size = max(1, _BLOCK // sound.channels)
    dtype = "int16" if sound.subtype == "PCM_16" else "float64"
    sound.skip(first, size)
    position = first
    while last is None or position < last:
        sound_LxC = sound.read(size if last is None else min(size, last - position), dtype=dtype, always_2d=True)
        if not len(sound_LxC):
            if last is None:
                return
            there = f"{position - first} of {last - first} samples decoded"
            raise bad_clip(path, f"unreadable: {there}; the file is cut short")
        position += len(sound_LxC)
        yield sound.samplerate, sound_LxC


def _span(path: Path, start: float | None, end: float | None, frames: int, rate: int) -> tuple[int, int]:
    """Returns the first and one-past-last frame of a segment given in seconds."""
    if frames <= 0 or rate <= 0:
        raise bad_clip(path, "empty: the file holds no samples; fetch it again")
    seconds = frames / rate
    first = 0.0 if start is None else start
    last = seconds if end is None else end
    if not 0.0 <= first < last:
        raise bad_clip(path, f"bad segment: start {first:g} s, end {last:g} s; expected 0 <= start < end")
    if last > seconds + _END_TOLERANCE:
        late = f"bad segment: ends at {last:g} s, but the file ends at {seconds:.3f} s; correct `end`"
        raise bad_clip(path, late)
    return round(first * rate), min(round(last * rate), frames)


@contextlib.contextmanager
def _video_stream(path: Path, start: float | None, end: float | None) -> Iterator[Stream]:
    """Yields the segment of a video's first audio stream, by FFmpeg. Raises ClipError, or InputError without PyAV."""
    with opened(path) as file:
        require_whole(path, file, os.fstat(file.fileno()).st_size)
    try:
        import av
    except ImportError as error:
        remedy = "install it with: pip install 'siamese_jax[video]'"
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise bad_clip(path, f"unreadable: a video under another suffix, which needs PyAV; {remedy}") from error
        raise InputError(f"{path}: reading {path.suffix} needs PyAV; {remedy}") from error
    try:
        with _container(av, path) as container:
            if not container.streams.audio:
                raise bad_clip(path, "empty: the video has no audio stream; fetch it again")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise bad_clip(path, "unreadable: the codec of its sound is unknown; convert the file")
            rate = int(stream.rate or 0)
            floating = stream.codec_context.name.startswith("pcm_f")
            yield Stream(rate, None, floating, _within(path, _video_frames(path, container, stream), start, end, rate))
    except (av.FFmpegError, UnicodeError) as error:
        raise bad_clip(path, f"unreadable: {error}; fetch or convert the file again") from error


def _container(av: Any, path: Path) -> Any:
    # A playlist in a video's clothes may name other files; only this one is opened.
    options = {"protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path}", metadata_errors="ignore", options=options)
    except TypeError:  # PyAV 19 has no such argument: it reads no metadata here
        return av.open(f"file:{path}", options=options)


def _within(path: Path, blocks: Iterator[Block], start: float | None, end: float | None, rate: int) -> Iterator[Block]:
    """Yields what lies between `start` and `end` of a sound whose length is known at its end. Raises ClipError."""
    begin_s, end_s = start or 0.0, math.inf if end is None else end
    if not 0.0 <= begin_s < end_s:
        raise bad_clip(path, f"bad segment: start {begin_s:g} s, end {end_s:g} s; expected 0 <= start < end")
    first = round(min(begin_s, _LONGEST) * rate)
    last = None if end is None else round(min(end, _LONGEST) * rate)
    position = 0
    for block_rate, sound_LxC in blocks:
        begin, stop = max(first - position, 0), None if last is None else max(last - position, 0)
        position += len(sound_LxC)
        if len(sound_LxC[begin:stop]):
            yield block_rate, sound_LxC[begin:stop]
    _span(path, start, end, position, rate)


def _video_frames(path: Path, container: Any, stream: Any) -> Iterator[Block]:
    """Yields all frames of the audio stream as float64, whatever their rate and layout."""
    import av

    converter, layout = None, None
    decoded, reached = 0.0, 0.0
    for packet in container.demux():
        if packet.is_corrupt:
            raise bad_clip(path, "unreadable: FFmpeg finds a damaged packet; fetch the file again")
        if packet.pts is not None and packet.time_base:
            reached = max(reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != stream.index:
            continue
        for frame in stream.decode(packet):
            if (frame.sample_rate, frame.layout.name) != layout:
                # Only the sample format changes here: soxr resamples all sources alike.
                layout = frame.sample_rate, frame.layout.name
                converter = av.AudioResampler(format="dblp", layout=frame.layout, rate=frame.sample_rate)
            assert converter is not None
            decoded += frame.samples / frame.sample_rate
            for double in converter.resample(frame):
                yield frame.sample_rate, double.to_ndarray().T
    _require_reached(path, container, stream, decoded, reached)


_TIMED_CONTAINERS = ("avi", "mov", "matroska", "flv", "asf")
"""FFmpeg's names of the containers whose header declares a duration; FFmpeg guesses those of others."""


def _require_reached(path: Path, container: Any, stream: Any, decoded: float, reached: float) -> None:
    """Raises ClipError where the declared duration, of the stream or of the container, is not reached."""
    if not container.format.name.startswith(_TIMED_CONTAINERS):
        return
    ends = []
    if stream.duration is not None:
        ends.append((float(stream.duration * stream.time_base), decoded))
    if container.duration is not None:
        ends.append((container.duration / 1e6 + max(container.start_time or 0, 0) / 1e6, max(reached, decoded)))
    for declared, there in ends:
        if there < declared - max(_UNTIMED[0], _UNTIMED[1] * declared):
            problem = f"unreadable: {there:.2f} of {declared:.2f} s are there; fetch the file again"
            raise bad_clip(path, problem)

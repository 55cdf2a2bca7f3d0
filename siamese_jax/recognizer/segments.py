"""Long recordings cut at their pauses into segments, or as a CSV of segments says."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from siamese_jax.corpora.audio import RATE, recording_seconds, sound_blocks
from siamese_jax.errors import InputError

Span = tuple[float, float]
"""Start and end of a segment in seconds."""

Interval = tuple[int, int]
"""First and one-past-last sample."""


@dataclasses.dataclass(frozen=True)
class SegmentSettings:
    """How recordings are cut at pauses.

    Fields:
      longest, shortest: seconds of a segment; recordings up to `longest` stay whole.
      pause: seconds; sound is cut where it is quiet for so long.
      quiet_db: quiet is more than this below the loudest frame of about `block` seconds.
      least_dbfs: a loudest frame below this counts as this, so that a quiet room is no speech.
      margin: seconds kept before and after the sound.
      frame, hop: seconds of the frames whose level is measured.
      block: seconds in memory together.
    """

    longest: float = 8.0
    shortest: float = 1.0
    pause: float = 0.3
    quiet_db: float = 40.0
    least_dbfs: float = -50.0
    margin: float = 0.1
    frame: float = 0.04
    hop: float = 0.01
    block: float = 120.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "least_dbfs" and not value > 0:
                raise InputError(f"SegmentSettings.{field.name} = {value!r}: expected a number above 0")
        if not 2 * self.shortest <= self.longest <= self.block / 4:
            raise InputError(
                f"SegmentSettings: segments of {self.shortest} to {self.longest} s in blocks of {self.block} s; "
                "expected the longest to be twice the shortest or more, and a quarter of a block or less"
            )


SEGMENTS = SegmentSettings()


def recording_segments(path: Path, settings: SegmentSettings = SEGMENTS) -> list[Span] | None:
    """Returns the segments of a recording of any length; None for one that stays whole, none for nothing but quiet.

    Memory is bounded by the block. Raises ClipError where the recording cannot be read.
    """
    seconds = recording_seconds(path)
    if seconds is not None and seconds <= settings.longest:
        return None
    spans: list[Span] = []
    offset, block = 0, np.zeros(0, np.int16)
    most, least = round(settings.block * RATE), round(settings.shortest * RATE)
    for samples in sound_blocks(path):
        block = np.concatenate([block, samples])
        while len(block) > most:
            cut = _quietest(block, most // 2, most - least, round(settings.hop * RATE))
            spans += _shifted(speech_segments(block[:cut], RATE, settings), offset / RATE)
            offset, block = offset + cut, block[cut:]
    if offset == 0 and len(block) <= settings.longest * RATE:
        return None
    spans += _shifted(speech_segments(block, RATE, settings), offset / RATE)
    return spans


def speech_segments(samples: np.ndarray, rate: int, settings: SegmentSettings = SEGMENTS) -> list[Span]:
    """Returns the segments of a sound, samples [n] int16 or float in [-1, 1]: ordered, apart, within the sound.

    Every frame that is not quiet is in a segment. Segments have `shortest` to `longest` seconds, but for a sound that
    is shorter itself.
    """
    import librosa  # takes a second, and only long recordings need it

    scale = 32768 if samples.dtype == np.int16 else 1
    sound = samples.astype(np.float32) / np.float32(scale)
    frame, hop = round(settings.frame * rate), round(settings.hop * rate)
    rms = librosa.feature.rms(y=sound, frame_length=frame, hop_length=hop)
    loudest = max(float(rms.max()), 10 ** (settings.least_dbfs / 20))
    intervals = librosa.effects.split(
        sound, top_db=settings.quiet_db, ref=loudest, frame_length=frame, hop_length=hop
    )  # fmt: skip
    found = [(int(start), int(end)) for start, end in intervals if end > start]
    return [(start / rate, end / rate) for start, end in bounded(found, sound, rate, settings)]


def sounding_seconds(samples: np.ndarray, rate: int, settings: SegmentSettings = SEGMENTS) -> float:
    """Returns how much of a sound, samples [n] int16, is in frames that are not quiet, without overlap of frames."""
    frame = round(settings.frame * rate)
    frames = np.pad(samples.astype(np.float32), (0, -len(samples) % frame)).reshape(-1, frame)
    level = np.sqrt(np.square(frames).mean(axis=1)) / 32768
    loudest = max(float(level.max(initial=0.0)), 10 ** (settings.least_dbfs / 20))
    return float((level > loudest * 10 ** (-settings.quiet_db / 20)).sum()) * settings.frame


def bounded(intervals: list[Interval], sound: np.ndarray, rate: int, settings: SegmentSettings) -> list[Interval]:
    """Returns the segments that cover ordered intervals of a sound [n], as `speech_segments` describes them."""
    shortest, longest = round(settings.shortest * rate), round(settings.longest * rate)
    joined = _joined(intervals, round(settings.pause * rate))
    wide = _widened(joined, len(sound), round(settings.margin * rate), shortest)
    return list(_cut(wide, sound, round(settings.hop * rate), shortest, longest))


def _joined(intervals: list[Interval], gap: int) -> list[Interval]:
    """Returns ordered intervals, joined where less than `gap` lies between two."""
    joined: list[Interval] = []
    for start, end in intervals:
        if joined and start - joined[-1][1] < gap:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _widened(intervals: list[Interval], length: int, margin: int, shortest: int) -> list[Interval]:
    """Returns intervals with a margin, up to `shortest` where there is room; those without room join a neighbour."""
    middles = [(a[1] + b[0]) // 2 for a, b in itertools.pairwise(intervals)]
    limits = zip([0, *middles], [*middles, length])
    wide = [_grown(interval, low, high, margin, shortest) for interval, (low, high) in zip(intervals, limits)]
    while len(wide) > 1:
        short = next((i for i, (start, end) in enumerate(wide) if end - start < shortest), None)
        if short is None:
            break
        before = wide[short][0] - wide[short - 1][1] if short else length
        after = wide[short + 1][0] - wide[short][1] if short + 1 < len(wide) else length
        first = short - 1 if before <= after and short else short
        wide[first : first + 2] = [(wide[first][0], wide[first + 1][1])]
    return wide


def _grown(interval: Interval, low: int, high: int, margin: int, shortest: int) -> Interval:
    start, end = interval
    start, end = max(start - margin, low), min(end + margin, high)
    missing = max(shortest - (end - start), 0)
    left = min((missing + 1) // 2, start - low)
    right = min(missing - left, high - end)
    left = min(missing - right, start - low)
    return start - left, end + right


def _cut(intervals: list[Interval], sound: np.ndarray, hop: int, shortest: int, longest: int) -> Iterator[Interval]:
    """Yields the intervals, longer ones cut at their quietest places."""
    for start, end in intervals:
        while end - start > longest:
            low, high = start + max(shortest, longest // 2), min(start + longest, end - shortest)
            cut = low + _quietest(sound[low:high], 0, high - low, hop)
            yield start, cut
            start = cut
        yield start, end


def _quietest(sound: np.ndarray, low: int, high: int, hop: int) -> int:
    """Returns the place from `low` to `high` in the middle of the hop with the least energy."""
    hops = (high - low) // hop
    if hops < 1:
        return high
    frames = sound[low : low + hops * hop].astype(np.float32).reshape(hops, hop)
    # Over three hops: a zero crossing is no pause.
    level = np.convolve(np.square(frames).mean(axis=1), np.ones(3), "same")
    return low + int(np.argmin(level)) * hop + hop // 2


def _shifted(spans: list[Span], seconds: float) -> list[Span]:
    return [(start + seconds, end + seconds) for start, end in spans]

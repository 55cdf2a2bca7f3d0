"""The clips of recordings: whole, cut at pauses, or as a CSV of segments says."""

import contextlib
import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.audio import recording_seconds
from siamese_jax.corpora.csv_files import read_csv, some
from siamese_jax.corpora.manifest import Clip
from siamese_jax.corpora.row_fields import RowProblem, file_problem, grouped, seconds
from siamese_jax.corpora.spelling import nfc, printable, stored_path
from siamese_jax.errors import ClipError, InputError
from siamese_jax.recognizer.recordings import Recordings
from siamese_jax.recognizer.segments import SEGMENTS, SegmentSettings, Span, recording_segments
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.files import user_path

log = logging.getLogger(__name__)

_TOLERANCE = 0.01  # seconds by which a segment may end late; tables round to hundredths


def cut(given: Recordings, listed: Mapping[str, list[Span]], strict: bool) -> Recordings:
    """Returns recordings whose clips are `segmented`."""
    return dataclasses.replace(given, clips=segmented(given.root, given.clips, listed, given.left_out, strict))


def segmented(
    root: Path, clips: Iterable[Clip], listed: Mapping[str, list[Span]], left_out: list[tuple[str, str]],
    strict: bool, settings: SegmentSettings = SEGMENTS,
) -> Iterator[Clip]:  # fmt: skip
    """Yields a clip for each segment: those that `listed` has for the file, else of a long recording its segments.

    Clips with times of their own stay what they are, and those that cannot be read are left to their reader. (file,
    reason) of a long recording of nothing but quiet is added to `left_out`; under `strict` it is raised as ClipError.
    """
    n_cut = 0
    unused = set(listed)
    for clip in clips:
        interrupt.check()
        spans, file = None, nfc(clip.file)
        unused.discard(file)
        if clip.start is None and clip.end is None:
            with contextlib.suppress(ClipError):  # the reader names and counts it
                spans = listed.get(file) or recording_segments(stored_path(root, clip.file), settings)
        if spans is None:
            yield clip
            continue
        if not spans:
            error = ClipError(clip.file, f"silent: nothing above {settings.least_dbfs - settings.quiet_db:g} dBFS")
            if strict:
                raise error
            log.warning("left out: %s", printable(str(error)))
            left_out.append((error.file, error.reason))
            continue
        n_cut += file not in listed
        for start, end in spans:
            yield dataclasses.replace(clip, name=f"{clip.name}#{start:.3f}-{end:.3f}", start=start, end=end)
    if n_cut:
        log.info("%d long recordings were cut at their pauses", n_cut)
    if unused:
        log.warning("segments of recordings that are not among those given: %s", some(sorted(map(printable, unused))))


def read_segments(path: str | Path, root: Path) -> dict[str, list[Span]]:
    """Returns the segments of files below `root` from a CSV with file, start, end (seconds); they may overlap.

    Raises InputError, naming rows and fields, for an unknown file, times that are missing, not in order or outside the
    recording, and a segment that is listed twice.
    """
    path = user_path(path)
    spans: dict[str, list[Span]] = defaultdict(list)
    problems: list[RowProblem] = []
    lengths: dict[str, float | str | None] = {}
    first: dict[tuple[str, Span], int] = {}
    for number, row in read_csv(path, ("file", "start", "end"), ()):
        file = nfc(row["file"]).replace("\\", "/")
        file = PurePosixPath(file).as_posix() if file else ""
        span, bad = _span(row, number)
        if file not in lengths:
            lengths[file] = _length(root, file)
        bad += _outside(number, lengths[file], span)
        if span and not bad and first.setdefault((file, span), number) != number:
            bad = [RowProblem(number, "file", f"the segment is already in row {first[file, span]}; list it once")]
        problems += bad
        if span and not bad:
            spans[file].append(span)
    if problems:
        named = some([str(group) for group in grouped(problems, "")])
        raise InputError(f"{printable(str(path))}: {len(problems)} bad fields: {named}")
    if not spans:
        raise InputError(f"{printable(str(path))}: no rows below the header; expected one row for each segment")
    return dict(spans)


def _span(row: Mapping[str, str], number: int) -> tuple[Span | None, list[RowProblem]]:
    times: dict[str, float] = {}
    problems = []
    for field in ("start", "end"):
        try:
            value = seconds(row[field])
        except ValueError as error:
            problems.append(RowProblem(number, field, f"{row[field]!r}, {error}", shared=str(error)))
            continue
        if value is None:
            problems.append(RowProblem(number, field, "is empty; expected seconds"))
        else:
            times[field] = value
    if problems:
        return None, problems
    if times["end"] <= times["start"]:
        late = f"{times['end']:g} s does not lie after the start, {times['start']:g} s"
        return None, [RowProblem(number, "end", late, shared="does not lie after the start")]
    return (times["start"], times["end"]), []


def _length(root: Path, file: str) -> float | str | None:
    """Returns the length of a recording in seconds, None where it is unknown, or why it has none."""
    if not file or (problem := file_problem(file)):
        return "is empty; fill it in" if not file else problem
    try:
        return recording_seconds(stored_path(root, file))
    except ClipError as error:
        return f"{file!r} is no recording below {printable(root.name) or 'the folder'}: {error.reason}"


def _outside(number: int, length: float | str | None, span: Span | None) -> list[RowProblem]:
    if isinstance(length, str):
        return [RowProblem(number, "file", length)]
    if length is not None and span and span[1] > length + _TOLERANCE:
        late = f"{span[1]:g} s lies after the end of the recording, {length:.2f} s"
        return [RowProblem(number, "end", late, shared="lies after the end of the recording")]
    return []

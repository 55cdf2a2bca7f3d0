"""Checks of a manifest before anything is computed from it: present, missing and duplicate clips; as plain text too."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from siamese_jax.corpora.audio import CUT_OFF, RATE, audio_hash, decode
from siamese_jax.corpora.manifest import EMOTIONS, NOT_LISTED, Clip, Manifest, unknown_label
from siamese_jax.corpora.row_fields import ALIASES, RowProblem, grouped
from siamese_jax.corpora.spelling import printable, similar_speakers
from siamese_jax.errors import ClipError
from siamese_jax.runtime.progress import bars
from siamese_jax.runtime.threads import in_order


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem of a manifest.

    `severity` is "error" or "warning"; `kind` is of `siamese_jax.corpora.audio.KINDS`, or "row", "folder",
    "unknown label", "absent class", "one class", "duplicates", "spelling", "cut off"; `where` is the file, row, speaker
    or class; `message` tells the expectation and the remedy.
    """

    severity: str
    kind: str
    where: str
    message: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a manifest's check.

    `counts` [S, E] int are the usable clips of the S speakers and the E emotions that occur, or were required;
    `unlabelled` is the number of usable clips without an emotion; `n_clips` is the number of clips, bad rows included,
    `seconds` the length of the usable clips; `findings` has errors first; `left_out` holds (file, reason) of the files
    that the manifest leaves out.
    """

    emotions: tuple[str, ...]
    speakers: tuple[str, ...]
    counts: np.ndarray
    unlabelled: int
    n_clips: int
    seconds: float
    findings: tuple[Finding, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")


class _Decoded(NamedTuple):
    """The digest and the length of a clip's samples, and whether some were cut off; or the error."""

    digest: str
    samples: int
    cut_off: bool
    error: ClipError | None


def check_manifest(
    manifest: Manifest, required: Sequence[str], workers: int, problems: Sequence[RowProblem] = ()
) -> Report:
    """Decodes every clip, in `workers` threads, and reports the problems that would stop or bias a training run.

    Errors: an unusable clip, a bad row (`problems`, of `siamese_jax.corpora.manifest.read_rows`), an unknown label, an
    emotion of `required` without a usable clip. Warnings: a speaker with clips of one class only, and duplicates, clips
    with the same samples. Raises InputError where a package that decodes the clips is not installed.
    """
    decoded = list(_decode_all(manifest, workers))
    usable = [clip for clip, result in zip(manifest.clips, decoded) if result.error is None]
    emotions = tuple(dict.fromkeys((*required, *sorted({clip.emotion for clip in manifest} - {""}))))
    speakers = tuple(sorted({clip.speaker for clip in manifest}))
    count = Counter((clip.speaker, clip.emotion) for clip in usable)
    counts = np.asarray([[count[speaker, emotion] for emotion in emotions] for speaker in speakers], dtype=np.int64)
    counts = counts.reshape(len(speakers), len(emotions))
    findings = list(_row_findings(problems))
    findings += [Finding("error", "folder", *place) for place in manifest.left_out if place[1].startswith(NOT_LISTED)]
    findings += _clip_findings(manifest, decoded)
    findings += _class_findings(speakers, emotions, counts, required)
    findings += _duplicate_findings(manifest, decoded)
    if warning := similar_speakers(clip.speaker for clip in manifest):
        findings.append(Finding("warning", "spelling", "speaker", warning))
    findings.sort(key=lambda finding: finding.severity)
    seconds = sum(result.samples for result in decoded) / RATE
    n_clips = len(manifest) + len({problem.row for problem in problems})
    unlabelled = sum(not clip.emotion for clip in usable)
    return Report(emotions, speakers, counts, unlabelled, n_clips, seconds, tuple(findings), manifest.left_out)


def _row_findings(problems: Sequence[RowProblem]) -> Iterator[Finding]:
    """Yields a finding for each kind of problem, with the number of its rows."""
    for kind, label in (("unknown label", True), ("row", False)):
        for group in grouped((p for p in problems if bool(p.subject) == label), ALIASES):
            yield Finding("error", kind, group.where, group.message)


def _decode_all(manifest: Manifest, workers: int) -> Iterator[_Decoded]:
    """Yields the result of every clip, in the manifest's order, by threads: decoding releases the interpreter."""

    def work(clip: Clip) -> _Decoded:
        try:
            sound = decode(manifest.path(clip), clip.start, clip.end)
        except ClipError as error:
            return _Decoded("", 0, False, error)
        return _Decoded(audio_hash(sound.samples), len(sound.samples), sound.resampling.endswith(CUT_OFF), None)

    with bars() as progress:
        advance = progress.start("clips", len(manifest))
        for result in in_order(work, manifest, workers, 16 * workers):
            advance(1)
            yield result


def _clip_findings(manifest: Manifest, decoded: Sequence[_Decoded]) -> Iterator[Finding]:
    for clip, result in zip(manifest.clips, decoded):
        if result.error is not None:
            kind, _, message = result.error.reason.partition(": ")
            yield Finding("error", kind, clip.file, message)
        if result.cut_off:
            yield Finding(
                "warning", "cut off", clip.file, "samples beyond [-1, 1] are cut off at full scale; scale them"
            )
        if clip.emotion and clip.emotion not in EMOTIONS:
            yield Finding("error", "unknown label", clip.file, unknown_label(clip.emotion))


def _class_findings(
    speakers: Sequence[str], emotions: Sequence[str], counts: np.ndarray, required: Sequence[str]
) -> Iterator[Finding]:
    for column, emotion in enumerate(emotions):
        if emotion in required and not counts[:, column].any():
            yield Finding("error", "absent class", emotion, "no usable clip; add some or ask for other emotions")
    for speaker, row in zip(speakers, counts):
        if (row > 0).sum() == 1 and counts.any(axis=0).sum() > 1:
            emotion = emotions[int(np.argmax(row))]
            message = f"speaks {emotion} only, so the voice gives the class away; add other emotions or leave out"
            yield Finding("warning", "one class", speaker, message)


def _duplicate_findings(manifest: Manifest, decoded: Sequence[_Decoded]) -> Iterator[Finding]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip, result in zip(manifest.clips, decoded):
        if result.digest:
            groups[result.digest].append(clip)
    for clips in groups.values():
        if len(clips) == 1:
            continue
        message = f"the same samples as {', '.join(clip.file for clip in clips[1:])}"
        for field in ("speaker", "emotion"):
            values = dict.fromkeys(getattr(clip, field) for clip in clips)
            if len(values) > 1:
                message += f", under two {field}s ({', '.join(values)})"
        yield Finding("warning", "duplicates", clips[0].file, message + "; keep such clips on one side of every split")


def format_report(report: Report, shown: int) -> str:
    """Returns the table of clips by speaker and emotion, the files left out and the findings, `shown` of each kind."""
    lines = [*_table(report), ""]
    usable, rows = int(report.counts.sum()) + report.unlabelled, "rows" if _has_bad_rows(report) else "clips"
    lines.append(f"{usable} of {report.n_clips} {rows} usable, {report.seconds:.0f} s, {len(report.speakers)} speakers")
    if report.unlabelled:
        lines.append(f"{report.unlabelled} of these are unlabelled: usable for prediction, left out of the protocols")
    left_out: dict[str, list[str]] = defaultdict(list)
    for file, reason in report.left_out:
        if reason.startswith(NOT_LISTED):
            continue
        # Behind a colon is a fact of this file alone: the file that it is a copy of.
        kind, colon, original = reason.partition(": ")
        left_out[kind].append(f"{file}{colon}{original}")
    for reason, files in left_out.items():
        lines += _listed(f"left out: {reason}", files, shown)
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in report.findings:
        kinds[finding.severity, finding.kind].append(f"{finding.where}: {finding.message}")
    for (severity, kind), texts in kinds.items():
        lines += _listed(f"{severity}: {kind}", texts, shown)
    n_errors = len(report.errors)
    lines.append(f"{n_errors} errors, {len(report.findings) - n_errors} warnings")
    return "\n".join(map(printable, lines)) + "\n"


def _has_bad_rows(report: Report) -> bool:
    return any(finding.kind in ("row", "unknown label") for finding in report.findings)


def _listed(title: str, items: list[str], shown: int) -> list[str]:
    more = [f"  and {len(items) - shown} more"] if len(items) > shown else []
    return [f"{title} ({len(items)})", *(f"  {item}" for item in items[:shown]), *more]


def _table(report: Report) -> list[str]:
    width = max(len(speaker) for speaker in (*report.speakers, "speaker"))
    widths = [max(len(emotion), 5) for emotion in (*report.emotions, "all")]
    rows = [("speaker", [*report.emotions, "all"])]
    for speaker, counts in zip(report.speakers, report.counts):
        rows.append((speaker, [*map(str, counts), str(counts.sum())]))
    rows.append(("all", [*map(str, report.counts.sum(axis=0)), str(report.counts.sum())]))
    return ["  ".join([name.ljust(width), *(cell.rjust(w) for cell, w in zip(cells, widths))]) for name, cells in rows]

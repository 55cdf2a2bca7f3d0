"""Checks of a manifest before anything is computed from it: present, missing and duplicate clips; as plain text too."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from siamese_jax.corpora.audio import RATE, audio_hash, decode
from siamese_jax.corpora.manifest import EMOTIONS, Clip, Manifest, RowProblem, unknown_label
from siamese_jax.errors import ClipError
from siamese_jax.runtime.progress import bars
from siamese_jax.runtime.threads import in_order


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem of a manifest.

    `severity` is "error" or "warning"; `kind` is of `siamese_jax.corpora.audio.KINDS`, or "row", "unknown label",
    "absent class", "one class", "duplicates"; `where` is the file, row, speaker or class; `message` tells the
    expectation and the remedy.
    """

    severity: str
    kind: str
    where: str
    message: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a manifest's check.

    `counts` [S, E] int are the usable clips of the S speakers and the E emotions that occur, or were required;
    `n_clips` is the number of clips of the manifest, `seconds` the length of the usable clips; `findings` has errors
    first; `left_out` holds (file, reason) of the files that the manifest leaves out.
    """

    emotions: tuple[str, ...]
    speakers: tuple[str, ...]
    counts: np.ndarray
    n_clips: int
    seconds: float
    findings: tuple[Finding, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")


class _Decoded(NamedTuple):
    """The digest and the length of a clip's samples, or the error."""

    digest: str
    samples: int
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
    emotions = tuple(dict.fromkeys((*required, *sorted({clip.emotion for clip in manifest}))))
    speakers = tuple(sorted({clip.speaker for clip in manifest}))
    count = Counter((clip.speaker, clip.emotion) for clip in usable)
    counts = np.asarray([[count[speaker, emotion] for emotion in emotions] for speaker in speakers], dtype=np.int64)
    findings = [Finding("error", "row", f"row {p.row}, {p.field}", p.message) for p in problems]
    findings += _clip_findings(manifest, decoded)
    findings += _class_findings(speakers, emotions, counts, required)
    findings += _duplicate_findings(manifest, decoded)
    findings.sort(key=lambda finding: finding.severity)
    seconds = sum(result.samples for result in decoded) / RATE
    return Report(emotions, speakers, counts, len(manifest), seconds, tuple(findings), manifest.left_out)


def _decode_all(manifest: Manifest, workers: int) -> Iterator[_Decoded]:
    """Yields the result of every clip, in the manifest's order, by threads: decoding releases the interpreter."""

    def work(clip: Clip) -> _Decoded:
        try:
            samples = decode(manifest.path(clip), clip.start, clip.end).samples
        except ClipError as error:
            return _Decoded("", 0, error)
        return _Decoded(audio_hash(samples), len(samples), None)

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
        if clip.emotion not in EMOTIONS:
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
    usable = int(report.counts.sum())
    lines.append(f"{usable} of {report.n_clips} clips usable, {report.seconds:.0f} s, {len(report.speakers)} speakers")
    left_out: dict[str, list[str]] = defaultdict(list)
    for file, reason in report.left_out:
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
    return "\n".join(lines) + "\n"


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

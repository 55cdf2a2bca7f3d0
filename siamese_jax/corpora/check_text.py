"""The report of a manifest's check as plain text."""

from collections import defaultdict

from siamese_jax.corpora.check import Report


def format_report(report: Report, shown: int) -> str:
    """The table of clips by speaker and emotion, then what was left out and what was found.

    Args:
      report: the report.
      shown: how many findings of one kind are spelt out; the others are counted.
    """
    lines = [*_table(report), ""]
    usable = int(report.counts.sum())
    lines.append(f"{usable} of {report.n_clips} clips usable, {report.seconds:.0f} s, {len(report.speakers)} speakers")
    left_out: dict[str, list[str]] = defaultdict(list)
    for file, reason in report.left_out:
        # What comes after a colon is this file's own: the file that it is a copy of.
        kind, colon, own = reason.partition(": ")
        left_out[kind].append(f"{file}{colon}{own}")
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

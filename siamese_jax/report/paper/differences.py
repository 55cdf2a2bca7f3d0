"""Paired differences between fine-tuning methods, in Markdown."""

from collections.abc import Iterator
from itertools import groupby

from siamese_jax.experiments.records import Difference, joined
from siamese_jax.report.render import text
from siamese_jax.report.render.markdown import escape


def markdown(differences: list[Difference]) -> str:
    """One table a pair of methods, head, scaling and split: speakers down, steps across; only the fewest frozen."""
    if not differences:
        return "No paired differences: one method only.\n"
    unfrozen = [row for row in differences if row.frozen == min(other.frozen for other in differences)]

    def group(row: Difference) -> tuple[str, ...]:
        return row.head, row.scaling, row.split, row.method, row.minus

    first = unfrozen[0]
    corpora = escape(f"{first.source} to {first.target}")
    parts = [
        f"# Paired differences of UAR (unweighted average recall), {corpora}\n\nPoints; the "
        f"same draws, starting networks and test clips on both sides; {first.n_draws} draws, {first.n_seeds} source "
        f"trainings; in brackets the {first.interval} interval (Monte Carlo error on these speakers); frozen layers: "
        f"{first.frozen}.\n"
    ]
    for (head, scaling, split, method, minus), rows in groupby(sorted(unfrozen, key=group), key=group):
        title = escape(f"{method} minus {minus} (head {head}, scaled by {scaling}, split {split})")
        parts.append(f"\n## {title}\n\n")
        parts.extend(_table(list(rows)))
    return "".join(parts)


def _table(rows: list[Difference]) -> Iterator[str]:
    steps = sorted({row.steps for row in rows})
    yield "| speakers | " + " | ".join(f"{n} steps" for n in steps) + " |\n" + "|---" * (len(steps) + 1) + "|\n"
    for n_speakers in sorted({row.n_speakers for row in rows}):
        cells = {row.steps: text.bounded(row.uar_difference, row.ci_low, row.ci_high, signed=True)
                 for row in rows if row.n_speakers == n_speakers}  # fmt: skip
        remarks = joined(*dict.fromkeys(row.remarks for row in rows if row.n_speakers == n_speakers))
        yield f"| {joined(str(n_speakers), remarks)} | " + " | ".join(cells[n] for n in steps) + " |\n"

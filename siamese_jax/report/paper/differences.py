"""Paired differences between fine-tuning methods, in Markdown."""

from collections.abc import Iterator
from itertools import groupby

from siamese_jax.experiments.rows import Difference


def markdown(differences: list[Difference]) -> str:
    """One table for each pair of methods, head, scaling and split: numbers of speakers down, steps across.

    Only the cells without frozen layers; differences.json holds the others.
    """
    if not differences:
        return "No paired differences: one method only.\n"
    unfrozen = [d for d in differences if d.frozen == min(x.frozen for x in differences)]

    def group(d: Difference) -> tuple[str, ...]:
        return d.head, d.scaling, d.split, d.method, d.minus

    first = unfrozen[0]
    parts = [
        f"# Paired differences of UAR, {first.source} to {first.target}\n\nPoints; the same draws, starting networks "
        f"and test clips on both sides; {first.n_draws} draws, {first.n_seeds} source trainings; in brackets the "
        f"{first.interval} interval (Monte Carlo error on these speakers); frozen layers: {first.frozen}.\n"
    ]
    for (head, scaling, split, method, minus), found in groupby(sorted(unfrozen, key=group), key=group):
        parts.append(f"\n## {method} minus {minus} (head {head}, scaled by {scaling}, split {split})\n\n")
        parts.extend(_table(list(found)))
    return "".join(parts)


def _table(differences: list[Difference]) -> Iterator[str]:
    steps = sorted({d.steps for d in differences})
    yield "| speakers | " + " | ".join(f"{n} steps" for n in steps) + " |\n" + "|---" * (len(steps) + 1) + "|\n"
    for n_speakers in sorted({d.n_speakers for d in differences}):
        cells = {d.steps: _cell(d) for d in differences if d.n_speakers == n_speakers}
        yield f"| {n_speakers} | " + " | ".join(cells[n] for n in steps) + " |\n"


def _cell(d: Difference) -> str:
    if d.uar_difference is None:
        return "not computable"
    if d.ci_low is None:
        return f"{d.uar_difference:+.1f}"
    return f"{d.uar_difference:+.1f} [{d.ci_low:+.1f}, {d.ci_high:+.1f}]"

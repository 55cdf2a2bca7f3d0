"""The first section: what was found, in a few sentences that say only what the numbers carry."""

from collections.abc import Iterator

import numpy as np

from siamese_jax.experiments.rows import Row
from siamese_jax.report.loading import counts
from siamese_jax.report.loading.reproduction import Loaded, settings
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Alert, Block, Paragraph, Section
from siamese_jax.report.sections import paired
from siamese_jax.stats import coverage


def section(runs: list[Loaded]) -> Section:
    """In short."""
    blocks: list[Block] = []
    for run in runs:
        blocks.extend(Alert(f"{run.label}: {note}") for note in run.notes)
        start = f"{run.label}: " if len(runs) > 1 else ""
        blocks.extend(Paragraph(start + text) for text in _scores(run))
        blocks.extend(_claims(run, start))
    blocks.append(Paragraph(
        "UAR is the unweighted average recall, the mean of the emotions' recalls. The paper's split tests all clips "
        "that were not drawn, the drawn speakers' others among them; beside it stand the scores on other speakers "
        "only. Where features are scaled by corpus or by speaker, the unlabelled test clips were seen. Intervals over "
        "draws or seeds are Monte Carlo error; only intervals over speakers speak about other people."
    ))  # fmt: skip
    return Section("In short", blocks)


def _scores(run: Loaded) -> Iterator[str]:
    e = run.experiment
    for setting in settings(e)[:1]:
        mine = [r for r in run.rows if r.split == "paper"]
        key = ("fine_tuning", "fixed", e.report.fixed_steps, setting.head, setting.scope)
        tuned = [r for r in mine if (r.method, r.selection, r.steps, r.head, r.scaling) == key]
        parts = [f"{counts.SHORT_NAMES[str(r.loss)].removeprefix('+ ')} {_row(r)}" for r in tuned]
        yield (
            f"{run.corpora}, {', '.join(e.data.emotions)} ({setting.name}; {counts.cell_name(run)}): UAR of "
            f"{words.listed(parts)} (per cent, {100 * e.report.level:g} % t interval over "
            f"{words.plural(e.protocol.n_draws, 'draw')})."
        )
        others = [r for r in mine if r.method in CLASSIFIER_NAMES and r.selection == "fixed"
                  and r.data == "source+target" and r.scaling == setting.scope]  # fmt: skip
        if others:
            parts = [f"{CLASSIFIER_NAMES[r.method]} {_row(r)}" for r in others]
            yield f"On the same clips: {words.listed(parts)}."


def _row(row: Row) -> str:
    if row.uar_mean is None:
        return "not computable"
    limits = "interval not computable" if row.ci_low is None else f"{row.ci_low:.1f}–{row.ci_high:.1f}"
    return f"{row.uar_mean:.1f} ({limits})"


def _claims(run: Loaded, start: str) -> Iterator[Block]:
    """The ratio loss against plain fine-tuning and against the control, over speakers and source seeds."""
    if run.missing:
        yield Alert(f"{start}per-clip results are left out: {run.missing}.")
        return
    e = run.experiment
    for setting in settings(e)[:1]:
        cell = counts.tuned(
            run, setting, e.report.fixed_n_speakers, e.report.fixed_frozen, e.report.fixed_steps, "paper"
        )
        for pair in paired.loss_pairs(*cell):
            interval = pair.difference.over_speakers_and_seeds(e.report.level)
            n = int(interval.n_units)
            if n < 2 or interval.kind not in coverage.offered_methods(n, "speakers+seeds"):
                interval = pair.difference.over_speakers(e.report.level)
            value = words.estimate(interval, factor=100, signed=True)
            low, high = float(interval.low), float(interval.high)
            if not np.isfinite(low + high):
                verdict = "no claim can be made"
            elif low <= 0 <= high:
                verdict = "no difference can be claimed"
            else:
                verdict = "the interval leaves out 0 (one of several comparisons: see the corrected tests)"
            yield Paragraph(f"{start}{pair.name}, points of UAR: {value} ({interval.label}); {verdict}.")

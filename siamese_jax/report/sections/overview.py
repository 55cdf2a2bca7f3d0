"""The first section: the findings in a few sentences, no stronger than the numbers."""

from collections.abc import Iterator

import numpy as np

from siamese_jax.experiments.records import Row
from siamese_jax.report.loading.reproduction import Loaded, settings
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Alert, Block, Paragraph, Section
from siamese_jax.report.sections import paired
from siamese_jax.stats import coverage


def section(runs: list[Loaded]) -> Section:
    """In short."""
    blocks: list[Block] = []
    for run in runs:
        blocks.extend(Alert(f"{run.label}: {note}") for note in run.notes)
        start = f"{run.label}: " if len(runs) > 1 else ""
        blocks.extend(Paragraph(start + sentence) for sentence in _scores(run))
        blocks.extend(_claims(run, start))
    blocks.append(Paragraph(
        "The paper's split tests all clips that were not drawn, the drawn speakers' others among them; the scores on "
        "other speakers only are given next to it. If features are scaled by corpus or by speaker, the unlabelled test "
        "clips were seen. Intervals over draws or seeds are Monte Carlo error; only intervals over speakers speak "
        "about other people."
    ))  # fmt: skip
    return Section("In short", blocks)


def _scores(run: Loaded) -> Iterator[str]:
    protocol, report = run.experiment.protocol, run.experiment.report
    for setting in settings(run.experiment)[:1]:
        fixed = [row for row in run.rows if (row.split, row.selection) == ("paper", "fixed")]
        key = ("fine_tuning", report.fixed_steps, setting.head, setting.scope)
        tuned = [row for row in fixed if (row.method, row.steps, row.head, row.scaling) == key]
        parts = [f"{SHORT_NAMES[str(row.loss)].removeprefix('+ ')} {_row(row)}" for row in tuned]
        yield (
            f"{run.corpora}, {', '.join(run.experiment.data.emotions)} ({setting.name}; {run.fixed_name}): UAR "
            f"of {text.listed(parts)} (per cent, {100 * report.level:g} % t interval over "
            f"{text.plural(protocol.n_draws, 'draw')})."
        )
        baselines = [row for row in fixed if row.method in CLASSIFIER_NAMES
                     and (row.data, row.scaling) == ("source+target", setting.scope)]  # fmt: skip
        if baselines:
            parts = [f"{CLASSIFIER_NAMES[row.method]} {_row(row)}" for row in baselines]
            yield f"Baselines on the same clips: {text.listed(parts)}."


def _row(row: Row) -> str:
    if row.uar_mean is None:
        return "not computable"
    limits = "interval not computable" if row.ci_low is None else f"{row.ci_low:.1f}–{row.ci_high:.1f}"
    return f"{row.uar_mean:.1f} ({limits})"


def _claims(run: Loaded, start: str) -> Iterator[Block]:
    if run.missing:
        yield Alert(f"{start}per-clip results are left out: {run.missing}.")
        return
    level = run.experiment.report.level
    for setting in settings(run.experiment)[:1]:
        for pair in paired.loss_pairs(*run.tuned(setting, "paper")):
            interval = pair.difference.over_speakers_and_seeds(level)
            n = int(interval.n_units)
            if n < 2 or interval.kind not in coverage.offered_methods(n, "speakers+seeds"):
                interval = pair.difference.over_speakers(level)
            value = text.estimate(interval, factor=100, signed=True)
            low, high = float(interval.low), float(interval.high)
            if not np.isfinite(low + high):
                verdict = "no claim can be made"
            elif low <= 0 <= high:
                verdict = "no difference can be claimed"
            else:
                verdict = "the interval leaves out 0 (one of several comparisons: see the corrected tests)"
            yield Paragraph(f"{start}{pair.name}, points of UAR: {value} ({interval.label}); {verdict}.")

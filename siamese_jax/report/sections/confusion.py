"""Confusion matrices, and the recall of each emotion with its interval over speakers."""

import textwrap
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from siamese_jax.report.loading import counts
from siamese_jax.report.loading.counts import Counted
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.render import figures
from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Block, Gallery, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import estimands, intervals
from siamese_jax.stats.records import Interval


def section(runs: list[Loaded]) -> Section:
    """Confusion matrices of each setting."""
    blocks = each_setting(runs, _blocks, lambda run: run.missing and f"no confusion matrices, since {run.missing}")
    return Section("Confusion matrices", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    found = counts.references(run, setting) + counts.fixed_cell(run, setting, "paper")
    yield Gallery([_picture(run, one, f"confusion_{number}_{one.key}") for one in found])
    yield recall_table(run, found, setting)


def recall_table(run: Loaded, found: list[Counted], setting: Setting) -> Table:
    """Recall of each emotion, all repetitions pooled, with jackknife t intervals over the target's speakers."""
    e = run.experiment
    pooled = np.stack([one.pooled for one in found]).astype(np.float32)
    by_emotion = [_recall(pooled, label, e.report.level) for label in range(len(e.data.emotions))]
    rows = [
        (one.name, *(words.estimate(interval, (i,), 100) for interval in by_emotion)) for i, one in enumerate(found)
    ]
    n = int(np.asarray(by_emotion[0].n_units).min())
    return Table(
        f"Recall in per cent, {setting.name}; fine-tuning: {counts.cell_name(run)}; in brackets the "
        f"{by_emotion[0].label} interval, n = {words.plural(n, 'speaker')}; all repetitions pooled.",
        ("method", *e.data.emotions),
        rows,
    )


def _recall(pooled_KxSxCxC: np.ndarray, label: int, level: float) -> Interval:
    statistic = estimands.Recall(label)
    return jax.vmap(lambda sums: intervals.jackknife_interval(sums, statistic, level, over="speakers"))(pooled_KxSxCxC)


def shares(counted: Counted) -> np.ndarray:
    """Per cent of each true class's clips that were given each class, [C, C]; NaN rows for classes without a clip."""
    total = counted.pooled.sum(axis=0).astype(float)
    clips = total.sum(axis=1, keepdims=True)
    return np.divide(100 * total, clips, out=np.full_like(total, np.nan), where=clips > 0)


def _picture(run: Loaded, one: Counted, name: str) -> Picture:
    unit = one.over.removesuffix("s")
    return matrix_picture(
        name, one.name, run.experiment.data.emotions, shares(one),
        f"n = {int(one.pooled.sum()):,} classified clips, {words.plural(len(one.per_run), unit)} pooled"
    )  # fmt: skip


def matrix_picture(name: str, title: str, emotions: Sequence[str], share_CxC: np.ndarray, pooled: str) -> Picture:
    """A confusion matrix in per cent of each true emotion's clips; `pooled` says how many clips and what of."""

    def draw() -> figures.Figure:
        # Long titles take a second line, many emotions more height.
        lines = textwrap.wrap(title, 36)
        figure, axis = figures.panel(2.95 + 0.15 * len(lines) + 0.25 * max(0, len(emotions) - 4))
        # Cividis: one path from dark to light for every kind of colour vision.
        axis.imshow(share_CxC, cmap="cividis", vmin=0, vmax=100)
        for i in range(len(emotions)):
            for j in range(len(emotions)):
                text = "–" if np.isnan(share_CxC[i, j]) else f"{share_CxC[i, j]:.0f}"
                dark = not share_CxC[i, j] > 55
                axis.text(j, i, text, ha="center", va="center", color="white" if dark else "black", size=10)
        axis.set_xticks(range(len(emotions)), emotions, rotation=30, ha="right")
        axis.set_yticks(range(len(emotions)), emotions)
        axis.set_xlabel("recognised as")
        axis.set_ylabel("true emotion")
        axis.set_title("\n".join(figures.literal(line) for line in lines))
        axis.spines[:].set_visible(False)
        return figure

    rows = "; ".join(
        f"{emotion}: " + ", ".join(f"{share_CxC[i, j]:.0f} % as {other}" for j, other in enumerate(emotions))
        for i, emotion in enumerate(emotions)
    )
    return Picture(
        name,
        figures.png(draw),
        f"Confusion matrix of {title}. {rows}.",
        f"{title}: per cent of each emotion's clips, {pooled}; intervals of the diagonal stand in the table.",
    )

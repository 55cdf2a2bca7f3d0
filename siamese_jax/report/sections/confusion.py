"""Confusion matrices, and the recall of each emotion with its interval over speakers."""

import textwrap
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from siamese_jax.report.loading.reproduction import Counted, Loaded, Setting
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import estimands, intervals
from siamese_jax.stats.records import Interval, within


def section(runs: list[Loaded]) -> Section:
    """Confusion matrices of each setting."""
    blocks = each_setting(runs, _blocks, lambda run: run.missing and f"no confusion matrices, since {run.missing}")
    return Section("Confusion matrices", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    methods = run.references(setting) + run.fixed_cell(setting, "paper")
    yield Gallery([_picture(run, method, f"confusion_{number}_{method.key}") for method in methods])
    yield recall_table(run, methods, setting)


def recall_table(run: Loaded, methods: list[Counted], setting: Setting) -> Table:
    """Recall of each emotion, all repetitions pooled, with jackknife t intervals over the target's speakers."""
    emotions, level = run.experiment.data.emotions, run.experiment.report.level
    pooled = np.stack([method.pooled for method in methods]).astype(np.float32)
    by_emotion = [_recall(pooled, label, level) for label in range(len(emotions))]
    rows = [(method.name, *(text.estimate(interval, (i,), 100) for interval in by_emotion))
            for i, method in enumerate(methods)]  # fmt: skip
    n = int(np.asarray(by_emotion[0].n_units).min())
    caption = (
        f"Recall in per cent, {setting.name}; fine-tuning: {run.fixed_name}; in brackets the "
        f"{text.label(by_emotion)} interval, n = {text.plural(n, 'speaker')}; all repetitions pooled."
    )
    return Table(caption, ("method", *emotions), rows)


def _recall(pooled_KxSxCxC: np.ndarray, label: int, level: float) -> Interval:
    statistic = estimands.Recall(label)
    jackknife = jax.vmap(lambda sums: intervals.jackknife_interval(sums, statistic, level, over="speakers"))
    return within(jackknife(pooled_KxSxCxC), 0.0, 1.0)


def shares(counts_CxC: np.ndarray) -> np.ndarray:
    """Per cent of each true class's clips classified as each class, [C, C]; NaN rows for classes without a clip."""
    total = np.asarray(counts_CxC, float)
    clips = total.sum(axis=1, keepdims=True)
    return np.divide(100 * total, clips, out=np.full_like(total, np.nan), where=clips > 0)


def _picture(run: Loaded, method: Counted, name: str) -> Picture:
    repetitions = text.plural(len(method.per_run), method.over.removesuffix("s"))
    pooled = f"n = {int(method.pooled.sum()):,} classified clips, {repetitions} pooled"
    return matrix_picture(name, method.name, run.experiment.data.emotions, method.pooled.sum(axis=0), pooled)


def matrix_picture(name: str, title: str, emotions: Sequence[str], counts_CxC: np.ndarray, pooled: str) -> Picture:
    """A confusion matrix in per cent of each true emotion's clips; `pooled` names the clips behind it."""
    share = shares(counts_CxC)

    def draw() -> figures.Figure:
        lines = textwrap.wrap(title, 36)
        figure, axis = figures.panel(2.95 + 0.15 * len(lines) + 0.25 * max(0, len(emotions) - 4))
        texts = [["–" if np.isnan(value) else f"{value:.0f}" for value in row] for row in share]
        figures.matrix(axis, emotions, share, texts, 100, 10, "\n".join(figures.literal(line) for line in lines))
        axis.set(xlabel="recognised as", ylabel="true emotion")
        return figure

    rows = "; ".join(
        f"{emotion}: " + ", ".join(f"{share[i, j]:.0f} % as {other}" for j, other in enumerate(emotions))
        for i, emotion in enumerate(emotions)
    )
    caption = f"{title}: per cent of each emotion's clips, {pooled}; the table holds the diagonal's intervals."
    return Picture(name, figures.png(draw), f"Confusion matrix of {title}. {rows}.", caption)

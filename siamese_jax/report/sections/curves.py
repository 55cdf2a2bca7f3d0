"""Training curves: losses and distances of the source training and of fine-tuning, and the ratio's pole."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper.figure2 import SHORT_NAMES, STYLES
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import coverage, intervals
from siamese_jax.stats.records import Interval, within

NEAR_POLE = 0.05  # distance of r from 1 that counts as near the pole

QUANTITIES = (
    ("cross_entropy", "pair cross entropy (nats)"),
    ("d_same", "D_s, within emotions (embedding units)"),
    ("d_different", "D_d, between emotions (embedding units)"),
    ("ratio", "r = D_s / D_d"),
)


def section(runs: list[Loaded]) -> Section:
    """Curves of each setting."""
    blocks = each_setting(runs, _blocks) or [Paragraph("Nothing was trained on a source here.")]
    return Section("Training curves and the ratio's pole", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    protocol, report = run.experiment.protocol, run.experiment.report
    yield Paragraph(
        "D_s and D_d are the mean distances between the embeddings of clips of the same and of different emotions. "
        f"Source training ({setting.name}): each evaluation is on the next batch, before training on it."
    )
    with run.arrays(f"{setting.head}/{setting.scope}/source") as arrays:
        x = arrays.source_step.values.tolist()
        log = {q: quantity(arrays, q).transpose("source_step", "seed").values for q, _ in QUANTITIES}
    style = ("#0072B2", "o", "-", "source training")
    yield Gallery([
        _picture(f"source_{q}_{number}", "source training", x, "source training steps", y_label,
                 [(_of_lengths(log[q], report.level, "seeds"), style)], protocol.n_seeds)
        for q, y_label in QUANTITIES
    ])  # fmt: skip
    yield Paragraph(f"Fine-tuning, on the labelled target clips ({run.fixed_name}; all evaluation steps):")
    with run.fine_tuning(setting.head, setting.scope, report.fixed_n_speakers) as arrays:
        cell = arrays.sel(frozen=report.fixed_frozen)
        tuned = {q: quantity(cell, q).transpose("loss", "step", "draw").values for q, _ in QUANTITIES}
        skipped = cell.skipped.transpose("loss", "draw").values
    yield Gallery([
        _picture(f"fine_tuning_{q}_{number}", "fine-tuning", list(protocol.steps), "fine-tuning steps (not to scale)",
                 y_label, [(_of_lengths(tuned[q][m], report.level, "draws"), STYLES[loss])
                           for m, loss in enumerate(protocol.losses)], protocol.n_draws)
        for q, y_label in QUANTITIES
    ])  # fmt: skip
    yield Paragraph(_skipped(protocol.losses, skipped))
    yield from _pole(run, setting)


def quantity(arrays: xr.Dataset, name: str) -> xr.DataArray:
    """A quantity of the log; r is NaN where both distances are 0."""
    if name != "ratio":
        return arrays[name]
    return (arrays.d_same / arrays.d_different.where(arrays.d_different > 0)).rename("ratio")


def _skipped(losses: Sequence[str], skipped: np.ndarray) -> str:
    parts = [f"{SHORT_NAMES[loss]} {int(n.sum()):,}" for loss, n in zip(losses, skipped) if loss != "none"]
    if not parts:
        return "No second update was run."
    return "Second updates skipped because their gradient was not finite, over all draws: " + ", ".join(parts) + "."


def _picture(
    name: str, stage: str, x: list[int], x_label: str, y_label: str,
    lines: Sequence[tuple[Interval, tuple[str, str, str, str]]], n: int
) -> Picture:  # fmt: skip
    def draw() -> figures.Figure:
        figure, axis = figures.panel(2.5 + 0.16 * len(lines))
        places = np.arange(len(x)) if "not to scale" in x_label else np.array(x)
        for i, (interval, style) in enumerate(lines):
            shift = 0.06 * (i - (len(lines) - 1) / 2) * (places[-1] - places[0]) / max(len(x) - 1, 1)
            figures.line(axis, places + shift, interval, style, 1.0)
        axis.set_xticks(places, [str(step) for step in x])
        if y_label.startswith("r ="):
            axis.axhline(1, color="black", linewidth=0.8, linestyle=":", label="pole of the ratio loss")
        axis.set(xlabel=x_label, ylabel=y_label if len(y_label) < 34 else y_label.replace(" (", "\n("))
        axis.grid(axis="y", linewidth=0.3)
        if len(lines) > 1 or y_label.startswith("r ="):
            figures.legend_below(figure, axis, 1)
        return figure

    ends = "; ".join(
        f"{style[3]}: {text.estimate(interval, (0,), digits=3)} at {x[0]} steps, "
        f"{text.estimate(interval, (len(x) - 1,), digits=3)} at {x[-1]}"
        for interval, style in lines
    )
    alt = f"{y_label} by {x_label.removesuffix(' (not to scale)')}. {ends}."
    caption = (
        f"{y_label}, {stage}; mean and {lines[0][0].label} interval, n = "
        f"{text.plural(n, lines[0][0].over.removesuffix('s'))}{text.gaps(*(interval for interval, _ in lines))}."
    )
    return Picture(name, figures.png(draw), alt, caption)


def _pole(run: Loaded, setting: Setting) -> Iterator[Block]:
    protocol, level = run.experiment.protocol, run.experiment.report.level
    if 0 not in protocol.steps:
        yield Paragraph("The ratio before the first step is not known: 0 is not among the evaluation steps.")
        return
    rows = []
    for k in protocol.n_speakers:
        with run.fine_tuning(setting.head, setting.scope, k) as arrays:
            r = quantity(arrays.isel(loss=0, frozen=0).sel(step=0), "ratio").values  # equal for all losses, depths
        rows.append((str(k), *pole_cells(r, level)))
    yield Table(
        "r = D_s / D_d of the labelled clips before the first step; the ratio loss has its pole at r = 1. n = "
        f"{text.plural(protocol.n_draws, 'draw')}; mean r with its {100 * level:g} % t interval over draws (Monte "
        "Carlo error), number of draws, as a share with its Wilson interval if there are 50 draws or more.",
        ("target speakers", "mean r", "draws with r ≥ 1", f"draws with |r − 1| < {NEAR_POLE}"),
        rows,
    )


def _of_lengths(values: np.ndarray, level: float, over: str) -> Interval:
    """The t interval of losses, distances or their ratios, none of which is negative."""
    return within(intervals.t_interval(values, level, over=over), 0.0, np.inf)


def pole_cells(r_D: np.ndarray, level: float) -> tuple[str, ...]:
    """Mean r, share of draws beyond the pole, and share near it, in words."""
    mean = text.estimate(_of_lengths(r_D, level, "draws"), digits=3)
    if not np.isfinite(r_D).all():
        lost = int((~np.isfinite(r_D)).sum())
        return mean, *(f"not computable: r is not a number in {text.plural(lost, 'draw')}",) * 2
    return mean, *(_share(hits, level) for hits in (r_D >= 1, np.abs(r_D - 1) < NEAR_POLE))


def _share(hits: np.ndarray, level: float) -> str:
    counted = f"{int(hits.sum()):,} of {len(hits):,}"
    interval = intervals.share_interval(hits, level, over="draws")
    offered = interval.kind in coverage.offered_methods(len(hits), "draws")
    return f"{text.estimate(interval, factor=100)} %, {counted}" if offered else counted

"""Distances between emotions in the embedding, before and after fine-tuning (the paper's own future work)."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from siamese_jax.report.loading import counts
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.render import figures
from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Block, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import intervals

NAME = "emotion_distances"


def section(runs: list[Loaded]) -> Section | None:
    """Distances of each setting; None where no run has kept them."""
    blocks = each_setting(runs, _kept_blocks)
    return Section("Distances between emotions", blocks) if blocks else None


def _kept_blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    with run.fine_tuning(setting.head, setting.scope, run.experiment.report.fixed_n_speakers) as arrays:
        values = cell(run, arrays) if NAME in arrays else None
    if values is not None:
        yield from _blocks(run, setting, values, number)


def cell(run: Loaded, arrays: xr.Dataset) -> xr.DataArray:
    """The fixed cell's distances (loss, step, draw, class, other class), in memory."""
    found = arrays[NAME].sel(frozen=run.experiment.report.fixed_frozen)
    known = ("loss", "step", "draw")
    return found.transpose(*known, *(dim for dim in found.dims if dim not in known)).load()


def _blocks(run: Loaded, setting: Setting, values: xr.DataArray, number: str) -> Iterator[Block]:
    e = run.experiment
    first = e.protocol.steps[0]
    before = values.isel(loss=0).sel(step=first).values
    states = [("before", f"before ({words.plural(first, 'step')})", before)]
    states += [
        (
            loss,
            f"after {counts.SHORT_NAMES[loss].removeprefix('+ ')}",
            values.sel(loss=loss, step=e.report.fixed_steps).values,
        )
        for loss in e.protocol.losses
    ]
    yield Paragraph(
        "Mean Euclidean distance between the embeddings of target clips that were not labelled, of two emotions or "
        "within one (on the diagonal, over distinct pairs). Fine-tuning stretches the whole space; the table's last "
        "line, the mean between emotions over the mean within, is free of that."
    )
    yield Gallery([_picture(run, name, d, f"distances_{number}_{key}") for key, name, d in states])
    pairs = [(i, j) for i in range(len(e.data.emotions)) for j in range(i, len(e.data.emotions))]
    columns = [
        [words.estimate(intervals.t_interval(d[:, i, j], e.report.level, over="draws"), digits=2) for i, j in pairs]
        + [words.estimate(intervals.t_interval(separation(d), e.report.level, over="draws"), digits=2)]
        for _, _, d in states
    ]
    names = [
        f"{e.data.emotions[i]} – {e.data.emotions[j]}" if i != j else f"within {e.data.emotions[i]}" for i, j in pairs
    ]
    yield Table(
        f"Distances (embedding units), {setting.name}, {counts.cell_name(run)}; mean and {100 * e.report.level:g} % t "
        f"interval over draws (Monte Carlo error), n = {words.plural(e.protocol.n_draws, 'draw')}.",
        ("emotions", *(name for _, name, _ in states)),
        [(name, *cells) for name, *cells in zip([*names, "between ÷ within"], *columns)],
    )


def separation(distances_DxCxC: np.ndarray) -> np.ndarray:
    """Mean distance between emotions over mean distance within, [D]; NaN where the latter is 0."""
    own = np.eye(distances_DxCxC.shape[-1], dtype=bool)
    within, between = distances_DxCxC[:, own].mean(axis=1), distances_DxCxC[:, ~own].mean(axis=1)
    return np.divide(between, within, out=np.full(len(within), np.nan), where=within > 0)


def _picture(run: Loaded, state: str, distances_DxCxC: np.ndarray, name: str) -> Picture:
    e = run.experiment
    interval = intervals.t_interval(np.moveaxis(distances_DxCxC, 0, -1), e.report.level, over="draws")
    mean, low, high = (np.asarray(v, float) for v in (interval.estimate, interval.low, interval.high))
    finite = mean[np.isfinite(mean)]
    top = float(finite.max()) if finite.size and finite.max() > 0 else 1.0

    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.1)
        axis.imshow(mean, cmap="cividis", vmin=0, vmax=top)
        for i, j in np.ndindex(*mean.shape):
            text = "–" if np.isnan(mean[i, j]) else f"{mean[i, j]:.2f}"
            if np.isfinite(low[i, j]):
                text += f"\n±{(high[i, j] - low[i, j]) / 2:.2f}"
            color = "black" if mean[i, j] > 0.55 * top else "white"
            axis.text(j, i, text, ha="center", va="center", color=color, size=7.5)
        axis.set_xticks(range(len(e.data.emotions)), e.data.emotions, rotation=30, ha="right")
        axis.set_yticks(range(len(e.data.emotions)), e.data.emotions)
        axis.set_title(state)
        axis.spines[:].set_visible(False)
        return figure

    alt = "; ".join(
        f"{e.data.emotions[i]} and {e.data.emotions[j]} {words.number(mean[i, j], 2)}"
        for i in range(len(e.data.emotions)) for j in range(i, len(e.data.emotions))
    )  # fmt: skip
    return Picture(
        name,
        figures.png(draw),
        f"Mean distance between emotions {state}: {alt}.",
        f"{state}: mean distance (embedding units) ± half the {interval.label} interval, "
        f"n = {words.plural(e.protocol.n_draws, 'draw')}{words.gaps(interval)}; each figure has its own colour scale "
        "from 0.",
    )

"""Distances between emotions in the embedding, before and after fine-tuning (the paper's own future work)."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats.intervals import t_interval
from siamese_jax.stats.records import within

NAME = "emotion_distances"


def section(runs: list[Loaded]) -> Section | None:
    """Distances of each setting; None if no run has kept them."""
    blocks = each_setting(runs, _kept_blocks)
    return Section("Distances between emotions", blocks) if blocks else None


def _kept_blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    with run.fine_tuning(setting.head, setting.scope, run.experiment.report.fixed_n_speakers) as arrays:
        values = cell(run, arrays) if NAME in arrays else None
    if values is not None:
        yield from _blocks(run, setting, values, number)


def cell(run: Loaded, arrays: xr.Dataset) -> xr.DataArray:
    """The fixed cell's distances (loss, step, draw, class, other class), in memory."""
    values = arrays[NAME].sel(frozen=run.experiment.report.fixed_frozen)
    known = ("loss", "step", "draw")
    return values.transpose(*known, *(dim for dim in values.dims if dim not in known)).load()


def _blocks(run: Loaded, setting: Setting, values: xr.DataArray, number: str) -> Iterator[Block]:
    emotions, protocol, report = run.experiment.data.emotions, run.experiment.protocol, run.experiment.report
    first = protocol.steps[0]
    states = [("before", f"before ({text.plural(first, 'step')})", values.isel(loss=0).sel(step=first).values)]
    for loss in protocol.losses:
        name = f"after {SHORT_NAMES[loss].removeprefix('+ ')}"
        states.append((loss, name, values.sel(loss=loss, step=report.fixed_steps).values))
    yield Paragraph(
        "Mean Euclidean distance between the embeddings of target clips that were not labelled, of two emotions or "
        "within one (on the diagonal, over distinct pairs). Fine-tuning stretches the whole space; the table's last "
        "line, the mean between emotions over the mean within, is free of that."
    )
    yield Gallery([_picture(run, name, d, f"distances_{number}_{key}") for key, name, d in states])
    rows = []
    for i in range(len(emotions)):
        for j in range(i, len(emotions)):
            name = f"{emotions[i]} – {emotions[j]}" if i != j else f"within {emotions[i]}"
            rows.append((name, *(_mean(d[:, i, j], report.level) for _, _, d in states)))
    rows.append(("between ÷ within", *(_mean(separation(d), report.level) for _, _, d in states)))
    yield Table(
        f"Distances (embedding units), {setting.name}, {run.fixed_name}; mean and {100 * report.level:g} % t "
        f"interval over draws (Monte Carlo error), n = {text.plural(protocol.n_draws, 'draw')}.",
        ("emotions", *(name for _, name, _ in states)),
        rows,
    )


def _mean(values_D: np.ndarray, level: float) -> str:
    return text.estimate(within(t_interval(values_D, level, over="draws"), 0.0, np.inf), digits=2)


def separation(distances_DxCxC: np.ndarray) -> np.ndarray:
    """Mean distance between emotions over mean distance within, [D]; NaN if the latter is 0."""
    own = np.eye(distances_DxCxC.shape[-1], dtype=bool)
    inside, between = distances_DxCxC[:, own].mean(axis=1), distances_DxCxC[:, ~own].mean(axis=1)
    return np.divide(between, inside, out=np.full(len(inside), np.nan), where=inside > 0)


def _picture(run: Loaded, state: str, distances_DxCxC: np.ndarray, name: str) -> Picture:
    emotions, level = run.experiment.data.emotions, run.experiment.report.level
    interval = t_interval(np.moveaxis(distances_DxCxC, 0, -1), level, over="draws")
    mean, low, high = (np.asarray(v, float) for v in (interval.estimate, interval.low, interval.high))
    finite = mean[np.isfinite(mean)]
    top = float(finite.max()) if finite.size and finite.max() > 0 else 1.0

    def cell_text(i: int, j: int) -> str:
        half = f"\n±{(high[i, j] - low[i, j]) / 2:.2f}" if np.isfinite(low[i, j]) else ""
        return ("–" if np.isnan(mean[i, j]) else f"{mean[i, j]:.2f}") + half

    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.1)
        texts = [[cell_text(i, j) for j in range(len(emotions))] for i in range(len(emotions))]
        figures.matrix(axis, emotions, mean, texts, top, 7.5, state)
        return figure

    alt = "; ".join(
        f"{emotions[i]} and {emotions[j]} {text.number(mean[i, j], 2)}"
        for i in range(len(emotions)) for j in range(i, len(emotions))
    )  # fmt: skip
    caption = (
        f"{state}: mean distance (embedding units) ± half the {interval.label} interval, "
        f"n = {text.plural(run.experiment.protocol.n_draws, 'draw')}{text.gaps(interval)}; each figure has its own "
        "colour scale from 0."
    )
    return Picture(name, figures.png(draw), f"Mean distance between emotions {state}: {alt}.", caption)

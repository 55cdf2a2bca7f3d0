"""Figures a column wide: one style, PNG bytes, text that is never taken for mathematics."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from siamese_jax.stats.records import Interval

DPI = 150
COLOURS = 64  # of a PNG's palette: line figures need few, and the page carries every byte
WIDTH = 3.5  # inches of a column: with 8-point text a figure is legible on a phone and in print

STYLE: Any = {
    "font.size": 8, "axes.titlesize": 9, "axes.labelsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "legend.fontsize": 7, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
    "font.family": "DejaVu Sans", "savefig.facecolor": "white", "figure.facecolor": "white"
}  # fmt: skip

EMOTION_STYLES = (  # Okabe and Ito's colours, each with its own marker for readers who see no colour
    ("#D55E00", "o"), ("#E69F00", "^"), ("#0072B2", "s"), ("#009E73", "D"), ("#CC79A7", "v"),
    ("#56B4E9", "P"), ("#000000", "X"), ("#F0E442", "<"), ("#999999", ">")
)  # fmt: skip


def literal(text: str) -> str:
    """Text from data for a figure: a dollar sign would start mathematics, a line break would break the layout."""
    return " ".join(text.split()).replace("$", r"\$")


@contextlib.contextmanager
def settings(changes: Any) -> Iterator[None]:
    """Matplotlib's defaults with `changes`, whatever the user's matplotlibrc says (TeX, which may be missing)."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changes)
        yield


def png(draw: Callable[[], Figure]) -> bytes:
    """The figure that `draw` returns, under the report's style, as PNG."""
    packed = io.BytesIO()
    with settings(STYLE):
        figure = draw()
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # once; savefig draws twice, to lay out and to write
    pixels = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    few = pixels.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(packed, format="png")
    return packed.getvalue()


def panel(height: float) -> tuple[Figure, Axes]:
    """An empty figure of a column's width with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def legend_below(figure: Figure, axis: Axes, columns: int, markerscale: float = 1.0) -> None:
    """The legend under the axes, where it hides nothing."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, markerscale=markerscale)


def bars(interval: Interval, factor: float = 1.0) -> tuple[np.ndarray, Any]:
    """Estimates [K] and the lengths of their error bars [2, K], times `factor`; missing limits have length 0."""
    value, low, high = (factor * np.asarray(v, float) for v in (interval.estimate, interval.low, interval.high))
    return value, np.stack([np.nan_to_num(value - low), np.nan_to_num(high - value)])


def line(axis: Axes, x: Any, interval: Interval, style: tuple[str, str, Any, str], factor: float) -> None:
    """Draws a line at x [K] with error bars, times `factor`; missing limits have no bar, a missing mean is a gap."""
    (color, marker, dashes, label), (value, lengths) = style, bars(interval, factor)
    axis.errorbar(x, value, lengths, color=color, marker=marker, linestyle=dashes, label=label,
                  markersize=4, linewidth=1.1, elinewidth=0.8, capsize=1.5)  # fmt: skip


def matrix(axis: Axes, names: Sequence[str], values_CxC: np.ndarray, texts: Sequence[Sequence[str]], top: float,
           size: float, title: str) -> None:  # fmt: skip
    """A square of colours from 0 to `top` with a text in each cell, rows and columns called `names`."""
    axis.imshow(values_CxC, cmap="cividis", vmin=0, vmax=top)  # dark to light for every kind of colour vision
    for i, j in np.ndindex(*values_CxC.shape):
        color = "black" if values_CxC[i, j] > 0.55 * top else "white"
        axis.text(j, i, texts[i][j], ha="center", va="center", color=color, size=size)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(title=title)
    axis.spines[:].set_visible(False)

"""Figure 2 of Feng & Chaspari 2020: UAR against the number of target speakers, by loss and frozen layers."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from siamese_jax.experiments.rows import Row
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.runtime.files import atomic_path

# Okabe and Ito's colours, told apart by colour-blind readers; each line also has its own marker and dashes.
STYLES = {
    "none": ("#0072B2", "o", "-", "fine-tuning"),
    "ratio": ("#D55E00", "s", "-", "+ ratio loss"),
    "ratio_bounded": ("#E69F00", "D", "-", "+ bounded ratio loss"),
    "cross_entropy_twice": ("#009E73", "^", "--", "+ second cross entropy (control)"),
}
CLASSIFIER_STYLES = {"logistic_regression": ("#555555", "x", ":"), "svm": ("#999999", "+", ":")}
OFFSET = 0.22
"""Speakers between the markers of neighbouring methods, so that their intervals can be told apart."""


def write(e: Experiment, rows: list[Row], folder: Path) -> None:
    """Writes `draw`'s figure as figure2.png and figure2.pdf into `folder`; nothing where nothing was fine-tuned."""
    figure = draw(e, rows)
    if figure is None:
        return
    for suffix, options in ((".png", {"dpi": 160}), (".pdf", {"metadata": {"CreationDate": None}})):
        with atomic_path(folder / f"figure2{suffix}") as temporary:
            figure.savefig(temporary, **options)


def draw(e: Experiment, rows: list[Row]) -> Figure | None:
    """The figure: a row of panels for each head and scaling scope; None where nothing was fine-tuned."""
    settings = [(head, scope) for head in e.network.heads for scope in e.data.scalings if scope != "train"]
    if not settings:
        return None
    figure = Figure(figsize=(3.3 * len(e.protocol.frozen), 3.2 * len(settings) + 1.0), layout="constrained")
    axes = figure.subplots(len(settings), len(e.protocol.frozen), sharex=True, sharey=True, squeeze=False)
    for i, (head, scope) in enumerate(settings):
        for j, frozen in enumerate(e.protocol.frozen):
            _panel(axes[i][j], e, rows, head, scope, frozen)
            axes[i][j].set_title(
                f"{frozen} frozen {'layer' if frozen == 1 else 'layers'}"
                + (f"\n{head}, {scope}" if len(settings) > 1 else ""),
                size=9,
            )
        axes[i][0].set_ylabel("UAR (%), all clips not drawn")
    for axis in axes[-1]:
        axis.set_xlabel("target speakers drawn")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(_title(e, rows, settings), size=9)
    return figure


def panel(e: Experiment, rows: list[Row], head: str, scope: str, frozen: int) -> Figure:
    """One panel as a figure of its own, a column wide; all panels of a setting share their limits."""
    figure = Figure(figsize=(3.5, 3.9), layout="constrained")
    axis = figure.subplots()
    _panel(axis, e, rows, head, scope, frozen)
    shown = [r for r in rows if r.selection == "cell" and r.split == "paper" and r.uar_mean is not None]
    # OODT and IDT, of which nothing is drawn, are lines without intervals.
    values = [
        v for r in shown if _drawn(r, head, scope, e)
        for v in (r.uar_mean, *((r.ci_low, r.ci_high) if r.n_draws else ())) if v is not None
    ]  # fmt: skip
    if values:
        axis.set_ylim(min(values) - 1, max(values) + 1)
    axis.set_title(f"{frozen} frozen {'layer' if frozen == 1 else 'layers'}", size=9)
    axis.set_xlabel("target speakers drawn", size=8)
    axis.set_ylabel("UAR (%), all clips not drawn", size=8)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1, fontsize=7, frameon=False)
    return figure


def _drawn(row: Row, head: str, scope: str, e: Experiment) -> bool:
    """Whether a cell of the paper's split stands in some panel of a setting."""
    if row.method == "fine_tuning":
        return (row.head, row.scaling, row.steps) == (head, scope, e.report.fixed_steps)
    if row.method in ("oodt", "idt"):
        return row.head == head
    return (row.data, row.scaling) == ("source+target", scope)


def _title(e: Experiment, rows: list[Row], settings: list[tuple[str, str]]) -> str:
    what = f", scaling by {settings[0][1]}" if len(settings) == 1 else ""
    # A corpus may have any name; a dollar sign would start mathematics.
    corpora = f"{rows[0].source} to {rows[0].target}".replace("$", r"\$")
    return (
        f"{corpora}{what}: mean of {e.protocol.n_draws} draws at {e.report.fixed_steps} steps, "
        f"bars {100 * e.report.level:g} % t interval over draws"
    )


def _panel(axis: Any, e: Experiment, rows: list[Row], head: str, scope: str, frozen: int) -> None:
    cells = [r for r in rows if r.selection == "cell" and r.split == "paper" and r.uar_mean is not None]
    lines = []
    for loss in e.protocol.losses:
        color, marker, dashes, label = STYLES[loss]
        found = [r for r in cells if r.method == "fine_tuning" and (r.head, r.scaling, r.loss) == (head, scope, loss)
                 and (r.frozen, r.steps) == (frozen, e.report.fixed_steps)]  # fmt: skip
        lines.append((found, color, marker, dashes, label))
    for method in e.protocol.baselines:
        color, marker, dashes = CLASSIFIER_STYLES[method]
        found = [r for r in cells if (r.method, r.data, r.scaling) == (method, "source+target", scope)]
        lines.append((found, color, marker, dashes, f"{CLASSIFIER_NAMES[method]}, source + target"))
    for i, (found, color, marker, dashes, label) in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * OFFSET
        _line(axis, sorted(found, key=lambda r: r.n_speakers or 0), shift, color, marker, dashes, label)
    for method, text, style in (("oodt", "OODT", "dotted"), ("idt", "IDT", "dashed")):
        level = [r for r in cells if r.method == method and r.head == head]
        if level:
            axis.axhline(level[0].uar_mean, color="black", linewidth=0.8, linestyle=style, label=text)
    axis.set_xticks(e.protocol.n_speakers)
    axis.grid(axis="y", linewidth=0.3)
    axis.tick_params(labelsize=8)


def _line(axis: Any, rows: list[Row], shift: float, color: str, marker: str, dashes: str, label: str) -> None:
    x = [(r.n_speakers or 0) + shift for r in rows]
    y = [r.uar_mean or 0.0 for r in rows]
    low = [v - (v if r.ci_low is None else r.ci_low) for v, r in zip(y, rows)]
    high = [(v if r.ci_high is None else r.ci_high) - v for v, r in zip(y, rows)]
    axis.errorbar(x, y, (low, high), color=color, marker=marker, linestyle=dashes, label=label,
                  markersize=4, linewidth=1.1, elinewidth=0.7)  # fmt: skip

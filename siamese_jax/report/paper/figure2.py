"""Figure 2 of Feng & Chaspari 2020: UAR against the number of target speakers, by loss and frozen layers."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from siamese_jax.experiments.records import Row
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES, of_scope
from siamese_jax.report.render import figures, text
from siamese_jax.runtime.files import atomic_path

STYLES = {  # Okabe and Ito's colours for colour-blind readers; each line has its own marker and dashes
    "none": ("#0072B2", "o", "-", "fine-tuning"),
    "ratio": ("#D55E00", "s", "-", "+ ratio loss"),
    "ratio_bounded": ("#E69F00", "D", "-", "+ bounded ratio loss"),
    "cross_entropy_twice": ("#009E73", "^", "--", "+ second cross entropy (control)"),
}
SHORT_NAMES = {loss: style[3] for loss, style in STYLES.items()}
CLASSIFIER_STYLES = {"logistic_regression": ("#555555", "x", ":"), "svm": ("#999999", "+", ":")}
OFFSET = 0.22  # speakers between the markers of neighbouring methods, to tell their intervals apart


def write(experiment: Experiment, rows: list[Row], folder: Path) -> None:
    """Writes `draw`'s figure as figure2.png and figure2.pdf into `folder`; nothing if nothing was fine-tuned."""
    with figures.settings({}):
        figure = draw(experiment, rows)
        if figure is None:
            return
        for suffix, options in ((".png", {"dpi": 160}), (".pdf", {"metadata": {"CreationDate": None}})):
            with atomic_path(folder / f"figure2{suffix}") as temporary:
                figure.savefig(temporary, **options)


@figures.settings({})
def draw(experiment: Experiment, rows: list[Row]) -> Figure | None:
    """The figure: a row of panels for each head and scaling scope; None if nothing was fine-tuned."""
    scopes, depths = [scope for scope in experiment.data.scalings if scope != "train"], experiment.protocol.frozen
    settings = [(head, scope) for head in experiment.network.heads for scope in scopes]
    if not settings:
        return None
    figure = Figure(figsize=(3.3 * len(depths), 3.2 * len(settings) + 1.0), layout="constrained")
    axes = figure.subplots(len(settings), len(depths), sharex=True, sharey=True, squeeze=False)
    for row, (head, scope) in zip(axes, settings):
        for axis, frozen in zip(row, depths):
            _panel(axis, experiment, rows, head, scope, frozen)
            setting = f"\n{head}, {scope}" if len(settings) > 1 else ""
            axis.set_title(text.plural(frozen, "frozen layer") + setting, size=9)
        row[0].set_ylabel("UAR (%), all clips not drawn")
    for axis in axes[-1]:
        axis.set_xlabel("target speakers drawn")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(_title(experiment, rows, settings), size=9)
    return figure


@figures.settings({})
def panel(experiment: Experiment, rows: list[Row], head: str, scope: str, frozen: int) -> Figure:
    """One panel as a figure of its own, a column wide; all panels of a setting share their limits."""
    figure = Figure(figsize=(3.5, 3.9), layout="constrained")
    axis = figure.subplots()
    _panel(axis, experiment, rows, head, scope, frozen)
    # OODT and IDT, of which nothing is drawn, are lines without intervals.
    values = [
        value for row in of_scope(_cells(rows), scope) if _drawn(row, head, scope, experiment)
        for value in (row.uar_mean, *((row.ci_low, row.ci_high) if row.n_draws else ())) if value is not None
    ]  # fmt: skip
    if values:
        axis.set_ylim(min(values) - 1, max(values) + 1)
    axis.set_title(text.plural(frozen, "frozen layer"), size=9)
    axis.set_xlabel("target speakers drawn", size=8)
    axis.set_ylabel("UAR (%), all clips not drawn", size=8)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=1, fontsize=7, frameon=False)
    return figure


def _cells(rows: list[Row]) -> list[Row]:
    return [row for row in rows if (row.selection, row.split) == ("cell", "paper") and row.uar_mean is not None]


def _drawn(row: Row, head: str, scope: str, experiment: Experiment) -> bool:
    if row.method == "fine_tuning":
        return (row.head, row.scaling, row.steps) == (head, scope, experiment.report.fixed_steps)
    if row.method in ("oodt", "idt"):
        return row.head == head
    return (row.data, row.scaling) == ("source+target", scope)


def _title(experiment: Experiment, rows: list[Row], settings: list[tuple[str, str]]) -> str:
    scaling = f", scaling by {settings[0][1]}" if len(settings) == 1 else ""
    corpora = f"{rows[0].source} to {rows[0].target}".replace("$", r"\$")  # a dollar would start mathematics
    report = experiment.report
    return (
        f"{corpora}{scaling}: mean of {experiment.protocol.n_draws} draws at {report.fixed_steps} steps, "
        f"bars {100 * report.level:g} % t interval over draws"
    )


def _panel(axis: Any, experiment: Experiment, rows: list[Row], head: str, scope: str, frozen: int) -> None:
    cells, protocol, lines = _cells(rows), experiment.protocol, []
    for loss in protocol.losses:
        key = ("fine_tuning", head, scope, loss, frozen, experiment.report.fixed_steps)
        of_loss = [row for row in cells
                   if (row.method, row.head, row.scaling, row.loss, row.frozen, row.steps) == key]  # fmt: skip
        lines.append((of_loss, *STYLES[loss]))
    for method in protocol.baselines:
        of_method = [row for row in cells if (row.method, row.data, row.scaling) == (method, "source+target", scope)]
        lines.append((of_method, *CLASSIFIER_STYLES[method], f"{CLASSIFIER_NAMES[method]}, source + target"))
    for i, (line_rows, *style) in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * OFFSET
        _line(axis, sorted(line_rows, key=lambda row: row.n_speakers or 0), shift, *style)
    for method, label, dashes in (("oodt", "OODT", "dotted"), ("idt", "IDT", "dashed")):
        level = [row.uar_mean for row in of_scope(cells, scope) if row.method == method and row.head == head]
        if level:
            axis.axhline(level[0], color="black", linewidth=0.8, linestyle=dashes, label=label)
    axis.set_xticks(protocol.n_speakers)
    axis.grid(axis="y", linewidth=0.3)
    axis.tick_params(labelsize=8)


def _line(axis: Any, rows: list[Row], shift: float, color: str, marker: str, dashes: str, label: str) -> None:
    x = [(row.n_speakers or 0) + shift for row in rows]
    y = [row.uar_mean or 0.0 for row in rows]
    low = [value - (value if row.ci_low is None else row.ci_low) for value, row in zip(y, rows)]
    high = [(value if row.ci_high is None else row.ci_high) - value for value, row in zip(y, rows)]
    axis.errorbar(x, y, (low, high), color=color, marker=marker, linestyle=dashes, label=label,
                  markersize=4, linewidth=1.1, elinewidth=0.7)  # fmt: skip

"""The calibration of few-shot probabilities, as Markdown, JSON and figures."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from siamese_jax.experiments.calibration import AcceptedRow, CalibrationRow
from siamese_jax.report.render import figures
from siamese_jax.report.render.figures import EMOTION_STYLES
from siamese_jax.runtime.files import atomic_path, user_path, write_json, write_text
from siamese_jax.runtime.provenance import VERSION

_LEGEND = (
    "ECE is the expected calibration error of the largest probability, in 15 bins of equal mass, pooled over draws; n "
    "predictions. In brackets the ECE that perfectly calibrated probabilities show: with a label drawn for each "
    "prediction, and with a label for each clip, which several draws test. T is the median over draws. Before: without "
    "a temperature. All test clips are by speakers who are not drawn. No label changed where the last column is 0."
)
_ACCEPTED = (
    "Errors and shares in per cent of the test clips, means over draws, with the standard deviation over draws. The "
    "oracle's threshold knows the labels. Set: the largest set of the unlabelled clips whose mean confidence is 1 - "
    "stated error. Held out: the threshold of that rule on the held-out labelled clips, for clips that come one at a "
    "time. Single: a clip's own confidence is at least 1 - stated error."
)
_RULES = {"set": "set", "held_out": "held out", "single": "single"}


def write(rows: dict[str, list[Any]], folder: str | Path) -> str:
    """Writes calibration.json, calibration.md, reliability.png and risk_coverage.png; returns the Markdown."""
    path = user_path(folder)
    path.mkdir(parents=True, exist_ok=True)
    records = {name: [_plain(row) for row in of_name] for name, of_name in rows.items()}
    write_json(path / "calibration.json", {"version": VERSION, **records})
    page = markdown(rows)
    write_text(path / "calibration.md", page)
    figure_of = {"reliability": reliability, "risk_coverage": risk_coverage}
    for name, draw in figure_of.items():
        image = figures.png(functools.partial(draw, rows["calibration"]))
        with atomic_path(path / f"{name}.png") as unfinished:
            unfinished.write_bytes(image)
    return page


def _plain(row: Any) -> Any:
    return dataclasses.asdict(row) if dataclasses.is_dataclass(row) and not isinstance(row, type) else row


def markdown(rows: dict[str, list[Any]]) -> str:
    """Returns the tables: calibration, then accepted labels."""
    parts = ["# Calibration of few-shot probabilities\n\n", _LEGEND, "\n\n", *_calibration_table(rows["calibration"])]
    parts += ["\n## Accepted labels\n\n", _ACCEPTED, "\n\n", *_accepted_table(rows["accepted"])]
    return "".join(parts)


def _calibration_table(rows: Sequence[CalibrationRow]) -> Iterator[str]:
    yield (
        "| target | method | scaled by | clips | draws | n | T (prior) | ECE before | ECE (ideal) | log loss before | "
        "log loss | Brier before | Brier | labels changed |\n" + "|---" * 14 + "|\n"
    )
    for row in rows:
        yield (
            f"| {row.target} | {method_name(row)} | {row.scaling} | {row.n_labelled} | {row.n_draws} | {row.n:,} | "
            f"{row.temperature:.2f} ({row.prior:.2f}) | {row.ece_before:.3f} | {row.ece:.3f} ({row.ece_ideal:.3f}, "
            f"{row.ece_ideal_clips:.3f}) | {row.log_loss_before:.3f} | {row.log_loss:.3f} | {row.brier_before:.3f} | "
            f"{row.brier:.3f} | {row.labels_changed} |\n"
        )


def _accepted_table(rows: Sequence[AcceptedRow]) -> Iterator[str]:
    yield (
        "| target | method | scaled by | clips | rule | stated error | error | share accepted | oracle's share | draws "
        "that accept none | error of all |\n" + "|---" * 11 + "|\n"
    )
    for row in rows:
        error = "" if row.error is None else f"{100 * row.error:.1f} +- {100 * (row.error_sd or 0):.1f}"
        yield (
            f"| {row.target} | {method_name(row)} | {row.scaling} | {row.n_labelled} | {_RULES[row.rule]} | "
            f"{100 * row.stated:.0f} | {error} | {100 * row.share:.1f} +- {100 * row.share_sd:.1f} | "
            f"{100 * row.oracle:.1f} | {row.n_none} | {100 * row.error_all:.1f} |\n"
        )


def method_name(row: CalibrationRow | AcceptedRow) -> str:
    """Returns the method of a row in words."""
    words = f"{row.method.replace('_', ' ')}, C = {row.c:g}"
    if row.adaptation == "none":
        return words
    within = "" if row.within == "corpus" else f", within each {row.within}"
    return f"{words}, {row.adaptation.replace('_', '-')} ({row.strength:g}{within})"


def reliability(rows: Sequence[CalibrationRow]) -> Figure:
    """Draws accuracy against confidence, a panel for each target and scaling; dashed before the temperature."""
    figure, panels = _panels(rows)
    for axis, of_panel in panels:
        axis.plot([0.25, 1], [0.25, 1], color="black", linewidth=0.6, linestyle="dotted")
        for row, (color, marker) in zip(of_panel, EMOTION_STYLES):
            axis.plot(
                row.bins_before["confidence"], row.bins_before["accuracy"], color=color, linewidth=0.7, linestyle="--"
            )
            axis.plot(
                row.bins["confidence"], row.bins["accuracy"], color=color, marker=marker, markersize=2.5,
                linewidth=0.9, label=_label(row),
            )  # fmt: skip
        axis.set(xlabel="confidence", ylabel="share right", xlim=(0.25, 1), ylim=(0.2, 1))
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=5, frameon=False)
    return figure


def risk_coverage(rows: Sequence[CalibrationRow]) -> Figure:
    """Draws the error of the most confident clips against their share, a panel for each target and scaling."""
    figure, panels = _panels(rows)
    for axis, of_panel in panels:
        for row, (color, marker) in zip(of_panel, EMOTION_STYLES):
            axis.plot(
                100 * np.array(row.coverage), 100 * np.array(row.risk), color=color, marker=marker, markersize=2.5,
                linewidth=0.9, label=_label(row),
            )  # fmt: skip
        axis.set(xlabel="share accepted (%)", ylabel="error of the accepted (%)", xlim=(0, 100), ylim=(0, 40))
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=5, frameon=False)
    return figure


def _label(row: CalibrationRow) -> str:
    return f"{method_name(row)}, {row.n_labelled} clips"


def _panels(rows: Sequence[CalibrationRow]) -> tuple[Figure, list[tuple[Any, list[CalibrationRow]]]]:
    """Returns a figure of target columns and scaling rows, with the rows of each panel that is not empty."""
    targets = list(dict.fromkeys(row.target for row in rows))
    scalings = list(dict.fromkeys(row.scaling for row in rows))
    figure = Figure(figsize=(5.2 * len(targets), 3.2 * len(scalings)), layout="constrained")
    axes = figure.subplots(len(scalings), len(targets), squeeze=False)
    panels = []
    for i, scaling in enumerate(scalings):
        for j, target in enumerate(targets):
            of_panel = [row for row in rows if (row.target, row.scaling) == (target, scaling)]
            axes[i, j].set_title(figures.literal(f"{target}, scaled by {scaling}"))
            panels.append((axes[i, j], of_panel))
            axes[i, j].grid(linewidth=0.3)
    return figure, panels

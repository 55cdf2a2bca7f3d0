"""Shares of the variance of UAR, as blocks: for `crossed.md` in a work directory, and for the page."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Paragraph, Picture, Table

STYLES = {
    "frozen": ("#D55E00", ""), "speakers": ("#0072B2", "//"), "draw": ("#009E73", ".."), "seed": ("#E69F00", "xx"),
    "interactions": ("#BBBBBB", "")
}  # fmt: skip


def blocks(found: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """The shares of every head, scope, loss and readout, see `crossing.run`; main effects first."""
    first = found[0]
    levels = first["levels"]
    yield Paragraph(
        f"What UAR varies with, {first['source']} to {first['target']}: every draw from every source seed, "
        f"{text.plural(levels['frozen'], 'depth')} of freezing x {text.plural(levels['speakers'], 'number')} of "
        f"speakers x {text.plural(levels['draw'], 'draw')} x {text.plural(levels['seed'], 'source seed')}; other "
        "speakers' clips only. Estimates without intervals: few levels of a factor say little of its variance."
    )
    names = list(first["components"])
    rows = []
    for one in found:
        what = f"{one['head']}, {one['scaling']}, {one['loss']}, {text.plural(one['steps'], 'step')}"
        if one["shares"] is None:
            rows.append((what, *[one["note"]] * len(names)))
        else:
            rows.append((what, *(text.number(one["shares"][name]) for name in names)))
    yield Table("Shares of the variance of UAR in per cent, negative components cut at 0.", ("setting", *names), rows)


def picture(one: dict[str, Any], name: str) -> Picture:
    """One setting's shares: the four factors alone, and all interactions together."""
    shares = one["shares"] or {}
    values = {key: shares.get(key, 0.0) for key in STYLES if key != "interactions"}
    values["interactions"] = sum(value for key, value in shares.items() if key not in values)

    def draw() -> figures.Figure:
        figure, axis = figures.panel(1.9)
        y = np.arange(len(values))[::-1]
        for place, (key, value) in zip(y, values.items()):
            color, hatch = STYLES[key]
            axis.barh(place, value, color=color, hatch=hatch, edgecolor="black", linewidth=0.4)
            axis.text(value + 1, place, f"{value:.1f}", va="center", size=7)
        axis.set_yticks(y, list(values))
        axis.set_xlim(0, max(*values.values(), 1.0) * 1.15)
        axis.set_xlabel("share of the variance of UAR (%)")
        return figure

    told = ", ".join(f"{key} {value:.1f} %" for key, value in values.items())
    return Picture(
        name,
        figures.png(draw),
        f"Shares of the variance of UAR: {told}.",
        f"{one['head']}, scaled by {one['scaling']}, {one['loss']}, {text.plural(one['steps'], 'step')}: shares of "
        f"the variance of UAR (%), {text.plural(one['n_draws'], 'draw')} x {text.plural(one['n_seeds'], 'seed')}"
        f"{'' if shares else '; ' + one['note']}.",
    )

"""Variance components of UAR, as blocks: for `crossed.md` in a work directory, and for the page."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siamese_jax.experiments.records import joined
from siamese_jax.report.paper.claims import remark
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Paragraph, Picture, Table

STYLES = {
    "frozen": ("#D55E00", ""), "speakers": ("#0072B2", "//"), "draw": ("#009E73", ".."), "seed": ("#E69F00", "xx"),
    "interactions": ("#BBBBBB", "")
}  # fmt: skip


def blocks(records: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """The components of every head, scope, loss and evaluation step, see `crossed.run`; main effects first."""
    first = records[0]
    levels = first["levels"]
    yield Paragraph(
        f"Variance components of UAR, {first['source']} to {first['target']}: every draw from every source seed, "
        f"{text.plural(levels['frozen'], 'depth')} of freezing x {text.plural(levels['speakers'], 'number')} of "
        f"speakers x {text.plural(levels['draw'], 'draw')} x {text.plural(levels['seed'], 'source seed')}; other "
        "speakers' clips only. Estimates without intervals: few levels of a factor say little of its variance."
    )
    yield from remark(joined(*dict.fromkeys(record["remarks"] for record in records)))
    names = list(first["components"])
    rows = []
    for record in records:
        setting = f"{record['head']}, {record['scaling']}, {record['loss']}, {text.plural(record['steps'], 'step')}"
        shares = record["shares"]
        rows.append((setting, *(record["note"] if shares is None else text.number(shares[name]) for name in names)))
    caption = "Variance components of UAR as per cent of their sum, negative components cut at 0."
    yield Table(caption, ("setting", *names), rows)


def picture(record: dict[str, Any], name: str) -> Picture:
    """One setting's components: the four factors alone, and all interactions together."""
    shares = record["shares"] or {}
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
        axis.set(xlabel="share of the variance of UAR (%)", xlim=(0, max(*values.values(), 1.0) * 1.15))
        return figure

    listed = ", ".join(f"{key} {value:.1f} %" for key, value in values.items())
    caption = (
        f"{record['head']}, scaled by {record['scaling']}, {record['loss']}, {text.plural(record['steps'], 'step')}: "
        f"variance components of UAR (%), {text.plural(record['n_draws'], 'draw')} x "
        f"{text.plural(record['n_seeds'], 'seed')}{'' if shares else '; ' + record['note']}."
    )
    return Picture(name, figures.png(draw), f"Variance components of UAR: {listed}.", caption)

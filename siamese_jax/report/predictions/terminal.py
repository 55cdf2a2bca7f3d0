"""Predictions as a table on the terminal; a long list is shortened."""

from collections.abc import Sequence

from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.report.predictions.words import place
from siamese_jax.report.render import terminal
from siamese_jax.report.render.text import plural

MOST = 20  # rows of a table


def table(
    predictions: Sequence[Prediction], width: int = terminal.WIDTH, most: int = MOST, total: int | None = None
) -> str:
    """Returns the first `most` predictions in lines of `width` characters, and how many more there are.

    `total` is the number of all predictions where these are a part.
    """
    header = ("file", "seconds", "label", "p", "unsure")
    rows = [
        (p.file, place(p), p.label, f"{p.probabilities[p.label]:.2f}", f"yes: {p.reason}" if p.unsure else "no")
        for p in predictions[:most]
    ]
    drawn = terminal.table(header, rows, width)
    rest = (len(predictions) if total is None else total) - len(rows)
    return f"{drawn}\nand {plural(rest, 'more row')}" if rest else drawn

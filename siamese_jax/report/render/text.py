"""Numbers as words: estimates with their limits, p values, and why a number is missing."""

import math
from typing import Any

import numpy as np

from siamese_jax.stats.records import NOTES, Interval, PairedTest


def number(value: float, digits: int = 1, signed: bool = False) -> str:
    """A number, or "not computable"."""
    if not math.isfinite(value):
        return "not computable"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    # A difference that rounds to nothing has no side.
    return text.replace("-0.", "0.", 1) if float(text) == 0 else text


def estimate(
    interval: Interval, index: tuple[int, ...] = (), factor: float = 1.0, digits: int = 1, signed: bool = False
) -> str:
    """An estimate with its limits, "40.5 [38.5, 42.5]", or in words why a part of it is missing."""
    value, low, high = (factor * float(np.asarray(v)[index]) for v in (interval.estimate, interval.low, interval.high))
    note = NOTES[int(np.asarray(interval.reason)[index])]
    if not math.isfinite(value):
        return note or "not computable"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{number(value, digits, signed)} (interval {note or 'not computable'})"
    return f"{number(value, digits, signed)} [{number(low, digits, signed)}, {number(high, digits, signed)}]"


def gaps(*intervals: Interval) -> str:
    """What to add to a figure's caption where some of its intervals are missing; "" where none is."""
    notes = dict.fromkeys(interval.note for interval in intervals if interval.note)
    return f" (some intervals {'; '.join(notes)})" if notes else ""


def p_value(value: float) -> str:
    """A p value with three digits after the point."""
    if not math.isfinite(value):
        return "not computable"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def test(result: PairedTest, adjusted: Any, index: tuple[int, ...]) -> str:
    """A test's p value and, after an arrow, the same adjusted over its family; or why there is none."""
    p = float(np.asarray(result.p_value)[index])
    if not math.isfinite(p):
        return NOTES[int(np.asarray(result.reason)[index])] or "not computable"
    return f"{p_value(p)} → {p_value(float(np.asarray(adjusted)[index]))}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 draw", "10 draws"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Any) -> str:
    """ "a, b and c"."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""

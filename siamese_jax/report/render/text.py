"""Numbers as words: estimates with their limits, p values, and why a number is missing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese_jax.stats import coverage
from siamese_jax.stats.records import CLIPPED, NOTES, Interval, PairedTest

ABBREVIATIONS = (
    "UAR: unweighted average recall, the mean of the emotions' recalls; OODT: out-of-domain training, on the source "
    "alone; IDT: in-domain training, on the target alone, leave one speaker out (LOSO)."
)
NOT_OFFERED = "A method that does not hold its nominal error rate or coverage at so few units is not offered."


def number(value: float, digits: int = 1, signed: bool = False) -> str:
    """A number, or "not computable"."""
    if not math.isfinite(value):
        return "not computable"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.replace("-0.", "0.", 1) if float(text) == 0 else text  # zero has no sign


def bounded(
    value: float | None, low: float | None, high: float | None, *, note: str = "", digits: int = 1, signed: bool = False
) -> str:
    """A number with its limits, "40.5 [38.5, 42.5]"; in place of missing limits `note` in brackets."""
    numbers = [number(math.nan if v is None else v, digits, signed) for v in (value, low, high)]
    if numbers[0] == "not computable":
        return numbers[0]
    if "not computable" in numbers:
        return f"{numbers[0]} ({note or 'interval not computable'})"
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def estimate(
    interval: Interval, index: tuple[int, ...] = (), factor: float = 1.0, digits: int = 1, signed: bool = False
) -> str:
    """An estimate with its limits, or in words why a part of it is missing."""
    value, low, high = (factor * float(np.asarray(v)[index]) for v in (interval.estimate, interval.low, interval.high))
    note = NOTES[int(np.asarray(interval.reason)[index])]
    if not math.isfinite(value):
        return note or "not computable"
    return bounded(value, low, high, note=f"interval {note}" if note else "", digits=digits, signed=signed)


def label(intervals: Sequence[Interval]) -> str:
    """The name of intervals of one kind, which says so if any limit was clipped."""
    return max((interval.label for interval in intervals), key=lambda name: name.endswith(CLIPPED))


def gaps(*intervals: Interval) -> str:
    """A figure caption's note on missing intervals; "" if none is missing."""
    notes = dict.fromkeys(interval.note for interval in intervals if interval.note)
    return f" (some intervals {'; '.join(notes)})" if notes else ""


def not_offered(method: str, n: int, over: str) -> str:
    """Why an interval or test is not offered over `n` units; "" if it is, or if it is not computable anyway."""
    offered = n < 2 or method in coverage.offered_methods(n, over)
    return "" if offered else f"not offered at {n} {over if over in ('draws', 'speakers') else 'units'}"


def p_value(value: float) -> str:
    """A p value with three digits after the point."""
    if not math.isfinite(value):
        return "not computable"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def adjusted_p(p: float | None, adjusted: float | None) -> str:
    """A p value and, after an arrow, the same adjusted over its family."""
    return "not computable" if p is None or adjusted is None else f"{p_value(p)} → {p_value(adjusted)}"


def test(result: PairedTest, adjusted: Any, index: tuple[int, ...]) -> str:
    """`adjusted_p` of a test, or why it has none."""
    p = float(np.asarray(result.p_value)[index])
    if not math.isfinite(p):
        return NOTES[int(np.asarray(result.reason)[index])] or "not computable"
    return adjusted_p(p, float(np.asarray(adjusted)[index]))


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 draw", "10 draws"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Any) -> str:
    """ "a, b and c"."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""

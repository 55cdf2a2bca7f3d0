"""Intervals over the tested speakers, as the numbers of a row: per cent, null where there is none."""

import math
from collections.abc import Callable
from typing import Any

import jax

from siamese_jax.stats import coverage, intervals
from siamese_jax.stats.records import Interval


def over_speakers(sums: jax.Array, statistic: Callable[[jax.Array], jax.Array], level: float) -> Interval:
    """The jackknife t interval of a statistic of sums by speaker [S, ...]."""
    found: Interval = intervals.jackknife_interval(sums, statistic, level, over="speakers")
    return found


def limits(name: str, interval: Interval) -> dict[str, Any]:
    """Estimate and limits as a row's fields, named after `name`."""
    estimate, low, high = percent(interval)
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def percent(interval: Interval) -> tuple[float | None, float | None, float | None]:
    """Estimate and limits in per cent, the limits only where the interval is offered at so few units."""
    known = offered(interval)
    low, high = (number(100 * float(v)) if known else None for v in (interval.low, interval.high))
    return number(100 * float(interval.estimate)), low, high


def label(interval: Interval) -> str:
    """The kind of interval, in words."""
    return interval.label if offered(interval) else f"none: not offered at {int(interval.n_units)} speakers"


def offered(interval: Interval) -> bool:
    """Whether its coverage has been found good enough at this number of speakers."""
    n = int(interval.n_units)
    return n >= 2 and interval.kind in coverage.offered_methods(n, interval.over)


def number(value: float) -> float | None:
    """As JSON holds it; null where it is not finite."""
    return float(value) if math.isfinite(value) else None

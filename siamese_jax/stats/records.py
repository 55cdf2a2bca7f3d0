"""The results of statistics: numbers with the units that they generalise over.

Two kinds of uncertainty are never mixed. Over *draws* alone, an interval says how far the mean of ever more draws may
lie from this one: Monte Carlo error, which more computing shrinks. Over *speakers* and *seeds*, it says how far the
value may lie for other people and other source trainings: a claim needs this, and more draws of the same people cannot
shrink it. The field `over` names the kind. A number that cannot be computed is NaN, and `reason` says why.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError

OVER = ("draws", "seeds", "speakers", "speakers+seeds")
"""The units that an interval or a test can generalise over."""

COMPUTED, FEW_UNITS, NOT_FINITE, NO_VARIANCE, LACKS_CLASS, OUT_OF_REACH, GAPS = range(7)
NOTES = (
    "",
    "not computable: fewer than two units",
    "not computable: NaN or infinite values",
    "not computable: no variance between the units",
    "not computable: without some of the units a class has no clip",
    "not computable: the quantile lies beyond what was computed",
    "not computable: some seeds never test some speakers; draw more",
)
"""The text of `reason`, by code."""
_CODES = {"few_units": FEW_UNITS, "not_finite": NOT_FINITE, "no_variance": NO_VARIANCE, "lacks_class": LACKS_CLASS}

CLIPPED = ", clipped to the possible values"

_INTERVAL_ARRAYS = ("estimate", "low", "high", "standard_error", "df", "n_units", "reason", "clipped")
_INTERVAL_META = ("level", "kind", "over")


@functools.partial(jax.tree_util.register_dataclass, data_fields=_INTERVAL_ARRAYS, meta_fields=_INTERVAL_META)
@dataclasses.dataclass(frozen=True, eq=False)
class Interval:
    """An estimate with an interval. A pytree: vmap and jit pass it through.

    Fields:
      estimate, low, high: [...] the value and its limits; the limits are NaN where they cannot be computed.
      standard_error, df: [...] behind a t interval; NaN for other kinds.
      n_units: [...] int32, the number of units (of the smaller axis, for two).
      reason: [...] int32, index into NOTES; 0 where the limits are computed.
      level, kind: nominal coverage, 0.95 for 95 %; the computation ("t", "jackknife t", "percentile", "BCa", ...).
      clipped: [...] bool, whether a limit lay outside the possible values and was moved to their end, see `within`.
      over: the units that it generalises over, of OVER.
    """

    estimate: jax.Array
    low: jax.Array
    high: jax.Array
    standard_error: jax.Array
    df: jax.Array
    n_units: jax.Array
    reason: jax.Array
    clipped: jax.Array
    level: float
    kind: str
    over: str

    @property
    def label(self) -> str:
        """The interval's name for tables and captions, as in "95 % t over speakers". For concrete arrays only."""
        return f"{100 * self.level:g} % {self.kind} over {self.over}{self._clipped_text}"

    @property
    def _clipped_text(self) -> str:
        return CLIPPED if np.asarray(self.clipped).any() else ""

    @property
    def note(self) -> str:
        """Why some limits are NaN, in words; "" where all are computed. For concrete arrays only."""
        return note_of(self.reason)


def within(interval: Interval, low: float, high: float) -> Interval:
    """The interval with its limits clipped to the possible values low..high; its label says so if any was outside.

    A t interval of few units may reach beyond a recall of 1. Clipping keeps its coverage.
    """
    limits = jnp.clip(interval.low, low, high), jnp.clip(interval.high, low, high)
    moved = (limits[0] > interval.low) | (limits[1] < interval.high)
    return dataclasses.replace(interval, low=limits[0], high=limits[1], clipped=interval.clipped | moved)


_TEST_ARRAYS = ("statistic", "p_value", "n_units", "reason")


@functools.partial(jax.tree_util.register_dataclass, data_fields=_TEST_ARRAYS, meta_fields=("kind", "over"))
@dataclasses.dataclass(frozen=True, eq=False)
class PairedTest:
    """A two-sided test of no difference between paired values. A pytree: vmap and jit pass it through.

    Fields:
      statistic, p_value: [...] NaN where they cannot be computed.
      n_units, reason: [...] int32, the pairs that entered; [...] int32, index into NOTES.
      kind: "sign-flip exact", "sign-flip sampled", "Wilcoxon signed-rank", "t".
      over: the units that it generalises over, of OVER.
    """

    statistic: jax.Array
    p_value: jax.Array
    n_units: jax.Array
    reason: jax.Array
    kind: str
    over: str

    @property
    def note(self) -> str:
        """Why some p values are NaN, in words; "" where all are computed. For concrete arrays only."""
        return note_of(self.reason)


def note_of(reason: jax.Array) -> str:
    """The distinct notes behind an array of reason codes, joined."""
    return "; ".join(NOTES[code] for code in np.unique(np.asarray(reason)) if code)


def check_over(over: str, level: float = 0.95) -> None:
    """Raises InputError unless `over` is of OVER and 0 < level < 1."""
    if over not in OVER:
        raise InputError(f"over: expected one of {', '.join(OVER)}, got {over!r}; name what the units are")
    check_level(level)


def check_level(level: float) -> None:
    """Raises InputError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a share between 0 and 1 (0.95 for 95 %), got {level}")


def as_units(name: str, values: jax.typing.ArrayLike, n_axes: int = 1) -> jax.Array:
    """`values` as floats, with at least `n_axes` axes and one unit at least; raises InputError otherwise."""
    array = jnp.asarray(values)
    if array.ndim < n_axes or 0 in array.shape:
        raise InputError(f"{name}: expected at least {n_axes} axes and one unit along each, got shape {array.shape}")
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name}: expected real numbers, got {array.dtype}")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def same_shape(name_a: str, a: jax.Array, name_b: str, b: jax.Array) -> None:
    """Raises InputError unless the two arrays are paired, entry by entry."""
    if a.shape != b.shape:
        raise InputError(f"{name_a} {a.shape} and {name_b} {b.shape}: expected equal shapes, paired entry by entry")


def batch_of(n: int, at_most: int) -> int:
    """How many of `n` to evaluate at once: a divisor of n if one is near, so that no remainder compiles."""
    if n <= at_most:
        return max(n, 1)
    near = (size for size in range(at_most, at_most // 2, -1) if n % size == 0)
    return next(near, at_most)


def map_keys(function: Callable[[jax.Array], Any], key: jax.Array, n: int, at_most: int) -> Any:
    """`function` of each of `n` keys split from `key`, which is consumed; at most `at_most` at once.

    Key i is split(key, n)[i]. The keys travel as plain data: under vmap, jax 0.10's check for reused keys takes
    keys that a scan consumes for keys consumed before it.
    """
    implementation = jax.random.key_impl(key)

    def of_data(data: jax.Array) -> Any:
        return function(jax.random.wrap_key_data(data, impl=implementation))

    return jax.lax.map(of_data, jax.random.key_data(jax.random.split(key, n)), batch_size=batch_of(n, at_most))


def no_spread(values: jax.Array, axis: int = -1) -> jax.Array:
    """Whether all values along an axis are equal up to rounding."""
    size = jnp.abs(values).max(axis=axis)
    return values.max(axis=axis) - values.min(axis=axis) <= 4 * jnp.finfo(values.dtype).eps * size


def first_reason(**checks: jax.typing.ArrayLike) -> jax.Array:
    """The code of the first check [...] that holds, COMPUTED otherwise; checks are named after the codes."""
    shape = jnp.broadcast_shapes(*map(jnp.shape, checks.values()))
    reason = jnp.full(shape, COMPUTED, jnp.int32)
    for name, holds in reversed(checks.items()):
        reason = jnp.where(jnp.broadcast_to(holds, shape), _CODES[name], reason)
    return reason


def reason_of(values: jax.Array) -> jax.Array:
    """The reason [...] that no interval of the mean of values [..., n] can be computed, or COMPUTED."""
    return first_reason(
        few_units=values.shape[-1] < 2, not_finite=~jnp.isfinite(values).all(axis=-1), no_variance=no_spread(values)
    )


def make_interval(
    estimate: jax.Array, low: jax.Array, high: jax.Array, reason: jax.Array, n_units: jax.typing.ArrayLike, *,
    level: float, kind: str, over: str, standard_error: jax.Array | None = None,
    df: jax.typing.ArrayLike | None = None,
) -> Interval:  # fmt: skip
    """An Interval whose limits (and error) are NaN wherever `reason` says so."""
    shape, computed = estimate.shape, reason == COMPUTED
    nan = jnp.full(shape, jnp.nan, estimate.dtype)
    reason = jnp.broadcast_to(reason, shape)
    error = nan if standard_error is None else jnp.where(computed, standard_error, nan)
    freedom = nan if df is None else jnp.where(computed, jnp.broadcast_to(jnp.asarray(df, nan.dtype), shape), nan)
    low, high = jnp.where(computed, low, nan), jnp.where(computed, high, nan)
    n_units = jnp.broadcast_to(jnp.asarray(n_units, jnp.int32), shape)
    clipped = jnp.zeros(shape, bool)
    return Interval(estimate, low, high, error, freedom, n_units, reason, clipped, level, kind, over)

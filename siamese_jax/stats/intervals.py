"""t intervals: of a mean, of a difference of means, and of any statistic of clustered counts by the jackknife.

These hold their nominal coverage down to ten units, where percentile and BCa intervals do not (coverage.py).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError
from siamese_jax.stats import metrics, records, student_t
from siamese_jax.stats.records import Interval

Statistic = Callable[[jax.Array], jax.Array]
"""From sums over the units ([...] of whatever shape one unit has) to one number."""


@functools.partial(jax.jit, static_argnames=("level", "over"))
def t_interval(values: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Student's t interval of the mean of independent units.

    For paired methods, hand over their differences unit by unit.

    Args:
      values: [..., n] one value a unit.
      level: nominal coverage, static.
      over: what the n units are, one of records.OVER, static.

    Returns:
      Interval of [...]; NaN limits and a reason for one unit, NaN values or no variance.

    Raises:
      InputError: no unit, or an unknown `over` or level.
    """
    records.check_over(over)
    records.check_level(level)
    values = records.as_units("values", values)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    error = values.std(axis=-1, ddof=min(1, n - 1)) / n**0.5
    half = student_t.t_factor(level, n - 1) * error
    reason = records.first_reason(
        (records.FEW_UNITS, jnp.full(mean.shape, n < 2)),
        (records.NOT_FINITE, ~jnp.isfinite(values).all(axis=-1)),
        (records.NO_VARIANCE, records.no_spread(values)),
    )
    return records.make_interval(
        mean, mean - half, mean + half, reason, n,
        level=level, kind="t", over=over, standard_error=error, df=n - 1.0,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("level", "over"))
def welch_interval(a: jax.typing.ArrayLike, b: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Welch's t interval of mean(a) - mean(b) for units that are not paired (other draws, other people).

    Args:
      a: [..., n] values.
      b: [..., m] values; leading axes as `a`.

    Returns:
      Interval of [...], `n_units` the smaller of n and m.

    Raises:
      InputError: no unit, leading axes that differ, or an unknown `over` or level.
    """
    of_a, of_b = t_interval(a, level, over=over), t_interval(b, level, over=over)
    records.same_shape("a (without its last axis)", of_a.estimate, "b (without its last axis)", of_b.estimate)
    square_a, square_b = of_a.standard_error**2, of_b.standard_error**2
    error = jnp.sqrt(square_a + square_b)
    df = error**4 / (square_a**2 / of_a.df + square_b**2 / of_b.df)
    estimate, half = of_a.estimate - of_b.estimate, student_t.t_factor(level, df) * error
    return records.make_interval(
        estimate, estimate - half, estimate + half, jnp.maximum(of_a.reason, of_b.reason),
        jnp.minimum(of_a.n_units, of_b.n_units), level=level, kind="Welch t", over=over,
        standard_error=error, df=df,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("level", "over"))
def share_interval(hits: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Wilson's interval of a share, such as that of the draws which start beyond the pole.

    Source: Wilson 1927; scipy.stats.binomtest(...).proportion_ci(method="wilson").

    Args:
      hits: [..., n] boolean, one a unit.
      level, over: as in `t_interval`.

    Returns:
      Interval of [...], computed for any n >= 1, also where no unit or every unit hits.

    Raises:
      InputError: no unit, values that are not boolean, or an unknown `over` or level.
    """
    records.check_over(over)
    records.check_level(level)
    if jnp.asarray(hits).dtype != jnp.bool_:
        raise InputError(f"hits: expected booleans, got {jnp.asarray(hits).dtype}; compare with a bound first")
    values = records.as_units("hits", hits)
    n = values.shape[-1]
    share = values.mean(axis=-1)
    z = student_t.t_factor(level, jnp.inf)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * jnp.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return records.make_interval(
        share, centre - half, centre + half, jnp.full(share.shape, records.COMPUTED, jnp.int32), n,
        level=level, kind="Wilson", over=over,
    )  # fmt: skip


def jackknife_t_interval(
    per_speaker_confusion: jax.typing.ArrayLike, level: float = 0.95, *, over: str = "speakers"
) -> Interval:
    """Jackknife t interval of the UAR of counts pooled over clusters.

    Args:
      per_speaker_confusion: [..., S, C, C] counts a cluster, rows the true class (metrics.confusion_by_group).
        A cluster without any clip (a speaker whose clips are all references) is no unit.
      level: nominal coverage.
      over: what the clusters are.

    Returns:
      Interval of [...]; NaN limits and a reason for fewer than two clusters, for NaN counts, for clusters that
      are all alike, and where a class is held by one cluster alone.

    Raises:
      InputError: the last axes are not [S, C, C], or an unknown `over` or level.
    """
    counts = records.as_units("per_speaker_confusion", per_speaker_confusion, 3)
    metrics.unweighted_average_recall(counts[..., 0, :, :])  # raises unless [C, C]
    flat = counts.reshape(-1, *counts.shape[-3:])
    interval = jax.vmap(lambda sums: jackknife_interval(sums, metrics.unweighted_average_recall, level, over=over))(
        flat
    )
    return jax.tree.map(lambda field: field.reshape(counts.shape[:-3]), interval)


@functools.partial(jax.jit, static_argnames=("statistic", "level", "over"))
def jackknife_interval(sums: jax.typing.ArrayLike, statistic: Statistic, level: float = 0.95, *, over: str) -> Interval:
    """Delete-one jackknife t interval of a statistic of sums over clusters.

    Unbatched: vmap goes around it. Source: Tukey 1958; Efron & Tibshirani 1993, chapter 11.

    Args:
      sums: [S, ...] each cluster's share of the sums (its confusion counts, say; with a method axis,
        [S, 2, C, C], for the difference of two methods). Clusters whose shares are all zero are no units.
      statistic: [...] sums over clusters -> scalar. Static: hand over a named function, as each new lambda
        compiles anew.
      level, over: as in `t_interval`.

    Returns:
      Interval of [], with standard error and degrees of freedom (units - 1).

    Raises:
      InputError: no cluster, or an unknown `over` or level.
    """
    records.check_over(over)
    records.check_level(level)
    sums = records.as_units("sums", sums)
    present_S = (sums != 0).reshape(sums.shape[0], -1).any(axis=-1)
    total = sums.sum(axis=0)
    estimate = statistic(total)
    without_S = jnp.where(present_S, jax.vmap(statistic)(total[None] - sums), estimate)
    n = present_S.sum()
    mean = jnp.where(present_S, without_S, 0.0).sum() / jnp.maximum(n, 1)
    square = jnp.where(present_S, (without_S - mean) ** 2, 0.0).sum()
    error = jnp.sqrt(square * (n - 1) / jnp.maximum(n, 1))
    half = student_t.t_factor(level, n - 1) * error
    spread_S = jnp.where(present_S, without_S, mean)
    reason = records.first_reason(
        (records.NOT_FINITE, ~jnp.isfinite(sums).all()),
        (records.FEW_UNITS, n < 2),
        (records.LACKS_CLASS, ~jnp.isfinite(without_S).all() | ~jnp.isfinite(estimate)),
        (records.NO_VARIANCE, records.no_spread(spread_S)),
    )
    return records.make_interval(
        estimate, estimate - half, estimate + half, reason, n,
        level=level, kind="jackknife t", over=over, standard_error=error, df=n - 1.0,
    )  # fmt: skip

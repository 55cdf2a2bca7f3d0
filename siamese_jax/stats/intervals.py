"""t intervals of a mean, of a difference of means, and of any statistic of clustered counts by the jackknife.

They hold their nominal coverage down to ten units, where percentile and BCa intervals do not (coverage.py). `level` is
the nominal coverage and `over` the kind of units, of records.OVER; both are static. All functions raise InputError for
no unit, an unknown `over` and a level outside 0..1; limits that cannot be computed are NaN, with a reason.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError
from siamese_jax.stats import metrics, records, student_t
from siamese_jax.stats.records import Interval

Statistic = Callable[[jax.Array], jax.Array]
"""From sums over the units ([...], the shape of a unit's contribution) to a scalar."""


@functools.partial(jax.jit, static_argnames=("level", "over"))
def t_interval(values: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Student's t interval [...] of the mean of independent units [..., n]; for paired methods, of their differences.

    The limits are NaN for one unit, NaN values or no variance.
    """
    records.check_over(over, level)
    values = records.as_units("values", values)
    n = values.shape[-1]
    error = values.std(axis=-1, ddof=min(1, n - 1)) / n**0.5
    return student_t.symmetric_interval(
        values.mean(axis=-1), error, n - 1.0, records.reason_of(values), n, level=level, kind="t", over=over
    )


@functools.partial(jax.jit, static_argnames=("level", "over"))
def welch_interval(a: jax.typing.ArrayLike, b: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Welch's t interval [...] of mean(a) - mean(b), a [..., n] and b [..., m], for units that are not paired (other
    draws, other people); `n_units` is the smaller of n and m. Raises InputError for leading axes that differ."""
    of_a, of_b = t_interval(a, level, over=over), t_interval(b, level, over=over)
    records.same_shape("a (without its last axis)", of_a.estimate, "b (without its last axis)", of_b.estimate)
    square_a, square_b = of_a.standard_error**2, of_b.standard_error**2
    error = jnp.sqrt(square_a + square_b)
    df = error**4 / (square_a**2 / of_a.df + square_b**2 / of_b.df)
    return student_t.symmetric_interval(
        of_a.estimate - of_b.estimate, error, df, jnp.maximum(of_a.reason, of_b.reason),
        jnp.minimum(of_a.n_units, of_b.n_units), level=level, kind="Welch t", over=over,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("level", "over"))
def share_interval(hits: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Wilson's interval [...] of the share of true booleans [..., n], computed for any n >= 1 and any share.

    Source: Wilson 1927; scipy.stats.binomtest(...).proportion_ci(method="wilson"). Raises InputError for other values.
    """
    records.check_over(over, level)
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
    """Jackknife t interval [...] of the UAR of counts [..., S, C, C] pooled over clusters (metrics.confusion_by_group).

    A cluster without any clip (a speaker whose clips are all references) is no unit. The limits are NaN for fewer than
    two clusters, NaN counts, clusters that are all alike, and a class that one cluster alone holds. Raises InputError
    unless the last axes are [S, C, C].
    """
    counts = records.as_units("per_speaker_confusion", per_speaker_confusion, 3)
    metrics.unweighted_average_recall(counts[..., 0, :, :])  # raises unless [C, C]
    flat = counts.reshape(-1, *counts.shape[-3:])

    def of_counts(sums: jax.Array) -> Interval:
        interval: Interval = jackknife_interval(sums, metrics.unweighted_average_recall, level, over=over)
        return interval

    return jax.tree.map(lambda field: field.reshape(counts.shape[:-3]), jax.vmap(of_counts)(flat))


@functools.partial(jax.jit, static_argnames=("statistic", "level", "over"))
def jackknife_interval(sums: jax.typing.ArrayLike, statistic: Statistic, level: float = 0.95, *, over: str) -> Interval:
    """Delete-one jackknife t interval [] of a statistic of sums over clusters.

    Unbatched: vmap goes around it. Source: Tukey 1958; Efron & Tibshirani 1993, chapter 11.

    Args:
      sums: [S, ...] each cluster's share of the sums (its confusion counts; with a method axis, [S, 2, C, C], for the
        difference of two methods). Clusters whose shares are all zero are no units.
      statistic: [...] sums over clusters -> scalar. Static: a named function, as each new lambda compiles anew.
    """
    records.check_over(over, level)
    sums = records.as_units("sums", sums)
    present_S = (sums != 0).reshape(sums.shape[0], -1).any(axis=-1)
    total = sums.sum(axis=0)
    estimate = statistic(total)
    without_S = jnp.where(present_S, jax.vmap(statistic)(total[None] - sums), estimate)
    n = present_S.sum()
    mean = jnp.where(present_S, without_S, 0.0).sum() / jnp.maximum(n, 1)
    square = jnp.where(present_S, (without_S - mean) ** 2, 0.0).sum()
    error = jnp.sqrt(square * (n - 1) / jnp.maximum(n, 1))
    spread_S = jnp.where(present_S, without_S, mean)
    reason = records.first_reason(
        not_finite=~jnp.isfinite(sums).all(), few_units=n < 2,
        lacks_class=~jnp.isfinite(without_S).all() | ~jnp.isfinite(estimate), no_variance=records.no_spread(spread_S),
    )  # fmt: skip
    return student_t.symmetric_interval(estimate, error, n - 1.0, reason, n, level=level, kind="jackknife t", over=over)


def gain_per_speaker(
    values: jax.typing.ArrayLike, n_speakers: Sequence[int], level: float = 0.95, *, paired: bool, over: str
) -> Interval:
    """UAR gained per added speaker between neighbouring numbers of speakers.

    Args:
      values: [K, n] UAR at each number of speakers, for n units (draws, or target speakers with all draws averaged).
      n_speakers: K numbers, rising, such as (2, 3, 4, 5, 6, 8).
      paired: whether unit i is the same at every number of speakers (a draw that is extended, or the same test
        speaker), or drawn anew for each (then Welch's interval).

    Returns an Interval [K - 1]; entry i is the gain per speaker from n_speakers[i] to n_speakers[i + 1].
    Raises InputError for fewer than two numbers, or numbers that do not rise or do not fit.
    """
    array = records.as_units("values", values, 2)
    if array.ndim != 2 or len(n_speakers) != array.shape[0] or len(n_speakers) < 2:
        expected = f"two or more, one for each row of values {array.shape}"
        raise InputError(f"n_speakers: expected {expected}, got {n_speakers}")
    added = jnp.diff(jnp.asarray(n_speakers))
    if not bool((added > 0).all()):
        raise InputError(f"n_speakers: expected rising numbers, got {tuple(n_speakers)}")
    per_speaker = added.astype(array.dtype)[:, None]
    if paired:
        return t_interval((array[1:] - array[:-1]) / per_speaker, level, over=over)
    return welch_interval(array[1:] / per_speaker, array[:-1] / per_speaker, level, over=over)

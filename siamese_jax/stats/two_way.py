"""Intervals over speakers and source seeds at once, if every seed's network is tested on every speaker.

Neither axis holds independent values: a hard speaker is hard for all seeds. The variance of the mean is the sum of the
speakers' and the seeds' contributions, less the part that both count.
"""

import functools

import jax
import jax.numpy as jnp

from siamese_jax.stats import records, student_t
from siamese_jax.stats.intervals import Statistic
from siamese_jax.stats.records import Interval, PairedTest


@functools.partial(jax.jit, static_argnames=("statistic", "level"))
def crossed_interval(sums: jax.typing.ArrayLike, statistic: Statistic, level: float = 0.95) -> Interval:
    """Two-way jackknife t interval of a statistic of sums over a full crossing of seeds and speakers.

    For a mean it is the interval of the balanced two-way random-effects model, with the variance
    MS_seed / JS + MS_speaker / JS - MS_rest / JS and Satterthwaite's degrees of freedom (Searle, Casella &
    McCulloch 1992, chapter 4); for other statistics the jackknife values stand in for the cells. The variance is
    never read as less than that of either axis alone. Unbatched: vmap goes around it.

    Args:
      sums: [J, S, ...] the share of each seed and speaker in the sums (confusion counts pooled over the seed's
        draws; with a method axis, [J, S, 2, C, C], for a paired difference).
      statistic: sums -> scalar, static, a named function.

    Returns an Interval [] over speakers+seeds; `n_units` is the smaller of J and S; NaN limits for a single seed or
    speaker, NaN sums, no variance, or a class of one unit alone. Raises InputError for under two axes or a bad level.
    """
    records.check_level(level)
    sums = records.as_units("sums", sums, 2)
    n_seeds, n_speakers = sums.shape[:2]
    by_seed, by_speaker, total = sums.sum(axis=1), sums.sum(axis=0), sums.sum(axis=(0, 1))
    estimate = statistic(total)
    without_J = jax.vmap(statistic)(total[None] - by_seed)
    without_S = jax.vmap(statistic)(total[None] - by_speaker)

    def without_both(seed: jax.Array) -> jax.Array:
        return jax.vmap(statistic)((total - by_seed[seed])[None] - by_speaker + sums[seed])

    without_JxS = jax.lax.map(without_both, jnp.arange(n_seeds))
    rest_JxS = without_JxS - without_J[:, None] - without_S[None, :]
    rest_JxS = rest_JxS - rest_JxS.mean(axis=0)[None, :] - rest_JxS.mean(axis=1)[:, None] + rest_JxS.mean()
    few = max(n_seeds - 1, 1), max(n_speakers - 1, 1)
    seeds = ((without_J - without_J.mean()) ** 2).sum() * few[0] / n_seeds
    speakers = ((without_S - without_S.mean()) ** 2).sum() * few[1] / n_speakers
    rest = (rest_JxS**2).sum() * few[0] * few[1] / (n_seeds * n_speakers)
    variance = jnp.maximum(seeds + speakers - rest, jnp.maximum(seeds, speakers))
    spread = seeds**2 / few[0] + speakers**2 / few[1] + rest**2 / (few[0] * few[1])
    df = variance**2 / jnp.where(spread > 0, spread, 1.0)
    error = jnp.sqrt(variance)
    defined = jnp.isfinite(without_J).all() & jnp.isfinite(without_S).all() & jnp.isfinite(estimate)
    reason = records.first_reason(
        few_units=min(n_seeds, n_speakers) < 2, not_finite=~jnp.isfinite(sums).all(),
        lacks_class=~(defined & jnp.isfinite(without_JxS).all()),
        no_variance=records.no_spread(without_J) & records.no_spread(without_S),
    )  # fmt: skip
    return student_t.symmetric_interval(
        estimate, error, df, reason, min(n_seeds, n_speakers),
        level=level, kind="two-way jackknife t", over="speakers+seeds",
    )  # fmt: skip


def t_test(interval: Interval, null: float = 0.0) -> PairedTest:
    """The two-sided test, with a t interval as its acceptance region, that the value differs from `null`.

    `interval` has a standard error (t, jackknife t, two-way jackknife t, Welch t) and is of a difference. Returns a
    PairedTest of its shape and units; NaN with the interval's reason, or without a standard error.
    """
    statistic = (interval.estimate - null) / interval.standard_error
    p_value = student_t.t_two_sided(statistic, interval.df)
    kind = f"{interval.kind} test"
    return PairedTest(statistic, p_value, interval.n_units, interval.reason, kind, interval.over)

"""The clustered bootstrap from sufficient statistics: a resample is a weighted sum of the units' contributions.

coverage.py has the numbers of units at which each interval is offered.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError
from siamese_jax.stats import records
from siamese_jax.stats.intervals import Statistic
from siamese_jax.stats.records import Interval

# Resamples evaluated at once, so that [at once, units, ...] arrays stay within tens of megabytes.
_AT_ONCE = 512

_FIELDS = ("estimate", "values", "standard_error", "standard_errors", "acceleration", "n_units", "reason")


@functools.partial(jax.tree_util.register_dataclass, data_fields=_FIELDS, meta_fields=("over",))
@dataclasses.dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic on the data and on R resamples of its units. A pytree.

    Fields:
      estimate, values: [] on the data, [R] on the resamples.
      standard_error, standard_errors: [] and [R], theirs, from the infinitesimal jackknife (the gradient by the units'
        weights); NaN for crossed resamples.
      acceleration: [] BCa's a, from the jackknife; NaN for crossed resamples.
      n_units, reason, over: [] int32; [] int32, index into records.NOTES; the kind of units, of records.OVER.
    """

    estimate: jax.Array
    values: jax.Array
    standard_error: jax.Array
    standard_errors: jax.Array
    acceleration: jax.Array
    n_units: jax.Array
    reason: jax.Array
    over: str


def resample_weights(key: jax.Array, n_resamples: int, present: jax.Array) -> jax.Array:
    """How often each unit of `present` [S] is drawn with replacement: [R, S] float; a row sums to the units present.

    The key is consumed. Resample r uses split(key, R)[r], so that more resamples leave the first alone. R is static.
    """
    n_units = present.shape[0]
    n_present = present.sum()
    order_S = jnp.argsort(~present, stable=True)  # the units present first
    positions_S = jnp.arange(n_units)

    def counts(key: jax.Array) -> jax.Array:
        # Scaled uniforms: randint costs twice the random bits, for a bias of 1e-7 that it would remove.
        places_S = (jax.random.uniform(key, (n_units,)) * n_present).astype(jnp.int32)
        drawn_S = order_S[jnp.minimum(places_S, jnp.maximum(n_present - 1, 0))]
        drawn_S = jnp.where(positions_S < n_present, drawn_S, n_units)  # n_units matches no unit
        if n_units <= 128:
            return (drawn_S[:, None] == positions_S[None, :]).sum(axis=0).astype(jnp.result_type(float))
        return jnp.zeros(n_units, jnp.result_type(float)).at[drawn_S].add(1.0, mode="drop")

    return records.map_keys(counts, key, n_resamples, _AT_ONCE)


@functools.partial(jax.jit, static_argnames=("statistic", "n_resamples", "over"))
def clustered_bootstrap(
    key: jax.Array, sums: jax.typing.ArrayLike, statistic: Statistic, n_resamples: int, *, over: str
) -> Resampled:
    """Resamples whole units (speakers, draws, seeds) with replacement. Unbatched: vmap goes around it.

    Args:
      key, n_resamples, over: consumed; R and the kind of units, static.
      sums: [S, ...] each unit's contribution to the sums (confusion counts of a speaker; with a method axis,
        [S, 2, C, C], for a paired difference). Units whose shares are all zero are no units.
      statistic: sums -> scalar, differentiable, static, a named function (estimands.py).

    Raises InputError for no unit, no resample, or an unknown `over`.
    """
    records.check_over(over)
    _check_resamples(n_resamples)
    sums = records.as_units("sums", sums)
    n_units = sums.shape[0]
    flat_SxK = sums.reshape(n_units, -1)
    present_S = (flat_SxK != 0).any(axis=-1)
    weights_RxS = resample_weights(key, n_resamples, present_S)

    def value_and_error(weights_S: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = (weights_S @ flat_SxK).reshape(sums.shape[1:])
        value, slope = jax.value_and_grad(statistic)(total)
        return value, _infinitesimal_error(weights_S, flat_SxK @ slope.reshape(-1))

    batch = records.batch_of(n_resamples, _AT_ONCE)
    values_R, errors_R = jax.lax.map(value_and_error, weights_RxS, batch_size=batch)
    estimate, error = value_and_error(present_S.astype(flat_SxK.dtype))
    without_S = jax.vmap(statistic)(sums.sum(axis=0)[None] - sums)
    n = present_S.sum()
    reason = records.first_reason(
        not_finite=~jnp.isfinite(sums).all(), few_units=n < 2,
        lacks_class=~(jnp.isfinite(values_R).all() & jnp.isfinite(without_S).all()),
        no_variance=records.no_spread(values_R),
    )  # fmt: skip
    acceleration = _acceleration(without_S, present_S)
    return Resampled(estimate, values_R, error, errors_R, acceleration, n.astype(jnp.int32), reason, over)


@functools.partial(jax.jit, static_argnames=("statistic", "n_resamples"))
def crossed_bootstrap(key: jax.Array, sums: jax.typing.ArrayLike, statistic: Statistic, n_resamples: int) -> Resampled:
    """Resamples speakers and seeds independently, every cell weighted by both (the pigeonhole bootstrap).

    Source: Owen 2007, Annals of Applied Statistics 1(2). Its percentile intervals, the only ones, are too narrow at few
    units (coverage.py); the default for claims is `two_way.crossed_interval`. Unbatched: vmap goes around it.

    Args:
      sums: [J, S, ...] the share of each seed and speaker; `n_units` is the smaller of J and S.
      key, statistic, n_resamples: as in `clustered_bootstrap`.

    Raises InputError for fewer than two axes or no resample.
    """
    _check_resamples(n_resamples)
    sums = records.as_units("sums", sums, 2)
    n_seeds, n_speakers = sums.shape[:2]
    key_seeds, key_speakers = jax.random.split(key)
    seeds_RxJ = resample_weights(key_seeds, n_resamples, jnp.ones(n_seeds, bool))
    speakers_RxS = resample_weights(key_speakers, n_resamples, jnp.ones(n_speakers, bool))
    cells_SxJK = jnp.moveaxis(sums, 0, 1).reshape(n_speakers, -1)

    def value(weights: tuple[jax.Array, jax.Array]) -> jax.Array:
        seeds_J, speakers_S = weights
        by_seed_JxK = (speakers_S @ cells_SxJK).reshape(n_seeds, -1)
        return statistic((seeds_J @ by_seed_JxK).reshape(sums.shape[2:]))

    batch = records.batch_of(n_resamples, max(1, min(_AT_ONCE, 2**22 // cells_SxJK.shape[1])))
    values_R = jax.lax.map(value, (seeds_RxJ, speakers_RxS), batch_size=batch)
    estimate = statistic(sums.sum(axis=(0, 1)))
    n = min(n_seeds, n_speakers)
    reason = records.first_reason(
        few_units=n < 2, not_finite=~jnp.isfinite(sums).all(),
        lacks_class=~(jnp.isfinite(values_R).all() & jnp.isfinite(estimate)), no_variance=records.no_spread(values_R),
    )  # fmt: skip
    nans = jnp.full_like(values_R, jnp.nan)
    return Resampled(estimate, values_R, nans[0], nans, nans[0], jnp.asarray(n, jnp.int32), reason, "speakers+seeds")


def percentile_interval(resampled: Resampled, level: float = 0.95) -> Interval:
    """The resamples' own quantiles (Efron & Tibshirani 1993, chapter 13). Too narrow at few units."""
    records.check_level(level)
    low, high = jnp.quantile(resampled.values, jnp.array([(1 - level) / 2, (1 + level) / 2]))
    return _interval(resampled, low, high, "percentile", level)


def bca_interval(resampled: Resampled, level: float = 0.95) -> Interval:
    """Bias-corrected and accelerated quantiles (Efron & Tibshirani 1993, chapter 14); not of crossed resamples."""
    records.check_level(level)
    _refuse_crossed(resampled, "BCa")
    values, estimate, a = resampled.values, resampled.estimate, resampled.acceleration
    below = ((values < estimate).mean() + (values <= estimate).mean()) / 2
    z0 = jax.scipy.special.ndtri(below)
    z = z0 + jax.scipy.special.ndtri(jnp.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = jnp.quantile(values, jnp.clip(jax.scipy.special.ndtr(z0 + z / (1 - a * z)), 0.0, 1.0))
    return _interval(resampled, low, high, "BCa", level)


def studentised_interval(resampled: Resampled, level: float = 0.95) -> Interval:
    """The bootstrap-t interval: quantiles of (value - estimate) / its own standard error (chapter 12.5); as for BCa."""
    records.check_level(level)
    _refuse_crossed(resampled, "studentised")
    centred, errors = resampled.values - resampled.estimate, resampled.standard_errors
    # A resample of identical units has error 0: it lies as far out as can be, on its own side.
    outside = jnp.where(centred == 0, 0.0, jnp.sign(centred) * jnp.inf)
    t_R = jnp.where(errors > 0, centred / jnp.where(errors > 0, errors, 1.0), outside)
    quantiles = jnp.quantile(t_R, jnp.array([(1 - level) / 2, (1 + level) / 2]), method="nearest")
    low = resampled.estimate - quantiles[1] * resampled.standard_error
    high = resampled.estimate - quantiles[0] * resampled.standard_error
    return _interval(resampled, low, high, "studentised", level)


def _infinitesimal_error(weights_S: jax.Array, slope_S: jax.Array) -> jax.Array:
    """The standard error by the units' influence (Efron 1982, chapter 6), with n - 1 as in a sample variance."""
    n = weights_S.sum()
    mean = (weights_S * slope_S).sum() / jnp.maximum(n, 1.0)
    square = (weights_S * (slope_S - mean) ** 2).sum()
    return jnp.sqrt(square * n / jnp.maximum(n - 1.0, 1.0))


def _acceleration(without_S: jax.Array, present_S: jax.Array) -> jax.Array:
    n = jnp.maximum(present_S.sum(), 1)
    mean = jnp.where(present_S, without_S, 0.0).sum() / n
    away_S = jnp.where(present_S, mean - without_S, 0.0)
    # Scaled first: the cubes of small differences underflow in float32.
    away_S = away_S / jnp.maximum(jnp.abs(away_S).max(), jnp.finfo(away_S.dtype).tiny)
    square = (away_S**2).sum()
    return (away_S**3).sum() / (6 * jnp.where(square > 0, square, 1.0) ** 1.5)


def _interval(resampled: Resampled, low: jax.Array, high: jax.Array, kind: str, level: float) -> Interval:
    finite = jnp.isfinite(low) & jnp.isfinite(high)
    reason = jnp.where((resampled.reason == records.COMPUTED) & ~finite, records.OUT_OF_REACH, resampled.reason)
    crossed = resampled.over == "speakers+seeds"
    return records.make_interval(
        resampled.estimate, low, high, reason, resampled.n_units, level=level,
        kind=f"crossed {kind}" if crossed else kind, over=resampled.over,
    )  # fmt: skip


def _refuse_crossed(resampled: Resampled, kind: str) -> None:
    if resampled.over == "speakers+seeds":
        advice = "use crossed_interval or percentile_interval"
        raise InputError(f"{kind} interval: not defined for crossed resamples; {advice}")


def _check_resamples(n_resamples: int) -> None:
    if n_resamples < 1:
        raise InputError(f"n_resamples: expected at least 1 (10,000 for intervals), got {n_resamples}")

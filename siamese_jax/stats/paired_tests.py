"""Paired differences of UAR between two methods: intervals over draws, speakers and seeds, tests, adjusted p values."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.stats import estimands, hypothesis_tests, intervals, records, two_way
from siamese_jax.stats.records import Interval, PairedTest, within


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Two methods on the same draws and clips.

    Fields:
      by_draw: [G] differences of UAR, in points.
      counts: [J, S, 2, C, C] confusion counts by source seed (its draws pooled), speaker and method. Seeds without
        any count are dropped by `make`.
    """

    by_draw: np.ndarray
    counts: np.ndarray

    @classmethod
    def make(cls, by_draw: np.ndarray, counts_JxSx2: np.ndarray) -> "PairedDifference":
        """Drops seeds without a count."""
        return cls(by_draw, counts_JxSx2[counts_JxSx2.sum(axis=(1, 2, 3, 4)) > 0])

    @property
    def by_speaker(self) -> np.ndarray:
        """[S, 2, C, C], all seeds pooled."""
        return self.counts.sum(axis=0)

    def over_draws(self, level: float) -> Interval:
        """The t interval of the mean difference, in points: Monte Carlo error."""
        return within(intervals.t_interval(self.by_draw, level, over="draws"), -100.0, 100.0)

    def over_speakers(self, level: float) -> Interval:
        """The jackknife t interval of the difference of pooled UARs, a share."""
        interval = intervals.jackknife_interval(self.by_speaker, estimands.uar_difference, level, over="speakers")
        return within(interval, -1.0, 1.0)

    def over_speakers_and_seeds(self, level: float) -> Interval:
        """The two-way jackknife t interval; NaN limits if a seed never tests a speaker: it needs a full crossing."""
        interval = within(two_way.crossed_interval(self.counts, estimands.uar_difference, level), -1.0, 1.0)
        if (self.counts.sum(axis=(2, 3, 4)) > 0).all():
            return interval
        nan = jnp.full_like(interval.low, jnp.nan)
        gaps = jnp.full_like(interval.reason, records.GAPS)
        return dataclasses.replace(interval, low=nan, high=nan, standard_error=nan, df=nan, reason=gaps)


def over_draws(differences: np.ndarray, key: jax.Array, n_resamples: int) -> tuple[PairedTest, PairedTest]:
    """The sign-flip and the Wilcoxon test over draws of [..., G] differences; consumes the key beyond 24 draws."""
    flips = hypothesis_tests.sign_flip_test(differences, over="draws", key=key, n_resamples=n_resamples)
    return flips, hypothesis_tests.wilcoxon_test(differences, over="draws")


def sign_flip_over_speakers(pair: PairedDifference, key: jax.Array, n_resamples: int) -> PairedTest:
    """The sign-flip test of each speaker's own difference of UAR; consumes the key beyond 24 speakers."""
    differences_S = np.asarray(jax.vmap(estimands.uar_difference)(jnp.asarray(pair.by_speaker)))
    return hypothesis_tests.sign_flip_test(differences_S, over="speakers", key=key, n_resamples=n_resamples)


def t_tests(of_differences: Sequence[Interval]) -> tuple[list[PairedTest], jax.Array]:
    """The t test of each interval, and the p values [K] adjusted by Holm's method over this family."""
    tests = [two_way.t_test(interval) for interval in of_differences]
    return tests, holm(jnp.stack([test.p_value for test in tests]))


def adjusted(p_values_K: np.ndarray) -> dict[str, np.ndarray]:
    """p values of a family adjusted by "holm" and "bh" (Benjamini & Hochberg); NaN stays NaN, an empty family empty."""
    methods = {"holm": holm, "bh": benjamini_hochberg}
    return {name: np.asarray(adjust(p_values_K)) if len(p_values_K) else p_values_K for name, adjust in methods.items()}


def holm(p_values: jax.typing.ArrayLike) -> jax.Array:
    """p values [..., m] by Holm's step-down adjustment: bounds the chance of any false rejection under any dependence.

    The family is the last axis. A test that could not be computed (NaN) stays NaN and counts in m as a test that did
    not reject, so that dropping it cannot help the others. Raises InputError for an empty family or (concrete arrays
    only) a p value outside 0..1.
    """
    return _adjusted(p_values, step_down=True)


def benjamini_hochberg(p_values: jax.typing.ArrayLike) -> jax.Array:
    """Benjamini & Hochberg's step-up adjustment: bounds the expected share of false rejections.

    Holds for independent tests and for those that depend positively. Arguments, result and errors as `holm`.
    """
    return _adjusted(p_values, step_down=False)


def _adjusted(p_values: jax.typing.ArrayLike, step_down: bool) -> jax.Array:
    p = records.as_units("p_values", p_values)
    if not isinstance(p, jax.core.Tracer):
        outside = np.asarray((p < 0) | (p > 1))
        if outside.any():
            raise InputError(f"p_values: expected 0..1, found {float(p[outside][0])}")
    missing, p = jnp.isnan(p), jnp.where(jnp.isnan(p), 1.0, p)
    order, m, last = jnp.argsort(p, axis=-1), p.shape[-1], p.ndim - 1
    rank = jnp.arange(1, m + 1).reshape((1,) * last + (m,))
    stepped = jnp.take_along_axis(p, order, axis=-1) * (m - rank + 1 if step_down else m / rank)
    running = jax.lax.cummax(stepped, axis=last) if step_down else jax.lax.cummin(stepped, axis=last, reverse=True)
    in_place = jnp.take_along_axis(jnp.minimum(running, 1.0), jnp.argsort(order, axis=-1), axis=-1)
    return jnp.where(missing, jnp.nan, in_place)

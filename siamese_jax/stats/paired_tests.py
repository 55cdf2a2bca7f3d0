"""Paired differences of UAR between two methods: intervals over draws, speakers and seeds, tests, adjusted p values."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.stats import estimands, hypothesis_tests, intervals, multiplicity, records, two_way
from siamese_jax.stats.records import Interval, PairedTest


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
        return intervals.t_interval(self.by_draw, level, over="draws")

    def over_speakers(self, level: float) -> Interval:
        """The jackknife t interval of the difference of pooled UARs, a share."""
        return intervals.jackknife_interval(self.by_speaker, estimands.uar_difference, level, over="speakers")

    def over_speakers_and_seeds(self, level: float) -> Interval:
        """The two-way jackknife t interval; NaN limits if a seed never tests a speaker: it needs a full crossing."""
        interval = two_way.crossed_interval(self.counts, estimands.uar_difference, level)
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
    return tests, multiplicity.holm(jnp.stack([test.p_value for test in tests]))


def adjusted(p_values_K: np.ndarray) -> dict[str, np.ndarray]:
    """p values of a family adjusted by "holm" and "bh" (Benjamini & Hochberg); NaN stays NaN, an empty family empty."""
    methods = {"holm": multiplicity.holm, "bh": multiplicity.benjamini_hochberg}
    return {name: np.asarray(adjust(p_values_K)) if len(p_values_K) else p_values_K for name, adjust in methods.items()}

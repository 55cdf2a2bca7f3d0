"""Statistics over runs: intervals, resampling, paired tests, planning and decomposition, as pure JAX functions.

Arrays carry a runs axis (draws, seeds, speakers); whatever draws at random takes its key. records.py says which
two kinds of uncertainty there are and why they are never mixed.
"""

from siamese_jax.stats import estimands
from siamese_jax.stats.bootstrap import (
    Resampled,
    bca_interval,
    clustered_bootstrap,
    crossed_bootstrap,
    percentile_interval,
    resample_weights,
    studentised_interval,
)
from siamese_jax.stats.coverage import offered_methods
from siamese_jax.stats.effect_sizes import rank_biserial, standardised_difference
from siamese_jax.stats.estimands import unit_sums
from siamese_jax.stats.hypothesis_tests import sign_flip_test, wilcoxon_test
from siamese_jax.stats.intervals import (
    jackknife_interval,
    jackknife_t_interval,
    share_interval,
    t_interval,
    welch_interval,
)
from siamese_jax.stats.multiplicity import benjamini_hochberg, holm
from siamese_jax.stats.power import Chance, DrawsNeeded, chance_of_best_cell_gain, chance_of_gain, draws_needed
from siamese_jax.stats.records import Interval, PairedTest
from siamese_jax.stats.tradeoff import gain_per_speaker
from siamese_jax.stats.two_way import crossed_interval, t_test
from siamese_jax.stats.variance_components import Decomposition, contrasts, spread_difference, variance_components

__all__ = [
    "Chance",
    "Decomposition",
    "DrawsNeeded",
    "Interval",
    "PairedTest",
    "Resampled",
    "bca_interval",
    "benjamini_hochberg",
    "chance_of_best_cell_gain",
    "chance_of_gain",
    "clustered_bootstrap",
    "contrasts",
    "crossed_bootstrap",
    "crossed_interval",
    "draws_needed",
    "estimands",
    "gain_per_speaker",
    "holm",
    "jackknife_interval",
    "jackknife_t_interval",
    "offered_methods",
    "percentile_interval",
    "rank_biserial",
    "resample_weights",
    "share_interval",
    "sign_flip_test",
    "spread_difference",
    "standardised_difference",
    "studentised_interval",
    "t_interval",
    "t_test",
    "unit_sums",
    "variance_components",
    "welch_interval",
    "wilcoxon_test",
]

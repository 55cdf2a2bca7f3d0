"""Statistics over runs: intervals, resampling, paired tests, planning and decomposition, as pure JAX functions.

Arrays carry a runs axis (draws, seeds, speakers); whatever draws at random takes its key. records.py says which
two kinds of uncertainty there are and why they are never mixed.
"""

from siamese_jax.stats.intervals import (
    jackknife_interval as jackknife_interval,
)
from siamese_jax.stats.intervals import (
    jackknife_t_interval as jackknife_t_interval,
)
from siamese_jax.stats.intervals import (
    t_interval as t_interval,
)
from siamese_jax.stats.intervals import (
    welch_interval as welch_interval,
)
from siamese_jax.stats.records import Interval as Interval
from siamese_jax.stats.records import PairedTest as PairedTest

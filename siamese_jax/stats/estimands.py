"""Statistics of sums over units, for the jackknife and the bootstrap: sums -> scalar.

They are named functions, so that a compiled resampling loop is found again instead of compiled anew.
"""

import dataclasses

import jax
import jax.numpy as jnp

from siamese_jax.stats import metrics, records


def uar(total_CxC: jax.Array) -> jax.Array:
    """The UAR of pooled counts."""
    return metrics.unweighted_average_recall(total_CxC)


def uar_difference(total_2xCxC: jax.Array) -> jax.Array:
    """UAR of the first method minus UAR of the second, on the same clips."""
    first, second = metrics.unweighted_average_recall(total_2xCxC)
    return first - second


def accuracy(total_CxC: jax.Array) -> jax.Array:
    """The share of all clips that were recognised."""
    return metrics.weighted_accuracy(total_CxC)


@dataclasses.dataclass(frozen=True)
class Recall:
    """The recall of a class; equal instances are found again, not compiled anew."""

    label: int

    def __call__(self, total_CxC: jax.Array) -> jax.Array:
        return metrics.recalls(total_CxC)[self.label]


def mean(total: jax.Array) -> jax.Array:
    """The mean of values summed by `unit_sums`."""
    return total[0] / total[1]


def unit_sums(values: jax.typing.ArrayLike) -> jax.Array:
    """[..., n, 2] (value, 1) of [..., n] values, whose sums `mean` reads."""
    values = records.as_units("values", values)
    return jnp.stack([values, jnp.ones_like(values)], axis=-1)

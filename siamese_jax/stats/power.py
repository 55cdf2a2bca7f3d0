"""The power of n draws (of these speakers and seeds), from the resampled draws of a rerun; assumes no normality."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import records

# Experiments simulated at once: [64, 2000] keeps a chunk at half a megabyte.
_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Chance:
    """A probability by simulation.

    Fields:
      probability, standard_error: in 0..1, and from the finite number of simulated experiments.
      n_draws, gain, n_reruns: the event, n draws show this gain or more; the draws that the simulation resampled.
    """

    probability: float
    standard_error: float
    n_draws: int
    gain: float
    n_reruns: int


@dataclasses.dataclass(frozen=True)
class DrawsNeeded:
    """The number of draws that an experiment needs.

    Fields:
      n_draws: the fewest from which on the power stays at `power` or above; None if `n_max` do not suffice.
      power_by_n: [n_max] float32 numpy array, power_by_n[n - 1] the power of n draws (NaN for 1).
      note: why `n_draws` is None; "" otherwise.
    """

    n_draws: int | None
    power_by_n: np.ndarray
    note: str


def chance_of_gain(
    method: jax.typing.ArrayLike, baseline: jax.typing.ArrayLike, *, n_draws: int, gain: float, paired: bool,
    key: jax.Array, n_experiments: int,
) -> Chance:  # fmt: skip
    """How often would n draws show a gain of at least `gain` if the two methods were equally good on average?

    Both methods' values are centred to mean 0 first, so that the true gain is none.

    Args:
      method, baseline: [G] UAR of the same G draws by either method; `gain` is in their unit.
      n_draws, n_experiments: draws of an experiment; experiments to simulate.
      paired: whether the experiment uses the same draws for both methods (this project's protocol), or two independent
        sets of draws.
      key: consumed.

    Raises InputError for fewer than two draws, unequal shapes, NaN, no variance, n_draws or n_experiments below 1.
    """
    a_G, b_G = _reruns("method", method), _reruns("baseline", baseline)
    return _chance(a_G, b_G, n_draws, gain, paired, key, n_experiments)


def chance_of_best_cell_gain(
    method: jax.typing.ArrayLike, baseline: jax.typing.ArrayLike, *, n_draws: int, gain: float, paired: bool,
    key: jax.Array, n_experiments: int,
) -> Chance:  # fmt: skip
    """`chance_of_gain` for the difference between either method's best cell of a grid, as the paper reports it.

    Either method's grid is shifted as a whole so that their true best cells are equal; cells keep their order.

    Args:
      method, baseline: [K, G] UAR by cell of the grid and draw; a draw is resampled with all its cells.
      n_draws, gain, paired, key, n_experiments: as in `chance_of_gain`, with its errors.
    """
    a_KxG, b_KxG = _reruns("method", method, 2), _reruns("baseline", baseline, 2)
    return _chance(a_KxG, b_KxG, n_draws, gain, paired, key, n_experiments)


def _chance(
    a: jax.Array, b: jax.Array, n_draws: int, gain: float, paired: bool, key: jax.Array, n_experiments: int
) -> Chance:
    records.same_shape("method", a, "baseline", b)
    a_KxG, b_KxG = jnp.atleast_2d(a), jnp.atleast_2d(b)
    _check_counts(n_draws=n_draws, n_experiments=n_experiments)
    _check_spread("method - baseline", a_KxG - b_KxG, jnp.stack([a_KxG, b_KxG]), paired)
    level_2xKxG = jnp.stack([a_KxG - a_KxG.mean(axis=1).max(), b_KxG - b_KxG.mean(axis=1).max()])
    hits = int(_count_gains(key, level_2xKxG, gain, n_draws, paired, n_experiments))
    # Laplace's rule keeps the error above 0 where no experiment (or every one) hit.
    smoothed = (hits + 1) / (n_experiments + 2)
    error = float(np.sqrt(smoothed * (1 - smoothed) / n_experiments))
    return Chance(hits / n_experiments, error, n_draws, gain, a_KxG.shape[1])


@functools.partial(jax.jit, static_argnames=("n_draws", "paired", "n_experiments"))
def _count_gains(
    key: jax.Array, values_2xKxG: jax.Array, gain: float, n_draws: int, paired: bool, n_experiments: int
) -> jax.Array:
    n_reruns = values_2xKxG.shape[-1]

    def shows_gain(key: jax.Array) -> jax.Array:
        drawn = jax.random.randint(key, (2, n_draws), 0, n_reruns)
        drawn = drawn.at[1].set(drawn[0]) if paired else drawn
        best = [values_2xKxG[side][:, drawn[side]].mean(axis=-1).max() for side in (0, 1)]
        return best[0] - best[1] >= gain

    return records.map_keys(shows_gain, key, n_experiments, _AT_ONCE).sum()


def draws_needed(
    differences: jax.typing.ArrayLike, *, gain: float, power: float, level: float, n_max: int, key: jax.Array,
    n_experiments: int,
) -> DrawsNeeded:  # fmt: skip
    """How many draws until a true gain of `gain` is shown with probability `power`.

    "Shown" means that the t interval over draws, at `level`, lies above 0.

    Args:
      differences: [G] method minus baseline on the same draws; they are shifted to have mean `gain`.
      gain, power: the true gain, above 0; the probability, in 0..1.
      n_max, n_experiments: the longest experiment considered, at least 2; experiments to simulate.
      key: consumed.

    Raises InputError for fewer than two draws, NaN, no variance, a gain that is not above 0, a bad power or level.
    """
    differences = _reruns("differences", differences)
    records.check_level(level)
    _check_counts(n_max=n_max - 1, n_experiments=n_experiments)
    _check_spread("differences", differences, differences, True)
    if not 0 < power < 1:
        raise InputError(f"power: expected a share between 0 and 1 (0.8 for 80 %), got {power}")
    if not gain > 0:
        raise InputError(f"gain: expected a gain above 0, in the differences' unit, got {gain}")
    factors = scipy.stats.t.ppf((1 + level) / 2, np.maximum(np.arange(n_max), 1)).astype(np.float32)
    shifted = differences - differences.mean() + gain
    curve = np.array(_power_curve(key, shifted, jnp.asarray(factors), n_max, n_experiments))
    curve[0] = np.nan
    enough = np.nan_to_num(curve) >= power
    if not enough[-1]:
        return DrawsNeeded(None, curve, f"more than {n_max} draws are needed for a power of {power:g}")
    short = np.flatnonzero(~enough)
    return DrawsNeeded(int(short[-1]) + 2, curve, "")


@functools.partial(jax.jit, static_argnames=("n_max", "n_experiments"))
def _power_curve(key: jax.Array, values: jax.Array, factors: jax.Array, n_max: int, n_experiments: int) -> jax.Array:
    n = jnp.arange(1, n_max + 1, dtype=values.dtype)
    # Sums of squares about the values' mean: about 0 they would lose the variance in rounding.
    centre = values.mean()
    away = values - centre

    def shown(key: jax.Array) -> jax.Array:
        drawn = away[jax.random.randint(key, (n_max,), 0, values.shape[0])]
        mean = jnp.cumsum(drawn) / n
        square = jnp.maximum(jnp.cumsum(drawn**2) - n * mean**2, 0.0)
        error = jnp.sqrt(square / jnp.maximum(n - 1, 1) / n)
        # Equal values have no interval (square about 0): such an experiment has shown nothing.
        return (square > 1e-6 * away.var()) & (mean + centre - factors * error > 0)

    return records.map_keys(shown, key, n_experiments, _AT_ONCE).mean(axis=0)


def _reruns(name: str, values: jax.typing.ArrayLike, n_axes: int = 1) -> jax.Array:
    array = records.as_units(name, values, n_axes)
    if array.ndim != n_axes or array.shape[-1] < 2:
        raise InputError(f"{name}: expected {n_axes} axes with at least two draws on the last, got {array.shape}")
    if not bool(jnp.isfinite(array).all()):
        raise InputError(f"{name}: holds NaN or infinite values; leave those draws out of all methods")
    return array


def _check_spread(name: str, differences: jax.Array, values: jax.Array, paired: bool) -> None:
    varying = differences if paired else values
    # Differences carry the rounding of what was subtracted, so the values' size sets the bound.
    rounding = 4 * jnp.finfo(values.dtype).eps * jnp.abs(values).max()
    if bool((varying.max(axis=-1) - varying.min(axis=-1) <= rounding).all()):
        raise InputError(f"{name}: all draws are equal, so chance shows nothing; check that they are draws")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name}: too small for an experiment; give a larger number")

"""Where the variance of a result comes from: components over crossed factors, and contrasts between levels."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.stats import intervals, records, student_t
from siamese_jax.stats.records import Interval


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """Components of variance over a full crossing, one entry an effect, main effects first.

    Fields:
      effects: E tuples of factor names; the one that names all factors is the highest interaction, which cannot
        be told from what is left over.
      df: [E] int numpy array, degrees of freedom.
      mean_squares: [E] numpy array.
      components: [E] numpy array, variances as estimated (they can be negative where the truth is near 0), in
        the square of the values' unit.
      shares: [E] numpy array, components cut at 0 over their sum; NaN where nothing varies.
      note: "" or why the shares are NaN.
    """

    effects: tuple[tuple[str, ...], ...]
    df: np.ndarray
    mean_squares: np.ndarray
    components: np.ndarray
    shares: np.ndarray
    note: str


def variance_components(values: jax.typing.ArrayLike, factors: Sequence[str]) -> Decomposition:
    """Analysis-of-variance estimates of the components of a balanced full crossing with one value a cell.

    All factors are treated as random (Searle, Casella & McCulloch 1992, chapter 4): for levels that were chosen
    (frozen layers, numbers of speakers), read the component as the variance between these levels. Where draw i
    of 4 speakers is not draw i of 8, what draws contribute stands in the interaction with speakers, and the
    component of draw alone is near 0.

    Args:
      values: one axis a factor, in the order of `factors`, as [frozen, speakers, draw, seed].
      factors: the axes' names.

    Returns:
      Decomposition.

    Raises:
      InputError: an axis without a name, a factor with one level, NaN.
    """
    array = records.as_units("values", values)
    factors = tuple(factors)
    if len(set(factors)) != array.ndim or len(factors) != array.ndim:
        raise InputError(f"factors: expected {array.ndim} different names, one an axis, got {factors}")
    for name, size in zip(factors, array.shape):
        if size < 2:
            raise InputError(f"factor {name}: has one level; select it away before decomposing")
    if not bool(jnp.isfinite(array).all()):
        raise InputError("values: hold NaN or infinite cells; a crossing must be full, so leave out whole levels")
    axes = _effects(array.ndim)
    mean_squares, components = _components(array)
    floor = np.maximum(np.asarray(components), 0.0)
    flat = bool(records.no_spread(array.reshape(-1))) or not floor.sum() > 0
    return Decomposition(
        effects=tuple(tuple(factors[axis] for axis in effect) for effect in axes),
        df=np.array([np.prod([array.shape[axis] - 1 for axis in effect]) for effect in axes]),
        mean_squares=np.asarray(mean_squares),
        components=np.asarray(components),
        shares=np.full(len(axes), np.nan) if flat else floor / floor.sum(),
        note=records.NOTES[records.NO_VARIANCE] if flat else "",
    )


def _effects(n_axes: int) -> tuple[tuple[int, ...], ...]:
    sizes = range(1, n_axes + 1)
    return tuple(itertools.chain.from_iterable(itertools.combinations(range(n_axes), size) for size in sizes))


@jax.jit
def _components(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[E] mean squares and [E] components; pure, for vmap over replicates."""
    axes = range(values.ndim)
    effects = _effects(values.ndim)
    squares = []
    rest = values - values.mean()
    for effect in effects:
        # Peeling effects off in order of size leaves each orthogonal to the ones before.
        others = tuple(axis for axis in axes if axis not in effect)
        part = rest.mean(axis=others, keepdims=True) if others else rest
        rest = rest - part
        cells = np.prod([values.shape[axis] for axis in others])
        df = np.prod([values.shape[axis] - 1 for axis in effect])
        squares.append((part**2).sum() * cells / df)
    mean_squares = jnp.stack(squares)
    components = []
    for effect in effects:
        # E[MS] of an effect sums the components of all effects that contain it; Moebius inversion undoes it.
        signs = [(-1) ** (len(other) - len(effect)) if set(effect) <= set(other) else 0 for other in effects]
        cells = np.prod([values.shape[axis] for axis in axes if axis not in effect])
        components.append((jnp.asarray(signs, values.dtype) * mean_squares).sum() / cells)
    return mean_squares, jnp.stack(components)


def contrasts(
    values: jax.typing.ArrayLike, names: Sequence[str], level: float = 0.95, *, over: str
) -> dict[tuple[str, str], Interval]:
    """Differences between the levels of a factor (the sources, say), each pair with its t interval.

    Args:
      values: [L, n] each level's value on the same n units.
      names: L names of the levels.
      level, over: as in `intervals.t_interval`.

    Returns:
      (first, second) -> Interval of first minus second, for every pair in the order of `names`. The intervals
      are of one contrast each; for a family, ask for level 1 - 0.05 / pairs.

    Raises:
      InputError: names that do not fit or repeat, or what `t_interval` raises.
    """
    array = records.as_units("values", values, 2)
    names = _level_names(array, names)
    return {
        (names[i], names[j]): intervals.t_interval(array[i] - array[j], level, over=over)
        for i, j in itertools.combinations(range(len(names)), 2)
    }


@functools.partial(jax.jit, static_argnames=("level", "over"))
def spread_difference(a: jax.typing.ArrayLike, b: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """Does one factor matter more than another? The variance between a's levels minus that between b's.

    "The source matters more than the number of frozen layers" is a difference above 0. Either variance is freed
    of what the units' own scatter adds to it, and the difference has a jackknife t interval over the units.

    Args:
      a: [L, n] one factor's level means on n units (the other factors averaged over).
      b: [K, n] the other factor's, on the same units.
      level, over: as in `intervals.t_interval`; static.

    Returns:
      Interval of [], in the square of the values' unit; NaN limits and a reason for fewer than three units,
      NaN or no variance.

    Raises:
      InputError: fewer than two levels, units that differ in number, or an unknown `over` or level.
    """
    records.check_over(over)
    records.check_level(level)
    a, b = records.as_units("a", a, 2), records.as_units("b", b, 2)
    if a.shape[1] != b.shape[1] or min(a.shape[0], b.shape[0]) < 2:
        raise InputError(f"a {a.shape} and b {b.shape}: expected [levels >= 2, n] each, on the same n units")
    n = a.shape[1]

    def difference(kept_n: jax.Array) -> jax.Array:
        return _between_levels(a, kept_n) - _between_levels(b, kept_n)

    estimate = difference(jnp.ones(n, a.dtype))
    without_n = jax.vmap(difference)(1.0 - jnp.eye(n, dtype=a.dtype))
    error = jnp.sqrt(((without_n - without_n.mean()) ** 2).sum() * (n - 1) / n)
    half = student_t.t_factor(level, max(n - 1, 1)) * error
    reason = records.first_reason(
        (records.FEW_UNITS, jnp.asarray(n < 3)),
        (records.NOT_FINITE, ~(jnp.isfinite(a).all() & jnp.isfinite(b).all())),
        (records.NO_VARIANCE, records.no_spread(without_n)),
    )
    return records.make_interval(
        estimate, estimate - half, estimate + half, reason, n,
        level=level, kind="jackknife t", over=over, standard_error=error, df=max(n - 1, 1),
    )  # fmt: skip


def _between_levels(values_LxN: jax.Array, kept_N: jax.Array) -> jax.Array:
    """The variance between the levels' means over the kept units, less the share that the units' scatter adds."""
    n = kept_N.sum()
    n_levels = values_LxN.shape[0]
    kept_1xN = kept_N[None, :]
    means_L = (values_LxN * kept_1xN).sum(axis=1) / n
    common_N = values_LxN.mean(axis=0)
    residuals_LxN = (values_LxN - means_L[:, None] - common_N[None, :] + means_L.mean()) * kept_1xN
    scatter = (residuals_LxN**2).sum() / jnp.maximum((n_levels - 1) * (n - 1), 1.0)
    return means_L.var(ddof=1) - scatter / n


def _level_names(array: jax.Array, names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(names)
    if array.ndim != 2 or len(names) != array.shape[0] or len(set(names)) != len(names):
        raise InputError(f"names: expected one for each level of [L, n] {array.shape}, all different, got {names}")
    return names

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
    """Components of variance over a full crossing, by effect, main effects first; numpy arrays [E].

    Fields:
      effects: E tuples of factor names; the tuple of all factors is the highest interaction, which cannot be told from
        the residual.
      df: int, degrees of freedom.
      mean_squares, components: the components are variances as estimated (possibly negative where the truth is near 0),
        in the square of the values' unit.
      shares: components cut at 0 over their sum; NaN if nothing varies.
      note: "" or why the shares are NaN.
    """

    effects: tuple[tuple[str, ...], ...]
    df: np.ndarray
    mean_squares: np.ndarray
    components: np.ndarray
    shares: np.ndarray
    note: str


def variance_components(values: jax.typing.ArrayLike, factors: Sequence[str]) -> Decomposition:
    """Analysis-of-variance estimates of the components of a balanced full crossing with one value in each cell.

    All factors are treated as random (Searle, Casella & McCulloch 1992, chapter 4): for levels that were chosen
    (frozen layers, numbers of speakers), read the component as the variance between these levels. Where draw i
    of 4 speakers is not draw i of 8, the draws' contribution stands in the interaction with speakers, and the
    component of draw alone is near 0.

    Args:
      values: an axis for each name in `factors`, in their order, such as [frozen, speakers, draw, seed].

    Raises InputError for an axis without a name, a factor with one level, or NaN.
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
        rest_axes = tuple(axis for axis in axes if axis not in effect)
        part = rest.mean(axis=rest_axes, keepdims=True) if rest_axes else rest
        rest = rest - part
        cells = np.prod([values.shape[axis] for axis in rest_axes])
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
    """Differences between the levels of a factor (the sources, say): (first, second) -> t interval of first minus
    second, for every pair in the order of `names`. For a family of contrasts, ask for level 1 - 0.05 / pairs.

    Args:
      values, names: [L, n] each level's value on the same n units; L names of the levels.

    Raises InputError for names that do not fit or repeat, and as `t_interval`.
    """
    array = records.as_units("values", values, 2)
    names = tuple(names)
    if array.ndim != 2 or len(names) != array.shape[0] or len(set(names)) != len(names):
        raise InputError(f"names: expected one for each level of [L, n] {array.shape}, all different, got {names}")
    return {
        (names[i], names[j]): intervals.t_interval(array[i] - array[j], level, over=over)
        for i, j in itertools.combinations(range(len(names)), 2)
    }


@functools.partial(jax.jit, static_argnames=("level", "over"))
def spread_difference(a: jax.typing.ArrayLike, b: jax.typing.ArrayLike, level: float = 0.95, *, over: str) -> Interval:
    """The variance between a's levels minus that between b's, with a jackknife t interval over the units.

    "The source matters more than the number of frozen layers" is a difference above 0. The units' own scatter is
    taken out of either variance.

    Args:
      a, b: [L, n] a factor's level means on n units (the other factors averaged over); [K, n] the other factor's.

    Returns an Interval [] in the square of the values' unit; NaN limits for fewer than three units, NaN or no variance.
    Raises InputError for fewer than two levels, units that differ in number, or an unknown `over` or level.
    """
    records.check_over(over, level)
    a, b = records.as_units("a", a, 2), records.as_units("b", b, 2)
    if a.shape[1] != b.shape[1] or min(a.shape[0], b.shape[0]) < 2:
        raise InputError(f"a {a.shape} and b {b.shape}: expected [levels >= 2, n] each, on the same n units")
    n = a.shape[1]

    def difference(included_n: jax.Array) -> jax.Array:
        return _between_levels(a, included_n) - _between_levels(b, included_n)

    estimate = difference(jnp.ones(n, a.dtype))
    without_n = jax.vmap(difference)(1.0 - jnp.eye(n, dtype=a.dtype))
    error = jnp.sqrt(((without_n - without_n.mean()) ** 2).sum() * (n - 1) / n)
    reason = records.first_reason(
        few_units=n < 3, not_finite=~(jnp.isfinite(a).all() & jnp.isfinite(b).all()),
        no_variance=records.no_spread(without_n),
    )  # fmt: skip
    df = max(n - 1, 1)
    return student_t.symmetric_interval(estimate, error, df, reason, n, level=level, kind="jackknife t", over=over)


def _between_levels(values_LxN: jax.Array, included_N: jax.Array) -> jax.Array:
    """The variance between the levels' means over the kept units, less the share that the units' scatter adds."""
    n = included_N.sum()
    n_levels = values_LxN.shape[0]
    included_1xN = included_N[None, :]
    means_L = (values_LxN * included_1xN).sum(axis=1) / n
    common_N = values_LxN.mean(axis=0)
    residuals_LxN = (values_LxN - means_L[:, None] - common_N[None, :] + means_L.mean()) * included_1xN
    scatter = (residuals_LxN**2).sum() / jnp.maximum((n_levels - 1) * (n - 1), 1.0)
    return means_L.var(ddof=1) - scatter / n

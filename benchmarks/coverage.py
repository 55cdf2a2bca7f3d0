"""The coverage of intervals and the error rates of tests, by simulations with a known truth.

A clip of class c is recognised with probability Phi(mu_c + speaker + seed + speaker x seed), all effects normal, so
that the mean over all speakers and seeds is known exactly. The same speakers and seeds recur in every draw, as in the
protocol; a second method shares them and adds effects of its own. Clips are balanced (8 of each speaker and class), or
1 to 8 of them, drawn for each speaker and class.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.stats import bootstrap, effect_sizes, estimands, hypothesis_tests, intervals, records, two_way

_RECALLS = (0.3, 0.4, 0.5, 0.6)
CLIPS = 8  # of a speaker and class, as in RAVDESS's four emotions
# Simulations evaluated at once; [at once, resamples, units] float32 stays below 50 MB.
_AT_ONCE = 32


@dataclasses.dataclass(frozen=True)
class World:
    """Standard deviations of a net's propensity to recognise a class, on the scale of Phi's argument.

    Fields:
      speaker, seed, both: effects that the two methods share.
      method_speaker, method_seed, method_both: effects of either method's own.
    """

    speaker: float = 0.5
    seed: float = 0.15
    both: float = 0.15
    method_speaker: float = 0.25
    method_seed: float = 0.1
    method_both: float = 0.1

    def total(self) -> float:
        """Variance of Phi's argument."""
        return sum(value**2 for value in dataclasses.astuple(self))


_Units = tuple[int, int]
"""The numbers of units of the first kind, and of seeds beside speakers."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A measured coverage or rejection rate.

    Fields:
      name: method and target, as in "t over draws: mean of more draws".
      n_units: of the kind in the name; speakers for speakers and seeds.
      share: of the simulations in which the interval covered, or the test rejected.
      standard_error: of that share.
    """

    name: str
    n_units: int
    share: float
    standard_error: float


def measure(
    key: jax.Array, *, n_units: int, n_simulations: int, n_resamples: int, over: str,
    balanced: bool = True, n_seeds: int | None = None,
) -> list[Measured]:  # fmt: skip
    """Simulates experiments of `n_units` units and counts how often each method was right.

    Args:
      key: consumed.
      n_units: speakers, draws, or speakers and seeds each.
      n_simulations: experiments; the shares' standard error is 0.2 points at 10,000.
      n_resamples: bootstrap resamples an experiment; 0 leaves the crossed bootstrap out.
      over: "draws", "speakers" or "speakers+seeds".
      balanced: whether all speakers have the same number of clips of each class.
      n_seeds: seeds beside `n_units` speakers, for "speakers+seeds"; as many as speakers by default.

    Returns:
      One Measured a method: coverage of nominal 95 % intervals, and how often 5 % tests reject a true null.

    Raises:
      InputError: another `over`.
    """
    worlds = {"draws": _over_draws, "speakers": _over_speakers, "speakers+seeds": _over_both}
    if over not in worlds:
        raise InputError(f"over: expected one of {', '.join(worlds)}, got {over!r}")
    shares = _run(key, worlds[over], (n_units, n_seeds or n_units), n_simulations, n_resamples, balanced)
    rows = []
    for name, share in shares.items():
        value = float(share)
        rows.append(Measured(name, n_units, value, float(np.sqrt(value * (1 - value) / n_simulations))))
    return rows


@functools.partial(jax.jit, static_argnames=("world", "units", "n_simulations", "n_resamples"))
def _run(key, world, units, n_simulations, n_resamples, balanced):  # type: ignore[no-untyped-def]
    keys = jax.random.split(key, (n_simulations, 3))
    batch = records.batch_of(n_simulations, _AT_ONCE)
    covered = jax.lax.map(lambda pair: world(pair, units, n_resamples, balanced), keys, batch_size=batch)
    return jax.tree.map(lambda covered_N: covered_N.mean(), covered)


class _Experiment(NamedTuple):
    """[J, S, 2, C, C] counts of two equally good methods; [S, C] shared speaker effects; [S, C] clips; [S] normals."""

    counts: jax.Array
    speaker: jax.Array
    clips: jax.Array
    spare: jax.Array


def _counts(
    key: jax.Array, world: World, n_seeds: int, n_speakers: int, n_draws: int, balanced: jax.typing.ArrayLike
) -> _Experiment:
    n_classes, n_clips = len(_RECALLS), CLIPS * n_draws
    full = (n_seeds, n_speakers, 2)
    # Which axes each effect of World varies over: seeds, speakers, methods (classes always).
    axes = ((0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1))
    shapes = [tuple(n if own else 1 for n, own in zip(full, effect)) for effect in axes]
    shapes += [(n_clips, *full), (n_speakers,)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    # A single draw of random numbers: each further draw adds seconds of compilation.
    normal = jax.random.normal(key, (int(ends[-1]), n_classes))
    *effects_, clips, spare = (
        part.reshape(*shape, n_classes) for part, shape in zip(jnp.split(normal, ends[:-1]), shapes)
    )
    shift = _mu(world) + sum(spread * part for spread, part in zip(dataclasses.astuple(world), effects_))
    drawn_SxC = jax.random.randint(jax.random.fold_in(key, 1), (n_speakers, n_classes), 1, CLIPS + 1)
    size_SxC = jnp.where(balanced, CLIPS, drawn_SxC)
    # Every draw tests the same clips.
    there = (jnp.arange(n_clips) % CLIPS)[:, None, None, None, None] < size_SxC[None, None, :, None, :]
    hits = ((clips < shift[None]) & there).sum(axis=0).astype(jnp.float32)
    # Which wrong class is chosen has no bearing on the UAR.
    rows = jnp.stack([hits, there.sum(axis=0) - hits], axis=-1)
    columns = jnp.stack([jnp.eye(n_classes), jnp.roll(jnp.eye(n_classes), 1, axis=1)])
    counts = jnp.einsum("jsmck,kcd->jsmcd", rows, columns)
    return _Experiment(counts, world.speaker * effects_[0][0, :, 0], size_SxC, spare[:, 0])


def _mu(world: World) -> jax.Array:
    """[1, 1, 1, C] so that the recalls over all speakers and seeds are _RECALLS."""
    quantile = jax.scipy.special.ndtri(jnp.asarray(_RECALLS))
    return (quantile * (1 + world.total()) ** 0.5).reshape(1, 1, 1, -1)


_TRUTH = sum(_RECALLS) / len(_RECALLS)


def _covers(interval: records.Interval, truth: jax.typing.ArrayLike) -> jax.Array:
    return (interval.low <= truth) & (truth <= interval.high)


def _rejects(test: records.PairedTest) -> jax.Array:
    return test.p_value <= 0.05


def _over_draws(
    keys: jax.Array, units: _Units, n_resamples: int, balanced: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
    """n draws, each with a seed of its own, all on the same 24 speakers."""
    world = World(method_speaker=0.0)
    made = _counts(keys[0], world, units[0], 24, 1, balanced)
    values_J = jax.vmap(estimands.uar)(made.counts[:, :, 0].sum(axis=1))
    rest = 1 + world.total() - world.speaker**2
    recall_SxC = jax.scipy.special.ndtr((_mu(world)[0, 0] + made.speaker) / rest**0.5)
    truth_here = ((recall_SxC * made.clips).sum(axis=0) / made.clips.sum(axis=0)).mean()
    interval = intervals.t_interval(values_J, over="draws")
    return {
        "t over draws: these speakers' mean": _covers(interval, truth_here),
        "t over draws, misread: all speakers' mean": _covers(interval, _TRUTH),
    }


def _over_speakers(
    keys: jax.Array, units: _Units, n_resamples: int, balanced: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
    """n speakers, ten draws on the same speakers pooled; one net, so that seeds do not vary."""
    world = World(seed=0.0, both=0.0, method_seed=0.0, method_both=0.0)
    made = _counts(keys[0], world, 1, units[0], 10, balanced)
    counts_Sx2xCxC = made.counts[0]
    first_SxCxC = counts_Sx2xCxC[:, 0]
    resampled = bootstrap.clustered_bootstrap(keys[1], first_SxCxC, estimands.uar, n_resamples, over="speakers")
    difference = intervals.jackknife_interval(counts_Sx2xCxC, estimands.uar_difference, over="speakers")
    by_speaker = jax.vmap(estimands.uar_difference)(counts_Sx2xCxC)
    shifted_S = 0.5 + made.spare
    d_z = effect_sizes.standardised_difference(shifted_S, over="speakers", hedges=False)
    ranks = effect_sizes.rank_biserial(shifted_S, over="speakers")
    flips = hypothesis_tests.sign_flip_test(by_speaker, over="speakers", key=keys[2], n_resamples=n_resamples)
    return {
        "jackknife t: UAR": _covers(intervals.jackknife_interval(first_SxCxC, estimands.uar, over="speakers"), _TRUTH),
        "studentised: UAR": _covers(bootstrap.studentised_interval(resampled), _TRUTH),
        "BCa: UAR": _covers(bootstrap.bca_interval(resampled), _TRUTH),
        "percentile: UAR": _covers(bootstrap.percentile_interval(resampled), _TRUTH),
        "jackknife t: UAR difference": _covers(difference, 0.0),
        "t: mean difference": _covers(intervals.t_interval(by_speaker, over="speakers"), 0.0),
        "noncentral t: d_z": _covers(d_z, 0.5),
        "jackknife t: rank-biserial": _covers(ranks, 2 * jax.scipy.special.ndtr(0.5 * 2**0.5) - 1),
        "sign-flip test rejects": _rejects(flips),
        "Wilcoxon test rejects": _rejects(hypothesis_tests.wilcoxon_test(by_speaker, over="speakers")),
        "t test rejects": _rejects(two_way.t_test(difference)),
    }


def _over_both(
    keys: jax.Array, units: _Units, n_resamples: int, balanced: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
    """n seeds crossed with n speakers, two draws a seed pooled; without resamples, no bootstrap."""
    n_speakers, n_seeds = units
    counts = _counts(keys[0], World(), n_seeds, n_speakers, 2, balanced).counts
    one = two_way.crossed_interval(counts[:, :, 0], estimands.uar)
    two = two_way.crossed_interval(counts, estimands.uar_difference)
    found = {
        "two-way jackknife t: UAR": _covers(one, _TRUTH),
        "two-way jackknife t: UAR difference": _covers(two, 0.0),
        "two-way t test rejects": _rejects(two_way.t_test(two)),
    }
    if n_resamples:
        resampled = bootstrap.crossed_bootstrap(keys[1], counts[:, :, 0], estimands.uar, n_resamples)
        found["crossed percentile: UAR"] = _covers(bootstrap.percentile_interval(resampled), _TRUTH)
    return found

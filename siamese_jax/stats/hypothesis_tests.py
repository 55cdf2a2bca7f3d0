"""Paired tests of no difference between two methods on the same units (draws, seeds, speakers).

Units must be exchangeable: for a claim about people the unit is the speaker, with all draws averaged, never the draw.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError
from siamese_jax.stats import records
from siamese_jax.stats.records import PairedTest

EXACT_UP_TO = 24
"""The largest number of units whose 2^n sign patterns are all counted."""

# Sampled sign patterns multiplied at once: [256, n] stays within 10 MB at n = 10,000.
_PATTERNS_AT_ONCE = 256


def sign_flip_test(
    differences: jax.typing.ArrayLike, *, over: str, key: jax.Array | None, n_resamples: int
) -> PairedTest:
    """Sign-flip permutation test of the mean difference, two-sided; exact up to EXACT_UP_TO units.

    Null hypothesis: each unit's difference is symmetric about 0. The t statistic would order the sign patterns alike.

    Args:
      differences: [..., n] method minus baseline, unit by unit. Leading axes are tests, which share sampled patterns.
      over: the kind of units, of records.OVER.
      key: consumed where patterns are sampled (n > EXACT_UP_TO); may be None otherwise.
      n_resamples: sign patterns to sample; p = (1 + as extreme) / (1 + sampled).

    Returns a PairedTest [...] of the mean difference; NaN p value for one unit, NaN, or all differences zero.
    Raises InputError for no unit, an unknown `over`, or no key or resamples where they are needed.
    """
    records.check_over(over)
    differences = records.as_units("differences", differences)
    n = differences.shape[-1]
    if n <= EXACT_UP_TO:
        return _exact(differences, over)
    if key is None or n_resamples < 1:
        limit = f"{n} units exceed the exact test's {EXACT_UP_TO}"
        raise InputError(f"sign_flip_test: {limit}; give a key and n_resamples >= 1")
    return _sampled(differences, key, n_resamples, over)


@functools.partial(jax.jit, static_argnames="over")
def _exact(differences: jax.Array, over: str) -> PairedTest:
    flat = differences.reshape(-1, differences.shape[-1])
    p = jax.lax.map(exact_sign_flip_p, flat).reshape(differences.shape[:-1])
    return _paired_test(differences, p, "sign-flip exact", over)


def exact_sign_flip_p(scores_n: jax.Array) -> jax.Array:
    """The share of the 2^n sign patterns whose |sum| is at least the observed one: [] from [n].

    Meets in the middle (Horowitz & Sahni 1974): 24 units take two sorted lists of 4,096 sums instead of 16.8 million.
    """
    n = scores_n.shape[0]
    left, right = _all_sums(scores_n[: n // 2]), jnp.sort(_all_sums(scores_n[n // 2 :]))
    # Patterns that tie exactly with the observed one differ from it by rounding; they count as ties.
    slack = 16 * jnp.finfo(scores_n.dtype).eps * jnp.abs(scores_n).sum()
    bound = jnp.abs(scores_n.sum()) - slack
    at_least = right.shape[0] - jnp.searchsorted(right, bound - left, side="left")
    share = at_least.sum() / 2**n
    # The patterns come in pairs of opposite sums; a bound at or below 0 is met by all.
    return jnp.where(bound <= 0, 1.0, 2 * share)


def _all_sums(scores: jax.Array) -> jax.Array:
    sums = jnp.zeros(1, scores.dtype)
    for score in scores:
        sums = jnp.concatenate([sums - score, sums + score])
    return sums


@functools.partial(jax.jit, static_argnames=("n_resamples", "over"))
def _sampled(differences: jax.Array, key: jax.Array, n_resamples: int, over: str) -> PairedTest:
    n = differences.shape[-1]
    flat_KxN = differences.reshape(-1, n)
    slack_K = 16 * jnp.finfo(flat_KxN.dtype).eps * jnp.abs(flat_KxN).sum(axis=-1)
    bound_K = jnp.abs(flat_KxN.sum(axis=-1)) - slack_K

    def as_extreme(key: jax.Array) -> jax.Array:
        signs_N = jax.random.rademacher(key, (n,), flat_KxN.dtype)
        return jnp.abs(flat_KxN @ signs_N) >= bound_K

    extreme_RxK = records.map_keys(as_extreme, key, n_resamples, _PATTERNS_AT_ONCE)
    p = (1 + extreme_RxK.sum(axis=0)) / (1 + n_resamples)
    return _paired_test(differences, p.reshape(differences.shape[:-1]), "sign-flip sampled", over)


@functools.partial(jax.jit, static_argnames="over")
def wilcoxon_test(differences: jax.typing.ArrayLike, *, over: str) -> PairedTest:
    """Wilcoxon's signed-rank test, two-sided; zeros are dropped, ties share their mean rank.

    Up to EXACT_UP_TO units the p value is exact, ties and zeros included; beyond, it is the normal approximation with
    the correction for ties and none for continuity. Arguments and errors as in `sign_flip_test`; `over` is static.

    Returns a PairedTest [...], its statistic the smaller rank sum, `n_units` the differences that are not zero; NaN p
    value for one unit, NaN, or all differences zero.
    """
    records.check_over(over)
    differences = records.as_units("differences", differences)
    n = differences.shape[-1]
    flat = differences.reshape(-1, n)
    ranks, cubes = jax.vmap(signed_ranks)(flat)
    positive, negative = jnp.maximum(ranks, 0).sum(axis=-1), jnp.maximum(-ranks, 0).sum(axis=-1)
    used = (flat != 0).sum(axis=-1)
    if n <= EXACT_UP_TO:
        p = jax.lax.map(exact_sign_flip_p, ranks)
    else:
        m = used.astype(ranks.dtype)
        variance = (m * (m + 1) * (2 * m + 1) - cubes / 2) / 24
        z = jnp.abs(positive - m * (m + 1) / 4) / jnp.sqrt(jnp.maximum(variance, 1e-30))
        p = 2 * jax.scipy.special.ndtr(-z)
    lead = differences.shape[:-1]
    test = _paired_test(differences, p.reshape(lead), "Wilcoxon signed-rank", over)
    smaller = jnp.where(test.reason == records.COMPUTED, jnp.minimum(positive, negative).reshape(lead), jnp.nan)
    return dataclasses.replace(test, statistic=smaller, n_units=used.reshape(lead).astype(jnp.int32))


def signed_ranks(differences_n: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ranks [n] of |d| among the differences that are not zero, with d's sign (0 for zeros); and the sum [] of t^3 - t
    over the groups of t tied values."""
    size = jnp.abs(differences_n)
    ordered, zeros = jnp.sort(size), (size == 0).sum()
    below = jnp.searchsorted(ordered, size, side="left")
    upto = jnp.searchsorted(ordered, size, side="right")
    rank = (below + upto + 1 - 2 * zeros) / 2
    tied = (upto - below).astype(rank.dtype)
    # Each of t tied values adds (t^3 - t) / t, so the group adds t^3 - t.
    cubes = jnp.where(size > 0, tied**2 - 1, 0.0).sum()
    return jnp.sign(differences_n) * rank, cubes


def _paired_test(differences: jax.Array, p: jax.Array, kind: str, over: str) -> PairedTest:
    *shape, n = differences.shape
    reason = records.first_reason(
        few_units=n < 2, not_finite=~jnp.isfinite(differences).all(axis=-1), no_variance=(differences == 0).all(axis=-1)
    )
    p = jnp.where(reason == records.COMPUTED, p, jnp.nan)
    return PairedTest(differences.mean(axis=-1), p, jnp.full(shape, n, jnp.int32), reason, kind, over)

"""Effect sizes and their intervals against scipy's noncentral t and pairwise counts."""

import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import effect_sizes


@pytest.mark.parametrize(("n", "shift"), [(2, 0.4), (10, 0.5), (24, -1.0), (200, 0.1), (12, 5.0)])
def test_standardised_difference_agrees_with_scipys_noncentral_t(n: int, shift: float) -> None:
    differences = np.random.default_rng(n).normal(shift, 1, n)
    interval = effect_sizes.standardised_difference(differences, 0.9, over="speakers", hedges=False)
    d = differences.mean() / differences.std(ddof=1)
    np.testing.assert_allclose(interval.estimate, d, rtol=1e-4)
    # At the noncentrality of either limit, the observed t is the quantile that defines it.
    limits = np.array([interval.low, interval.high]) * np.sqrt(n)
    np.testing.assert_allclose(scipy.stats.nct.cdf(d * np.sqrt(n), n - 1, limits), [0.95, 0.05], atol=1e-3)


def test_hedges_correction_shrinks_estimate_and_limits() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, 10)
    plain = effect_sizes.standardised_difference(differences, over="speakers", hedges=False)
    corrected = effect_sizes.standardised_difference(differences, over="speakers", hedges=True)
    factor = 1 - 3 / (4 * 9 - 1)  # Hedges' own approximation of the exact factor
    for field in ("estimate", "low", "high"):
        np.testing.assert_allclose(getattr(corrected, field) / getattr(plain, field), factor, rtol=1e-3)
    assert "Hedges" in corrected.label


def test_rank_biserial_is_the_difference_of_the_rank_sums() -> None:
    differences = np.random.default_rng(1).normal(0.4, 1, 14)
    interval = effect_sizes.rank_biserial(differences, over="speakers")
    ranks = scipy.stats.rankdata(abs(differences))
    expected = (ranks[differences > 0].sum() - ranks[differences < 0].sum()) / ranks.sum()
    np.testing.assert_allclose(interval.estimate, expected, rtol=1e-5)
    assert -1 < interval.low < interval.estimate < interval.high < 1


def test_rank_biserial_jackknife_leaves_out_whole_units() -> None:
    differences = np.random.default_rng(2).normal(0.4, 1, 9)

    def correlation(d: np.ndarray) -> float:
        ranks = scipy.stats.rankdata(abs(d))
        return float((np.sign(d) * ranks).sum() / ranks.sum())

    without = np.array([correlation(np.delete(differences, i)) for i in range(9)])
    error = np.sqrt(8 / 9 * ((without - without.mean()) ** 2).sum())
    r = correlation(differences)
    half = scipy.stats.t.ppf(0.95, 8) * error / (1 - r**2)
    interval = effect_sizes.rank_biserial(differences, 0.9, over="speakers")
    np.testing.assert_allclose(interval.low, np.tanh(np.arctanh(r) - half), rtol=1e-3)
    np.testing.assert_allclose(interval.high, np.tanh(np.arctanh(r) + half), rtol=1e-3)


def test_leading_axes_are_independent() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, (2, 3, 12))
    for measure in (
        lambda d: effect_sizes.rank_biserial(d, over="draws"),
        lambda d: effect_sizes.standardised_difference(d, over="draws", hedges=True),
    ):
        together, alone = measure(differences), measure(differences[1, 0])
        assert together.low.shape == (2, 3)
        np.testing.assert_allclose(together.low[1, 0], alone.low, rtol=1e-4)


@pytest.mark.parametrize(
    ("differences", "words"),
    [([0.2], "fewer than two"), ([0.1, np.nan, 0.3], "NaN"), ([0.2, 0.2, 0.2], "no variance")],
)
def test_what_has_no_effect_size_is_nan_with_a_note(differences: list[float], words: str) -> None:
    for interval in (
        effect_sizes.standardised_difference(differences, over="speakers", hedges=True),
        effect_sizes.rank_biserial(differences, over="speakers"),
    ):
        assert np.isnan(interval.low)
        assert np.isnan(interval.high)
        assert words in interval.note


def test_gains_of_every_unit_have_no_interval() -> None:
    interval = effect_sizes.rank_biserial([0.1, 0.5, 0.2, 0.9], over="speakers")
    np.testing.assert_allclose(interval.estimate, 1.0)
    assert "no variance" in interval.note


def test_unknown_units_are_refused() -> None:
    with pytest.raises(InputError, match="over: expected one of"):
        effect_sizes.rank_biserial([0.1, 0.2], over="clips")

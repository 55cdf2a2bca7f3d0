"""Paired tests and their adjustment against scipy and full enumeration."""

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import hypothesis_tests, paired_tests, records


def _key() -> jax.Array:
    """A fresh copy of one key, since every function consumes its own."""
    return jax.random.key(3)


def _flip(differences: np.ndarray) -> records.PairedTest:
    return hypothesis_tests.sign_flip_test(differences, over="speakers", key=None, n_resamples=0)


def _scipy_flip(differences: np.ndarray, **options: object) -> float:
    return scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, **options
    ).pvalue


@pytest.mark.parametrize("n", [2, 7, 8, 13])
def test_exact_sign_flips_agree_with_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    test = _flip(differences)
    np.testing.assert_allclose(test.p_value, _scipy_flip(differences, n_resamples=np.inf), rtol=1e-5)
    np.testing.assert_allclose(test.statistic, differences.mean(), rtol=1e-5)
    assert test.kind == "sign-flip exact"


@hypothesis.given(
    st.sampled_from([2, 9]).flatmap(lambda size: st.lists(st.integers(-3, 3), min_size=size, max_size=size))
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_exact_sign_flips_count_ties_as_extreme(integers: list[int]) -> None:
    # Tenths tie in truth and differ in floating point: the count must not see the difference.
    differences = np.array(integers) / 10
    hypothesis.assume(np.any(differences != 0))
    sums = [abs(int(np.dot(signs, integers))) for signs in itertools.product((-1, 1), repeat=len(integers))]
    expected = np.mean(np.array(sums) >= abs(sum(integers)))
    np.testing.assert_allclose(_flip(differences).p_value, expected, rtol=1e-5)


def test_24_units_are_exact_and_agree_with_many_sampled_flips() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 24)
    exact = _flip(differences)
    sampled = _scipy_flip(differences, n_resamples=100_000, rng=1)
    np.testing.assert_allclose(exact.p_value, sampled, atol=4 * np.sqrt(sampled / 100_000))


def test_sampled_flips_agree_with_scipy_and_share_patterns() -> None:
    differences = np.random.default_rng(1).normal(0.2, 1, (3, 60))
    test = hypothesis_tests.sign_flip_test(differences, over="draws", key=_key(), n_resamples=20_000)
    assert test.kind == "sign-flip sampled"
    for p, row in zip(test.p_value, differences):
        expected = _scipy_flip(row, n_resamples=20_000, rng=2)
        np.testing.assert_allclose(p, expected, atol=6 * np.sqrt(expected / 20_000))
    alone = hypothesis_tests.sign_flip_test(differences[1], over="draws", key=_key(), n_resamples=20_000)
    np.testing.assert_allclose(alone.p_value, test.p_value[1], rtol=1e-6)


def test_a_sampled_p_is_never_zero() -> None:
    test = hypothesis_tests.sign_flip_test(np.full(200, 1.0), over="draws", key=_key(), n_resamples=99)
    np.testing.assert_allclose(test.p_value, 0.01)


@pytest.mark.parametrize("n", [3, 10, 24])
def test_exact_wilcoxon_agrees_with_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    test = hypothesis_tests.wilcoxon_test(differences, over="speakers")
    reference = scipy.stats.wilcoxon(differences, method="exact")
    np.testing.assert_allclose(test.p_value, reference.pvalue, rtol=1e-4)
    np.testing.assert_allclose(test.statistic, reference.statistic)


def test_exact_wilcoxon_with_ties_and_zeros_agrees_with_scipys_permutations() -> None:
    differences = np.array([0, 1, 1, -1, 2, 3, -2, 4, 0, 5, 5, 6])
    test = hypothesis_tests.wilcoxon_test(differences, over="speakers")
    reference = scipy.stats.wilcoxon(differences, method=scipy.stats.PermutationMethod(n_resamples=2**13))
    np.testing.assert_allclose(test.p_value, reference.pvalue, rtol=1e-5)
    np.testing.assert_allclose(test.statistic, reference.statistic)
    assert int(test.n_units) == 10


@pytest.mark.parametrize("n", [30, 1000])
def test_wilcoxons_normal_approximation_agrees_with_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    for differences in (rng.normal(0.1, 1, n), rng.integers(-4, 6, n)):
        test = hypothesis_tests.wilcoxon_test(differences, over="draws")
        reference = scipy.stats.wilcoxon(differences, method="asymptotic", correction=False)
        np.testing.assert_allclose(test.p_value, reference.pvalue, rtol=2e-3)
        np.testing.assert_allclose(test.statistic, reference.statistic, rtol=1e-6)


def test_tests_over_leading_axes_are_independent() -> None:
    differences = np.random.default_rng(5).normal(size=(2, 3, 10))
    for run in (_flip, lambda d: hypothesis_tests.wilcoxon_test(d, over="speakers")):
        together = run(differences)
        assert together.p_value.shape == (2, 3)
        np.testing.assert_allclose(together.p_value[1, 2], run(differences[1, 2]).p_value, rtol=1e-6)


@pytest.mark.parametrize(
    ("differences", "words"),
    [([0.2], "fewer than two units"), ([0.2, np.nan, 0.1], "NaN"), ([0.0, 0.0, 0.0], "no variance")],
)
def test_what_cannot_be_tested_is_nan_with_a_note(differences: list[float], words: str) -> None:
    for test in (_flip(np.array(differences)), hypothesis_tests.wilcoxon_test(differences, over="speakers")):
        assert np.isnan(test.p_value)
        assert words in test.note


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="give a key and n_resamples"):
        hypothesis_tests.sign_flip_test(np.ones(25), over="draws", key=None, n_resamples=1000)
    with pytest.raises(InputError, match="give a key and n_resamples"):
        hypothesis_tests.sign_flip_test(np.ones(25), over="draws", key=_key(), n_resamples=0)
    with pytest.raises(InputError, match="over: expected one of"):
        hypothesis_tests.wilcoxon_test(np.ones(5), over="")
    with pytest.raises(InputError, match=r"p_values: expected 0\.\.1, found 1\.5"):
        paired_tests.holm([0.1, 1.5])
    with pytest.raises(InputError, match="one unit along each"):
        paired_tests.benjamini_hochberg([])


def test_holm_matches_the_worked_steps() -> None:
    # Holm 1979: sorted p times (m, m - 1, ...), never falling.
    adjusted = paired_tests.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02], rtol=1e-6)
    np.testing.assert_allclose(paired_tests.holm([0.6, 0.9]), [1.0, 1.0])


# Few sizes: each compiles anew.
@hypothesis.given(
    st.sampled_from([1, 9]).flatmap(lambda size: st.lists(st.floats(0, 1, width=32), min_size=size, max_size=size))
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_benjamini_hochberg_agrees_with_scipy(p_values: list[float]) -> None:
    np.testing.assert_allclose(
        paired_tests.benjamini_hochberg(np.array(p_values)),
        scipy.stats.false_discovery_control(p_values),
        rtol=1e-5,
        atol=1e-7,
    )


def test_families_lie_along_the_last_axis() -> None:
    families = np.array([[0.01, 0.2, 0.03], [0.5, 0.001, 0.04]])
    for adjust in (paired_tests.holm, paired_tests.benjamini_hochberg):
        np.testing.assert_allclose(adjust(families)[1], adjust(families[1]), rtol=1e-6)


def test_a_test_that_could_not_be_computed_still_counts_in_its_family() -> None:
    adjusted = paired_tests.holm(np.array([0.01, np.nan, 0.02]))
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.04], rtol=1e-6)
    adjusted = paired_tests.benjamini_hochberg(np.array([0.01, np.nan]))
    np.testing.assert_allclose(adjusted, [0.02, np.nan], rtol=1e-6)

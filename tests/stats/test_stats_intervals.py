"""t intervals against scipy and against themselves, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import estimands, intervals, metrics, records, student_t


def _speakers(seed: int, n_speakers: int = 24, clips: int = 8) -> np.ndarray:
    """[S, 4, 4] counts of speakers who differ in how well they are recognised."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((n_speakers, 4, 4), int)
    for speaker in range(n_speakers):
        right = rng.beta(4, 5)
        for true in range(4):
            shares = np.full(4, (1 - right) / 3)
            shares[true] = right
            counts[speaker, true] = rng.multinomial(clips, shares)
    return counts


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_t_factor_agrees_with_scipy(level: float) -> None:
    df = np.array([1, 1.3, 2, 2.7, 5, 9, 23, 99, 1e5, np.inf])
    np.testing.assert_allclose(student_t.t_factor(level, df), scipy.stats.t.ppf((1 + level) / 2, df), rtol=5e-6)


def test_two_sided_p_agrees_with_scipy() -> None:
    t, df = np.array([0.0, 0.5, 2.1, -3.0]), np.array([3.0, 9.5, 23.0, 1000.0])
    np.testing.assert_allclose(
        student_t.t_two_sided(jnp.asarray(t), jnp.asarray(df)),
        2 * scipy.stats.t.sf(abs(t), df), rtol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 10, 500])
def test_t_interval_agrees_with_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 0.05, (3, n))
    interval = intervals.t_interval(values, 0.9, over="draws")
    reference = scipy.stats.ttest_1samp(values, 0, axis=-1).confidence_interval(0.9)
    np.testing.assert_allclose(interval.low, reference.low, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(interval.high, reference.high, rtol=1e-4, atol=1e-5)
    assert interval.label == "90 % t over draws"
    assert interval.n_units.tolist() == [n] * 3
    assert interval.note == ""


def test_welch_interval_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 0.1, 12), rng.normal(0.4, 0.02, 30)
    interval = intervals.welch_interval(a, b, 0.9, over="draws")
    reference = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose([interval.low, interval.high], reference, rtol=1e-4)
    assert int(interval.n_units) == 12


def test_jackknife_interval_agrees_with_a_float64_loop() -> None:
    counts = _speakers(0)
    interval = intervals.jackknife_t_interval(counts, 0.9)

    def uar(total: np.ndarray) -> float:
        return float(np.mean(np.diag(total) / total.sum(axis=1)))

    without = np.array([uar(counts.sum(axis=0) - one) for one in counts])
    error = np.sqrt(23 / 24 * ((without - without.mean()) ** 2).sum())
    np.testing.assert_allclose(interval.estimate, uar(counts.sum(axis=0)), rtol=1e-6)
    np.testing.assert_allclose(interval.standard_error, error, rtol=1e-4)
    np.testing.assert_allclose(interval.high - interval.estimate, scipy.stats.t.ppf(0.95, 23) * error, rtol=1e-4)
    assert interval.label == "90 % jackknife t over speakers"


def test_jackknife_of_a_mean_is_the_t_interval() -> None:
    values = np.random.default_rng(3).normal(size=12)
    sums = np.stack([values, np.ones(12)], axis=1)
    by_jackknife = intervals.jackknife_interval(sums, _mean, over="seeds")
    by_t = intervals.t_interval(values, over="seeds")
    np.testing.assert_allclose([by_jackknife.low, by_jackknife.high], [by_t.low, by_t.high], rtol=1e-4)


def _mean(total: jax.Array) -> jax.Array:
    return total[0] / total[1]


def test_leading_axes_are_independent_trials() -> None:
    counts = np.stack([_speakers(seed) for seed in range(6)]).reshape(2, 3, 24, 4, 4)
    together = intervals.jackknife_t_interval(counts)
    assert together.low.shape == (2, 3)
    alone = intervals.jackknife_t_interval(counts[1, 2])
    np.testing.assert_allclose(together.low[1, 2], alone.low, rtol=1e-6)


def test_a_speaker_without_clips_is_no_unit() -> None:
    counts = _speakers(4, 10)
    padded = np.concatenate([counts, np.zeros((3, 4, 4), int)])
    with_empty, without = intervals.jackknife_t_interval(padded), intervals.jackknife_t_interval(counts)
    np.testing.assert_allclose([with_empty.low, with_empty.high], [without.low, without.high], rtol=1e-6)
    assert int(with_empty.n_units) == 10


def test_what_cannot_be_computed_is_nan_with_a_note() -> None:
    cases = {
        "fewer than two units": intervals.t_interval([0.4], over="draws"),
        "NaN or infinite": intervals.t_interval([0.4, np.nan, 0.5], over="draws"),
        "no variance": intervals.t_interval([0.4, 0.4, 0.4], over="draws"),
    }
    one_holds_all_anger = _speakers(0, 5)
    one_holds_all_anger[1:, 0] = 0
    cases["without some of the units"] = intervals.jackknife_t_interval(one_holds_all_anger)
    cases["two units"] = intervals.jackknife_t_interval(_speakers(0, 1))
    cases["between the units"] = intervals.jackknife_t_interval(np.repeat(_speakers(0, 1), 5, axis=0))
    for words, interval in cases.items():
        assert np.isnan(interval.low), words
        assert np.isnan(interval.high), words
        assert words in interval.note
    np.testing.assert_allclose(cases["fewer than two units"].estimate, 0.4, rtol=1e-6)


def test_a_bad_row_leaves_its_neighbours_alone() -> None:
    values = np.random.default_rng(0).normal(size=(3, 9))
    values[1, 4] = np.inf
    interval = intervals.t_interval(values, over="seeds")
    assert np.isnan(interval.low).tolist() == [False, True, False]
    assert interval.note == "not computable: NaN or infinite values"


def test_vmap_and_jit_pass_intervals_through() -> None:
    values = np.random.default_rng(0).normal(size=(4, 9))
    mapped = jax.jit(jax.vmap(lambda row: intervals.t_interval(row, over="draws")))(values)
    np.testing.assert_allclose(mapped.low, intervals.t_interval(values, over="draws").low, rtol=1e-6)
    assert mapped.over == "draws"


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="over: expected one of draws, seeds"):
        intervals.t_interval([1.0, 2.0], over="runs")
    with pytest.raises(InputError, match="level: expected a share"):
        intervals.t_interval([1.0, 2.0], 95, over="draws")
    with pytest.raises(InputError, match="values: expected at least 1 axes"):
        intervals.t_interval(np.zeros((3, 0)), over="draws")
    with pytest.raises(InputError, match=r"\[..., C, C\]"):
        intervals.jackknife_t_interval(np.ones((5, 4, 3)))
    with pytest.raises(InputError, match="expected equal shapes"):
        intervals.welch_interval(np.ones((2, 4)), np.ones((3, 4)), over="draws")


def test_confusion_by_group_feeds_the_jackknife() -> None:
    rng = np.random.default_rng(5)
    labels, groups = np.arange(96) % 4, np.repeat(np.arange(8), 12)
    predictions = np.where(rng.random((5, 96)) < 0.5, labels, rng.integers(0, 4, (5, 96)))
    counts = metrics.confusion_by_group(predictions, labels, np.ones(96, bool), groups, 8, 4)
    interval = intervals.jackknife_t_interval(counts)
    assert interval.low.shape == (5,)
    assert (interval.low < interval.estimate).all()
    assert (interval.estimate < interval.high).all()


@pytest.mark.parametrize("hits", [0, 3, 10])
def test_share_interval_agrees_with_scipy(hits: int) -> None:
    values = np.arange(10) < hits
    interval = intervals.share_interval(values, 0.9, over="draws")
    reference = scipy.stats.binomtest(hits, 10).proportion_ci(0.9, method="wilson")
    np.testing.assert_allclose([interval.low, interval.high], reference, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="hits: expected booleans"):
        intervals.share_interval([0.1, 0.2], over="draws")


def test_a_recall_at_four_speakers_stays_between_0_and_1() -> None:
    """Four speakers whose recalls lie apart: 51.8 [-2.6, 106.2] per cent without bounds."""
    counts = np.array([[[9, 1], [0, 10]], [[1, 9], [0, 10]], [[8, 2], [0, 10]], [[2, 8], [0, 10]]], np.float32)
    free = intervals.jackknife_interval(counts, estimands.Recall(0), over="speakers")
    assert free.low < 0
    assert free.high > 1
    bounded = records.within(free, 0.0, 1.0)
    assert (float(bounded.low), float(bounded.high)) == (0.0, 1.0)
    assert bounded.label == "95 % jackknife t over speakers, clipped to the possible values"
    assert bounded.kind == free.kind  # what is offered does not depend on it


def test_limits_inside_the_possible_values_stay_as_they_are() -> None:
    values = [[0.4, 0.5, 0.6], [0.1, 0.05, 0.2], [0.4, 0.4, 0.4], [0.9, 0.95, 0.8]]  # the last beyond 1 alone
    interval = intervals.t_interval(values, over="draws")
    bounded = records.within(interval, 0.0, 1.0)
    assert bounded.clipped.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(bounded.low[::2], interval.low[::2])
    assert records.within(jax.tree.map(lambda x: x[0], interval), 0.0, 1.0).label == "95 % t over draws"

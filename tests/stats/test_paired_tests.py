"""Paired differences: the intervals of the general functions, and no two-way interval over a crossing with gaps."""

import jax
import numpy as np
import pytest
import scipy.stats

from siamese_jax.stats import estimands, hypothesis_tests, intervals, paired_tests, scoring, two_way
from siamese_jax.stats.paired_tests import PairedDifference


@pytest.fixture
def pair() -> PairedDifference:
    """Three seeds on six speakers, the last seed without a count."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (4, 6, 2, 3, 3)).astype(np.float32)
    counts[3] = 0
    return PairedDifference.make(rng.normal(1, 2, 12), counts)


def test_intervals_are_those_of_the_general_functions(pair: PairedDifference) -> None:
    assert pair.counts.shape == (3, 6, 2, 3, 3)
    np.testing.assert_array_equal(pair.over_draws(0.9).low, intervals.t_interval(pair.by_draw, 0.9, over="draws").low)
    pooled = pair.counts.sum(axis=0)
    expected = intervals.jackknife_interval(pooled, estimands.uar_difference, 0.9, over="speakers")
    np.testing.assert_array_equal(pair.over_speakers(0.9).high, expected.high)
    expected = two_way.crossed_interval(pair.counts, estimands.uar_difference, 0.9)
    np.testing.assert_array_equal(pair.over_speakers_and_seeds(0.9).high, expected.high)
    difference = scoring.uar(pooled[:, 0].sum(axis=0)) - scoring.uar(pooled[:, 1].sum(axis=0))
    np.testing.assert_allclose(100 * pair.over_speakers(0.9).estimate, difference, rtol=1e-4)


def test_a_gap_in_the_crossing_leaves_the_estimate_alone(pair: PairedDifference) -> None:
    gap = pair.counts.copy()
    gap[1, 2] = 0
    interval = PairedDifference.make(pair.by_draw, gap).over_speakers_and_seeds(0.95)
    assert interval.note == "not computable: some seeds never test some speakers; draw more"
    assert np.isfinite(interval.estimate)
    assert np.isnan([interval.low, interval.high, interval.standard_error, interval.df]).all()
    assert np.isfinite(PairedDifference.make(pair.by_draw, gap).over_speakers(0.95).low)


def test_tests_and_adjustments(pair: PairedDifference) -> None:
    flips, ranks = paired_tests.over_draws(pair.by_draw, jax.random.key(0), 99)
    assert (flips.kind, ranks.kind) == ("sign-flip exact", "Wilcoxon signed-rank")
    by_speaker = [float(estimands.uar_difference(counts)) for counts in jax.numpy.asarray(pair.by_speaker)]
    alone = hypothesis_tests.sign_flip_test(np.array(by_speaker), over="speakers", key=None, n_resamples=0)
    of_speakers = paired_tests.sign_flip_over_speakers(pair, jax.random.key(0), 99)
    np.testing.assert_allclose(of_speakers.p_value, alone.p_value)
    tests, adjusted = paired_tests.t_tests([pair.over_speakers(0.95), pair.over_speakers_and_seeds(0.95)])
    np.testing.assert_allclose(adjusted, paired_tests.adjusted(np.array([t.p_value for t in tests]))["holm"])
    p = np.array([0.01, 0.04, 0.03, 0.2])
    adjusted = paired_tests.adjusted(p)
    np.testing.assert_allclose(adjusted["holm"], [0.04, 0.09, 0.09, 0.2], rtol=1e-5)
    np.testing.assert_allclose(adjusted["bh"], scipy.stats.false_discovery_control(p), rtol=1e-5)
    assert paired_tests.adjusted(np.array([])) == {"holm": pytest.approx([]), "bh": pytest.approx([])}


def test_counts_by_speaker_sum_to_the_scores() -> None:
    rng = np.random.default_rng(1)
    label, speaker = np.tile(np.arange(3), 8), np.repeat(np.arange(4), 6)
    predictions, mask = rng.integers(0, 3, (5, 24)), rng.random((5, 24)) < 0.9
    counts = scoring.counts_by_speaker(predictions, label, mask, speaker, 4, 3)
    assert counts.shape == (5, 4, 3, 3)
    np.testing.assert_array_equal(scoring.uar(counts.sum(axis=1)), scoring.score(predictions, label, mask).uar)
    scored = scoring.stacked([scoring.score(predictions, label, mask)] * 2)
    right = (predictions == label) & mask
    np.testing.assert_allclose(scored.wa[1], 100 * right.sum(axis=1) / mask.sum(axis=1), rtol=1e-6)
    for i in range(5):
        share = scoring.average_recall(label[mask[i]], predictions[i][mask[i]])
        np.testing.assert_allclose(100 * share, scoring.uar(counts[i].sum(axis=0)), rtol=1e-6)

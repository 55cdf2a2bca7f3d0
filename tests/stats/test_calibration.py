"""Calibration: temperature, proper scores, calibration error, risk against coverage; and `evaluate`'s measures."""

import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from siamese_jax.errors import InputError
from siamese_jax.stats import calibration, evaluation

LOGITS = hnp.arrays(np.float32, (12, 4), elements=st.integers(-64, 64).map(lambda n: n / 8))
CONFIDENCES = hnp.arrays(np.float64, st.integers(1, 60), elements=st.sampled_from(np.linspace(0.25, 1, 16)))


def drawn(seed: int, n: int = 4000, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [n, 4], and labels drawn from them: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    log_p = np.asarray(jax.nn.log_softmax(sharpness * rng.normal(size=(n, 4)).astype(np.float32), axis=1))
    return log_p, (rng.random((n, 1)) > np.cumsum(np.exp(log_p), axis=1)[:, :3]).sum(axis=1)


@settings(max_examples=15, deadline=None)
@given(LOGITS, st.floats(0.1, 10))
def test_a_temperature_changes_no_label_and_keeps_distributions(logits, temperature):
    tempered = np.asarray(calibration.tempered(logits, temperature))
    top = logits == logits.max(axis=1, keepdims=True)
    assert top[np.arange(12), tempered.argmax(axis=1)].all()
    np.testing.assert_allclose(np.exp(tempered).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found(temperature):
    log_p, label = drawn(0)
    found = calibration.fit_temperature(log_p * temperature, label, np.ones(len(label)), 0.0, np.inf)
    assert float(found) == pytest.approx(temperature, rel=0.06)


def test_a_fitted_temperature_minimises_loss_and_prior():
    log_p, label = drawn(1, n=30)
    weight = np.linspace(0, 2, 30)
    found = float(calibration.fit_temperature(log_p, label, weight, np.log(1.5), 0.2))

    def objective(t):
        losses = calibration.log_losses(np.asarray(calibration.tempered(log_p, t)), label)
        return (weight * losses).sum() + (np.log(t) - np.log(1.5)) ** 2 / (2 * 0.2**2)

    grid = np.exp(np.linspace(-1, 1, 401))
    assert abs(np.log(found) - np.log(grid[np.argmin([objective(t) for t in grid])])) < 0.006


def test_without_clips_the_prior_decides_and_one_program_serves_many_draws():
    none = calibration.fit_temperature(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0), np.log(0.7), 0.3)
    assert float(none) == pytest.approx(0.7, rel=1e-5)
    log_p, label = drawn(2, n=60)
    many = jax.jit(jax.vmap(calibration.fit_temperature, (0, 0, None, None, None)))
    found = many(log_p.reshape(3, 20, 4), label.reshape(3, 20), np.ones(20), 0.0, 0.5)
    first = calibration.fit_temperature(log_p[:20], label[:20], np.ones(20), 0.0, 0.5)
    assert float(found[0]) == pytest.approx(float(first), rel=1e-5)


def test_proper_scores_are_their_definitions():
    log_p, label = drawn(3, n=50)
    p = np.exp(log_p)
    by_hand = [sum((p[i, c] - (c == label[i])) ** 2 for c in range(4)) for i in range(50)]
    np.testing.assert_allclose(calibration.brier_scores(p, label), by_hand, rtol=1e-5)
    np.testing.assert_allclose(
        calibration.log_losses(log_p, label), [-np.log(p[i, label[i]]) for i in range(50)], 1e-5, 1e-6
    )


def test_the_calibration_error_is_its_definition():
    rng = np.random.default_rng(4)
    confidence, correct = rng.permutation(np.linspace(0.3, 1, 100)), rng.random(100) < 0.6
    order = np.argsort(confidence)
    parts = np.array_split(order, 15)
    expected = sum(len(p) / 100 * abs(confidence[p].mean() - correct[p].mean()) for p in parts)
    assert calibration.calibration_error(confidence, correct) == pytest.approx(expected)
    assert calibration.calibration_error(np.full(40, 0.75), np.arange(40) % 4 > 0) == pytest.approx(0)
    assert calibration.calibration_error(np.ones(3), np.zeros(3, bool)) == 1


@settings(max_examples=30, deadline=None)
@given(CONFIDENCES, st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(confidence, random):
    order = list(range(len(confidence)))
    correct = np.array([random.random() < 0.7 for _ in order])
    random.shuffle(order)
    error = calibration.calibration_error(confidence, correct)
    assert error == pytest.approx(calibration.calibration_error(confidence[order], correct[order]), abs=1e-9)
    assert 0 <= error <= 1
    grid = np.linspace(0.1, 1, 5)
    curve = calibration.risk_coverage(confidence, correct, grid)
    moved = calibration.risk_coverage(confidence[order], correct[order], grid)
    np.testing.assert_allclose(curve.risk, moved.risk, atol=1e-9)
    assert curve.risk[-1] == pytest.approx(1 - correct.mean())


def test_perfect_calibration_shows_the_ideal_error_and_overconfidence_more():
    log_p, label = drawn(5)
    p = np.exp(log_p)
    ideal = calibration.ideal_calibration_error(p.max(axis=1), seed=0)
    observed = calibration.calibration_error(p.max(axis=1), p.argmax(axis=1) == label)
    assert 0.5 * ideal < observed < 1.7 * ideal
    sharp = np.exp(np.asarray(calibration.tempered(log_p, 0.5)))
    assert calibration.calibration_error(sharp.max(axis=1), sharp.argmax(axis=1) == label) > 5 * ideal


def test_clips_that_occur_repeatedly_share_their_label():
    confidence = np.tile(np.linspace(0.3, 0.95, 100), 50)
    shared = calibration.ideal_calibration_error(confidence, 0, clip=np.tile(np.arange(100), 50))
    once = calibration.ideal_calibration_error(confidence[:100], 0)
    assert shared == pytest.approx(once, rel=0.1)
    assert calibration.ideal_calibration_error(confidence, 0) < shared / 4


def test_risk_counts_the_most_confident_clips():
    curve = calibration.risk_coverage([0.9, 0.5, 0.8, 0.6], [True, False, True, False], [0.0, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 0.5])


@pytest.mark.parametrize(
    ("confidence", "correct"), [([], []), ([0.5, 0.6], [True]), ([1.2], [True]), ([np.nan], [True]), ([-0.1], [False])]
)
def test_confidences_that_are_none_are_refused(confidence, correct):
    with pytest.raises(InputError, match="confidence"):
        calibration.calibration_error(np.array(confidence, float), np.array(correct, bool))


def test_evaluation_holds_the_measures_with_intervals_over_speakers():
    log_p, label = drawn(6, n=300)
    p, speaker = np.exp(log_p), np.array([f"s{i % 10}" for i in range(300)])
    result = evaluation.evaluate(p, label, speaker, 0.9, seed=3, n_bins=10, coverages=(0.3, 0.5, 1))
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == label
    assert float(result.ece.estimate) == pytest.approx(calibration.calibration_error(confidence, correct, 10), abs=1e-5)
    assert result.ideal_ece == pytest.approx(calibration.ideal_calibration_error(confidence, 3, n_bins=10), rel=1e-5)
    assert len(result.reliability.n_clips) == 10
    curve = calibration.risk_coverage(confidence, correct, (0.3, 0.5, 1))
    np.testing.assert_allclose(result.risk.estimate, curve.risk, rtol=1e-5)
    assert list(result.coverage) == list(curve.coverage)
    assert float(result.log_loss.estimate) == pytest.approx(calibration.log_losses(log_p, label).mean(), rel=1e-5)
    assert float(result.wa.estimate) == pytest.approx(correct.mean(), rel=1e-6)
    assert result.confusion.sum() == 300
    assert float(result.uar.estimate) == pytest.approx(balanced_accuracy_score(label, p.argmax(axis=1)), rel=1e-6)
    assert float(result.brier.estimate) == pytest.approx(calibration.brier_scores(p, label).mean(), rel=1e-5)
    for interval in (result.uar, result.wa, result.log_loss, result.brier, result.ece, result.risk):
        assert interval.label.startswith("90 % jackknife t over speakers")
        half = scipy.stats.t.ppf(0.95, 9) * interval.standard_error
        np.testing.assert_allclose(interval.high - interval.estimate, half, rtol=1e-4)
    # For a mean over speakers with as many clips each the jackknife is the t interval of their means.
    means = np.array([correct[speaker == name].mean() for name in np.unique(speaker)])
    assert float(result.wa.standard_error) == pytest.approx(means.std(ddof=1) / 10**0.5, rel=1e-4)
    record = evaluation.as_record(result)
    assert record["n_speakers"] == 10
    assert record["uar"]["interval"] == "90 % jackknife t over speakers"


def test_one_speaker_has_measures_without_limits():
    log_p, label = drawn(7, n=40)
    record = evaluation.as_record(evaluation.evaluate(np.exp(log_p), label, np.zeros(40, int)))
    assert record["brier"]["low"] is None
    assert record["brier"]["estimate"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y, s: (p[:, :2], y, s), "labels"),
        (lambda p, y, s: (2 * p, y, s), "sum to 1"),
        (lambda p, y, s: (p, y[1:], s), "expected"),
        (lambda p, y, s: (p[:0], y[:0], s[:0]), "at least one clip"),
        (lambda p, y, s: (p, y - 1, s), "labels"),
    ],
)
def test_evaluation_refuses_rows_that_are_no_distributions(change, message):
    log_p, label = drawn(8, n=40)
    with pytest.raises(InputError, match=message):
        evaluation.evaluate(*change(np.exp(log_p), label, np.zeros(40, int)))

"""The logistic regression in JAX against scikit-learn's minimum and float64 derivatives."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from siamese_jax.models import logistic_regression as lr
from siamese_jax.models.logistic_regression import LabelledClips, Settings

SETTINGS = Settings(c=1.0, tolerance=1e-6, max_iterations=500)


def clips_of(n_clips, n_features, seed, n_classes=3):
    rng = np.random.default_rng(seed)
    label = np.arange(n_clips) % n_classes
    centres = 0.7 * np.random.default_rng(99).normal(size=(n_classes, n_features))
    return (centres[label] + rng.normal(size=(n_clips, n_features))).astype(np.float32), label


def objective(x, label, weight, coefficients_FxC, intercept_C, c):
    logits = x.astype(np.float64) @ coefficients_FxC + intercept_C
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return -np.sum(weight * log_p[np.arange(len(x)), label]) + np.sum(coefficients_FxC**2) / (2 * c)


def reference(x, label, weight, c):
    model = LogisticRegression(C=c, tol=1e-9, max_iter=20000).fit(x.astype(np.float64), label, sample_weight=weight)
    return objective(x, label, weight, model.coef_.T, model.intercept_, c)


NONE = LabelledClips(np.zeros((0, 1), np.float32), np.zeros(0, int), np.zeros(0, np.float32))
START = np.zeros((3, 9), np.float32)
fit_clips = jax.jit(lr.fit)


@jax.jit
def solve(source, basis, x_own, label, weight, settings):
    coordinates, span = lr.own_coordinates(x_own, basis)
    own = LabelledClips(lr.with_ones(coordinates), label, weight)
    fit = lr.fit(source, own, np.zeros((3, own.x.shape[1]), np.float32), settings)
    return lr.feature_weights(fit.coefficients, basis, span).T, fit


@pytest.mark.parametrize(("n_features", "c"), [(6, 1.0), (200, 1.0), (200, 0.01), (200, 100.0)])
def test_reaches_the_minimum_of_scikit_learn(n_features, c):
    """Fewer features than clips, and more: own clips inside and outside the source's span."""
    (x_s, y_s), (x_t, y_t) = clips_of(60, n_features, 0), clips_of(9, n_features, 1)
    basis = lr.shared_basis(x_s)
    weights = np.full(60, 0.6, np.float32), np.full(9, 4.0, np.float32)
    source = LabelledClips(lr.with_ones(x_s @ basis), y_s, weights[0])
    w_FxC, fit = solve(source, basis, x_t, y_t, weights[1], SETTINGS._replace(c=c))
    x, y, weight = np.concatenate([x_s, x_t]), np.concatenate([y_s, y_t]), np.concatenate(weights)
    least = reference(x, y, weight, c)
    reached = objective(x, y, weight, np.asarray(w_FxC, np.float64), np.asarray(fit.coefficients[:, 0], np.float64), c)
    assert -1e-7 < (reached - least) / least < 1e-4
    assert 0 < fit.iterations < SETTINGS.max_iterations


@pytest.mark.long
def test_the_objective_of_a_fit_is_that_of_its_coefficients_in_float64():
    (x_s, y_s), (x_t, y_t) = clips_of(60, 200, 0), clips_of(9, 200, 1)
    weights, c = (np.full(60, 0.6), np.full(9, 4.0)), 100.0
    basis = np.linalg.qr(x_s.T.astype(np.float64))[0]
    with jax.enable_x64():
        source = LabelledClips(lr.with_ones(x_s.astype(np.float64) @ basis), y_s, weights[0])
        w_FxC, fit = solve(source, basis, x_t.astype(np.float64), y_t, weights[1], SETTINGS._replace(c=c))
    x, y = np.concatenate([x_s, x_t]), np.concatenate([y_s, y_t])
    reached = objective(x, y, np.concatenate(weights), np.asarray(w_FxC), np.asarray(fit.coefficients[:, 0]), c)
    np.testing.assert_allclose(fit.objective, reached, rtol=1e-9)


def test_without_a_source_and_with_clips_that_are_alike():
    x, y = clips_of(9, 30, 2)
    x[3] = x[0]
    x[8] = x[1] + x[2]
    w_FxC, fit = solve(NONE, np.zeros((30, 0), np.float32), x, y, np.ones(9, np.float32), SETTINGS)
    reached = objective(x, y, np.ones(9), np.asarray(w_FxC, np.float64), np.asarray(fit.coefficients[:, 0]), 1.0)
    assert -1e-6 < reached / reference(x, y, np.ones(9), 1.0) - 1 < 1e-4


def test_a_clip_of_weight_0_has_no_effect():
    x, y = clips_of(40, 8, 3)
    weight = np.ones(40, np.float32)
    weight[20:] = 0
    fits = [
        fit_clips(NONE, LabelledClips(lr.with_ones(x), labels, weight), START, SETTINGS).coefficients
        for labels in (y, np.where(weight > 0, y, (y + 1) % 3))
    ]
    np.testing.assert_array_equal(*fits)


def test_the_tolerance_and_the_most_iterations_are_kept():
    x, y = clips_of(40, 8, 4)
    own = LabelledClips(lr.with_ones(x), y, np.ones(40, np.float32))
    loose, tight = (fit_clips(NONE, own, START, SETTINGS._replace(tolerance=t)) for t in (1e-2, 1e-6))
    assert loose.iterations < tight.iterations
    assert loose.objective > tight.objective
    assert fit_clips(NONE, own, START, SETTINGS._replace(max_iterations=1)).iterations == lr.BLOCK


def test_a_warm_start_takes_fewer_iterations():
    x, y = clips_of(40, 8, 5)
    own = LabelledClips(lr.with_ones(x), y, np.ones(40, np.float32))
    cold = fit_clips(NONE, own, START, SETTINGS)
    warm = fit_clips(NONE, own, np.asarray(cold.coefficients), SETTINGS)
    assert warm.iterations < cold.iterations / 3


@pytest.mark.parametrize("seed", [0, 2])
def test_a_start_far_from_the_minimum_reaches_it_too(seed):
    """A step of Newton's length is too long there."""
    x, y = clips_of(40, 8, seed)
    own = LabelledClips(lr.with_ones(3 * x), y, np.ones(40, np.float32))
    far = 3 * np.random.default_rng(seed).normal(size=(3, 9)).astype(np.float32)
    of_far, of_zero = (fit_clips(NONE, own, start, SETTINGS).objective for start in (far, START))
    np.testing.assert_allclose(of_far, of_zero, rtol=1e-4)


def test_the_gradient_is_that_of_the_objective_in_float64():
    (x_s, y_s), (x_t, y_t) = clips_of(40, 8, 6), clips_of(9, 8, 7)
    weights = np.linspace(0.2, 2, 40).astype(np.float32), np.linspace(1, 3, 9).astype(np.float32)
    at = np.random.default_rng(0).normal(size=(3, 9)).astype(np.float32)
    penalty = np.full((1, 9), 0.5, np.float32)
    penalty[0, 0] = 0
    sets = [LabelledClips(lr.with_ones(x), y, w) for x, y, w in ((x_s, y_s, weights[0]), (x_t, y_t, weights[1]))]
    problem = lr._Problem(*sets, penalty)
    value, probabilities = problem.objective(problem.logits(at), at)
    with jax.enable_x64():
        wide = lr._Problem(*(set_._replace(x=set_.x.astype(np.float64)) for set_ in sets), penalty.astype(np.float64))
        expected, slope = jax.value_and_grad(lambda a: wide.objective(wide.logits(a), a)[0])(at.astype(np.float64))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(problem.gradient(probabilities, at), slope, rtol=1e-4, atol=1e-4)

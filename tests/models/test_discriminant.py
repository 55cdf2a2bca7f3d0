"""The adapted discriminants against direct formulas in float64."""

import jax
import numpy as np
import pytest

from siamese_jax.models import discriminant, small_systems
from siamese_jax.models.linear_scorer import LinearScorer, log_probabilities, unscaled

N_CLASSES, N_FEATURES = 3, 7


def clips(n, seed):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % N_CLASSES
    centres = np.random.default_rng(9).normal(size=(N_CLASSES, N_FEATURES))
    return (centres[label] + rng.normal(size=(n, N_FEATURES))).astype(np.float32), label


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def scores(means, covariance, x):
    w = np.linalg.solve(covariance, means.T)
    return x @ w - 0.5 * np.sum(means.T * w, axis=0)


def test_adapted_is_the_discriminant_of_the_formula():
    (x_s, y_s), (x_t, y_t), (query, _) = clips(60, 0), clips(9, 1), clips(20, 2)
    moments = discriminant.source_moments([(x_s, y_s)], [1.0], N_CLASSES)
    white = discriminant.adapted_whitening(moments, 100.0, len(y_t), 0.3)
    scorer = discriminant.adapted(moments.means, moments.present, white, x_t, y_t, 10.0, 0.5)
    x_t, x_s = x_t.astype(np.float64), x_s.astype(np.float64)
    means_s = np.stack([x_s[y_s == c].mean(axis=0) for c in range(N_CLASSES)])
    within = (x_s - means_s[y_s]).T @ (x_s - means_s[y_s]) / len(x_s)
    means = np.stack(
        [(10 * means_s[c] + x_t[y_t == c].sum(axis=0)) / (10 + np.sum(y_t == c)) for c in range(N_CLASSES)]
    )
    rest = x_t - means[y_t]
    covariance = 0.7 * (100 * within + rest.T @ rest) / 109 + 0.3 * np.trace(within) / N_FEATURES * np.eye(N_FEATURES)
    np.testing.assert_allclose(
        log_probabilities(scorer, query), log_softmax(0.5 * scores(means, covariance, query)), atol=2e-4
    )


@pytest.mark.parametrize(("of_source", "pseudo_labelled"), [((0, 1, 2), (0, 1, 2)), ((0, 1), (0, 2)), ((0, 2), (0, 2))])
def test_self_trained_is_the_discriminant_of_the_formula_and_its_scorer_gives_the_same(of_source, pseudo_labelled):
    """Also where the source lacks a class, and where no unlabelled clip is taken for one."""
    (x_s, y_s), (x_t, y_t) = clips(60, 0), clips(30, 1)
    known = np.isin(y_s, of_source)
    moments = discriminant.source_moments([(x_s[known], y_s[known])], [1.0], N_CLASSES)
    x_t = (x_t - x_t.mean(axis=0)) / x_t.std(axis=0)
    shared, unlabelled = discriminant.target_whitening(moments, x_t, 40.0, 60.0, 0.4)
    rng = np.random.default_rng(3)
    q = rng.dirichlet(np.ones(N_CLASSES), size=30) * np.isin(np.arange(N_CLASSES), pseudo_labelled)
    q /= q.sum(axis=1, keepdims=True)
    labelled = np.arange(30) < 6
    q[labelled] = np.eye(N_CLASSES)[y_t[labelled]]
    scorer, log_p = discriminant.self_trained(
        shared, unlabelled, moments.present, q.astype(np.float32), labelled.astype(np.float32), 5.0, 20.0, 0.3
    )
    x = x_t.astype(np.float64)
    own, pseudo = q * labelled[:, None], q * ~labelled[:, None]
    centres = (q.T @ x) / q.sum(axis=0)[:, None]
    prior, weight = 5 * np.isin(np.arange(N_CLASSES), of_source), 20 * np.isin(np.arange(N_CLASSES), pseudo_labelled)
    means = prior[:, None] * moments.means + own.T @ x
    means += weight[:, None] * (pseudo.T @ x) / np.maximum(pseudo.sum(axis=0), 1e-9)[:, None]
    means /= (prior + weight + own.sum(axis=0))[:, None]
    second = (40 * moments.within + 60 * x.T @ x / 30) / 100
    between = sum(share * np.outer(m, m) for share, m in zip(q.sum(axis=0) / 30, centres))
    covariance = 0.6 * (second - 0.6 * between) + 0.4 * np.trace(second) / N_FEATURES * np.eye(N_FEATURES)
    np.testing.assert_allclose(log_p, log_softmax(0.3 * scores(means, covariance, x)), atol=2e-4)
    np.testing.assert_allclose(log_probabilities(scorer, x_t), log_p, atol=2e-4)


def test_source_moments_average_corpora_and_leave_out_those_without_a_class():
    (x_a, y_a), (x_b, y_b) = clips(30, 0), clips(12, 1)
    x_b, y_b = x_b[y_b != 2], y_b[y_b != 2]
    moments = discriminant.source_moments([(x_a, y_a), (x_b, y_b)], [3.0, 1.0], 4)
    np.testing.assert_allclose(
        moments.means[0], 0.75 * x_a[y_a == 0].mean(axis=0) + 0.25 * x_b[y_b == 0].mean(axis=0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(moments.means[2], x_a[y_a == 2].mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(moments.present, [1, 1, 1, 0])
    within = [
        sum((np.sum(y == c) / len(y)) * np.cov(x[y == c].T, ddof=0) for c in np.unique(y))
        for x, y in ((x_a, y_a), (x_b, y_b))
    ]
    np.testing.assert_allclose(moments.within, 0.75 * within[0] + 0.25 * within[1], rtol=1e-4, atol=1e-5)


def test_a_class_that_the_source_lacks_has_the_mean_of_its_labelled_clips():
    (x_s, y_s), (x_t, y_t) = clips(60, 0), clips(9, 1)
    moments = discriminant.source_moments([(x_s[y_s < 2], y_s[y_s < 2])], [1.0], N_CLASSES)
    white = discriminant.adapted_whitening(moments, 100.0, len(y_t), 0.5)
    scorer = discriminant.adapted(moments.means, moments.present, white, x_t, y_t, 10.0, 1.0)
    assert np.mean(np.argmax(log_probabilities(scorer, x_t), axis=1) == y_t) > 0.7


@pytest.mark.parametrize("size", [1, 4, 9])
def test_solves_positive_definite_systems(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size + 3))
    a, right = (root @ root.T).astype(np.float32), rng.normal(size=(2, size)).astype(np.float32)
    x = jax.jit(small_systems.solve_positive)(a, right)
    np.testing.assert_allclose(x @ a, right, atol=1e-3)


def test_log_probabilities_average_members_and_add_up_to_1():
    rng = np.random.default_rng(0)
    scorer = LinearScorer(rng.normal(size=(2, 3, 5)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32))
    x = rng.normal(size=(4, 5)).astype(np.float32)
    members = [log_softmax(x @ w.T + b) for w, b in zip(scorer.weights, scorer.intercepts)]
    expected = log_softmax(np.mean(members, axis=0))
    np.testing.assert_allclose(log_probabilities(scorer, x), expected, atol=1e-5)
    shift, scale = rng.normal(size=5).astype(np.float32), rng.uniform(1, 2, size=5).astype(np.float32)
    np.testing.assert_allclose(
        log_probabilities(unscaled(scorer, shift, scale), x * scale + shift), expected, atol=1e-4
    )

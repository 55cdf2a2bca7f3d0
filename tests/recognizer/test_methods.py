"""The recogniser's fits are those of the protocols."""

import jax
import numpy as np
import pytest

from siamese_jax.models.linear_scorer import log_probabilities as of_protocols
from siamese_jax.protocols.transfer.methods import METHODS, Sources
from siamese_jax.recognizer import methods
from siamese_jax.recognizer.methods import SETTINGS, Labelled, fitted, log_probabilities

LAYERS = (np.arange(0, 20), np.arange(20, 40))


def clips(seed, n, n_classes):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % n_classes
    return Labelled((rng.normal(size=(n, 40)) + 2 * np.eye(40)[label]).astype(np.float32), label)


def fit(method, sources, target, n_classes):
    """The protocols' fit on one set of clips."""
    shared = METHODS[method].prepare(sources, n_classes, len(target.label), SETTINGS)
    return jax.jit(METHODS[method].fit)(shared, target.x, target.label.astype(np.int32))


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_sources", [0, 2])
def test_a_fit_is_the_protocols(method, n_classes, n_sources):
    sources = [clips(1, 30, n_classes), clips(2, 60, n_classes)][:n_sources]
    target, query = clips(3, 3 * n_classes, n_classes), clips(4, 50, n_classes)
    corpora = Sources(tuple((s.x, s.label.astype(np.int32)) for s in sources), (1.0,) * n_sources, 40, LAYERS)
    expected = of_protocols(fit(method, corpora, target, n_classes), query.x)
    found = log_probabilities(fitted(method, sources, target, LAYERS, n_classes, SETTINGS), query.x)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_without_target_clips_a_fit_is_that_of_the_sources():
    none = Labelled(np.zeros((0, 40), np.float32), np.zeros(0, int))
    source, query = clips(1, 60, 3), clips(4, 50, 3)
    for method in METHODS:
        log_p = log_probabilities(fitted(method, [source], none, LAYERS, 3, SETTINGS), query.x)
        assert np.mean(log_p.argmax(axis=1) == query.label) > 0.7


def gradient(scorer, x, label, weight, c):
    """Of the weighted log loss plus |W|^2 / 2c, times c."""
    logit = x @ scorer.weights[0].T.astype(float) + scorer.intercepts[0]
    p = np.exp(logit - logit.max(axis=1, keepdims=True))
    error = weight[:, None] * (p / p.sum(axis=1, keepdims=True) - np.eye(p.shape[1])[label])
    return c * error.T @ x + scorer.weights[0], c * error.sum(axis=0)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_logistic_regression_has_half_of_its_weight_on_the_target_and_equal_sources(n_classes):
    rng = np.random.default_rng(0)
    given = [
        Labelled(rng.normal(size=(n, 4)).astype(np.float32), rng.permutation(np.arange(n) % n_classes))
        for n in (12, 30, 6)
    ]
    settings = SETTINGS.__class__(0.3, SETTINGS.discriminant, SETTINGS.balance, SETTINGS.self_training)
    scorer = methods.fitted("logistic_regression", given[:2], given[2], (), n_classes, settings)
    weight = np.repeat([48 / 4 / 12, 48 / 4 / 30, 48 / 2 / 6], [12, 30, 6])
    x, label = np.concatenate([g.x for g in given]).astype(float), np.concatenate([g.label for g in given])
    of_weights, of_intercepts = gradient(scorer, x, label, weight, 0.3)
    assert max(np.abs(of_weights).max(), np.abs(of_intercepts).max()) < 1e-4


def test_an_adaptation_is_balanced_evenly_at_its_strength_without_the_labelled_clips(monkeypatch):
    seen = []
    monkeypatch.setattr(methods, "_BALANCED", lambda *given: seen.append(given) or given[0])
    log_p, group = np.log(np.full((5, 4), 0.25)), np.array([0, 1, 1])
    found = methods.adapted("balanced", log_p, [], np.zeros((5, 2)), np.array([0, 1]), group, SETTINGS)
    np.testing.assert_allclose(found, log_p, rtol=1e-6)
    ((given, members, proportions, strength),) = seen
    assert given.shape == (4, 4)
    assert members.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    np.testing.assert_array_equal(proportions, np.full(4, 0.25))
    assert strength == np.float32(0.3)
    assert methods.adapted("none", log_p, [], np.zeros((5, 2)), np.array([0, 1]), group, SETTINGS) is log_p


def test_self_training_has_the_labels_of_the_first_clips_and_the_groups_of_the_others(monkeypatch):
    seen = []
    stub = methods.adaptations
    monkeypatch.setattr(stub, "target_whitening", lambda corpora, x, n_classes, own: ("white", len(x), n_classes, own))
    monkeypatch.setattr(stub, "self_trained_trial", lambda log_p, *given: seen.append(given) or log_p)
    log_p, group = np.log(np.full((5, 4), 0.25)), np.array([0, 1, 1])
    methods.adapted("self_trained", log_p, [], np.zeros((5, 2)), np.array([3, 1]), group, SETTINGS)
    ((rows, labels, balance, target, scalars),) = seen
    assert (rows.tolist(), labels.tolist()) == ([0, 1], [3, 1])
    assert np.asarray(balance.groups).tolist() == [[0, 0], [0, 0], [1, 0], [0, 1], [0, 1]]
    np.testing.assert_array_equal(balance.proportions, np.full(4, 0.25))
    assert balance.strength == SETTINGS.balance.strength
    assert target == ("white", 5, 4, SETTINGS.self_training)
    assert int(scalars.rounds) == SETTINGS.self_training.rounds

"""The recogniser's fits are those of the protocols."""

import jax
import numpy as np
import pytest

from siamese_jax.models.linear_scorer import log_probabilities as of_protocols
from siamese_jax.protocols.transfer.methods import METHODS, Sources
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

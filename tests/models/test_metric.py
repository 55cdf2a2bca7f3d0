"""The metric network's embeddings, its noise and dropout, and its classes from prototypes."""

import jax
import numpy as np

from siamese_jax.models import metric
from siamese_jax.models.metric import Perturbation

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def embeddings(noise, dropout, key, x=X, bias=0.0):
    return program(noise, dropout, key, x, bias)


@jax.jit
def program(noise, dropout, key, x, bias):
    params = metric.init(jax.random.key(0), 5, (16,), 3)
    params["encoder"]["layer_0"]["bias"] += bias
    return metric.embed(params, x), metric.embed_perturbed(params, x, key, Perturbation(noise, dropout))


def test_embeddings_have_length_1_and_without_noise_and_dropout_training_sees_the_same():
    plain, perturbed = embeddings(0.0, 0.0, jax.random.key(1))
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(perturbed, plain, rtol=1e-5, atol=1e-6)


def test_noise_and_dropout_each_change_what_training_sees_by_the_key():
    for amounts in ((0.5, 0.0), (0.0, 0.5)):
        (plain, first), (_, again), (_, other) = (embeddings(*amounts, jax.random.key(k)) for k in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - plain).max() > 0.05
        assert np.abs(first - other).max() > 0.05


def test_log_probabilities_are_the_softmax_of_similarities_to_weighted_prototypes():
    rng = np.random.default_rng(1)
    emb, query = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rng.normal(size=(n, 3)) for n in (4, 5)))
    weight = np.array([[3.0, 0], [1, 0], [0, 1], [0, 2]])
    prototypes = weight.T @ emb
    logits = query @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T / 0.2
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    query, emb, weight = (a.astype(np.float32) for a in (query, emb, weight))
    found = metric.class_log_probabilities(query, metric.prototypes(emb, weight), 0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_dropout_leaves_the_mean_of_features_and_of_the_encoders_units():
    """Features that are all 0 are not changed by dropout: the units are dropped beside them."""
    kept = np.asarray(metric._dropped(jax.random.key(0), np.ones((100, 100), np.float32), 0.3))
    assert abs(kept.mean() - 1) < 0.03
    assert abs((kept == 0).mean() - 0.3) < 0.03
    plain, perturbed = embeddings(0.0, 0.5, jax.random.key(1), np.zeros_like(X), 1.0)
    assert np.abs(perturbed - plain).max() > 0.05

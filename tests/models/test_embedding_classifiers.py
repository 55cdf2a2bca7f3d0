"""Decisions against brute force, one segment and one training embedding at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from siamese_jax.errors import InputError
from siamese_jax.models import embedding_classifiers


def embeddings(seed, n_train=30, n_query=7, width=4, n_classes=3):
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n_train - n_classes)])
    points = [rng.normal(size=(n, width)).astype(np.float32) for n in (n_train, n_query)]
    train, query = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in points)
    return query, train, label


@given(st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_centroid_is_minus_the_squared_distance_to_each_class_mean(seed):
    query, train, label = embeddings(seed)
    found = embedding_classifiers.segment_scores("centroid", query, train, label, 3, 1)
    for k, emb in enumerate(query):
        for c in range(3):
            mean = np.mean([t for t, y in zip(train.astype(np.float64), label) if y == c], axis=0)
            assert found[k, c] == pytest.approx(-sum((emb - mean) ** 2), abs=1e-5)


@given(st.integers(0, 50), st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_neighbours_vote_by_their_share(seed, neighbours):
    query, train, label = embeddings(seed)
    found = embedding_classifiers.segment_scores("neighbours", query, train, label, 3, neighbours)
    for k, emb in enumerate(query):
        order = sorted(range(len(train)), key=lambda m: sum((emb - train[m]) ** 2))[:neighbours]
        for c in range(3):
            assert found[k, c] == pytest.approx(sum(label[m] == c for m in order) / neighbours, abs=1e-6)


@pytest.mark.parametrize("kind", embedding_classifiers.DECISIONS)
@pytest.mark.parametrize("at_once", [1, 7])
def test_a_block_at_a_time_gives_what_all_at_once_give(kind, at_once, monkeypatch):
    query, train, label = embeddings(3, n_query=50)
    whole = embedding_classifiers.segment_scores(kind, query, train, label, 3, 5)
    monkeypatch.setattr(embedding_classifiers, "_AT_ONCE", at_once)  # of 50: one by one; sevens and a remainder
    np.testing.assert_allclose(
        embedding_classifiers.segment_scores(kind, query, train, label, 3, 5), whole, rtol=0, atol=1e-6
    )


def test_linear_is_a_logistic_regression_on_the_embeddings():
    query, train, label = embeddings(5)
    found = embedding_classifiers.segment_scores("linear", query, train, label, 3, 1)
    expected = LogisticRegression(max_iter=2000).fit(train.astype(np.float64), label).predict_proba(query)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kind", embedding_classifiers.DECISIONS)
def test_embeddings_that_lie_apart_are_told_apart(kind):
    label = np.repeat(np.arange(3), 10)
    points = np.eye(3, dtype=np.float32)[label] + 0.01 * np.random.default_rng(0).normal(size=(30, 3))
    scores = embedding_classifiers.segment_scores(
        kind, points.astype(np.float32), points.astype(np.float32), label, 3, 3
    )
    np.testing.assert_array_equal(scores.argmax(axis=1), label)


def test_an_utterance_is_the_mean_of_its_segments():
    scores = np.array([[1.0, 0.0], [0.0, 4.0], [3.0, 1.0], [5.0, 5.0]], np.float32)
    found = embedding_classifiers.utterance_scores(scores, np.array([1, 0, 1, 1]), 2)
    np.testing.assert_allclose(found, [[0, 4], [3, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "softmax"}, "expected one of centroid, neighbours, linear"),
        ({"n_classes": 4}, "class 3 has no training segment"),
        ({"neighbours": 31, "decision": "neighbours"}, "31 neighbours among 30"),
        ({"emb_KxE": np.zeros((2, 3), np.float32)}, "expected \\[K, E\\]"),
        ({"label_M": np.zeros(4, int)}, "expected one each"),
        ({"label_M": np.full(30, 7)}, "classes 7..7 in training; expected 0..2"),
        ({"emb_KxE": np.full((2, 4), np.nan, np.float32)}, "embeddings to classify hold NaN .* the training diverged"),
        ({"train_MxE": np.full((30, 4), np.inf, np.float32)}, "training embeddings hold NaN or infinite values"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    query, train, label = embeddings(0)
    given_ = {"decision": "centroid", "emb_KxE": query, "train_MxE": train, "label_M": label}
    with pytest.raises(InputError, match=message):
        embedding_classifiers.segment_scores(**{**given_, "n_classes": 3, "neighbours": 1, **change})


def test_a_clip_without_a_segment_is_refused():
    with pytest.raises(InputError, match="clip 1 has no segment"):
        embedding_classifiers.utterance_scores(np.zeros((2, 2), np.float32), np.array([0, 2]), 3)
    with pytest.raises(InputError, match=r"expected 0\.\.1"):
        embedding_classifiers.utterance_scores(np.zeros((2, 2), np.float32), np.array([0, 2]), 2)
    with pytest.raises(InputError, match="expected as many"):
        embedding_classifiers.utterance_scores(np.zeros((2, 2), np.float32), np.array([0]), 1)

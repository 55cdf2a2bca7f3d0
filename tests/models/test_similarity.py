"""Classification against a loop over clips, and what pooling does with classes of unequal size."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.datasets.mixture import mixture
from siamese_jax.models import siamese, similarity

SPEC = siamese.SiameseSpec((6, 4), "abs_difference", 4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@jax.jit
def logits(params, both):
    """Of the first clip with each of the others."""
    emb = siamese.encode(SPEC, params["encoder"], both)
    return siamese.pair_logits(SPEC, params["head"], emb[:1], emb[1:])[0]


def reference(params, query, reference_x, label, pooling):
    scores = []
    for q in query:
        row = []
        for c in range(label.max() + 1):
            both = jnp.concatenate([q[None], reference_x[label == c]])
            logit = np.asarray(logits(params, both)).astype(float)
            each = sigmoid(logit) if pooling == "mean_probability" else np.log(sigmoid(logit))
            row.append(each.sum() if pooling == "sum_log" else each.mean())
        scores.append(row)
    return np.argmax(scores, axis=1)


@pytest.mark.parametrize("pooling", similarity.POOLINGS)
def test_the_decision_is_the_class_of_largest_pooled_similarity(pooling):
    rng = np.random.default_rng(0)
    params = siamese.init(SPEC, jax.random.key(0), 5)
    query, refs = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=(9, 5)).astype(np.float32)
    label = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    found = similarity.classify(SPEC, params, query, refs, jnp.asarray(label), jnp.ones(9, bool), 3, pooling)
    np.testing.assert_array_equal(found, reference(params, query, refs, label, pooling))
    assert found.dtype == jnp.int8


def test_padding_references_take_no_part_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    params = siamese.init(SPEC, jax.random.key(0), 5)
    query, refs = rng.normal(size=(37, 5)).astype(np.float32), rng.normal(size=(8, 5)).astype(np.float32)
    label = jnp.arange(8) % 4
    whole = similarity.classify(SPEC, params, query, refs, label, jnp.ones(8, bool), 4, "mean_log")
    # Padding of class 0 that would attract the queries which it repeats.
    padded = np.concatenate([refs, query[:3]])
    valid = jnp.arange(11) < 8
    labels = jnp.concatenate([label, jnp.zeros(3, label.dtype)])
    counted = similarity.classify(SPEC, params, query, padded, labels, jnp.ones(11, bool), 4, "mean_log")
    assert (counted != whole).any()
    np.testing.assert_array_equal(similarity.classify(SPEC, params, query, padded, labels, valid, 4, "mean_log"), whole)
    monkeypatch.setattr(similarity, "QUERY_BLOCK", 5)
    monkeypatch.setattr(similarity, "PAIRS_AT_ONCE", 1)
    np.testing.assert_array_equal(
        similarity.classify(SPEC, params, query, refs, label, jnp.ones(8, bool), 4, "mean_log"), whole
    )


@pytest.mark.long
@pytest.mark.parametrize("pooling", similarity.POOLINGS)
def test_a_corpus_whose_clips_are_doubled_keeps_its_share_by_the_weights_of_a_mixture(pooling):
    tables = {"a": make_table("a", 3, seed=1), "b": make_table("b", 4, seed=2)}
    both = tables["b"].select(np.tile(np.arange(len(tables["b"])), 2))
    both = dataclasses.replace(both, clip=np.char.add(both.clip, np.repeat(["", "x"], len(both) // 2)))
    params = siamese.init(SPEC, jax.random.key(0), 5)
    query = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    found = []
    for b in (tables["b"], both):
        sources = [dataset.from_table(table, EMOTIONS, "source") for table in (tables["a"], b)]
        data = mixture(sources, ["a", "b"], ())
        x, weight = data.table.features, data.clip_weight_in_class.astype(np.float32)
        found.append(similarity.classify(SPEC, params, query, x, data.label, weight, 4, pooling))
    np.testing.assert_array_equal(*found)

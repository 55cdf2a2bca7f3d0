"""The supervised contrastive loss by value and gradient against two loops in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.losses.contrastive import supervised_contrastive
from siamese_jax.losses.pair_masks import pair_masks

LABEL = np.array([0, 0, 1, 1, 1, 2, 0])
CLIP = np.array([0, 1, 2, 3, 4, 5, 0])
"""The only clip of class 2 has no positive; the last clip is the first, drawn again."""
WEIGHT = np.array([1.0, 0.5, 2.0, 1.0, 0.0, 3.0, 1.0])
ALL = np.ones(len(LABEL), bool)


@jax.jit
def value_and_grad(emb, label, clip, valid, weight, temperature):
    """One program for all tests."""
    masks = pair_masks(label, clip, jnp.zeros(len(label)), valid, "any")
    return jax.value_and_grad(supervised_contrastive)(emb, masks, weight, temperature)


def computed(emb, label=LABEL, clip=CLIP, weight=WEIGHT, temperature=0.1, valid=ALL):
    return value_and_grad(emb.astype(np.float32), label, clip, valid, weight.astype(np.float32), temperature)


def embeddings():
    emb = np.random.default_rng(0).normal(size=(len(LABEL), 3))
    return emb / np.linalg.norm(emb, axis=1, keepdims=True)


def reference(emb, label, clip, weight, temperature):
    """Equation 2 of Khosla et al. 2020, anchor by anchor."""
    loss = total = 0.0
    for i in range(len(label)):
        others = [a for a in range(len(label)) if clip[a] != clip[i]]
        positives = [p for p in others if label[p] == label[i]]
        if positives:
            whole = np.log(sum(np.exp(emb[i] @ emb[a] / temperature) for a in others))
            loss += weight[i] * np.mean([whole - emb[i] @ emb[p] / temperature for p in positives])
            total += weight[i]
    return loss / total


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_value_and_gradient_against_float64(temperature):
    emb, rest = embeddings(), (LABEL, CLIP, WEIGHT, temperature)
    value, grad = computed(emb, *rest)
    np.testing.assert_allclose(value, reference(emb, *rest), rtol=1e-5)
    step, numeric = 1e-6, np.zeros_like(emb)
    for index in np.ndindex(emb.shape):
        up, down = emb.copy(), emb.copy()
        up[index] += step
        down[index] -= step
        numeric[index] = (reference(up, *rest) - reference(down, *rest)) / (2 * step)
    np.testing.assert_allclose(grad, numeric, rtol=1e-3, atol=1e-4 * np.abs(numeric).max())


def test_the_order_of_the_batch_does_not_matter():
    emb, order = embeddings(), np.array([3, 0, 6, 5, 1, 4, 2])
    value, grad = computed(emb)
    other, other_grad = computed(emb[order], LABEL[order], CLIP[order], WEIGHT[order])
    np.testing.assert_allclose(other, value, rtol=1e-6)
    np.testing.assert_allclose(other_grad, grad[order], rtol=1e-4, atol=1e-6)


def test_the_names_of_the_classes_do_not_matter():
    emb = embeddings()
    assert computed(emb)[0] == computed(emb, np.array([2, 0, 1])[LABEL])[0]


def test_without_a_positive_it_is_zero_with_gradient_zero():
    n = len(LABEL)
    for label, valid in ((np.arange(n), np.ones(n, bool)), (LABEL, np.arange(n) == 2)):
        value, grad = computed(embeddings(), label, np.arange(n), valid=valid)
        assert value == 0
        np.testing.assert_array_equal(grad, 0)


def test_a_clip_outside_the_masks_has_no_part():
    emb, n = embeddings(), len(LABEL)
    valid = np.arange(n) < 5
    values = [computed(e, clip=np.arange(n), valid=valid)[0] for e in (emb, np.where(valid[:, None], emb, -emb))]
    assert values[0] == values[1]
    np.testing.assert_allclose(values[0], reference(emb[:5], LABEL[:5], np.arange(5), WEIGHT[:5], 0.1), rtol=1e-5)

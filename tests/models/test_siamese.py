"""The network's shapes, symmetry, heads and freezing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.models import siamese

PAPER = siamese.SiameseSpec((64, 32, 16), "abs_difference", 16)


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_papers_network_has_the_papers_layers():
    params = siamese.init(PAPER, jax.random.key(0), 64)
    assert count(params["encoder"]) == (64 * 64 + 64) + (64 * 32 + 32) + (32 * 16 + 16)
    assert count(params["head"]) == 16 + 1
    deeper = siamese.init(siamese.SiameseSpec((64, 32, 16), "extra_layer", 16), jax.random.key(0), 64)
    assert count(deeper["head"]) == (16 * 16 + 16) + (16 + 1)


@pytest.mark.parametrize("head", siamese.HEADS)
def test_logits_are_symmetric_and_the_same_within_and_across_sets(head):
    spec = siamese.SiameseSpec((8, 4), head, 4)
    params = siamese.init(spec, jax.random.key(1), 6)
    x = jax.random.normal(jax.random.key(2), (7, 6))
    emb = siamese.encode(spec, params["encoder"], x)
    within = siamese.pair_logits(spec, params["head"], emb, None)
    np.testing.assert_allclose(within, within.T, rtol=1e-6)
    np.testing.assert_allclose(
        within[:3], siamese.pair_logits(spec, params["head"], emb[:3], emb), rtol=1e-5, atol=1e-6
    )


def test_logits_follow_the_definition():
    spec = siamese.SiameseSpec((3,), "abs_difference", 4)
    params = siamese.init(spec, jax.random.key(1), 2)
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    layer = jax.tree.map(np.asarray, params["encoder"]["layer_0"])
    emb = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    kernel, bias = np.asarray(params["head"]["kernel"])[:, 0], np.asarray(params["head"]["bias"])[0]
    expected = np.abs(emb[:, None] - emb[None]) @ kernel + bias
    found = siamese.pair_logits(spec, params["head"], siamese.encode(spec, params["encoder"], x), None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_logits_of_the_extra_layer_follow_the_definition():
    spec = siamese.SiameseSpec((3,), "extra_layer", 5)
    head = siamese.init(spec, jax.random.key(1), 2)["head"]
    rng = np.random.default_rng(0)
    head = jax.tree.map(lambda leaf: np.asarray(leaf) + rng.normal(0, 0.3, leaf.shape).astype(np.float32), head)
    a, b = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(6, 3)).astype(np.float32)
    hidden = np.maximum(np.abs(a[:, None] - b[None]) @ head["kernel"] + head["bias"], 0)
    assert hidden.shape == (4, 6, 5)
    expected = hidden @ np.asarray(head["out_kernel"])[:, 0] + head["out_bias"]
    np.testing.assert_allclose(siamese.pair_logits(spec, head, a, b), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", siamese.HEADS)
def test_kernels_start_with_the_variance_of_he_and_biases_at_zero(head):
    params = siamese.init(siamese.SiameseSpec((300, 400), head, 60), jax.random.key(0), 200)
    layers = {(300, 400): params["encoder"]["layer_1"], (200, 300): params["encoder"]["layer_0"]}
    kernels = {shape[0]: layer["kernel"] for shape, layer in layers.items()} | {400: params["head"]["kernel"]}
    for fan_in, kernel in kernels.items():
        assert kernel.shape[0] == fan_in
        n = kernel.size
        assert abs(float(kernel.std()) / (2 / fan_in) ** 0.5 - 1) < 4 / (2 * n) ** 0.5 + 0.01
        assert abs(float(kernel.mean())) < 4 * (2 / fan_in / n) ** 0.5
    biases = [layer["bias"] for layer in (*layers.values(), params["head"])]
    assert all((bias == 0).all() for bias in biases)


def test_freezing_covers_every_parameter():
    params = siamese.init(PAPER, jax.random.key(0), 64)
    for frozen in range(4):
        mask = siamese.trainable_mask(params, jnp.asarray(frozen))
        assert jax.tree.structure(mask) == jax.tree.structure(params)
        learns = [float(mask["encoder"][f"layer_{i}"][leaf]) for i in range(3) for leaf in ("kernel", "bias")]
        assert learns == [float(i >= frozen) for i in range(3) for _ in range(2)]
        assert all(float(leaf) == 1 for leaf in jax.tree.leaves(mask["head"]))


def test_unknown_heads_and_empty_layers_are_refused():
    with pytest.raises(InputError, match="expected one of abs_difference, extra_layer"):
        siamese.SiameseSpec((4,), "cosine", 4)
    with pytest.raises(InputError, match="must be positive"):
        siamese.SiameseSpec((4, 0), "extra_layer", 4)

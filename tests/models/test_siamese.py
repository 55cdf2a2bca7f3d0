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

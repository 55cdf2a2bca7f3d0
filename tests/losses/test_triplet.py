"""The triplet loss against a loop over all triplets, in value and gradient, and its properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.errors import InputError
from siamese_jax.losses.triplet import MININGS, squared_distances, triplet_loss


def brute_force(emb, classes, valid, margin, mining):
    """Loss, gradient and number of triplets by plain loops over anchors, positives and negatives, in float64."""
    emb = np.asarray(emb, np.float64)
    people = range(len(emb))

    def distance(i, j):
        return float(np.sum((emb[i] - emb[j]) ** 2))

    chosen = []
    for a in people:
        positives = [p for p in people if p != a and classes[p] == classes[a] and valid[p] and valid[a]]
        negatives = [n for n in people if classes[n] != classes[a] and valid[n] and valid[a]]
        if mining == "hardest" and positives and negatives:
            triplets = [(max(positives, key=lambda p: distance(a, p)), min(negatives, key=lambda n: distance(a, n)))]
        elif mining == "all":
            triplets = [(p, n) for p in positives for n in negatives]
        elif mining == "semi-hard":
            triplets = []
            for p in positives:
                near = [n for n in negatives if distance(a, p) < distance(a, n) < distance(a, p) + margin]
                triplets += [(p, min(near, key=lambda n: distance(a, n)))] if near else []
        else:
            triplets = []
        chosen += [(a, p, n) for p, n in triplets if distance(a, p) - distance(a, n) + margin > 0]
    loss, grad = 0.0, np.zeros_like(emb)
    for a, p, n in chosen:
        loss += distance(a, p) - distance(a, n) + margin
        grad[a] += 2 * (emb[a] - emb[p]) - 2 * (emb[a] - emb[n])
        grad[p] += 2 * (emb[p] - emb[a])
        grad[n] -= 2 * (emb[n] - emb[a])
    count = max(len(chosen), 1)
    return loss / count, grad / count, len(chosen)


def batch(seed, size=14, classes=3, spread=0.5):
    rng = np.random.default_rng(seed)
    which = rng.integers(0, classes, size)
    centres = rng.standard_normal((classes, 5))
    emb = centres[which] * spread + rng.standard_normal((size, 5))
    return emb / np.linalg.norm(emb, axis=1, keepdims=True), which, rng.random(size) < 0.8


@pytest.mark.parametrize("mining", MININGS)
@given(seed=st.integers(0, 10**6), margin=st.sampled_from([0.05, 0.2, 1.0]))
@settings(max_examples=25, deadline=None)
def test_values_and_gradients_match_a_loop_over_all_triplets(mining, seed, margin):
    emb, which, valid = batch(seed)
    want, want_grad, count = brute_force(emb, which, valid, margin, mining)
    with jax.enable_x64(True):
        labels, mask = jnp.asarray(which), jnp.asarray(valid)

        def loss(e):
            found = triplet_loss(e, labels, mask, margin, mining)
            return found.loss, found

        (got, found), grad = jax.value_and_grad(loss, has_aux=True)(jnp.asarray(emb, jnp.float64))
    assert int(found.triplets) == count
    np.testing.assert_allclose(got, want, atol=1e-10)
    np.testing.assert_allclose(grad, want_grad, atol=1e-10)


@pytest.mark.parametrize("mining", MININGS)
def test_float32_agrees_with_float64(mining):
    emb, which, valid = batch(3, size=40)
    args = jnp.asarray(which), jnp.asarray(valid), 0.2, mining
    got, grad = jax.value_and_grad(lambda e: triplet_loss(e, *args).loss)(jnp.asarray(emb, jnp.float32))
    want, want_grad, _ = brute_force(emb.astype(np.float32), which, valid, 0.2, mining)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(grad, want_grad, atol=1e-5)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("why", ["one class", "no positives", "no one valid", "far apart", "collapsed"])
def test_no_triplets_mean_no_loss_and_no_gradient(mining, why):
    emb, which, valid = np.eye(6), np.array([0, 0, 1, 1, 2, 2]), np.ones(6, bool)
    if why == "one class":
        which = np.zeros(6, int)
    elif why == "no positives":
        which = np.arange(6)
    elif why == "no one valid":
        valid = np.zeros(6, bool)
    elif why == "far apart":
        emb = np.repeat(np.eye(3), 2, axis=0)
    elif why == "collapsed":
        emb = np.ones((6, 3))
    args = jnp.asarray(which), jnp.asarray(valid), 0.2, mining
    found, grad = jax.value_and_grad(lambda e: triplet_loss(e, *args).loss)(jnp.asarray(emb, jnp.float32))
    if why == "collapsed" and mining != "semi-hard":
        np.testing.assert_allclose(grad, 0, atol=1e-7)
        np.testing.assert_allclose(found, 0.2, rtol=1e-6)  # every triplet costs the margin: the trap of these two
    else:
        np.testing.assert_array_equal(grad, 0)
        assert float(found) == 0


def test_a_known_batch():
    # On a line: anchor 0, positive 0.1, negatives at 0.05, 0.22 and 0.3. Squared, the positive is at 0.01, the
    # negatives at 0.0025, 0.0484, 0.09 from 0, and at 0.0025, 0.0144, 0.04 from 0.1.
    emb = jnp.array([[0.0], [0.1], [0.05], [0.22], [0.3]])
    batch = emb, jnp.array([0, 0, 1, 2, 3]), jnp.ones(5, bool), 0.2
    semi_hard, hardest, every = (triplet_loss(*batch, mining) for mining in MININGS)
    assert [int(found.triplets) for found in (semi_hard, hardest, every)] == [2, 2, 6]
    assert int(semi_hard.pairs) == 2
    np.testing.assert_allclose(semi_hard.loss, np.mean([0.1616, 0.1956]), rtol=1e-5)
    np.testing.assert_allclose(hardest.loss, 0.2075, rtol=1e-5)
    np.testing.assert_allclose(every.loss, np.mean([0.2075, 0.1616, 0.12, 0.2075, 0.1956, 0.17]), rtol=1e-5)


@pytest.mark.parametrize("mining", MININGS)
def test_padding_takes_no_part(mining):
    emb, which, _ = batch(5)
    # Copies of the first clips a little apart would be the nearest negatives, and far ones the farthest positives.
    padded = np.concatenate([emb, emb[:4] + 0.01, np.full((4, 5), 9.0)])
    more = np.concatenate([which, (which[:4] + 1) % 3, which[:4]])
    valid = jnp.arange(22) < 14
    short = triplet_loss(jnp.asarray(emb), jnp.asarray(which), jnp.ones(14, bool), 0.2, mining)
    long = triplet_loss(jnp.asarray(padded), jnp.asarray(more), valid, 0.2, mining)
    np.testing.assert_allclose(short, long, rtol=1e-5)
    seen = triplet_loss(jnp.asarray(padded), jnp.asarray(more), jnp.ones(22, bool), 0.2, mining)
    assert not np.allclose(short, seen, rtol=1e-3)


@pytest.mark.parametrize("mining", MININGS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_order_names_and_rotation_do_not_matter(mining, seed):
    emb, which, valid = batch(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(emb))
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    with jax.enable_x64(True):
        want = triplet_loss(jnp.asarray(emb), jnp.asarray(which), jnp.asarray(valid), 0.2, mining)
        got = triplet_loss(
            jnp.asarray((emb @ turn)[order]), jnp.asarray(7 - which[order]), jnp.asarray(valid[order]), 0.2, mining
        )
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_distances_are_never_negative():
    emb = jnp.asarray(np.repeat(batch(0)[0], 2, axis=0), jnp.float32)
    distances = squared_distances(emb)
    assert float(distances.min()) >= 0
    np.testing.assert_allclose(distances, np.sum((emb[:, None] - emb[None]) ** 2, axis=2), atol=1e-6)


def test_memory_grows_with_pairs_not_triplets():
    size = 512
    args = jnp.ones((size, 8)), jnp.arange(size) % 4, jnp.ones(size, bool), 0.2
    for mining in MININGS:
        compiled = jax.jit(jax.grad(lambda e, m=mining: triplet_loss(e, *args[1:], m).loss)).lower(args[0]).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 60 * size**2 * 4


def test_unknown_minings_are_refused():
    with pytest.raises(InputError, match="mining 'easy': expected one of semi-hard, hardest, all"):
        triplet_loss(jnp.ones((2, 2)), jnp.zeros(2, int), jnp.ones(2, bool), 0.2, "easy")

"""The compiled step: on several devices what it is on one; frozen modules; bfloat16 inside, float32 outside."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from synthetic_audio import tones
from tiny_config import CONFIG, NETWORK, config

from siamese_jax.errors import InputError
from siamese_jax.losses.triplet import TripletLoss
from siamese_jax.models import facenet
from siamese_jax.training.facenet import step as steps
from siamese_jax.training.facenet.step import Programs, State, _moved, _optimizer, _train_step

CLASS = np.repeat(np.arange(4), 8)


@pytest.fixture(scope="module")
def segments():
    """A batch of eight segments of each emotion."""
    source = tones(range(4), takes=2)
    rows = [np.flatnonzero(source.emotion == name)[:8] for name in np.unique(source.emotion)]
    return source.segments(np.concatenate(rows))


@pytest.fixture(scope="module")
def variables():
    return facenet.init(jax.random.key(0), NETWORK)


def step(settings, variables, segments):
    """The program, the state and the results of one step."""
    program = Programs(settings)
    state, result = program.step(program.start(variables), segments, CLASS, 1e-3, jax.random.key(1))
    return program, state, jax.device_get(result)


@pytest.mark.long
def test_two_devices_do_what_one_does(variables, segments):
    # All triplets, each within the margin: which one is semi-hard, or counts at all, can turn on the last bit.
    settings = config(mining="all", margin=10.0)
    alone, one, result = step(settings, variables, segments)
    program, two, again = step(dataclasses.replace(settings, devices=2), variables, segments)
    assert len(jax.tree.leaves(two.params)[0].sharding.device_set) == 2
    # Each device holds two of the four classes: mining or batch norm over its own half would give other numbers.
    np.testing.assert_allclose(again.loss, result.loss, rtol=1e-5)
    assert again.triplets == result.triplets == 24  # of every pair
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5), two.batch_stats, one.batch_stats)
    # Moments, since Adam's first step has the size of the rate however small a gradient is.
    for a, b in zip(jax.tree.leaves(two.moments), jax.tree.leaves(one.moments)):
        assert np.linalg.norm(a - np.asarray(b)) <= 2e-3 * np.linalg.norm(b)
    emb, same = (p.embed(p.place(one.variables), segments) for p in (program, alone))
    np.testing.assert_allclose(emb, same, atol=2e-5)


def test_a_step_augments_clips_the_gradient_and_keeps_the_statistics_of_the_network(monkeypatch):
    keys = []

    def augment(key, x, *rest):
        keys.append(jax.random.key_data(key))
        assert rest[-1] is given.augment
        return x + 1

    def embed_train(network, variables, images, dropout):
        stats = {"mean": images.mean(axis=0), "keys": jnp.stack([*keys, jax.random.key_data(dropout)])}
        return images @ variables["params"]["head"]["kernel"], stats

    def loss(emb_BxD, class_B, valid_B, margin, mining):
        assert (margin, mining) == (given.margin, given.mining)
        assert valid_B.shape == class_B.shape
        return TripletLoss((class_B[:, None] * emb_BxD).sum(), jnp.int32(3), jnp.int32(6))

    given = config(clip_norm=0.01, mining="all", margin=10.0, weight_decay=0.0)
    monkeypatch.setattr(steps, "triplet_loss", loss)
    monkeypatch.setattr(steps, "augment_segments", augment)
    monkeypatch.setattr(steps, "augment_images", augment)
    monkeypatch.setattr(steps, "view_images", lambda x, view, images: x * 2)
    monkeypatch.setattr(facenet, "embed_train", embed_train)
    segments_BxL = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    params = {"head": {"kernel": np.ones((4, 2), np.float32)}}
    state = State(params, {"mean": np.zeros(4, np.float32)}, _optimizer(given.clip_norm).init(params))
    step = jax.jit(functools.partial(_train_step, given))
    changed, result = step(state, segments_BxL, CLASS, np.float32(1e-3), jax.random.key(0))
    expected = 2 * (segments_BxL + 1) + 1
    np.testing.assert_allclose(changed.batch_stats["mean"], expected.mean(axis=0), rtol=1e-5)
    assert len(np.unique(changed.batch_stats["keys"], axis=0)) == 3
    assert (result.loss, result.triplets) == (pytest.approx((CLASS @ expected).sum() * 2, rel=1e-4), 0.5)
    assert result.gradient_norm == pytest.approx(np.linalg.norm(CLASS @ expected) * np.sqrt(2), rel=1e-4)
    # Adam's first moment is a tenth of the clipped gradient.
    moment = optax.tree_utils.tree_get(changed.moments, "mu")
    np.testing.assert_allclose(np.linalg.norm(moment), 0.1 * 0.01, rtol=1e-4)


def test_frozen_modules_stay(variables):
    params = variables["params"]
    ones = jax.tree.map(np.ones_like, params)
    moved = _moved(config(frozen=("conv2d", "repeat_1"), weight_decay=0.0), params, ones, 0.5)
    for name, module in params.items():
        by = 0.0 if name.startswith(("conv2d", "repeat_1")) else 0.5
        jax.tree.map(lambda a, b, by=by: np.testing.assert_allclose(a, b - by, rtol=1e-6), moved[name], module)


def test_kernels_decay_and_nothing_else(variables):
    params = variables["params"]
    moved = _moved(config(weight_decay=0.1), params, jax.tree.map(np.zeros_like, params), 0.5)
    for (path, a), b in zip(jax.tree.leaves_with_path(moved), jax.tree.leaves(params)):
        np.testing.assert_allclose(a, b * (0.95 if path[-1].key == "kernel" else 1.0), rtol=1e-6)


def test_state_and_embeddings_are_float32_in_mixed_precision(variables, segments):
    settings = config(network=dataclasses.replace(NETWORK, dtype="bfloat16"))
    state = Programs(settings).start(variables)
    changed, result = jax.eval_shape(
        functools.partial(_train_step, settings), state, segments, CLASS, np.float32(1e-3), jax.random.key(0)
    )
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), changed) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert {leaf.dtype for leaf in result} == {np.dtype("float32")}


@pytest.mark.long
def test_mixed_precision_does_nearly_the_same(variables, segments):
    settings = config(network=dataclasses.replace(NETWORK, dtype="bfloat16"))
    program, half, result = step(settings, variables, segments)
    _, _, exact = step(CONFIG, variables, segments)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result.loss, exact.loss, rtol=0.05)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(half))
    emb, same = (p.embed(p.place(variables), segments) for p in (program, Programs(CONFIG)))
    assert 1e-5 < np.abs(np.asarray(emb) - same).max() < 0.1  # bfloat16 has eight bits


def test_configs_that_differ_in_the_length_of_training_share_their_programs():
    first, second = Programs(CONFIG), Programs(config(epochs=3, learning_rate=1e-4, embed_batch=8))
    assert first._step is second._step
    assert first._embed is Programs(config(margin=0.4, segments_per_class=4))._embed
    assert first._step is not Programs(config(margin=0.4))._step


def test_more_devices_than_there_are_is_an_error():
    with pytest.raises(InputError, match=r"TrainConfig\.devices = 4: this machine has 2 \(cpu\)"):
        Programs(config(devices=4))

"""Distances between emotions against loops over clips."""

import jax.numpy as jnp
import numpy as np

from siamese_jax.protocols import emotion_distances


def test_distances_are_means_over_the_pairs_of_two_emotions():
    rng = np.random.default_rng(0)
    emb, label = rng.normal(size=(9, 3)).astype(np.float32), np.array([0, 0, 0, 1, 1, 2, 2, 2, 0])
    use = np.arange(9) != 8
    found = emotion_distances.emotion_distances(jnp.asarray(emb), jnp.asarray(label), jnp.asarray(use), 3)
    for a in range(3):
        for b in range(3):
            apart = [
                np.linalg.norm(emb[i] - emb[j])
                for i in range(8) for j in range(8) if i != j and label[i] == a and label[j] == b
            ]  # fmt: skip
            np.testing.assert_allclose(found[a, b], np.mean(apart), rtol=1e-5)


def test_an_emotion_of_one_clip_has_no_distance_within():
    found = emotion_distances.emotion_distances(jnp.eye(3), jnp.array([0, 0, 1]), jnp.ones(3, bool), 2)
    assert np.isnan(found[1, 1])
    np.testing.assert_allclose(found[0], [2**0.5] * 2, rtol=1e-6)


def test_the_probe_is_one_clip_of_each_emotion_and_speaker():
    label, speaker = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(np.sort(emotion_distances.probe_rows(label, speaker)), [0, 2, 3, 4])

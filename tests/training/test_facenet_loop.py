"""Training FaceNet: it learns emotions of people it has not heard, and what does not fit is refused by name."""

import jax
import numpy as np
import pytest
from synthetic_audio import tones
from tiny_config import CONFIG, config

from siamese_jax.errors import InputError
from siamese_jax.models import facenet
from siamese_jax.training.facenet.loop import learning_rate, train
from siamese_jax.training.facenet.step import embed_all


def silent(_: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def people():
    """Ten speakers' tones, the last three of them held out."""
    source = tones(range(10), takes=4)
    held_out = np.isin(source.speaker, ["tones_07", "tones_08", "tones_09"])
    return source.subset(source.clip[~held_out]), source.subset(source.clip[held_out])


@pytest.fixture(scope="module")
def variables():
    return facenet.init(jax.random.key(0), CONFIG.network)


@pytest.fixture(scope="module")
def trained(people, variables):
    done = []
    return train(CONFIG, variables, *people, jax.random.key(1), None, done.append), sum(done)


def test_the_learning_rate_rises_to_the_end_of_the_warm_up_and_falls_by_a_cosine():
    """Before the tests that train: it takes no time."""
    given = config(learning_rate=0.8, warmup=2.0, epochs=8, schedule="cosine")
    rates = [learning_rate(given, epoch) for epoch in (0.0, 1.0, 2.0, 4.0, 8.0, 9.0)]
    fall = [(1 + np.cos(np.pi * epoch / 8)) / 2 for epoch in (1, 2)]
    np.testing.assert_allclose(rates, [0, 0.4 * fall[0], 0.8 * fall[1], 0.4, 0, 0], atol=1e-12)
    constant = config(learning_rate=0.8, warmup=0.0, epochs=8, schedule="constant")
    assert [learning_rate(constant, epoch) for epoch in (0.0, 8.0)] == [0.8, 0.8]


def test_emotions_of_unheard_speakers_are_told_apart(trained):
    result, steps = trained
    assert result.history["clip_uar"][result.best_epoch] > 0.7  # chance: 0.25
    assert result.history["segment_uar"][result.best_epoch] == result.history["segment_uar"].max() > 0.6
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert steps == 6 * 13


def test_embeddings_are_of_the_best_epoch_and_do_not_depend_on_batches(people, trained):
    held_out = people[1]
    emb = embed_all(CONFIG, trained[0].variables, held_out)
    assert emb.shape == (len(held_out), 16)
    np.testing.assert_allclose(np.linalg.norm(emb, axis=1), 1, atol=1e-5)
    some = np.array([70, 3, 3])
    np.testing.assert_allclose(embed_all(CONFIG, trained[0].variables, held_out, some), emb[some], atol=2e-6)


def test_the_starting_variables_are_left_as_they_are(variables, trained):
    again = facenet.init(jax.random.key(0), CONFIG.network)
    jax.tree.map(np.testing.assert_array_equal, variables, again)


def test_variables_of_another_network_are_refused(people):
    wider = config(
        network=facenet.FaceNetConfig(1, 16, 0.125, 0.1, 0.2, 0.9, "same", 2, "mixed", "products", "float32")
    )
    other = facenet.init(jax.random.key(0), wider.network)
    with pytest.raises(InputError, match=r"variables to start from: batch_stats.* same width, depth and embedding"):
        train(CONFIG, other, *people, jax.random.key(1), None, silent)


def test_a_speaker_on_both_sides_is_refused(people, variables):
    with pytest.raises(InputError, match=r"speakers tones_00.*trained on too"):
        train(CONFIG, variables, people[0], people[0], jax.random.key(1), None, silent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": "cepstrum"}, "view = 'cepstrum': expected one of waveform, spectrogram"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0: expected above 0"),
        ({"schedule": "linear"}, "schedule = 'linear': expected one of constant, cosine"),
        ({"devices": 3}, "32 cannot be spread evenly over 3 devices"),
        ({"segments_per_class": 1}, "segments_per_class = 1: expected 2 or more"),
    ],
)
def test_bad_configs_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        config(**changes)

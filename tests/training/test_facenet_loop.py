"""Training FaceNet: it learns emotions of people it has not heard, and what does not fit is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic_audio import tones
from tiny_config import CONFIG, config

from siamese_jax.errors import InputError
from siamese_jax.losses.triplet import triplet_loss
from siamese_jax.models import facenet
from siamese_jax.training.facenet import loop, validation
from siamese_jax.training.facenet.loop import learning_rate, train
from siamese_jax.training.facenet.step import State, StepResult, embed_all


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


class Counter:
    """In place of the compiled programs: a step adds one to the only parameter, and what it was given is kept."""

    def __init__(self):
        self.segments, self.rates, self.keys = [], [], []

    def start(self, variables):
        return State(variables["params"], variables["batch_stats"], ())

    def step(self, state, segments_BxL, class_B, rate, key):
        self.segments.append(segments_BxL.tobytes())
        self.rates.append(rate)
        self.keys.append(tuple(jax.random.key_data(key).tolist()))
        one = jnp.ones(())
        return state._replace(params={"n": state.params["n"] + 1}), StepResult(one, one, one)


def test_training_stops_after_its_patience_with_the_best_epoch_and_no_batch_or_key_twice(people, monkeypatch):
    given, program, scores = config(patience=2, epochs=9, warmup=0.5), Counter(), iter([0.2, 0.5, 0.4, 0.5, 0.9])
    monkeypatch.setattr(loop, "Programs", lambda config: program)
    monkeypatch.setattr(loop, "check_variables", lambda *_: None)
    monkeypatch.setattr(validation, "score", lambda *_: {loop.SCORE: next(scores)})
    start = {"params": {"n": np.zeros(1)}, "batch_stats": {}}
    result = train(given, start, *people, jax.random.key(1), None, silent)
    assert result.best_epoch == 1
    assert result.history[loop.SCORE].tolist() == [0.2, 0.5, 0.4, 0.5]
    assert result.variables["params"]["n"] == 2 * 13
    assert len(set(program.segments)) == len(set(program.keys)) == len(program.rates) == 4 * 13
    np.testing.assert_allclose(program.rates, [learning_rate(given, (i + 1) / 13) for i in range(52)], rtol=1e-12)


def test_validation_is_by_the_centres_of_training_segments(people, monkeypatch):
    source, held_out = people
    given = config(validation_segments=40)
    rng = np.random.default_rng(0)
    emb = {id(part): rng.normal(size=(len(part), 3)).astype(np.float32) for part in people}
    monkeypatch.setattr(validation, "embed_all", lambda config, variables, part, rows=slice(None): emb[id(part)][rows])
    plan = validation.plan(given, source, held_out, jax.random.key(0))
    found = validation.score(given, {}, plan)
    train_emb, train_emotion = emb[id(source)][plan.train_rows], source.emotion[plan.train_rows]
    names = np.unique(train_emotion)
    centres = [train_emb[train_emotion == name].mean(axis=0) for name in names]
    distance = np.array([[np.sum((e - centre) ** 2) for centre in centres] for e in emb[id(held_out)]])

    def recall(true, decided):
        return np.mean([np.mean(decided[true == name] == name) for name in names])

    clips = np.unique(held_out.clip)
    of_clip = np.array([held_out.emotion[held_out.clip == clip][0] for clip in clips])
    by_clip = np.array([distance[held_out.clip == clip].mean(axis=0) for clip in clips])
    own = np.array([[np.sum((e - centre) ** 2) for centre in centres] for e in train_emb])
    label = np.searchsorted(names, held_out.emotion[plan.loss_rows])
    chosen = emb[id(held_out)][plan.loss_rows]
    expected = {
        "segment_uar": recall(held_out.emotion, names[distance.argmin(axis=1)]),
        "clip_uar": recall(of_clip, names[by_clip.argmin(axis=1)]),
        "training_uar": recall(train_emotion, names[own.argmin(axis=1)]),
        "validation_loss": float(triplet_loss(chosen, label, np.ones(40, bool), given.margin, given.mining).loss),
    }
    assert found == pytest.approx(expected, rel=1e-5)


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

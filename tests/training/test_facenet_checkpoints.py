"""Checkpoints of a training: stopped and resumed it ends with the same bits; another training's are refused by name."""

import signal

import jax
import numpy as np
import pytest
from synthetic_audio import tones
from tiny_config import config

from siamese_jax.errors import InputError
from siamese_jax.models import facenet
from siamese_jax.runtime import interrupt
from siamese_jax.training.facenet.loop import train

CONFIG = config(epochs=4, patience=4)
STEPS = 2
"""Of an epoch."""


@pytest.fixture(scope="module")
def people():
    source = tones(range(4), takes=2, seconds=0.6)
    held_out = source.speaker == "tones_03"
    return source.subset(source.clip[~held_out]), source.subset(source.clip[held_out])


@pytest.fixture(scope="module")
def variables():
    return facenet.init(jax.random.key(0), CONFIG.network)


def run(people, variables, folder, stop_at=None, settings=CONFIG, seed=1):
    """Trains; a signal comes after `stop_at` steps."""
    done = []

    def on_progress(count):
        done.append(count)
        if sum(done) == stop_at:
            signal.raise_signal(signal.SIGTERM)

    with interrupt.watch():
        return train(settings, variables, *people, jax.random.key(seed), folder, on_progress), done


@pytest.fixture(scope="module")
def straight(people, variables):
    return run(people, variables, None)[0]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("stop_at", [2 * STEPS, 2 * STEPS + 1])
def test_stopped_and_resumed_is_the_same_bits(people, variables, straight, tmp_path, stop_at):
    folder = tmp_path / "run"
    with pytest.raises(interrupt.Stopped) as stopped:
        run(people, variables, folder, stop_at)
    assert stopped.value.exit_code == 143
    assert len(names(folder)) == 2
    resumed, done = run(people, variables, folder)
    assert stop_at <= done[0] <= stop_at + 1  # a signal takes a moment to be heard
    assert sum(done) == 4 * STEPS
    jax.tree.map(np.testing.assert_array_equal, resumed.variables, straight.variables)
    jax.tree.map(np.testing.assert_array_equal, resumed.history, straight.history)
    assert resumed.best_epoch == straight.best_epoch
    finished, done = run(people, variables, folder)
    assert done == [4 * STEPS]
    jax.tree.map(np.testing.assert_array_equal, finished.variables, straight.variables)


def test_another_training_is_refused_and_a_torn_checkpoint_set_aside(people, variables, straight, tmp_path, caplog):
    with pytest.raises(interrupt.Stopped):
        run(people, variables, tmp_path, 2 * STEPS)
    there = names(tmp_path)
    for changes, message in (
        ({"view": "waveform"}, r"of other work \(view: 'spectrogram' there, 'waveform' now\)"),
        ({"learning_rate": 1e-3}, r"learning_rate: 0\.003 there, 0\.001 now"),
    ):
        with pytest.raises(InputError, match=message):
            run(people, variables, tmp_path, settings=config(epochs=4, patience=4, **changes))
    with pytest.raises(InputError, match=r"key: \[0, 1\] there, \[0, 2\] now"):
        run(people, variables, tmp_path, seed=2)
    with pytest.raises(InputError, match="training segments: "):
        run((tones(range(3, 6), takes=2), people[0]), variables, tmp_path)
    assert names(tmp_path) == there

    last = tmp_path / there[-1]
    largest = max((path for path in last.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    resumed, done = run(people, variables, tmp_path)
    assert done[0] == STEPS
    jax.tree.map(np.testing.assert_array_equal, resumed.variables, straight.variables)
    assert f"It is now damaged_{there[-1]}; its steps are computed again" in caplog.text
    assert f"damaged_{there[-1]}" in names(tmp_path)

"""What is kept of unfinished work: found again whole, and refused where it is damaged or of other work."""

import logging
import shutil
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamese_jax import checkpoints, interrupt, trials
from siamese_jax.checkpoints import Checkpoint
from siamese_jax.errors import InputError

IDENTITY = {"config": "abc", "stage": "s"}


class State(NamedTuple):
    weights: dict
    adam: optax.OptState
    key: jax.Array
    epoch: int


def state(seed=0):
    weights = {"w": jax.random.normal(jax.random.key(seed), (3, 4)), "b": jnp.ones(2, jnp.bfloat16)}
    return State(weights, optax.adam(1e-3).init(weights), jax.random.key(5), 3)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        if jax.dtypes.issubdtype(getattr(x, "dtype", int), jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_a_training_state_comes_back_with_its_optimiser_and_key(tmp_path):
    checkpoints.save(tmp_path / "a" / "one", state(), IDENTITY, {"loss": 0.5})
    found, notes = checkpoints.load(tmp_path / "a" / "one", IDENTITY, state(seed=9))
    same(found, state())
    assert notes == {"loss": 0.5}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]
    with pytest.raises(InputError, match=r"one: cannot be written"):
        checkpoints.save(tmp_path / "a" / "one", state(1), IDENTITY, {})
    same(checkpoints.load(tmp_path / "a" / "one", IDENTITY, state())[0], state())


@pytest.mark.parametrize("what", ["config", "version", "format", "shape", "structure"])
def test_a_checkpoint_of_other_work_is_refused_by_name(tmp_path, monkeypatch, what):
    checkpoints.save(tmp_path / "c", state(), IDENTITY, {})
    identity, like = dict(IDENTITY), state()
    if what == "config":
        identity["config"] = "xyz"
        expected = r"c: a checkpoint of other work \(config: 'abc' there, 'xyz' now\)"
    elif what == "version":
        monkeypatch.setattr("siamese_jax.__version__", "9.9")
        expected = r"other work \(siamese_jax: '0.1.0' there, '9.9' now\); go on with what it was made by"
    elif what == "format":
        monkeypatch.setattr(checkpoints, "FORMAT", 2)
        expected = r"other work \(format: 1 there, 2 now\)"
    elif what == "shape":
        like = like._replace(weights={**like.weights, "w": jnp.zeros((3, 5))})
        expected = r"weights/w: \(\(3, 4\), 'float32'\) there, \(\(3, 5\), 'float32'\) now"
    else:
        like = like._replace(weights={"w": like.weights["w"]})
        expected = r"weights/b: \(\(2,\), 'bfloat16'\) there, None now"
    with pytest.raises(InputError, match=expected):
        checkpoints.load(tmp_path / "c", identity, like)


# orbax's own threads may speak after it has given a damaged folder up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_damage_anywhere_that_matters_is_found(tmp_path, how):
    arrays = {"x": np.random.default_rng(0).normal(size=(40, 50)), "y": np.arange(7, dtype=np.int8)}
    checkpoints.save(tmp_path / "good", arrays, IDENTITY, {})
    files = [path.relative_to(tmp_path / "good") for path in (tmp_path / "good").rglob("*") if path.is_file()]
    found = []
    for file in files:
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        damaged = tmp_path / "bad" / file
        content = bytearray(damaged.read_bytes())
        if how == "gone":
            damaged.unlink()
        elif how == "cut":
            damaged.write_bytes(content[: len(content) // 2])
        elif content:
            content[len(content) // 2] ^= 0xFF
            damaged.write_bytes(content)
        said = ""
        try:
            same(checkpoints.load(tmp_path / "bad", IDENTITY, arrays)[0], arrays)
        except InputError as error:
            said = str(error)
        if said:
            assert "bad: damaged or cut short" in said
            assert "remove this folder" in said
            found.append(file)
        shutil.rmtree(tmp_path / "bad")
    # Whatever was loaded was right; and losing the data or their description never went unnoticed.
    assert len(found) >= 2


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        checkpoints.load(tmp_path / "nowhere", IDENTITY, state())


def test_orbax_is_silent(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    checkpoints.save(tmp_path / "a", {"x": np.zeros(2)}, IDENTITY, {})
    checkpoints.load(tmp_path / "a", IDENTITY, {"x": np.zeros(2)})
    assert "orbax" not in caplog.text


class Outcome(NamedTuple):
    value: jax.Array
    wide: jax.Array


def double(x):
    return Outcome(2 * x, jnp.full((3,), x))


X = np.arange(10, dtype=np.float32)


class Counted:
    """A program whose chunks of two are counted; after `stop_after` of them it is stopped."""

    def __init__(self, stop_after=None):
        self.chunks, self.stop_after, self.program = [], stop_after, trials.TrialProgram(double, (0,), 2)

    def __call__(self, x=X):
        return self.program(x, on_chunk=self._count)

    def _count(self, n):
        self.chunks.append(n)
        if len(self.chunks) == self.stop_after:
            raise interrupt.Stopped(15)


def run(folder, every, counted, *arguments):
    with Checkpoint(folder, IDENTITY, every):
        return [counted(x) for x in arguments]


def test_a_stopped_stage_goes_on_with_its_missing_chunks(tmp_path):
    folder = tmp_path / "stage"
    with pytest.raises(interrupt.Stopped):
        run(folder, 1e9, Counted(stop_after=7), X, X + 1)
    assert [path.name for path in folder.iterdir()] == ["part_00000"]
    goes_on = Counted()
    first, second = run(folder, 1e9, goes_on, X, X + 1)
    np.testing.assert_array_equal(first.value, 2 * X)
    np.testing.assert_array_equal(second.value, 2 * (X + 1))
    # All of the first call at once; of the second, two chunks found and three run.
    assert goes_on.chunks == [10, 4, 2, 2, 2]
    assert not folder.exists()


def test_parts_are_saved_by_time_and_a_damaged_one_is_an_error_that_keeps_the_others(tmp_path):
    folder = tmp_path / "stage"
    with pytest.raises(interrupt.Stopped):
        run(folder, 0, Counted(stop_after=3), X)
    parts = sorted(folder.iterdir())
    assert [path.name for path in parts] == ["part_00000", "part_00001", "part_00002"]
    for file in parts[1].rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-7])
    goes_on = Counted()
    with pytest.raises(InputError, match=r"part_00001: damaged or cut short .*remove this folder"):
        run(folder, 0, goes_on, X)
    assert sorted(folder.iterdir()) == parts
    shutil.rmtree(parts[1])
    np.testing.assert_array_equal(run(folder, 1e9, goes_on, X)[0].value, 2 * X)
    assert goes_on.chunks == [4, 2, 2, 2]


def test_seconds_of_earlier_runs_count(tmp_path):
    with pytest.raises(interrupt.Stopped):
        run(tmp_path, 1e9, Counted(stop_after=1), X)
    with Checkpoint(tmp_path, IDENTITY, 1e9) as kept:
        earlier = kept.seconds
    assert earlier > 0
    with Checkpoint(tmp_path, IDENTITY, 1e9) as kept:
        assert kept.seconds < earlier


def test_trials_of_another_shape_are_refused(tmp_path):
    with pytest.raises(interrupt.Stopped):
        run(tmp_path, 0, Counted(stop_after=3), X)
    with pytest.raises(InputError, match="another shape"):
        run(tmp_path, 0, Counted(), X[:3])
    other = Counted()
    other.program = trials.TrialProgram(lambda x: Outcome(2 * x, jnp.full((4,), x)), (0,), 2)
    with pytest.raises(InputError, match="another shape"):
        run(tmp_path, 0, other, X)


def test_without_an_open_checkpoint_nothing_is_kept(tmp_path):
    assert checkpoints.next_call() is None
    with Checkpoint(tmp_path / "a", IDENTITY, 10):
        assert checkpoints.next_call() is not None
    assert checkpoints.next_call() is None


@pytest.mark.parametrize(("error", "heard"), [(interrupt.Stopped(15), InputError), (KeyError("mine"), KeyError)])
def test_what_fails_on_the_way_out_hides_no_other_error(tmp_path, error, heard, caplog):
    def fail():
        raise InputError("x: cannot be written")

    def work():
        with Checkpoint(tmp_path / "a", IDENTITY, 1e9, fail):
            Counted()(X)
            raise error

    with pytest.raises(heard):
        work()
    assert ("x: cannot be written" in caplog.text) == (heard is KeyError)


def test_a_slow_save_makes_the_next_one_later(tmp_path, monkeypatch):
    real = checkpoints.save
    monkeypatch.setattr(checkpoints, "save", lambda *given: (time.sleep(0.05), real(*given)))
    with pytest.raises(interrupt.Stopped):
        run(tmp_path, 1e-6, Counted(stop_after=5), X)
    # The second chunk and those after it come within twenty times what the first save took.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part_00000", "part_00001"]

"""A stage's finished trials are found again after a stop, and what cannot be used of them is named."""

import shutil
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.runtime import checkpoints, interrupt, partial_results, vectorize
from siamese_jax.runtime.partial_results import Checkpoint

IDENTITY = {"config": "abc", "stage": "a"}


class Outcome(NamedTuple):
    value: jax.Array
    wide: jax.Array


def double(x):
    return Outcome(2 * x, jnp.full((3,), x))


X = np.arange(10, dtype=np.float32)


class Counted:
    """A program whose chunks of two are counted; after `stop_after` of them it is stopped."""

    def __init__(self, stop_after=None):
        self.chunks, self.stop_after, self.program = [], stop_after, vectorize.TrialProgram(double, (0,), 2)

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
    for stop_after in (6, 3):  # twice: of the second run the first two counts are of found trials
        with pytest.raises(interrupt.Stopped):
            run(folder, 1e9, Counted(stop_after=stop_after), X, X + 1)
    assert sorted(path.name for path in folder.iterdir()) == ["part_00000", "part_00001"]
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
    other.program = vectorize.TrialProgram(lambda x: Outcome(2 * x, jnp.full((4,), x)), (0,), 2)
    with pytest.raises(InputError, match="another shape"):
        run(tmp_path, 0, other, X)


def test_without_an_open_checkpoint_nothing_is_kept(tmp_path):
    assert partial_results.next_call() is None
    with Checkpoint(tmp_path / "a", IDENTITY, 10):
        assert partial_results.next_call() is not None
    assert partial_results.next_call() is None


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

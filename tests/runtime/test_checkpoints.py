"""What is kept of unfinished work: found again whole, and refused where it is damaged or of other work."""

import logging
import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamese_jax.errors import InputError
from siamese_jax.runtime import checkpoints

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


@pytest.mark.parametrize("what", ["config", "version", "jax", "format", "shape", "structure"])
def test_a_checkpoint_of_other_work_is_refused_by_name(tmp_path, monkeypatch, what):
    checkpoints.save(tmp_path / "c", state(), IDENTITY, {})
    identity, like = dict(IDENTITY), state()
    if what == "config":
        identity["config"] = "xyz"
        expected = r"c: a checkpoint of other work \(config: 'abc' there, 'xyz' now\)"
    elif what == "version":
        versions = f"siamese_jax: '{checkpoints.VERSION}' there, '9.9' now"
        monkeypatch.setattr("siamese_jax.runtime.checkpoints.VERSION", "9.9")
        expected = rf"other work \({versions}\); resume with the version and configuration"
    elif what == "jax":
        expected = rf"other work \(jax: '{jax.__version__}' there, '0\.0\.1' now\)"
        monkeypatch.setattr(jax, "__version__", "0.0.1")
    elif what == "format":
        monkeypatch.setattr(checkpoints, "FORMAT", 3)
        expected = r"other work \(format: 2 there, 3 now\)"
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

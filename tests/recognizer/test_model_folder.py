"""Model folders: the same bits come back; damaged, foreign, newer and other models are refused by name."""

import dataclasses
import json

import numpy as np
import pytest

from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError
from siamese_jax.recognizer import model_folder
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import enrol
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Clips, Recipe

NAMES = tuple(f"f{i}" for i in range(6))
MADE = {"features": "tones", "speech_encoder_digest": "0123456789abcdef"}


def _none(*_):
    raise AssertionError("no sound in these tests")


EXTRACTOR = Extractor("tones-1", NAMES, MADE, _none, _none, _none)


def clips(seed, n=40, labels=("anger", "fear", "joy")):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % len(labels)
    x = rng.normal(size=(n, 6)) + 3 * np.eye(6)[label]
    return x.astype(np.float32), [labels[i] for i in label]


@pytest.fixture(scope="module")
def model():
    x, words = clips(0)
    emotions = ("anger", "fear", "joy")
    source = Source("tones", "", emotions, Clips(x, np.array([emotions.index(w) for w in words]), None))
    x, words = clips(1, 8, ("anger", "fear"))
    recipe = Recipe("logistic_regression", SETTINGS, "balanced", 1e-3)
    return enrol(x, words, ["anna", "bert"] * 4, [source], recipe, MADE, NAMES)


@pytest.mark.parametrize("mode", ["clip", "folder"])
def test_a_saved_and_loaded_model_gives_the_same_bits(model, tmp_path, mode):
    model_folder.save(tmp_path / "m", model)
    loaded = model_folder.load(tmp_path / "m", EXTRACTOR)
    x, _ = clips(2, 30, ("anger", "fear"))
    assert np.array_equal(loaded.log_probabilities(x, mode), model.log_probabilities(x, mode))
    assert loaded.classes == ("anger", "fear")


def test_a_model_in_the_place_of_a_former_model_leaves_nothing_else_behind(model, tmp_path):
    model_folder.save(tmp_path / "m", model)
    model_folder.save(tmp_path / "m", dataclasses.replace(model, classes=("a", "b")))
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert model_folder.load(tmp_path / "m", EXTRACTOR).classes == ("a", "b")


def test_a_folder_of_other_files_is_not_overwritten(model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"holds 'holiday.jpg'"):
        model_folder.save(tmp_path / "m", model)


def _config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(config))


def _flipped(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _linked(folder):
    (folder / "model.safetensors").rename(folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flipped, "model.safetensors: damaged or changed"),
        (lambda folder: _config(folder, classes=["a", "b"]), "config.json: damaged or changed"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "model_type is None"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: not there"),
        (lambda folder: _config(folder, model_type="whisper"), "model_type is 'whisper'; expected"),
        (lambda folder: _config(folder, format=2), "is of format 2"),
        (_linked, "is a link"),
    ],
)  # fmt: skip
def test_a_damaged_foreign_or_newer_model_folder_is_refused(model, tmp_path, damage, message):
    model_folder.save(tmp_path / "m", model)
    damage(tmp_path / "m")
    with pytest.raises(InputError, match=message):
        model_folder.load(tmp_path / "m", EXTRACTOR)


def test_a_model_of_another_encoder_is_refused(model, tmp_path):
    model_folder.save(tmp_path / "m", model)
    other = dataclasses.replace(EXTRACTOR, made=MADE | {"speech_encoder_digest": "f" * 16})
    with pytest.raises(InputError, match=r"digest of the speech encoder's weights, '0123456789abcdef'"):
        model_folder.load(tmp_path / "m", other)


def test_a_missing_model_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such folder; expected a model"):
        model_folder.load(tmp_path / "m", EXTRACTOR)

"""Model folders: the same bits come back; damaged, foreign, newer and other models are refused by name."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as save_tensors

from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.settings import (
    BalanceSettings,
    DiscriminantSettings,
    SelfTrainingSettings,
    TransferSettings,
)
from siamese_jax.recognizer import model_folder
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import enrol
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Clips, PriorClips, Recipe

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


EVIDENCE = {
    "trained_on": "EMO-DB", "tested_on": "RAVDESS", "mode": "clip", "n_clips": 768, "n_speakers": 24, "uar": 0.6,
    "low": 0.55, "high": 0.65, "calibration_error": 0.05,
}  # fmt: skip


def plain(value):
    """A model's parts as lists and dicts."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else dict(value) if isinstance(value, Mapping) else value


def unusual(model):
    """The model with speakers in its source, and with settings that are nobody's default."""
    settings = TransferSettings(
        0.37, DiscriminantSettings(7, 90, 0.2, 0.9), BalanceSettings("corpus", 0.8),
        SelfTrainingSettings(3, 11, 21, 101, 102, 0.4, 0.6),
    )  # fmt: skip
    recipe = dataclasses.replace(
        model.recipe, settings=settings, adaptation="self_trained", scale_floor=0.05, prior_clips=PriorClips(2.0, 6.0)
    )
    (source,) = model.sources
    speaker = np.array([f"s{i // 7}" for i in range(len(source.clips.x))], object)
    source = dataclasses.replace(source, clips=source.clips._replace(speaker=speaker))
    return dataclasses.replace(
        model, recipe=recipe, sources=(source,), temperature=1.7, held_out=np.array([0.4, 0.9]),
        audio_hashes=("aa", "bb"), evidence=(EVIDENCE,),
    )  # fmt: skip


def test_a_loaded_model_has_every_part_of_the_saved_one(model, tmp_path):
    saved = unusual(model)
    model_folder.save(tmp_path / "m", saved)
    assert plain(model_folder.load(tmp_path / "m", EXTRACTOR)) == plain(saved)


@pytest.mark.parametrize("part", ["features", "labels", "speakers"])
def test_a_source_that_is_another_than_the_models_is_refused(model, tmp_path, part):
    """The weights' own digest is right: the source has changed, as a table that ships may."""
    model_folder.save(tmp_path / "m", unusual(model))
    path = tmp_path / "m" / "model.safetensors"
    tensors = load_file(path)
    tensors[f"source.0.{part}"][[0, 1]] = tensors[f"source.0.{part}"][[20, 22]]
    path.write_bytes(save_tensors(tensors))
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "m" / "config.json").write_text(json.dumps(model_folder._with_digest(config)))
    with pytest.raises(InputError, match=r"source 'tones' is another table than the one it was made from"):
        model_folder.load(tmp_path / "m", EXTRACTOR)


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
    with pytest.raises(InputError, match=r"made on other features than this program computes"):
        model_folder.load(tmp_path / "m", dataclasses.replace(EXTRACTOR, feature_names=NAMES[::-1]))


def test_a_missing_model_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such folder; expected a model"):
        model_folder.load(tmp_path / "m", EXTRACTOR)

"""A model as a folder: config.json, model.safetensors and a card, README.md. Nothing in it is pickled or run."""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from siamese_jax.datasets.dataset import RECORDED, layer_columns
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError, first_line
from siamese_jax.features.scaling import Scaling
from siamese_jax.protocols.transfer.settings import (
    BalanceSettings,
    DiscriminantSettings,
    SelfTrainingSettings,
    TransferSettings,
)
from siamese_jax.recognizer import network_settings, scorer_tensors, sources
from siamese_jax.recognizer.card import card
from siamese_jax.recognizer.methods import ADAPTATIONS, METHODS
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import OWN_STATISTICS, Classifier, Clips, PriorClips, Recipe
from siamese_jax.runtime.files import json_text, sync, user_path, writable
from siamese_jax.runtime.plain_files import opened
from siamese_jax.runtime.provenance import VERSION

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MODEL_TYPE = "siamese_jax_recognizer"
FORMAT = 1
"""Of the folder; incremented when an older program cannot read it."""

_MOST_CONFIG_BYTES = 1 << 22
_MOST_WEIGHT_BYTES = 1 << 31


def save(folder: str | Path, model: Model) -> None:
    """Writes the model to a new folder, or in place of another model, in one step.

    Raises InputError where the folder holds anything but a model, or cannot be written.
    """
    folder = user_path(folder)
    _require_replaceable(folder)
    weights = save_tensors(_tensors(model))
    config = _with_digest(_config(model) | {"weights_sha256": hashlib.sha256(weights).hexdigest()})
    with writable(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".unfinished-{folder.name}-"))
        try:
            for name, content in (
                (WEIGHTS, weights),
                (CONFIG, json_text(config).encode()),
                (CARD, card(model).encode()),
            ):
                (temporary / name).write_bytes(content)
                sync(temporary / name)
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            _replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def load(folder: str | Path, extractor: Extractor) -> Model:
    """Returns the model of a folder, with the bits that were saved.

    Raises InputError for a folder that is missing, damaged, changed, of another program or of a newer format, and for
    a model that was made on other features than those of `extractor`.
    """
    folder = user_path(folder)
    config = _read_config(folder)
    _check_features(folder, config, extractor)
    weights = _read(folder / WEIGHTS, _MOST_WEIGHT_BYTES)
    if hashlib.sha256(weights).hexdigest() != config["weights_sha256"]:
        raise InputError(f"{folder / WEIGHTS}: damaged or changed (its SHA-256 is not that of {CONFIG}); copy the "
                         "whole folder again")  # fmt: skip
    try:
        return _model(config, load_tensors(weights), extractor.feature_names, folder)
    except (KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder}: not a model of this program ({first_line(error)[:200]}); enrol it again"
        ) from error


def _check_features(folder: Path, config: Mapping[str, Any], extractor: Extractor) -> None:
    """Raises InputError unless the model was made on the extractor's features, with the same encoder's weights."""
    made = config.get("features")
    for key, text in RECORDED.items():
        mine, here = made.get(key) if isinstance(made, dict) else None, extractor.made.get(key)
        if mine != here:
            raise InputError(f"{folder}: made with another {text}, {mine!r:.80}; this program has {here!r:.80}. "
                             "Use the version that made it, or enrol again")  # fmt: skip
    if config.get("feature_names_sha256") != _names_digest(extractor.feature_names):
        raise InputError(f"{folder}: made on other features than this program computes; enrol again")


def _config(model: Model) -> dict[str, Any]:
    settings = model.recipe.settings
    return {
        "model_type": MODEL_TYPE,
        "format": FORMAT,
        "program": f"siamese_jax {VERSION}",
        "classes": list(model.classes),
        "method": model.recipe.method,
        "adaptation": model.recipe.adaptation,
        "settings": {
            "c": settings.c,
            "discriminant": settings.discriminant._asdict(),
            "balance": settings.balance._asdict(),
            "self_training": settings.self_training._asdict(),
        },
        "network": None if model.recipe.network is None else dataclasses.asdict(model.recipe.network),
        "scale_floor": model.recipe.scale_floor,
        "prior_clips": model.recipe.prior_clips._asdict(),
        "features": dict(model.features),
        "feature_names_sha256": _names_digest(model.feature_names),
        "sources": [
            {
                "name": s.name,
                "shipped": s.shipped,
                "emotions": list(s.emotions),
                "sha256": s.digest,
                "speakers": _names(s.clips),
            }
            for s in model.sources
        ],
        "temperature": model.temperature,
        "enrolled_speakers": _names(model.enrolled),
        "enrolled_audio": list(model.audio_hashes),
        "evidence": [dict(row) for row in model.evidence],
    }


def _names(clips: Clips) -> list[str]:
    return [] if clips.speaker is None else sorted(set(map(str, clips.speaker)))


def _names_digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _tensors(model: Model) -> dict[str, np.ndarray]:
    tensors = {
        "scaling.shift": model.classifier.scaling.shift,
        "scaling.scale": model.classifier.scaling.scale,
        **scorer_tensors.to_tensors(model.classifier.scorer),
        "calibration.held_out": model.held_out.astype(np.float64),
        **_clip_tensors("enrolled", model.enrolled),
    }
    for number, source in enumerate(model.sources):
        if not source.shipped:
            tensors |= _clip_tensors(f"source.{number}", source.clips)
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def _clip_tensors(prefix: str, clips: Clips) -> dict[str, np.ndarray]:
    tensors = {f"{prefix}.features": clips.x.astype(np.float32), f"{prefix}.labels": clips.label.astype(np.int32)}
    if clips.speaker is not None:
        names = _names(clips)
        tensors[f"{prefix}.speakers"] = np.array([names.index(str(name)) for name in clips.speaker], np.int32)
    return tensors


def _model(config: Mapping[str, Any], tensors: dict[str, np.ndarray], names: tuple[str, ...], folder: Path) -> Model:
    classes = tuple(config["classes"])
    method, adaptation = config["method"], config["adaptation"]
    if method not in METHODS or adaptation not in ADAPTATIONS:
        raise InputError(
            f"{folder}: method {method!r:.80} with {adaptation!r:.80} is unknown here; use the version that made it"
        )
    recipe = Recipe(
        method, _settings(config["settings"]), adaptation, config["scale_floor"], layer_columns(names),
        network_settings.of_record(method, config.get("network")),
        PriorClips(**config["prior_clips"]) if "prior_clips" in config else OWN_STATISTICS,
    )  # fmt: skip
    classifier = Classifier(
        Scaling(tensors["scaling.shift"], tensors["scaling.scale"]),
        scorer_tensors.of_tensors(tensors, recipe.network, len(names), len(classes)),
    )
    enrolled = _clips("enrolled", tensors, config["enrolled_speakers"])
    read = tuple(_source(i, entry, tensors, names, config, folder) for i, entry in enumerate(config["sources"]))
    return Model(
        classes, config["features"], names, recipe, read, enrolled, classifier, config["temperature"],
        tensors["calibration.held_out"], tuple(config["enrolled_audio"]), tuple(config["evidence"]),
    )  # fmt: skip


def _settings(values: Mapping[str, Any]) -> TransferSettings:
    return TransferSettings(
        values["c"],
        DiscriminantSettings(**values["discriminant"]),
        BalanceSettings(**values["balance"]),
        SelfTrainingSettings(**values["self_training"]),
    )


def _clips(prefix: str, tensors: dict[str, np.ndarray], names: list[str]) -> Clips:
    index = tensors.get(f"{prefix}.speakers")
    speaker = None if index is None else np.array([names[i] for i in index], object)
    return Clips(tensors[f"{prefix}.features"], tensors[f"{prefix}.labels"].astype(int), speaker)


def _source(
    number: int, entry: Mapping[str, Any], tensors: dict[str, np.ndarray], names: tuple[str, ...],
    config: Mapping[str, Any], folder: Path,
) -> Source:  # fmt: skip
    if entry["shipped"]:
        source = sources.read([entry["shipped"]], names, config["features"])[0]
    else:
        clips = _clips(f"source.{number}", tensors, entry["speakers"])
        source = Source(entry["name"], "", tuple(entry["emotions"]), clips)
    if source.digest != entry["sha256"]:
        raise InputError(f"{folder}: source {entry['name']!r:.80} is another table than the one it was made from; "
                         "use the version that made it, or enrol again")  # fmt: skip
    return source


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a model, as siamese-jax enrol --output=FOLDER writes it")
    try:
        config = json.loads(_read(path, _MOST_CONFIG_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as JSON ({first_line(error)[:200]}); copy the folder again"
        ) from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != MODEL_TYPE:
        raise InputError(f"{path}: model_type is {kind!r:.80}; expected {MODEL_TYPE!r}, a model of siamese-jax enrol")
    if config.get("format") != FORMAT:
        raise InputError(f"{path}: is of format {config.get('format')!r:.20} ({config.get('program')!r:.60}), not "
                         f"{FORMAT}; use the version that made it, or enrol again")  # fmt: skip
    if _with_digest(config) != config:
        raise InputError(f"{path}: damaged or changed since it was written; copy the whole folder again")
    return config


def _read(path: Path, most: int) -> bytes:
    try:
        with opened(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; expected a model folder with {CONFIG} and {WEIGHTS}") from error
    if len(content) > most:
        raise InputError(f"{path}: over {most >> 20} MiB, more than any model has; copy the folder again")
    return content


def _with_digest(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config with the digest of all its other entries."""
    rest = {key: value for key, value in config.items() if key != "config_sha256"}
    text = json.dumps(rest, sort_keys=True, allow_nan=False)
    return rest | {"config_sha256": hashlib.sha256(text.encode()).hexdigest()}


def _require_replaceable(folder: Path) -> None:
    """Raises InputError where something that is not a model has the name."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: is no folder; give another --output")
    if folder.is_dir() and (others := {path.name for path in folder.iterdir()} - {CONFIG, WEIGHTS, CARD}):
        raise InputError(f"{folder}: holds {sorted(others)[0]!r}, which no model has; give another --output")


def _replace(temporary: Path, folder: Path) -> None:
    """Gives a new folder its name; a former model there is moved away first and removed afterwards."""
    former = None
    if folder.exists():
        former = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".unfinished-{folder.name}-"))
        folder.rename(former / "former")
    temporary.rename(folder)
    if former is not None:
        shutil.rmtree(former, ignore_errors=True)

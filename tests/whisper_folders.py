"""Folders of small Whisper encoders in the published layout, with the weights of `golden/whisper_recipe.py`."""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from siamese_jax.models import whisper_weights
from siamese_jax.models.whisper import WhisperConfig

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import whisper_recipe as recipe


def tensors(name: str) -> dict[str, np.ndarray]:
    """The float32 tensors of the encoder `name` of the recipe, without prefix."""
    width, layers, _, hidden, bands = recipe.SIZES[name]
    shapes = {"conv1": (width, bands, 3), "conv2": (width, width, 3), "layer_norm": (width,)}
    for number in range(layers):
        for module, (_, letters) in whisper_weights.LAYER.items():
            shapes[f"layers.{number}.{module}"] = tuple({"D": width, "F": hidden}[letter] for letter in letters)
    sizes = {"embed_positions.weight": (recipe.POSITIONS, width)}
    for module, shape in shapes.items():
        sizes[f"{module}.weight"] = shape
        if not module.endswith("k_proj"):
            sizes[f"{module}.bias"] = shape[:1]
    return {name: recipe.weight(name, shape) for name, shape in sizes.items()}


def write_encoder(name: str, folder: Path, prefix: str = "model.encoder.") -> WhisperConfig:
    """Writes config.json and model.safetensors; returns the config."""
    (folder / "config.json").write_text(json.dumps(recipe.config(name)))
    save_file({prefix + key: value for key, value in tensors(name).items()}, folder / "model.safetensors")
    return whisper_weights.read_config(folder)

"""Whisper's encoder from a folder in the published layout: config.json and model.safetensors, in one file or in shards.

Only the encoder's tensors are read, and only the layers that the caller needs.
"""

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.models.published_weights import WEIGHTS, Tensors, open_tensors, read_json
from siamese_jax.models.whisper import Affine, Layer, Params, WhisperConfig
from siamese_jax.runtime.files import user_path

CONFIG = "config.json"

_MOST_CONFIG_BYTES = 2**20
_PREFIXES = ("model.encoder.", "encoder.")
_OTHER_PARTS = ("model.decoder.", "decoder.", "proj_out.", "projector.", "classifier.", "layer_weights")
"""Prefixes of tensors that are not read: the decoder, and a classifier on the encoder."""

LAYER = {
    "self_attn_layer_norm": (True, "D"), "self_attn.q_proj": (True, "DD"), "self_attn.k_proj": (False, "DD"),
    "self_attn.v_proj": (True, "DD"), "self_attn.out_proj": (True, "DD"), "final_layer_norm": (True, "D"),
    "fc1": (True, "FD"), "fc2": (True, "DF"),
}  # fmt: skip
"""The modules of a layer: whether each has a bias, and the sizes of its weight."""

_ENDS = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "embed_positions.weight"}
_NORM = {"layer_norm.weight", "layer_norm.bias"}


def read_config(folder: str | Path) -> WhisperConfig:
    """Returns the sizes in FOLDER/config.json. Raises InputError unless it describes a Whisper encoder."""
    path = user_path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with {CONFIG} and {WEIGHTS}, as published")
    values = read_json(path, _MOST_CONFIG_BYTES)
    kind = values.get("model_type")
    if kind != "whisper":
        raise InputError(f"{path}: model_type is {kind!r:.80}; expected 'whisper'. Give the folder of a Whisper model")
    activation = values.get("activation_function", "gelu")
    if activation != "gelu":
        raise InputError(f"{path}: activation_function is {activation!r:.80}; expected 'gelu'")
    fields = WhisperConfig.__dataclass_fields__
    for name in fields:
        value = values.get(name)
        if type(value) is not int or not 1 <= value <= 2**20:
            raise InputError(f"{path}: {name} is {value!r:.80}; expected a positive integer")
    config = WhisperConfig(**{name: values[name] for name in fields})
    if config.d_model % config.encoder_attention_heads:
        raise InputError(
            f"{path}: {config.encoder_attention_heads} attention heads do not divide a d_model of {config.d_model}"
        )
    return config


def load(folder: str | Path, config: WhisperConfig, n_layers: int) -> Params:
    """Returns the first `n_layers` layers of the encoder in a folder, float32, with the final norm if these are all.

    Raises InputError if a tensor is missing, unknown, misshapen or not finite, and names it. Raises InputError if the
    safetensors file is missing or damaged, or holds fewer than `n_layers` layers.
    """
    with open_tensors(user_path(folder), _PREFIXES, _OTHER_PARTS) as tensors:
        _check_names(tensors, config, n_layers)
        read = tensors.read
        norm = _affine(read, "layer_norm", True, (config.d_model,)) if n_layers == config.encoder_layers else None
        return Params(
            conv1=_convolution(read, "conv1", (config.d_model, config.num_mel_bins, 3)),
            conv2=_convolution(read, "conv2", (config.d_model, config.d_model, 3)),
            positions=read("embed_positions.weight", (config.max_source_positions, config.d_model)),
            layers=tuple(_layer(read, number, config) for number in range(n_layers)),
            norm=norm,
        )


def digest(params: Params) -> str:
    """Returns 16 hexadecimal digits, equal for equal weights in any storage format."""
    sha = hashlib.sha256()
    for affine in (params.conv1, params.conv2, *(a for layer in params.layers for a in layer), params.norm):
        for array in affine or ():
            sha.update(np.ascontiguousarray(array, "<f4").tobytes())
    sha.update(np.ascontiguousarray(params.positions, "<f4").tobytes())
    return sha.hexdigest()[:16]


def _module_names(number: int) -> list[str]:
    """Returns the names of a layer's tensors."""
    return [
        f"layers.{number}.{module}.{leaf}"
        for module, (has_bias, _) in LAYER.items()
        for leaf in ("weight", "bias")[: 1 + has_bias]
    ]


def _check_names(tensors: Tensors, config: WhisperConfig, n_layers: int) -> None:
    """Raises InputError for an unknown tensor, and for a missing tensor of the first `n_layers` layers."""
    numbers = {number for name in tensors.names if (number := _layer_number(name)) is not None}
    held = [number for number in sorted(numbers) if number < config.encoder_layers]
    layers = {name for number in held for name in _module_names(number)}
    if unknown := sorted(tensors.names - (_ENDS | _NORM | layers)):
        raise InputError(
            f"{tensors.path}: unknown tensor {unknown[0]!r:.200} ({len(unknown)} in all); expected those of {CONFIG}"
        )
    if held == list(range(len(held))) and len(held) < n_layers:
        raise InputError(
            f"{tensors.path}: holds {len(held)} of {config.encoder_layers} layers; layer {n_layers} needs the whole "
            f"model: give the folder that holds its {CONFIG} and {WEIGHTS}"
        )
    norm = _NORM if n_layers == config.encoder_layers else set()
    needed = _ENDS | norm | {name for number in range(n_layers) for name in _module_names(number)}
    if missing := sorted(needed - tensors.names):
        raise InputError(f"{tensors.path}: no tensor {missing[0]!r} ({len(missing)} missing); fetch the file again")


def _layer_number(name: str) -> int | None:
    match = re.match(r"layers\.(0|[1-9][0-9]{0,6})\.", name)
    return int(match[1]) if match else None


def _affine(read: Any, name: str, has_bias: bool, shape: tuple[int, ...]) -> Affine:
    weight = read(f"{name}.weight", shape)
    bias = read(f"{name}.bias", shape[:1]) if has_bias else np.zeros(shape[0], np.float32)
    return Affine(np.ascontiguousarray(weight.T), bias)


def _convolution(read: Any, name: str, shape: tuple[int, int, int]) -> Affine:
    """Returns the kernel [out, in, 3] as a matrix [3 in, out] on three neighbouring frames."""
    weight = read(f"{name}.weight", shape).transpose(2, 1, 0).reshape(-1, shape[0])
    return Affine(np.ascontiguousarray(weight), read(f"{name}.bias", shape[:1]))


def _layer(read: Any, number: int, config: WhisperConfig) -> Layer:
    sizes = {"D": config.d_model, "F": config.encoder_ffn_dim}
    part = {
        module: _affine(read, f"layers.{number}.{module}", has_bias, tuple(sizes[letter] for letter in letters))
        for module, (has_bias, letters) in LAYER.items()
    }
    query, key, value = (part[f"self_attn.{name}_proj"] for name in "qkv")
    scale = np.float32(1 / math.sqrt(config.d_model // config.encoder_attention_heads))
    return Layer(
        attention_norm=part["self_attn_layer_norm"],
        attention=Affine(
            np.concatenate([query.weight * scale, key.weight, value.weight], axis=1),
            np.concatenate([query.bias * scale, key.bias, value.bias]),
        ),
        attention_output=part["self_attn.out_proj"],
        mlp_norm=part["final_layer_norm"],
        mlp_input=part["fc1"],
        mlp_output=part["fc2"],
    )

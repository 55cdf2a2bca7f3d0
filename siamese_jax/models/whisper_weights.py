"""Whisper's encoder from a folder in the published layout: config.json and model.safetensors, in one file or in shards.

Only the encoder's tensors are read, and of these only the layers that are asked for.
"""

import contextlib
import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from siamese_jax.errors import InputError
from siamese_jax.models.whisper import Affine, Layer, Params, WhisperConfig
from siamese_jax.runtime.files import user_path

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"

_MOST_CONFIG_BYTES = 2**20
_MOST_INDEX_BYTES = 2**24
_PREFIXES = ("model.encoder.", "encoder.")
_OTHER_PARTS = ("model.decoder.", "decoder.", "proj_out.")
LAYER = {
    "self_attn_layer_norm": (True, "D"), "self_attn.q_proj": (True, "DD"), "self_attn.k_proj": (False, "DD"),
    "self_attn.v_proj": (True, "DD"), "self_attn.out_proj": (True, "DD"), "final_layer_norm": (True, "D"),
    "fc1": (True, "FD"), "fc2": (True, "DF"),
}  # fmt: skip
"""The modules of a layer: whether they have a bias, and the sizes of their weights."""


def read_config(folder: str | Path) -> WhisperConfig:
    """Returns the sizes in FOLDER/config.json. Raises InputError unless it describes a Whisper encoder."""
    path = user_path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a folder with {CONFIG} and {WEIGHTS}, as published")
    values = _read_json(path, _MOST_CONFIG_BYTES)
    kind = values.get("model_type")
    if kind != "whisper":
        raise InputError(f"{path}: model_type is {kind!r}; expected 'whisper'. Give the folder of a Whisper model")
    activation = values.get("activation_function", "gelu")
    if activation != "gelu":
        raise InputError(f"{path}: activation_function is {activation!r}; expected 'gelu'")
    fields = WhisperConfig.__dataclass_fields__
    for name in fields:
        value = values.get(name)
        if type(value) is not int or not 1 <= value <= 2**20:
            raise InputError(f"{path}: {name} is {value!r}; expected a positive integer")
    config = WhisperConfig(**{name: values[name] for name in fields})
    if config.d_model % config.encoder_attention_heads:
        raise InputError(
            f"{path}: {config.encoder_attention_heads} attention heads do not divide a d_model of {config.d_model}"
        )
    return config


def load(folder: str | Path, config: WhisperConfig, n_layers: int) -> Params:
    """Returns the first `n_layers` layers of the encoder in a folder, float32; the final norm too if these are all.

    Raises InputError, naming the tensor, if one is missing, unknown, misshapen or not finite; if the file is damaged,
    or no safetensors file is there; or if the file ends before layer `n_layers`.
    """
    with _open_tensors(user_path(folder)) as tensors:
        _check_names(tensors, config, n_layers)
        read = _reader(tensors, config)
        norm = _affine(read, "layer_norm", True, (config.d_model,)) if n_layers == config.encoder_layers else None
        return Params(
            conv1=_convolution(read, "conv1", (config.d_model, config.num_mel_bins, 3)),
            conv2=_convolution(read, "conv2", (config.d_model, config.d_model, 3)),
            positions=read("embed_positions.weight", (config.max_source_positions, config.d_model)),
            layers=tuple(_layer(read, number, config) for number in range(n_layers)),
            norm=norm,
        )


def digest(params: Params) -> str:
    """Returns 16 hexadecimal digits, equal for equal weights however they are stored."""
    sha = hashlib.sha256()
    for affine in (params.conv1, params.conv2, *(a for layer in params.layers for a in layer), params.norm):
        for array in affine or ():
            sha.update(np.ascontiguousarray(array, "<f4").tobytes())
    sha.update(np.ascontiguousarray(params.positions, "<f4").tobytes())
    return sha.hexdigest()[:16]


class _Tensors:
    """The encoder's tensors by name, without the prefix; `path` is named in messages."""

    def __init__(self, path: Path, files: dict[str, Any], names: dict[str, tuple[Path, str]]):
        self.path, self._files, self.names = path, files, names

    def shape(self, name: str) -> tuple[int, ...]:
        path, full_name = self.names[name]
        return tuple(self._files[str(path)].get_slice(full_name).get_shape())

    def read(self, name: str) -> np.ndarray:
        path, full_name = self.names[name]
        return self._files[str(path)].get_tensor(full_name)


@contextlib.contextmanager
def _open_tensors(folder: Path) -> Iterator[_Tensors]:
    path, files = _weight_files(folder)
    with contextlib.ExitStack() as stack:
        opened: dict[str, Any] = {}
        names: dict[str, tuple[Path, str]] = {}
        for file in files:
            _check_header(file)
            try:
                opened[str(file)] = stack.enter_context(safe_open(file, framework="numpy"))
            except (SafetensorError, OSError) as error:
                raise InputError(f"{file}: not a whole safetensors file ({error}); fetch it again") from error
            for full_name in opened[str(file)].keys():  # noqa: SIM118 - not a dict
                prefix = next((prefix for prefix in _PREFIXES if full_name.startswith(prefix)), None)
                if prefix is None:
                    if not full_name.startswith(_OTHER_PARTS):
                        raise InputError(
                            f"{file}: unknown tensor {full_name!r}; expected the weights of a Whisper model"
                        )
                    continue
                name = full_name.removeprefix(prefix)
                if name in names:
                    raise InputError(f"{file}: tensor {name!r} is there twice; expected each once")
                names[name] = (file, full_name)
        if not names:
            raise InputError(
                f"{path}: no encoder tensors, such as model.encoder.conv1.weight; give a whole Whisper model"
            )
        yield _Tensors(path, opened, names)


def _weight_files(folder: Path) -> tuple[Path, list[Path]]:
    """Returns the file to name in messages, and the safetensors files of a folder."""
    path, index = folder / WEIGHTS, folder / INDEX
    if path.is_file():
        return path, [path]
    if index.is_file():
        return index, _shards(index)
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickles:
        raise InputError(
            f"{folder / pickles[0]}: a pickle can run code and is not read. Convert it where torch and safetensors are "
            f"installed: safetensors.torch.save_file(torch.load('{pickles[0]}', weights_only=True), '{WEIGHTS}')"
        )
    raise InputError(f"{path}: no such file; expected {WEIGHTS}, or {INDEX} with its shards")


def _shards(index: Path) -> list[Path]:
    weight_map = _read_json(index, _MOST_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index}: no weight_map; expected a file name for each tensor")
    names = sorted({name for name in weight_map.values() if isinstance(name, str)})
    for name in {*weight_map.values()} if len(names) else ["nothing"]:
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise InputError(f"{index}: shard {name!r}; expected the name of a .safetensors file in the same folder")
    files = [index.parent / name for name in names]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file; {index.name} names it. Fetch all shards")
    return files


def _check_header(path: Path) -> None:
    """Raises InputError unless the header's length, the first eight bytes, fits into the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
    if len(first) < 8 or (length := struct.unpack("<Q", first)[0]) > size - 8 or not length:
        raise InputError(f"{path}: its header does not fit into {size} bytes; the file is cut short or not safetensors")


def _read_json(path: Path, most_bytes: int) -> dict[str, Any]:
    try:
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path}: {path.stat().st_size} bytes; expected at most {most_bytes}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a {type(values).__name__}; expected a JSON object")
    return values


def _expected(config: WhisperConfig, layers: range) -> set[str]:
    """Returns the names of an encoder's tensors, with these layers and without the final norm."""
    names = {f"{conv}.{leaf}" for conv in ("conv1", "conv2") for leaf in ("weight", "bias")} | {
        "embed_positions.weight"
    }
    for number in layers:
        for module, (has_bias, _) in LAYER.items():
            names |= {f"layers.{number}.{module}.{leaf}" for leaf in ("weight", "bias")[: 1 + has_bias]}
    return names


def _check_names(tensors: _Tensors, config: WhisperConfig, n_layers: int) -> None:
    known = _expected(config, range(config.encoder_layers)) | {"layer_norm.weight", "layer_norm.bias"}
    if unknown := sorted(tensors.names.keys() - known):
        raise InputError(
            f"{tensors.path}: unknown tensor {unknown[0]!r} ({len(unknown)} in all); expected those of config.json"
        )
    first_missing = next((i for i in range(n_layers) if f"layers.{i}.fc1.weight" not in tensors.names), n_layers)
    if first_missing < n_layers:
        raise InputError(
            f"{tensors.path}: holds layers 1 to {first_missing} of {config.encoder_layers}; layer {n_layers} needs the "
            f"whole model: give the folder that holds its {CONFIG} and {WEIGHTS}"
        )
    if missing := sorted(_expected(config, range(n_layers)) - tensors.names.keys()):
        raise InputError(f"{tensors.path}: no tensor {missing[0]!r} ({len(missing)} missing); fetch the file again")


def _reader(tensors: _Tensors, config: WhisperConfig) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    def read(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in tensors.names:
            raise InputError(f"{tensors.path}: no tensor {name!r}; fetch the file again")
        if (actual := tensors.shape(name)) != shape:
            raise InputError(f"{tensors.path}: {name} has shape {list(actual)}; {CONFIG} asks for {list(shape)}")
        value = np.asarray(tensors.read(name))
        if value.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
            raise InputError(f"{tensors.path}: {name} is {value.dtype}; expected floating-point numbers")
        value = value.astype(np.float32)
        if not np.isfinite(value).all():
            raise InputError(f"{tensors.path}: {name} holds values that are not finite; fetch the file again")
        return value

    return read


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

"""FaceNet weights in the layout of facenet-pytorch's state dict: its names, its OIHW kernels; npz, never a pickle.

A public checkpoint becomes an npz with, in an environment that has torch:

    arrays = {name: tensor.numpy() for name, tensor in torch.load("20180402-114759-vggface2.pt").items()}
    numpy.savez("vggface2.npz", **arrays)

Files named *.safetensors are read and written too where the package `safetensors` is installed.
"""

import hashlib
import lzma
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from siamese_jax.errors import InputError, first_line
from siamese_jax.models.facenet import FaceNetConfig, Variables, init
from siamese_jax.runtime.files import atomic_path, user_path

_LEAF = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
# Not of the embedding network: the classifier of faces, and PyTorch's step counters.
_SKIPPED = re.compile(r"^logits\.|\.num_batches_tracked$")


_UNREADABLE = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, SyntaxError, MemoryError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip
"""Exceptions of NumPy and zipfile for a damaged or encrypted npz."""


def digest(variables: Variables) -> str:
    """Returns a digest of the values, in the order of the leaves."""
    found = hashlib.blake2b(digest_size=16)
    for leaf in jax.tree.leaves(dict(variables)):
        found.update(np.asarray(leaf, np.float32).tobytes())
    return found.hexdigest()


def export_weights(variables: Variables) -> dict[str, np.ndarray]:
    """Variables of `facenet.init` as {public name: array}, complete for facenet-pytorch's `load_state_dict` (step
    counters are zero). The inverse of `import_weights`."""
    arrays: dict[str, np.ndarray] = {}
    for path, value in _leaves(variables):
        names = _public_names(path)
        for name, part in zip(names, np.split(np.asarray(value), len(names), axis=-1)):
            arrays[name] = np.ascontiguousarray(_to_public(path[-1], part))
            if name.endswith(".running_var"):
                arrays[name.removesuffix("running_var") + "num_batches_tracked"] = np.zeros((), np.int64)
    return arrays


def import_weights(arrays: Mapping[str, np.ndarray], config: FaceNetConfig) -> dict[str, Any]:
    """{public name: array} as variables of `config`'s network, float32; the public classifier ("logits") and step
    counters are skipped.

    Raises InputError, naming which of channels, width, depth and embedding does not fit, for missing, unexpected or
    misshapen arrays, and for values that are not finite.
    """
    shapes = jax.eval_shape(lambda key: init(key, config), jax.random.key(0))
    public = {name: np.asarray(value) for name, value in arrays.items() if not _SKIPPED.search(name)}
    _check(public, {name: shape for path, leaf in _leaves(shapes) for name, shape in _expected(path, leaf)}, config)
    flat = {}
    for path, _ in _leaves(shapes):
        parts = [_from_public(path[-1], public[name]) for name in _public_names(path)]
        flat[path] = np.concatenate(parts, axis=-1).astype(np.float32)
    return flax.traverse_util.unflatten_dict(flat)


def save_weights(path: str | Path, variables: Variables) -> None:
    """Writes the public layout to `path`, *.npz or *.safetensors, atomically. Raises InputError for other names."""
    path = user_path(path)
    arrays = export_weights(variables)
    with atomic_path(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # the stubs take the arrays for allow_pickle
        else:
            _safetensors(path).save_file(arrays, temporary)


def load_weights(path: str | Path, config: FaceNetConfig) -> dict[str, Any]:
    """Reads a file of `save_weights`, or a public checkpoint converted as in this module's docstring.

    Raises InputError if the file is missing, of another format, or does not fit `config`.
    """
    path = user_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected FaceNet weights as .npz or .safetensors")
    if path.suffix == ".npz":
        try:
            arrays = _read_npz(path, config)
        except _UNREADABLE as error:
            reason = first_line(error)[:200]
            raise InputError(f"{path}: not an npz of plain arrays ({reason}); write it with numpy.savez") from error
    else:
        load_file = _safetensors(path).load_file
        from safetensors import SafetensorError

        try:
            arrays = load_file(path)
        except (ValueError, OSError, SafetensorError) as error:
            raise InputError(f"{path}: not a safetensors file ({first_line(error)[:200]}); write it again") from error
    try:
        return import_weights(arrays, config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_npz(path: Path, config: FaceNetConfig) -> dict[str, np.ndarray]:
    """The arrays of an npz, without those that are skipped. Raises ValueError for a size that no weights have."""
    shapes = jax.eval_shape(lambda key: init(key, config), jax.random.key(0))
    # As float64, with headers; a public checkpoint may be of a larger network, which is refused by name later.
    largest = 16 * sum(leaf.size for leaf in jax.tree.leaves(shapes)) + (1 << 28)
    with zipfile.ZipFile(path) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > largest:
        raise ValueError(f"{declared} bytes are declared, where weights have {largest} at most")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if not _SKIPPED.search(name)}


def _safetensors(path: Path) -> Any:
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path}: weights are read and written as .npz or .safetensors, never as a pickle (.pt, .pth, .pkl): "
            "convert with numpy.savez in an environment that has torch"
        )
    try:
        import safetensors.numpy
    except ImportError as error:
        raise InputError(f"{path}: the package safetensors is not installed; install it, or use .npz") from error
    return safetensors.numpy


def _leaves(variables: Variables) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield from flax.traverse_util.flatten_dict(dict(variables)).items()


def _public_names(path: tuple[str, ...]) -> list[str]:
    """The public arrays of a path: ("params", "repeat_1_0", "entry", "conv", "kernel") is the first unit of each branch
    side by side, in order; every other path is a single array."""
    _, *modules, leaf = path
    modules[0] = re.sub(r"^(repeat_\d)_(\d+)$", r"\1.\2", modules[0])
    if "entry" not in modules:
        return [".".join([*modules, _LEAF[leaf]])]
    branches = {"repeat_1": "branch0 branch1.0 branch2.0", "mixed_7a": "branch0.0 branch1.0 branch2.0"}
    units = branches.get(modules[0].split(".")[0], "branch0 branch1.0").split()
    return [".".join([modules[0], unit, *modules[2:], _LEAF[leaf]]) for unit in units]


def _to_public(leaf: str, value: np.ndarray) -> np.ndarray:
    axes = (3, 2, 0, 1) if value.ndim == 4 else None
    return value.transpose(axes) if leaf == "kernel" else value


def _from_public(leaf: str, value: np.ndarray) -> np.ndarray:
    axes = (2, 3, 1, 0) if value.ndim == 4 else None
    return value.transpose(axes) if leaf == "kernel" else value


def _expected(path: tuple[str, ...], leaf: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    names = _public_names(path)
    shape = (*leaf.shape[:-1], leaf.shape[-1] // len(names))
    if path[-1] == "kernel":
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
    for name in names:
        yield name, shape


def _check(public: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]], config: FaceNetConfig) -> None:
    _check_outline(public, config)
    missing = sorted(expected.keys() - public.keys())
    if missing:
        reason = f"depth {config.depth} asks for blocks that it lacks" if "repeat_" in missing[0] else "it is cut short"
        raise InputError(f"weights lack {len(missing)} arrays, the first {missing[0]}: {reason}")
    unexpected = sorted(public.keys() - expected.keys())
    if unexpected:
        raise InputError(
            f"weights have {len(unexpected)} arrays that the network lacks, the first {unexpected[0]}: they are of a "
            f"deeper network than depth {config.depth}, or of another network"
        )
    for name, shape in expected.items():
        value = public[name]
        if value.shape != shape:
            raise InputError(f"weights: {name} has shape {value.shape}, width {config.width} asks for {shape}")
        if not np.issubdtype(value.dtype, np.floating) or not np.isfinite(value).all():
            raise InputError(f"weights: {name} ({value.dtype}) holds values that are not finite floating-point numbers")


def _check_outline(public: dict[str, np.ndarray], config: FaceNetConfig) -> None:
    """Raises InputError unless channels, embedding and width are the config's."""
    first, last = public.get("conv2d_1a.conv.weight"), public.get("last_linear.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 2:
        raise InputError(
            "not weights of Inception-ResNet-v1: conv2d_1a.conv.weight and last_linear.weight are expected, as in "
            "facenet-pytorch's state dict"
        )
    for field, value in (("channels", first.shape[1]), ("embedding", last.shape[0])):
        wanted = getattr(config, field)
        if value != wanted:
            raise InputError(
                f"weights are of a network with {field} = {value}, the config says {field} = {wanted}: set it to "
                f"{value}, or use other weights"
            )
    wanted = max(1, round(32 * config.width))
    if first.shape[0] != wanted:
        raise InputError(
            f"weights are of a network of about width {first.shape[0] / 32:g} (its first layer has {first.shape[0]} "
            f"channels), the config says width = {config.width} ({wanted} channels): set it, or use other weights"
        )

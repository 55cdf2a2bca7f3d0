"""Tensors of a folder of published weights: model.safetensors, in one file or in shards with an index. No pickle.

No memory is allocated for sizes that the files do not have. No file outside the folder is opened.
"""

import contextlib
import json
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from siamese_jax.errors import InputError, first_line

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"

_MOST_BYTES = 2**24
"""Limit for an index and for a file's header: about a hundred times those of the largest speech encoders."""

_FLOATS = ("F16", "BF16", "F32", "F64")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.safetensors")


class Tensors:
    """Tensors by name, without prefix; `path` is the file that messages name."""

    def __init__(self, path: Path, opened: dict[str, tuple[Any, str]]):
        self.path, self._opened = path, opened
        self.names = opened.keys()

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Returns a tensor, float32. Raises InputError if it is missing, misshapen, not finite or of no float type."""
        if name not in self._opened:
            raise InputError(f"{self.path}: no tensor {name!r}; fetch the file again")
        file, full_name = self._opened[name]
        part = file.get_slice(full_name)
        if (stored := tuple(part.get_shape())) != shape:
            raise InputError(
                f"{self.path}: {name} has shape {list(stored)}; expected {list(shape)}, by the sizes in config.json"
            )
        if part.get_dtype() not in _FLOATS:
            raise InputError(f"{self.path}: {name} is {part.get_dtype()}; expected one of {', '.join(_FLOATS)}")
        with np.errstate(over="ignore"):
            value = np.asarray(file.get_tensor(full_name)).astype(np.float32)
        if not np.isfinite(value).all():
            raise InputError(f"{self.path}: {name} holds values that are not finite; fetch the file again")
        return value


@contextlib.contextmanager
def open_tensors(folder: Path, prefixes: Sequence[str], others: Sequence[str]) -> Iterator[Tensors]:
    """Yields the tensors of a folder whose names begin with one of `prefixes`.

    Raises InputError for a pickle, a missing or damaged file, a duplicate tensor, and a tensor whose name begins with
    none of `prefixes` and `others`.
    """
    path, files = _weight_files(folder)
    with contextlib.ExitStack() as stack:
        opened: dict[str, tuple[Any, str]] = {}
        for file in files:
            full_names = _header_names(file)
            try:
                tensors = stack.enter_context(safe_open(file, framework="numpy"))
            except (SafetensorError, OSError) as error:
                raise InputError(
                    f"{file}: not a whole safetensors file ({first_line(error)[:200]}); fetch it again"
                ) from error
            for name, full_name in _without_prefix(file, full_names, prefixes, others):
                if name in opened:
                    raise InputError(f"{file}: tensor {name!r:.200} is there twice; expected each once")
                opened[name] = tensors, full_name
        if not opened:
            raise InputError(f"{path}: no tensor begins with {' or '.join(prefixes)}; give the folder of a whole model")
        yield Tensors(path, opened)


def _without_prefix(
    file: Path, full_names: list[str], prefixes: Sequence[str], others: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yields each name that has one of `prefixes`, without and with the prefix."""
    for full_name in full_names:
        prefix = next((prefix for prefix in prefixes if full_name.startswith(prefix)), None)
        if prefix is not None:
            yield full_name.removeprefix(prefix), full_name
        elif not full_name.startswith(tuple(others)):
            raise InputError(f"{file}: unknown tensor {full_name!r:.200}; expected names in {', '.join(prefixes)}")


def _weight_files(folder: Path) -> tuple[Path, list[Path]]:
    """Returns the file to name in messages, and the safetensors files of a folder."""
    path, index = folder / WEIGHTS, folder / INDEX
    if path.is_file():
        return path, [path]
    if index.is_file():
        return index, _shards(index)
    with _readable(folder):
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise InputError(
            f"{folder / pickles[0]}: a pickle can run code and is not read. Convert it where torch and transformers "
            f"are installed: transformers.AutoModel.from_pretrained('{folder}').save_pretrained('NEW_FOLDER'), "
            "and give NEW_FOLDER"
        )
    raise InputError(f"{path}: no such file; expected {WEIGHTS}, or {INDEX} with its shards")


def _shards(index: Path) -> list[Path]:
    """Returns the files that an index names; only plain names are accepted, so that no file is outside its folder."""
    weight_map = read_json(index, _MOST_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index}: no weight_map; expected a file name for each tensor")
    for name in weight_map.values():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise InputError(
                f"{index}: shard {name!r:.200}; expected the name of a .safetensors file in the same folder"
            )
    files = [index.parent / name for name in sorted(set(weight_map.values()))]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file; {index.name} names it. Fetch all shards")
    return files


def _header_names(path: Path) -> list[str]:
    """Returns the tensors that a file's header names.

    Raises InputError unless the header's length (the first eight bytes) fits into the file and every name is unique.
    """
    with _readable(path), path.open("rb") as file:
        size = path.stat().st_size
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 0 < length <= size - 8:
            raise InputError(
                f"{path}: its header does not fit into {size} bytes; the file is empty, cut short, a pointer of "
                "Git LFS, or not safetensors. Fetch it again"
            )
        if length > _MOST_BYTES:
            raise InputError(f"{path}: a header of {length} bytes; expected at most {_MOST_BYTES}")
        header = _json_object(path, file.read(length))
    return [name for name in header if name != "__metadata__"]


def read_json(path: Path, most_bytes: int) -> dict[str, Any]:
    """Returns the JSON object in a file of at most `most_bytes`. Raises InputError if there is none."""
    with _readable(path), path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(f"{path}: expected at most {most_bytes} bytes; fetch it again")
    return _json_object(path, content)


def _json_object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = first_line(error)[:200]
        raise InputError(f"{path}: cannot be read as JSON ({reason}); fetch it again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a {type(values).__name__}; expected a JSON object")
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object. Raises ValueError for a duplicate name."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{name!r:.100} is there twice")
        values[name] = value
    return values


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error

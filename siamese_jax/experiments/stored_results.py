"""The files of a work directory, read back: each is checked by its digest (`file_index`) before it is opened."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.runtime.file_index import AGAIN, INDEX, FileIndex, find_stored, read_stored
from siamese_jax.runtime.plain_files import parse_json, read_json
from siamese_jax.runtime.provenance import check_version

CONFIG = "config.json"
NOT_FINISHED = "the run has not finished. Run the command that made this folder again; it resumes"


def stored_config(path: Path) -> dict[str, Any]:
    """The content of config.json. Raises InputError if it changed, or another version made the folder."""
    if not os.path.lexists(path / INDEX):
        version = read_json(path / CONFIG, dict).get("version")
        check_version(path, version)
        raise InputError(
            f"{path}: made by siamese_jax {str(version)[:40]} without {INDEX}, the digests that its files are checked "
            "by; give a new folder and run the experiment again, or use the version that made it"
        )
    advice = "restore it from a copy, or give another folder and run the experiment again"
    config: dict[str, Any] = parse_json(path / CONFIG, read_stored(path, CONFIG, advice), dict)
    check_version(path, config.get("version"))
    return config


def stored_json(file: Path, expected: type) -> Any:
    """A JSON file at a work directory's top, of the type `expected`. Raises InputError if it is missing or changed."""
    if not os.path.lexists(file):
        raise InputError(f"{file}: not there; {NOT_FINISHED}")
    return parse_json(file, read_stored(file.parent, file.name), expected)


def stored_arrays(path: Path, name: str, opener: Callable[..., xr.Dataset]) -> xr.Dataset:
    """The arrays `name` of a work directory, by xarray's `opener`. Raises InputError if they are missing or changed."""
    file = arrays_file(path, name)
    if not os.path.lexists(file):
        raise InputError(f"{file}: not there; {NOT_FINISHED}")
    found = find_stored(path, file.relative_to(path).as_posix())
    try:
        return opener(found, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); {AGAIN}") from error


def stored_stages(path: Path) -> list[str]:
    """The names of all arrays of a work directory."""
    names = sorted(FileIndex.load(path).files)
    return [name.removeprefix("arrays/").removesuffix(".nc") for name in names if name.startswith("arrays/")]


def arrays_file(path: Path, name: str) -> Path:
    """The file of the arrays `name`."""
    return path / "arrays" / f"{name}.nc"

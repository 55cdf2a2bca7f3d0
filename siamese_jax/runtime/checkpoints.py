"""A state on disk through orbax: whole, versioned, and only ever for the work it came from.

`save` and `load` keep one state in one folder; `finished` keeps the trials of a stage by them. orbax takes half a
second to import, so it is imported when something is first saved or found.
"""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError, first_line
from siamese_jax.runtime.files import UNFINISHED, sync, writable
from siamese_jax.runtime.provenance import VERSION

log = logging.getLogger(__name__)

FORMAT = 1
"""Of what this module writes; to be raised when older checkpoints can no longer be read."""


def save(folder: str | Path, state: Any, identity: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Writes a tree of arrays as a new `folder`, which appears whole or not at all.

    In a run of several processes the one that writes calls this, alone; its state holds arrays of its own.

    Args:
      state: a tree of arrays, numbers and typed keys.
      identity: plain JSON values that name the work; `load` wants the same ones.
      notes: plain JSON values that come back from `load`.

    Raises InputError where the folder cannot be written; what was there before still is.
    """
    folder = Path(folder).absolute()
    temporary = folder.with_name(f"{UNFINISHED}{folder.name}")
    arrays = _named(state)
    about = {**_versions(), "identity": dict(identity), "notes": dict(notes), "digest": _digest(arrays)}
    try:
        with writable(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            _checkpointer().save(temporary, arrays, custom_metadata=about)
            for path in (*temporary.rglob("*"), temporary):
                sync(path)
            temporary.rename(folder)
            sync(folder.parent)
    except ValueError as error:
        # tensorstore gives the system's refusal as text.
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if isinstance(error, InputError) or code is None:
            raise
        with writable(folder):
            raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
    finally:
        _remove(temporary)


def _remove(temporary: Path) -> None:
    """Removes a folder that is half written, and the one that orbax makes beside it for as long as it writes."""
    for path in temporary.parent.glob(f"{temporary.name}*"):
        shutil.rmtree(path, ignore_errors=True)


def load(folder: str | Path, identity: Mapping[str, Any], like: Any) -> tuple[Any, dict[str, Any]]:
    """The state that `save` wrote to `folder`, as NumPy arrays and typed keys, and its notes.

    Args:
      identity: of the work that wants it.
      like: a tree of the state's structure, shapes and types; its values do not matter.

    Raises InputError where the folder was written for other work or by another version, or is damaged.
    """
    arrays, notes = load_arrays(folder, identity)
    leaves, structure = jax.tree.flatten(like)
    names = _names(like)
    there = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    now = {name: _shape(leaf) for name, leaf in zip(names, leaves)}
    _compare(Path(folder), there, now)
    return jax.tree.unflatten(structure, [_undata(arrays[name], leaf) for name, leaf in zip(names, leaves)]), notes


def load_arrays(folder: str | Path, identity: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """As `load`, for arrays whose shapes are not known beforehand: by name, the tree's path with "/" in between."""
    folder = Path(folder).absolute()
    try:
        about = _checkpointer().metadata(folder).custom_metadata or {}
        if "identity" not in about:
            raise ValueError("nothing says what it is of")
        _check(folder, about, identity)
        arrays = {name: np.asarray(value) for name, value in _checkpointer().restore(folder).items()}
        # orbax reads some damaged files without a word.
        if about["digest"] != _digest(arrays):
            raise ValueError("its contents are not those that were written")
    except InputError:
        raise
    except Exception as error:  # a damaged file can make orbax raise anything
        raise InputError(
            f"{folder}: damaged or cut short ({first_line(error)[:200]}); remove this folder and run again: only its "
            "content is computed again"
        ) from error
    return arrays, about["notes"]


def _check(folder: Path, about: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    there = {**{key: about.get(key) for key in _versions()}, **about["identity"]}
    _compare(folder, there, {**_versions(), **identity})


def _compare(folder: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
    if differing:
        shown = "; ".join(f"{key}: {there.get(key)!r} there, {now.get(key)!r} now" for key in differing[:4])
        raise InputError(
            f"{folder}: a checkpoint of other work ({shown}); go on with what it was made by, or remove this folder to "
            "compute what it holds again"
        )


def _versions() -> dict[str, Any]:
    return {"format": FORMAT, "siamese_jax": VERSION, "jax": jax.__version__}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _undata(array: np.ndarray, like: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like)) if _is_key(like) else array


def _shape(leaf: Any) -> tuple[tuple[int, ...], str]:
    found = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    found = found if hasattr(found, "dtype") else np.asarray(found)
    return found.shape, str(found.dtype)


def _names(tree: Any) -> list[str]:
    """The leaves' names, in the order of `jax.tree.leaves`."""
    return [
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _named(tree: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(_data(leaf)) for name, leaf in zip(_names(tree), jax.tree.leaves(tree))}


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _checkpointer() -> Any:
    """orbax's, for one process by itself: its newer interface (0.12) waits for the others of a distributed run."""
    import orbax.checkpoint as ocp

    # orbax logs every step of every save, and an error with its traceback beside raising it.
    absl = logging.getLogger("absl")
    if not any(isinstance(known, _NotFrom) for known in absl.filters):
        absl.addFilter(_NotFrom("/orbax/checkpoint/"))
    options = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        me = jax.process_index()
        options = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
        )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


class _NotFrom(logging.Filter):
    """Lets no record through that comes from a file with `part` in its path."""

    def __init__(self, part: str):
        super().__init__()
        self._part = part

    def filter(self, record: logging.LogRecord) -> bool:
        return self._part not in Path(record.pathname).as_posix()

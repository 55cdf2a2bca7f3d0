"""A state on disk through orbax: whole, versioned, and for the work it came from alone.

orbax takes half a second to import, so it is imported at the first save or load.
"""

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
from siamese_jax.runtime.file_index import FileIndex
from siamese_jax.runtime.files import UNFINISHED, sync, writable
from siamese_jax.runtime.plain_files import require_plain
from siamese_jax.runtime.provenance import VERSION

log = logging.getLogger(__name__)

FORMAT = 2  # raise it when older checkpoints can no longer be read


class DamagedError(InputError):
    """A checkpoint is damaged or cut short: only its content is lost."""


def save(folder: str | Path, state: Any, identity: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Writes a tree of local arrays, numbers and typed keys as a new `folder`, which appears whole or not at all.

    `identity` names the work, and `load` requires the same; it returns `notes`. Both are plain JSON values. Only the
    writer of a run of several processes calls this. Raises InputError where the folder cannot be written; its former
    content is kept.
    """
    folder = Path(folder).absolute()
    temporary = folder.with_name(f"{UNFINISHED}{folder.name}")
    arrays = _named(state)
    about = {**_versions(), "identity": dict(identity), "notes": dict(notes)}
    try:
        with writable(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            _checkpointer().save(temporary, arrays, custom_metadata=about)
            FileIndex.of_tree(temporary)
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
    """Removes a half-written folder, and the folder that orbax makes beside it while it writes."""
    for path in temporary.parent.glob(f"{temporary.name}*"):
        shutil.rmtree(path, ignore_errors=True)


def load(folder: str | Path, identity: Mapping[str, Any], like: Any) -> tuple[Any, dict[str, Any]]:
    """Returns the state that `save` wrote to `folder`, as NumPy arrays and typed keys, and its notes.

    `like` is a tree of the state's structure, shapes and types; its values do not matter. Raises InputError where the
    folder was written for other work or by another version, or is damaged.
    """
    arrays, notes = load_arrays(folder, identity)
    leaves, structure = jax.tree.flatten(like)
    names = _names(like)
    saved = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    _compare(Path(folder), saved, {name: _shape(leaf) for name, leaf in zip(names, leaves)})
    return jax.tree.unflatten(structure, [_undata(arrays[name], leaf) for name, leaf in zip(names, leaves)]), notes


def load_arrays(folder: str | Path, identity: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """As `load`, without knowing the shapes: returns arrays by name, the tree's path joined by "/"."""
    folder = Path(folder).absolute()
    try:
        # Before orbax opens them: it reads some damaged files silently, and raises anything for others.
        require_plain(folder)
        FileIndex.load(folder).check_tree()
    except InputError as error:
        raise _damaged(folder, error) from error
    try:
        about = _checkpointer().metadata(folder).custom_metadata or {}
        if "identity" not in about:
            raise ValueError("it does not name its work")
        saved = {**{key: about.get(key) for key in _versions()}, **about["identity"]}
        _compare(folder, saved, {**_versions(), **identity})
        arrays = {name: np.asarray(value) for name, value in _checkpointer().restore(folder).items()}
    except InputError:
        raise
    except Exception as error:  # orbax can raise anything
        raise _damaged(folder, error) from error
    return arrays, about["notes"]


def _damaged(folder: Path, error: Exception) -> DamagedError:
    reason = first_line(error).partition(";")[0][:200]
    advice = "remove this folder and run again: only its content is computed again"
    return DamagedError(f"{folder}: damaged or cut short ({reason}); {advice}")


def _compare(folder: Path, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = sorted(key for key in {*saved, *now} if saved.get(key) != now.get(key))
    if differing:
        values = "; ".join(f"{key}: {saved.get(key)!r} there, {now.get(key)!r} now" for key in differing[:4])
        raise InputError(
            f"{folder}: a checkpoint of other work ({values}); resume with the version and configuration that made it, "
            "or remove this folder to compute its content again"
        )


def _versions() -> dict[str, Any]:
    return {"format": FORMAT, "siamese_jax": VERSION, "jax": jax.__version__}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _undata(array: np.ndarray, like: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like)) if _is_key(like) else array


def _shape(leaf: Any) -> tuple[tuple[int, ...], str]:
    array = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    array = array if hasattr(array, "dtype") else np.asarray(array)
    return array.shape, str(array.dtype)


def _names(tree: Any) -> list[str]:
    """The leaves' names, in the order of `jax.tree.leaves`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def _named(tree: Any) -> dict[str, np.ndarray]:
    leaves = (jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in jax.tree.leaves(tree))
    return {name: np.asarray(leaf) for name, leaf in zip(_names(tree), leaves)}


def _checkpointer() -> Any:
    """orbax's, for this process alone: its newer interface (0.12) waits for all processes of a run."""
    import orbax.checkpoint as ocp

    # orbax logs every step of every save, and an error with its traceback beside raising it.
    absl = logging.getLogger("absl")
    if _not_from_orbax not in absl.filters:
        absl.addFilter(_not_from_orbax)
    options = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        me = jax.process_index()
        options = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
        )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    return "/orbax/checkpoint/" not in Path(record.pathname).as_posix()

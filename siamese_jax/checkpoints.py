"""What is finished of long work, on disk through orbax: whole, versioned, and only ever for the work it came from.

`save` and `load` keep one state in one folder. A `Checkpoint` keeps the finished trials of a stage in parts, at most
some seconds of work apart, until the stage's own file is written: while it is open, every `trials.TrialProgram` call
keeps its chunks there and finds those of an earlier run again.

orbax takes half a second to import, so it is imported when something is first saved or found.
"""

import contextvars
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

import siamese_jax
from siamese_jax.errors import InputError
from siamese_jax.io import UNFINISHED, sync, writable

log = logging.getLogger(__name__)

FORMAT = 1
"""Of what this module writes; to be raised when older checkpoints can no longer be read."""

COST = 0.05
"""Most of the work's time that saving may take: where a save is slow, the next one comes later."""

SAVE_SECONDS = float(os.environ.get("SIAMESE_JAX_SAVE_SECONDS", "10"))
"""How much work a process that is killed may lose, beside the chunk that is under way."""

PART = "part_"
"""How the folder of a part begins; its number follows."""


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
    arrays, notes = _load_arrays(folder, identity)
    leaves, structure = jax.tree.flatten(like)
    names = _names(like)
    there = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    now = {name: _shape(leaf) for name, leaf in zip(names, leaves)}
    _compare(Path(folder), there, now)
    return jax.tree.unflatten(structure, [_undata(arrays[name], leaf) for name, leaf in zip(names, leaves)]), notes


def _load_arrays(folder: str | Path, identity: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
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
            f"{folder}: damaged or cut short ({_first_line(error)}); remove this folder and run again: only what it "
            "held is computed again"
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
    return {"format": FORMAT, "siamese_jax": siamese_jax.__version__, "jax": jax.__version__}


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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


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


Kept = tuple[np.ndarray, list[np.ndarray]]
"""Trials [K], and the leaves of their results, each [K, ...]."""


class Checkpoint:
    """The finished trials of one stage, in `folder`, until the stage's own file is written: a context.

    When the context ends well the folder is removed; when it ends by an exception, what is not saved yet is saved.
    Calls of trial programs are told apart by their order, which a stage must not change between runs.

    Args:
      identity: names the stage and all that its trials depend on.
      every: seconds of work after which finished trials are saved; 0 for every chunk.
      check: called before anything is written; raises where the place is not fit for it any more.

    Raises InputError, on entry, as `load`; when saving, as `save`.
    """

    def __init__(
        self, folder: str | Path, identity: Mapping[str, Any], every: float, check: Callable[[], None] = lambda: None
    ):
        self.folder, self._identity, self._every, self._check = Path(folder), dict(identity), every, check
        self._found: dict[str, list[Kept]] = {}
        self._unsaved: dict[str, list[Kept]] = {}
        self._earlier_seconds, self._n_parts, self._n_calls = 0.0, 0, 0
        self._failed = False
        self._wait = every
        self._begun = self._saved_at = time.perf_counter()

    def __enter__(self) -> Self:
        for part in sorted(self.folder.glob(f"{PART}*")):
            arrays, notes = _load_arrays(part, self._identity)
            self._earlier_seconds += notes["seconds"]
            self._n_parts = int(part.name.removeprefix(PART)) + 1
            for call in {name.split("/")[0] for name in arrays}:
                leaves = [arrays[name] for name in sorted(arrays) if name.startswith(f"{call}/leaf_")]
                self._found.setdefault(call, []).append((arrays[f"{call}/rows"], leaves))
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif not self._failed:
            try:
                self.save()
            except InputError as failure:
                # After a stop this is what the user has to hear of; after an error, that error is.
                if not isinstance(error, Exception):
                    raise
                log.warning("%s", failure)

    @property
    def seconds(self) -> float:
        """Seconds of work behind the stage, those of earlier runs that are kept included."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def next_call(self) -> "Call":
        """Where the next call's trials are kept."""
        self._n_calls += 1
        return Call(self, f"call_{self._n_calls - 1:03d}")

    def save(self) -> None:
        """Saves what is not saved yet as a new part."""
        now = time.perf_counter()
        if self._unsaved:
            state = {call: _joined(chunks) for call, chunks in self._unsaved.items()}
            self._failed = True
            self._check()
            save(self.folder / f"{PART}{self._n_parts:05d}", state, self._identity, {"seconds": now - self._saved_at})
            self._failed = False
            self._n_parts += 1
            self._unsaved = {}
        self._saved_at = time.perf_counter()
        self._wait = max(self._every, (self._saved_at - now) / COST if self._every else 0.0)

    def _take(self, call: str) -> list[Kept]:
        return self._found.pop(call, [])

    def _add(self, call: str, rows: np.ndarray, leaves: list[np.ndarray]) -> None:
        self._unsaved.setdefault(call, []).append((rows, leaves))
        if time.perf_counter() - self._saved_at >= self._wait:
            self.save()


class Call:
    """The trials of one call of a program, see `trials.Kept`."""

    def __init__(self, checkpoint: Checkpoint, name: str):
        self._checkpoint, self._name = checkpoint, name

    def restore(self, results: Any) -> np.ndarray:
        """Fills in the kept trials of `results` [G, ...]; which those are, [G] bool."""
        leaves = jax.tree.leaves(results)
        done = np.zeros(len(leaves[0]), bool)
        for rows, found in self._checkpoint._take(self._name):
            fits = [(leaf.shape[1:], leaf.dtype) for leaf in leaves] == [(f.shape[1:], f.dtype) for f in found]
            if not fits or rows.max() >= len(done):
                raise InputError(
                    f"{self._checkpoint.folder}: holds trials of another shape than this program's; remove this "
                    "folder to compute them again"
                )
            done[rows] = True
            for leaf, values in zip(leaves, found):
                leaf[rows] = values
        if done.any():
            log.info("%s: %d of %d trials were finished by an earlier run", self._name, done.sum(), len(done))
        return done

    def add(self, rows: np.ndarray, results: Any) -> None:
        """Keeps the results [K, ...] of the trials `rows` [K]; on disk some seconds of work later at the latest."""
        self._checkpoint._add(self._name, rows, jax.tree.leaves(results))


def _joined(chunks: list[Kept]) -> dict[str, np.ndarray]:
    columns = zip(*(leaves for _, leaves in chunks))
    results = {f"leaf_{i:03d}": np.concatenate(column) for i, column in enumerate(columns)}
    return {"rows": np.concatenate([rows for rows, _ in chunks]), **results}


_current: contextvars.ContextVar[Checkpoint | None] = contextvars.ContextVar("checkpoint", default=None)


def next_call() -> Call | None:
    """Where a call of many trials is kept: in the checkpoint that is open; None where none is."""
    checkpoint = _current.get()
    return None if checkpoint is None else checkpoint.next_call()

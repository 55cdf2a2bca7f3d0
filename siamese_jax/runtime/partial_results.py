"""The finished trials of a stage, on disk in parts a few seconds of work apart, until the stage's file is written.

While a `Checkpoint` is open, every call of a `vectorize.TrialProgram` stores its chunks and restores an earlier run's.
"""

import contextvars
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.runtime import checkpoints, environment
from siamese_jax.runtime.plain_files import remove_tree

log = logging.getLogger(__name__)

COST = 0.05  # largest fraction of the time that saving may take: after a slow save the next comes later
SAVE_SECONDS = environment.seconds("SIAMESE_JAX_SAVE_SECONDS", 10)  # work that a kill loses, beside chunks in flight
PART = "part_"  # prefix of a part's folder, before its number

Kept = tuple[np.ndarray, list[np.ndarray]]
"""Trials [K], and the leaves of their results, each [K, ...]."""


class Checkpoint:
    """Context that stores the finished trials of one stage in `folder` until the stage's own file is written.

    When it ends well the folder is removed; when it ends by an exception, unsaved trials are saved. Calls of trial
    programs are identified by their order, which a stage must not change between runs. `identity` names the stage and
    all that its trials depend on; `every` is the seconds of work between saves, 0 saves every chunk; `check` is called
    before each save, and raises where the folder can no longer be used. Raises InputError on entry as
    `checkpoints.load`, when saving as `checkpoints.save`.
    """

    def __init__(
        self, folder: str | Path, identity: Mapping[str, Any], every: float, check: Callable[[], None] = lambda: None
    ):
        self.folder, self._identity, self._every, self._check = Path(folder), dict(identity), every, check
        self._restored: dict[str, list[Kept]] = {}
        self._unsaved: dict[str, list[Kept]] = {}
        self._earlier_seconds, self._n_parts, self._n_calls = 0.0, 0, 0
        self._failed = False
        self._wait = every
        self._begun = self._saved_at = time.perf_counter()

    def __enter__(self) -> Self:
        for part in sorted(self.folder.glob(f"{PART}*")):
            if not re.fullmatch(rf"{PART}[0-9]{{5,9}}", part.name):
                raise InputError(f"{part}: is no part of this stage by its name; remove it and run again")
            arrays, notes = checkpoints.load_arrays(part, self._identity)
            self._earlier_seconds += notes["seconds"]
            self._n_parts = int(part.name.removeprefix(PART)) + 1
            for call in {name.split("/")[0] for name in arrays}:
                leaves = [arrays[name] for name in sorted(arrays) if name.startswith(f"{call}/leaf_")]
                self._restored.setdefault(call, []).append((arrays[f"{call}/rows"], leaves))
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        _current.reset(self._token)
        if error is None:
            remove_tree(self.folder.parent, self.folder.name)
        elif not self._failed:
            try:
                self.save()
            except InputError as failure:
                # After a stop the user must learn of this failure; after an error, of that error.
                if not isinstance(error, Exception):
                    raise
                log.warning("%s", failure)

    @property
    def seconds(self) -> float:
        """Seconds of work on the stage, stored work of earlier runs included."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def next_call(self) -> "Call":
        """Returns the storage of the next call's trials."""
        self._n_calls += 1
        return Call(self, f"call_{self._n_calls - 1:03d}")

    def save(self) -> None:
        """Saves the unsaved trials as a new part."""
        now = time.perf_counter()
        if self._unsaved:
            state = {call: _joined(chunks) for call, chunks in self._unsaved.items()}
            self._failed = True
            self._check()
            part, notes = self.folder / f"{PART}{self._n_parts:05d}", {"seconds": now - self._saved_at}
            checkpoints.save(part, state, self._identity, notes)
            self._failed = False
            self._n_parts += 1
            self._unsaved = {}
        self._saved_at = time.perf_counter()
        self._wait = max(self._every, (self._saved_at - now) / COST if self._every else 0.0)


class Call:
    """The stored trials of one call of a program, see `vectorize.Kept`."""

    def __init__(self, checkpoint: Checkpoint, name: str):
        self._checkpoint, self._name = checkpoint, name

    def restore(self, results: Any) -> np.ndarray:
        """Fills in the stored trials of `results` [G, ...]; returns which they are, [G] bool."""
        leaves = jax.tree.leaves(results)
        done = np.zeros(len(leaves[0]), bool)
        for rows, stored in self._checkpoint._restored.pop(self._name, []):
            fits = [(leaf.shape[1:], leaf.dtype) for leaf in leaves] == [(s.shape[1:], s.dtype) for s in stored]
            if not fits or rows.max() >= len(done):
                raise InputError(
                    f"{self._checkpoint.folder}: holds trials of another shape than this program computes; remove "
                    "this folder to compute them again"
                )
            done[rows] = True
            for leaf, values in zip(leaves, stored):
                leaf[rows] = values
        if done.any():
            log.info("%s: %d of %d trials were finished by an earlier run", self._name, done.sum(), len(done))
        return done

    def add(self, rows: np.ndarray, results: Any) -> None:
        """Stores the results [K, ...] of the trials `rows` [K], on disk after at most some seconds of work."""
        checkpoint = self._checkpoint
        checkpoint._unsaved.setdefault(self._name, []).append((rows, jax.tree.leaves(results)))
        if time.perf_counter() - checkpoint._saved_at >= checkpoint._wait:
            checkpoint.save()


def _joined(chunks: list[Kept]) -> dict[str, np.ndarray]:
    columns = zip(*(leaves for _, leaves in chunks))
    results = {f"leaf_{i:03d}": np.concatenate(column) for i, column in enumerate(columns)}
    return {"rows": np.concatenate([rows for rows, _ in chunks]), **results}


_current: contextvars.ContextVar[Checkpoint | None] = contextvars.ContextVar("checkpoint", default=None)


def next_call() -> Call | None:
    """Returns the storage of the next call in the open checkpoint, or None without an open checkpoint."""
    checkpoint = _current.get()
    return None if checkpoint is None else checkpoint.next_call()

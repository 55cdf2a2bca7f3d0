"""A work directory: one experiment's configuration, the provenance of its numbers, and its finished arrays.

Every file that is read back is in index.json with its digest (`file_index`). Links inside the folder are refused.
Finished stages, and finished trials of a stage in progress (`partial_results`), are not run again. In a run of several
processes (`distributed`) process 0 alone reads the folder, and broadcasts its content.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import xarray as xr
from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.experiments.stored_results import CONFIG, arrays_file, stored_config
from siamese_jax.runtime import distributed, partial_results
from siamese_jax.runtime.config_dict import flat
from siamese_jax.runtime.file_index import INDEX, FileIndex
from siamese_jax.runtime.files import UNFINISHED, json_text, remove_unfinished, user_path, writable
from siamese_jax.runtime.lock import Lock
from siamese_jax.runtime.plain_files import remove_tree, require_plain
from siamese_jax.runtime.provenance import VERSION, provenance

LOCK, CHECKPOINTS = ".lock", "checkpoints"


class WorkDir:
    """The folder of one experiment, locked from construction until `close`, or the end of its context.

    Raises InputError if it holds another experiment, another run uses it, or a run's processes differ in their inputs.
    """

    def __init__(
        self, path: str | Path, experiment: Any, inputs: dict[str, str], kind: str, reading: bool = False,
        may_change: Sequence[str] = (),
    ):  # fmt: skip
        """Checks the folder, and makes it if it is missing.

        Args:
          experiment, inputs: the configuration, a record; digests of the tables or corpora that are read, by role.
          kind: of run ("reproduce", "rerun", "facenet"). reading: nothing is locked, made or written.
          may_change: fields of the configuration that may differ from an earlier run's; config.json holds the last.
        """
        self.path = user_path(path)
        self._lock: Lock | None = None
        self._opened: float | None = time.perf_counter()
        config = json.loads(json.dumps({**dataclasses.asdict(experiment), "tables": inputs}))
        config |= {"kind": kind, "version": VERSION}
        fixed = {key: value for key, value in config.items() if key not in may_change}
        self._digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
        distributed.require_same("digest of the configuration, tables and version", self._digest)
        if not distributed.is_writer():
            return
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; give a folder for the results")
        _check(self.path, config, may_change)
        if reading:
            self._index = FileIndex.load(self.path)
            return
        with writable(self.path):
            self._lock = Lock(self.path / LOCK, str(self.path))
            try:
                # Another run may have come and gone between the check and the lock.
                new = _check(self.path, config, may_change)
                self._index = FileIndex(self.path, {}) if new else FileIndex.load(self.path)
                self._index.recover()
                self._sweep()
                if may_change or new:
                    self.write_json(CONFIG, config)
            except BaseException:
                self.close()
                raise

    def _sweep(self) -> None:
        """Removes the remains of killed runs: unfinished files, and checkpoints of finished stages."""
        remove_unfinished(self.path)
        checkpoints = self.path / CHECKPOINTS
        for folder in [path for path in checkpoints.rglob("*") if path.is_dir()]:
            if self._index.has(self._name(folder.relative_to(checkpoints).as_posix())):
                remove_tree(self.path, folder.relative_to(self.path))

    def close(self) -> None:
        """Releases the lock, and removes empty folders of checkpoints."""
        if self._lock is not None:
            for folder, _, _ in os.walk(self.path / CHECKPOINTS, topdown=False):
                with contextlib.suppress(OSError):  # it is not empty
                    Path(folder).rmdir()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def has(self, name: str) -> bool:
        """Whether the arrays of this name exist. Collective: every process must call this."""
        exists = distributed.is_writer() and self._index.has(self._name(name))
        return distributed.broadcast(b"1" if exists else b"") == b"1"

    def _name(self, name: str) -> str:
        return arrays_file(self.path, name).relative_to(self.path).as_posix()

    def arrays(self, name: str, make: Callable[[], xr.Dataset], alone: bool = False) -> xr.Dataset:
        """The arrays stored under `name`, made and written now if they are missing; `seconds` is added to them.

        Finished trials of `make` (`vectorize.TrialProgram`) are stored until the file is written. If `alone`, process 0
        does all work of `make`, instead of a part of it on every process.

        Raises:
          InputError: the file changed since it was written, a new one cannot be written, or the folder is gone.
          interrupt.Stopped: a signal arrived; the finished trials are stored.
        """
        if not self.has(name):
            distributed.check()
            if distributed.is_writer():
                self._make(name, make)
            elif not alone:
                make()
        # Other processes may not see the folder, or not yet a file just written there.
        content = distributed.broadcast(self._index.read(self._name(name)) if distributed.is_writer() else b"")
        with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as arrays:
            return arrays.load()

    def _make(self, name: str, make: Callable[[], xr.Dataset]) -> None:
        identity = {"config": self._digest, "stage": name}
        folder, every = self.path / CHECKPOINTS / name, partial_results.SAVE_SECONDS
        with partial_results.Checkpoint(folder, identity, every, self.check) as checkpoint:
            arrays = make()
            arrays.attrs["seconds"] = checkpoint.seconds
            self.check()
            self._index.write(self._name(name), _netcdf(arrays))
        if self._opened is not None:
            logging.info("first results after %.1f s, compiling included: %s", time.perf_counter() - self._opened, name)
            self._opened = None

    def check(self) -> None:
        """Raises InputError if the folder is no longer the one that was locked."""
        if self._lock is not None:
            self._lock.check()

    def write_provenance(self, seconds: float) -> None:
        """Writes provenance.json: versions, revision, processes, devices, command and time."""
        self.write_json("provenance.json", {**provenance(), "seconds": seconds})

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file of the folder's top atomically, together with its digest."""
        self.check()
        self._index.write(name, json_text(value).encode())

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yields a temporary path that becomes the file `name`, atomically together with its digest."""
        with self._index.writing(name) as temporary:
            yield temporary

    def file(self, name: str, advice: str) -> Path:
        """The path of a file of `writing`. Raises InputError, with `advice`, if it is missing or changed."""
        return self._index.find(name, advice)


def _check(path: Path, config: dict[str, Any], may_change: Sequence[str]) -> bool:
    """Whether the folder is new. Raises InputError if it holds links, other files, or results of another configuration
    or version."""
    if path.exists():
        require_plain(path)
    if not os.path.lexists(path / CONFIG):
        remains = (LOCK, UNFINISHED, INDEX)  # of a run that was killed before it wrote anything
        if path.exists() and not all(child.name.startswith(remains) for child in path.iterdir()):
            raise InputError(f"{path}: holds files but no config.json; give an empty or a new folder")
        return True
    stored = stored_config(path)
    before, now = ({k: v for k, v in c.items() if k not in may_change} for c in (stored, config))
    before, now = flat(before), flat(now)
    differing = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if differing:
        examples = "; ".join(f"{key}: {before.get(key)!r} there, {now.get(key)!r} now" for key in differing[:4])
        raise InputError(
            f"{path}: holds the results of another configuration ({examples}). Give another folder, or remove it"
        )
    return False


def _netcdf(arrays: xr.Dataset) -> memoryview:
    """The arrays as the content of a netCDF file."""
    encoding = {v: {"zlib": True, "complevel": 4} for v in arrays.data_vars if arrays[v].ndim}
    # Through memory: on a full disk HDF5 leaves files open and reports errors late.
    content = io.BytesIO()
    arrays.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    return content.getbuffer()

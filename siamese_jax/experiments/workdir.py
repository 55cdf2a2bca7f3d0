"""A work directory: one experiment's configuration, where its numbers come from, and its finished arrays.

A stage whose file is there is not run again, and of a stage that was under way the finished trials are kept
(`finished`), so a run that was stopped, or killed, goes on where it was. One run at a time: a second is refused.

In a run of several processes (`distributed`) process 0 alone reads the folder, and broadcasts its content.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import xarray as xr
from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.runtime import distributed, partial_results
from siamese_jax.runtime.files import UNFINISHED, atomic_path, remove_unfinished, user_path, writable, write_json
from siamese_jax.runtime.lock import Lock
from siamese_jax.runtime.provenance import VERSION, check_version, provenance

LOCK, CHECKPOINTS = ".lock", "checkpoints"


class WorkDir:
    """The folder of one experiment, locked from construction until `close`, or the end of its context.

    Raises InputError where it holds another experiment's results, or another run is working in it; also where the
    processes of a run differ in their experiment or tables.
    """

    def __init__(
        self,
        path: str | Path,
        experiment: Any,
        inputs: dict[str, str],
        kind: str,
        reading: bool = False,
        may_change: Sequence[str] = (),
    ):
        """Checks the folder, and makes it where it is not there.

        Args:
          experiment: the configuration, a record.
          inputs: digests of the tables or corpora that are read, by role.
          kind: of run ("reproduce", "rerun", "facenet").
          reading: only look at what is there: nothing is locked, made or written.
          may_change: fields of the configuration that may differ from an earlier run's; config.json holds the last.
        """
        self.path = user_path(path)
        self._may_change = frozenset(may_change)
        self._lock: Lock | None = None
        self._begun: float | None = time.perf_counter()
        config = json.loads(json.dumps({**dataclasses.asdict(experiment), "tables": inputs}))
        config["kind"] = kind
        config["version"] = VERSION
        fixed = {key: value for key, value in config.items() if key not in self._may_change}
        self._digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
        distributed.require_same("digest of the configuration, tables and version", self._digest)
        if not distributed.is_writer():
            return
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; give a folder for the results")
        self._check(config)
        if reading:
            return
        with writable(self.path):
            self._lock = Lock(self.path / LOCK, str(self.path))
            try:
                # Another run may have come and gone between the look and the lock.
                self._check(config)
                self._sweep()
                if self._may_change or not (self.path / "config.json").exists():
                    write_json(self.path / "config.json", config)
            except BaseException:
                self.close()
                raise

    def _sweep(self) -> None:
        """Removes what killed runs left behind that nobody needs."""
        remove_unfinished(self.path)
        kept = self.path / CHECKPOINTS
        for folder in [path for path in kept.rglob("*") if path.is_dir()]:
            if self._file(folder.relative_to(kept).as_posix()).exists():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Lets other runs in."""
        if self._lock is not None:
            for folder, _, _ in os.walk(self.path / CHECKPOINTS, topdown=False):
                with contextlib.suppress(OSError):  # it is not empty
                    Path(folder).rmdir()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, config: dict[str, Any]) -> None:
        file = self.path / "config.json"
        if not file.exists():
            ours = (LOCK, UNFINISHED)  # what a run leaves that was killed before it wrote anything
            if self.path.exists() and not all(found.name.startswith(ours) for found in self.path.iterdir()):
                raise InputError(f"{self.path}: holds files but no config.json; give an empty or a new folder")
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file}: not readable as JSON ({error}); give another folder") from error
        check_version(self.path, found.get("version"))
        there, now = _flat(found, self._may_change), _flat(config, self._may_change)
        differing = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
        if differing:
            shown = "; ".join(f"{key}: {there.get(key)!r} there, {now.get(key)!r} now" for key in differing[:4])
            raise InputError(
                f"{self.path}: holds the results of another configuration ({shown}). Give another folder, or remove it"
            )

    def has(self, name: str) -> bool:
        """Whether the arrays of this name exist. Collective: every process must call this."""
        return distributed.broadcast(b"1" if distributed.is_writer() and self._file(name).exists() else b"") == b"1"

    def _file(self, name: str) -> Path:
        return self.path / "arrays" / f"{name}.nc"

    def arrays(self, name: str, make: Callable[[], xr.Dataset], alone: bool = False) -> xr.Dataset:
        """The arrays kept under `name`, made and written now where they are not there; `seconds` is added to them.

        What `make` runs through `trials.TrialProgram` is kept as it is finished, until the file is written.

        Args:
          alone: what `make` does is not shared out over the processes of a run; process 0 does it.

        Raises:
          InputError: the file there cannot be read, a new one cannot be written, or the folder is gone.
          interrupt.Stopped: a signal has come; what is finished is kept.
        """
        file = self._file(name)
        if not self.has(name):
            distributed.check()
            if distributed.is_writer():
                self._make(name, file, make)
            elif not alone:
                make()
        # The others may not see the folder, or not yet what has just been written there.
        content = distributed.broadcast(_read(file) if distributed.is_writer() else b"")
        try:
            with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as found:
                return found.load()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{file}: cannot be read ({error}); remove this file and run again") from error

    def _make(self, name: str, file: Path, make: Callable[[], xr.Dataset]) -> None:
        identity = {"config": self._digest, "stage": name}
        folder, every = self.path / CHECKPOINTS / name, partial_results.SAVE_SECONDS
        with partial_results.Checkpoint(folder, identity, every, self.check) as kept:
            made = make()
            made.attrs["seconds"] = kept.seconds
            self.check()
            _write_arrays(file, made)
        if self._begun is not None:
            logging.info("first results after %.1f s, compiling included: %s", time.perf_counter() - self._begun, name)
            self._begun = None

    def check(self) -> None:
        """Raises InputError where the folder is not the one any more that was locked."""
        if self._lock is not None:
            self._lock.check()

    def write_provenance(self, seconds: float) -> None:
        """Writes where the numbers come from: versions, revision, processes, devices, command and time."""
        self.check()
        write_json(self.path / "provenance.json", {**provenance(), "seconds": seconds})


def _flat(config: dict[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """The values of nested groups by dotted names, as a user gives them."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if key in without:
            continue
        if isinstance(value, dict):
            values |= {f"{key}.{name}": inside for name, inside in _flat(value).items()}
        else:
            values[key] = value
    return values


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error}); remove this file and run again") from error


def _write_arrays(file: Path, arrays: xr.Dataset) -> None:
    encoding = {v: {"zlib": True, "complevel": 4} for v in arrays.data_vars if arrays[v].ndim}
    # By way of memory: on a full disk HDF5 leaves files open and speaks of it at the most unlikely times.
    written = io.BytesIO()
    arrays.to_netcdf(written, engine="h5netcdf", encoding=encoding)
    with atomic_path(file) as temporary:
        temporary.write_bytes(written.getbuffer())

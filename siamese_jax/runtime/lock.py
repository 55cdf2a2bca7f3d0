"""One run at a time in one place: a lock that the system drops when its process ends, however it ends."""

import contextlib
import datetime
import errno
import json
import os
import platform
import sys
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from absl import logging

from siamese_jax.errors import InputError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What a file system answers that knows no locks."""


class Lock:
    """Holds `file` locked from construction until `release`, the end of its context, or the end of the process.

    The file says who holds it; it is removed on release. The lock is `flock`'s: it belongs to the open file, so that a
    second one in the same process is refused too, and a file left behind by a killed process locks nothing.

    Raises InputError where another run holds it, naming that run.
    """

    def __init__(self, file: str | Path, what: str):
        """`what` it guards, for messages: "results/reproduce"."""
        self.file, self._what = Path(file), what
        self._open: FileIO | None = None
        while self._open is None:
            self._open = self._take()
        self._open.truncate(0)
        self._open.write(json.dumps(_this_process()).encode())

    def _take(self) -> FileIO | None:
        """The locked file; None where its former holder removed it, or its folder, meanwhile."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = FileIO(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except FileNotFoundError:
            return None
        try:
            _flock(file, self.file)
        except BlockingIOError:
            raise InputError(
                f"{self._what}: in use by {_described(file.read())}. Wait for it, stop it, or give another place"
            ) from None
        return file if self._is(file) else None

    def _is(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(self.file.stat(), os.fstat(file.fileno()))
        except OSError:
            return False

    def check(self) -> None:
        """Raises InputError where the file is gone: with its folder, or replaced by somebody else's."""
        if self._open is None or not self._is(self._open):
            raise InputError(
                f"{self._what}: was removed, replaced or unmounted while this run was using it; nothing more is "
                "written. Bring it back and run again: what is finished there is not computed again"
            )

    def release(self) -> None:
        """Removes the file and lets others in; done once, however often it is called."""
        if self._open is None:
            return
        if self._is(self._open):
            # Removed before the lock is dropped: whoever waits for it finds out by `_is`.
            with contextlib.suppress(OSError):  # a folder that was made read-only: the file locks nothing
                self.file.unlink()
        self._open.close()
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _flock(file: FileIO, path: Path) -> None:
    if fcntl is None:
        logging.warning("%s: this system has no locks; take care that no second run works here", path)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        logging.warning("%s: no locks on this file system; take care that no second run works here", path)


def holder(file: Path) -> str | None:
    """Who holds `file` locked, described; None where nobody does, or where it cannot be told (no locks, no file)."""
    try:
        with FileIO(file, "r+") as found:
            try:
                _flock(found, file)
            except BlockingIOError:
                return _described(found.read())
    except OSError:
        return None
    return None


def _this_process() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _described(holder: bytes) -> str:
    try:
        found = json.loads(holder)
        return (
            f"process {found['process']} on {found['host']} since {found['since']} ({' '.join(found['command'])[:200]})"
        )
    except (ValueError, KeyError, TypeError):
        # Between taking the lock and writing the name, or on a disk that has no room for it.
        return "another process, which has not said its name"

"""One run at a time in one place: a lock that the system releases when its process ends, however it ends."""

import contextlib
import datetime
import errno
import json
import os
import platform
import stat
import sys
from io import FileIO
from pathlib import Path
from typing import Any, Self

from absl import logging

from siamese_jax.errors import InputError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

# A link is not followed, and a pipe does not block.
PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # errors of a file system without locks


class Lock:
    """Holds `file` locked from construction until `release`, the end of its context, or the end of the process.

    `name` is the guarded place in messages. The file names its holder, and is removed on release. The lock is
    `flock`'s: it belongs to the open file, so that a second lock in the same process is refused too, and a file left
    behind by a killed process locks nothing. Raises InputError where another run holds it, and names that run; also
    where `file` is a link or has a second name, whose content a lock would overwrite, or is no plain file.
    """

    def __init__(self, file: str | Path, name: str):
        self.file, self._name = Path(file), name
        self._open: FileIO | None = None
        while self._open is None:
            self._open = self._take()
        self._open.truncate(0)
        self._open.write(json.dumps(_this_process()).encode())

    def _take(self) -> FileIO | None:
        """The locked file; None where its former holder removed it, or its folder."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = FileIO(os.open(self.file, os.O_RDWR | os.O_CREAT | PLAIN, 0o666), "r+")
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
            raise self._refused() from error
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            file.close()
            raise self._refused()
        try:
            _flock(file, self.file)
        except BlockingIOError:
            raise InputError(
                f"{self._name}: in use by {_described(file.read())}. Wait for it, stop it, or give another place"
            ) from None
        return file if self._is(file) else None

    def _refused(self) -> InputError:
        return InputError(
            f"{self.file}: is a link, a folder or no plain file, so {self._name} cannot be locked; remove it and run "
            "again"
        )

    def _is(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(self.file.lstat(), os.fstat(file.fileno()))
        except OSError:
            return False

    def check(self) -> None:
        """Raises InputError where the file was removed, alone or with its folder, or replaced."""
        if self._open is None or not self._is(self._open):
            raise InputError(
                f"{self._name}: was removed, replaced or unmounted while this run was using it; nothing more is "
                "written. Restore it and run again; finished results in it are not computed again"
            )

    def release(self) -> None:
        """Removes the file and unlocks; a second call does nothing."""
        if self._open is None:
            return
        if self._is(self._open):
            # Removed before it is unlocked: a run that waits for it notices by `_is`.
            with contextlib.suppress(OSError):  # a read-only folder: the file left behind locks nothing
                self.file.unlink()
        self._open.close()
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def _flock(file: FileIO, path: Path) -> None:
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "no fcntl")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        logging.warning("%s: no locks on this system; make sure that no second run works here", path)


def holder(file: Path) -> str | None:
    """Returns a description of the holder of a locked `file`; None where it is not locked, or that is unknown."""
    try:
        with FileIO(os.open(file, os.O_RDWR | PLAIN), "r+") as opened:
            try:
                _flock(opened, file)
            except BlockingIOError:
                return _described(opened.read())
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
        values = json.loads(holder)
        command = " ".join(values["command"])[:200]
        return f"process {values['process']} on {values['host']} since {values['since']} ({command})"
    except (ValueError, KeyError, TypeError):
        # Between locking and writing the name, or on a full disk.
        return "another process, which has not written its name"

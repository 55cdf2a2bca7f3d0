"""Files written so that a reader never sees half of one, whenever the writer is killed."""

import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamese_jax.errors import InputError

UNFINISHED = ".unfinished-"
"""How the name of a file or folder begins that is being written; what a killed process leaves can be told by it."""


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it replaces `path`, on an exception it is removed.

    The temporary name keeps the suffix, since some writers choose their format by it. Raises InputError where the file
    cannot be written (a full disk, a read-only folder): what was at `path` is still there.
    """
    path = Path(path)
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{UNFINISHED}{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            sync(temporary)
            # mkstemp makes files private; results are for whoever may read the folder.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
            if os.name == "posix":
                sync(path.parent)
        finally:
            # The folder itself may be gone, or not let go of anything: the first error is the one to hear of.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write `path` into an InputError that says what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); make room or mend the folder's permissions, or "
            "give another place, then run again: what was finished and written before is kept"
        ) from error


def sync(path: Path) -> None:
    """Puts a file or folder on the disk itself, so that it outlives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes what killed processes left half written below `folder`; to be called by the only one who writes there."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_unfinished_of(path: Path) -> None:
    """As `remove_unfinished`, of one file; others may be writing their own beside it."""
    # Eight characters are tempfile's.
    for left in path.parent.glob(f"{UNFINISHED}{glob.escape(path.stem)}-{'?' * 8}{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` to `path` atomically, in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON; NaN and infinities are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")

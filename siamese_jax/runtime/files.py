"""Atomic writes: a reader never sees a partial file, whenever the writer is killed."""

import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from siamese_jax.errors import InputError

UNFINISHED = ".unfinished-"
"""Prefix of a file or folder that is being written; remains of killed processes are identified by it."""


def user_path(path: str | os.PathLike[str]) -> Path:
    """Returns a path that a user gave, `~` expanded; the `~` of an unknown user stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for an unknown user


@contextlib.contextmanager
def atomic_path(path: str | Path, commit: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it replaces `path`, on an exception it is removed.

    The temporary name keeps the suffix, by which some writers choose their format. `commit` is called with the complete
    temporary file; after it the file is kept even where it cannot be renamed (`file_index`). Raises InputError where
    the file cannot be written (a full disk, a read-only folder); the former content of `path` is kept.
    """
    path = Path(path)
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{UNFINISHED}{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary, committed = Path(name), False
        try:
            yield temporary
            sync(temporary)
            # mkstemp makes files private; results are for all readers of the folder.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            if commit is not None:
                commit(temporary)
                committed = True
            temporary.replace(path)
            if os.name == "posix":
                sync(path.parent)
        finally:
            # The folder may be gone or read-only: the first error is reported.
            if not committed:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write `path` into an InputError that says what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); make room, fix the folder's permissions, or give "
            "another folder, then run again. Results written before are kept"
        ) from error


def sync(path: Path) -> None:
    """Flushes a file or folder to the disk, so that it survives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes partial files of killed processes below `folder`; call it only from the folder's single writer."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def unfinished_of(path: Path) -> list[Path]:
    """The temporary files of `atomic_path` for this file."""
    # Eight characters are tempfile's.
    return list(path.parent.glob(f"{UNFINISHED}{glob.escape(path.stem)}-{'?' * 8}{glob.escape(path.suffix)}"))


def remove_unfinished_of(path: Path) -> None:
    """As `remove_unfinished`, for one file, beside which other processes may write theirs."""
    for left in unfinished_of(path):
        left.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` to `path` atomically, in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` atomically as indented JSON. Raises ValueError for NaN and infinities, which JSON lacks."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Returns `value` as indented JSON. Raises ValueError for NaN and infinities, which JSON lacks."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

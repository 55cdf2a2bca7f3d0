"""Opens a clip's file, or says why it is no sound: one bad clip ends nothing but itself."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from siamese_jax.corpora.spelling import is_utf8, printable
from siamese_jax.errors import ClipError
from siamese_jax.runtime.files import user_path

_LFS_MAGIC = b"version https://git-lfs"
_LFS_MAX_BYTES = 1024  # the git-lfs specification: a pointer file is smaller than this
_ANNEX = "annex/objects"  # in the links, and the pointer files, of git-annex


def is_lfs_pointer(path: str | Path) -> bool:
    """Returns whether `path` is the short text that git-lfs leaves in place of a file it has not fetched."""
    try:
        return _head(user_path(path)).startswith(_LFS_MAGIC)
    except (OSError, ValueError):
        return False


def bad_clip(path: Path, reason: str) -> ClipError:
    """Returns the error of a clip, with a name that any terminal and any file can hold."""
    return ClipError(printable(str(path)), reason)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yields the open file of a clip. Raises ClipError where it is missing, unreadable, empty or a pointer."""
    try:
        if not is_utf8(str(path)):
            raise bad_clip(path, "unreadable: its name is no UTF-8, which tables and reports cannot hold; rename it")
        _require_file(path)
        file = path.open("rb", buffering=0)  # libsndfile reads on from the same descriptor
    except (OSError, ValueError) as error:
        raise bad_clip(path, _refusal(path, error)) from error
    with file:
        try:
            yield cast(BinaryIO, file)
        except OSError as error:  # a failing disk, a stale network folder
            raise bad_clip(path, f"unreadable: {error.strerror or error}; fetch the file again") from error


def _require_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise bad_clip(path, f"missing: {kind}, expected a sound file; correct its path")
    if status.st_size == 0:
        raise bad_clip(path, "empty: the file has 0 bytes; fetch it again")
    head = _head(path)
    if head.startswith(_LFS_MAGIC):
        remedy = "run `git lfs pull` in the clone, or download the corpus' files themselves"
        raise bad_clip(path, f"git-lfs pointer: a text in place of the sound; {remedy}")
    if head.startswith((b"/annex/objects/", b"../.git/annex/", b".git/annex/")):
        raise bad_clip(path, "missing: a git-annex pointer in place of the sound; run `git annex get` in the clone")


def _head(path: Path) -> bytes:
    """Returns the content of a file that is short enough for a pointer, else b""."""
    if path.stat().st_size >= _LFS_MAX_BYTES:
        return b""
    with path.open("rb") as file:
        return file.read(_LFS_MAX_BYTES)


def _refusal(path: Path, error: OSError | ValueError) -> str:
    """Returns the reason for a file that the system does not open, with its kind."""
    if isinstance(error, ClipError):
        return error.reason
    if isinstance(error, PermissionError):
        return "unreadable: no permission to read it; change the permissions of the file or its folders"
    link = _link(path)
    if isinstance(error, FileNotFoundError) and link:
        if _ANNEX in link:
            return "missing: a git-annex link without its content; run `git annex get` in the clone"
        return f"missing: a broken link to {printable(link)}; fetch that file or correct the link"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing: no such file; correct its path or the corpus root"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"unreadable: {reason}; correct its path, or leave it out"


def _link(path: Path) -> str:
    """Returns the target of a link, "" for no link."""
    try:
        return os.readlink(path)  # noqa: PTH115 - as written, which Path.readlink would tidy
    except (OSError, ValueError):
        return ""

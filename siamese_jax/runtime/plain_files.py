"""Plain files of a folder that others can change: links, pipes and devices are refused, JSON of any content is read."""

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from siamese_jax.errors import InputError, first_line

LARGEST_JSON = 1 << 28  # bytes; no file of a run comes near


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Opens a plain file to read.

    Raises FileNotFoundError where there is none; InputError where it cannot be read, or is a link, folder or pipe.
    """
    try:
        # A pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InputError(f"{path}: is no plain file; remove it and run again")
        with os.fdopen(descriptor, "rb") as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise InputError(f"{path}: {LINK}") from error
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); remove it and run again") from error


LINK = "is a link; links are not followed inside a folder of results: put the file or folder itself there"


def require_plain(folder: Path) -> None:
    """Raises InputError where `folder` holds a link, pipe, socket or device at any depth, or cannot be listed."""

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):  # a run in progress removes its temporary folders
            return
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror}); fix its permissions") from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *files):
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):  # a run in progress removes its temporary files
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    raise InputError(f"{path}: {LINK}")
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise InputError(f"{path}: is no plain file and no folder; remove it and run again")


def remove_tree(folder: Path, inside: str | Path) -> None:
    """Removes the folder `inside` of `folder` if it is there. Raises InputError where its path holds a link."""
    path = folder
    for part in Path(inside).parts:
        path = path / part
        if path.is_symlink():
            raise InputError(f"{path}: {LINK}")
    shutil.rmtree(path, ignore_errors=True)


def read_json(path: Path, expected: type) -> Any:
    """The content of a JSON file, a value of the type `expected`. Raises InputError otherwise."""
    return parse_json(path, read(path), expected)


def read(path: Path) -> bytes:
    """The content of a file, cut behind `LARGEST_JSON`. Raises InputError if it is missing, or as `opened`."""
    try:
        with opened(path) as file:
            return file.read(LARGEST_JSON + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run the experiment again") from error


def parse_json(path: Path, content: bytes, expected: type) -> Any:
    """The value of a JSON file's `content`. Raises InputError, naming `path`, if it is no JSON of this type."""
    advice = "remove it and run the experiment again"
    if len(content) > LARGEST_JSON:
        raise InputError(f"{path}: over {LARGEST_JSON >> 20} MiB, which no run writes; {advice}")
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise InputError(f"{path}: not readable as JSON (nested too deep); {advice}") from None
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({first_line(error)[:200]}); {advice}") from error
    if not isinstance(value, expected):
        found = "null" if value is None else f"a {type(value).__name__}"
        raise InputError(f"{path}: holds {found}, expected a {expected.__name__}; {advice}")
    return value

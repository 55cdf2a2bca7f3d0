"""The index of a folder: the digest of every file that is read back, checked before the file is opened.

`index.json` is written while a file still has its temporary name. From then on the new content is valid. If the writer
is killed before it renames the file, readers find the content by its digest, and the next run renames the file.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from siamese_jax.errors import InputError
from siamese_jax.runtime.files import UNFINISHED, atomic_path, json_text, sync, unfinished_of, writable
from siamese_jax.runtime.plain_files import opened, parse_json, read

T = TypeVar("T")

INDEX = "index.json"
FORMAT = 1  # of index.json

TRIES = 3  # a writer may rename a file after its check and before it is opened

AGAIN = "remove this file and run again: only its content is computed again"
"""The advice about a file that changed."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file's SHA-256 and its size in bytes."""

    sha256: str
    size: int


class FileIndex:
    """The files of a folder by their relative names with "/". Only one process at a time may write."""

    def __init__(self, folder: Path, files: dict[str, Entry]):
        self.folder, self.files = folder, files

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Returns the index in index.json. Raises InputError if it is missing, damaged or of another format."""
        path = folder / INDEX
        content = read(path)
        stored = parse_json(path, content, dict)
        version, files = stored.get("format"), stored.get("files")
        try:
            # The index has its own digest and is compared byte by byte, so that any change is detected.
            intact = content == _rendered(files, version) and _are_entries(files)
        except (ValueError, RecursionError):  # NaN, lone surrogates, nesting
            intact = False
        if not intact:
            raise InputError(f"{path}: changed since it was written; restore it from a copy, or give another folder")
        if version != FORMAT:
            raise InputError(f"{path}: is of the format {version!r}, not {FORMAT}; use the version that made it")
        return cls(folder, {name: Entry(**entry) for name, entry in stored["files"].items()})

    @classmethod
    def of_tree(cls, folder: Path) -> Self:
        """Writes and returns the index of all files in `folder`, which no other process reads yet."""
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        index = cls(folder, {name: _entry(folder / name) for name in names})
        (folder / INDEX).write_bytes(index._content(index.files))
        return index

    def check_tree(self) -> None:
        """Raises InputError unless the folder holds the files of the index, unchanged, and no others."""
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if name not in {*self.files, INDEX} and (path.is_symlink() or not path.is_dir()):
                raise InputError(f"{path}: not in {INDEX}")
        for name in self.files:
            self.find(name)

    def has(self, name: str) -> bool:
        """Returns whether the file exists. Raises InputError if it exists but is not in the index."""
        path = self.folder / name
        exists = os.path.lexists(path)
        if exists and name not in self.files:
            raise InputError(f"{path}: not in {INDEX}, so no run wrote it here; remove it and run again")
        return name in self.files and (exists or self._pending(name) is not None)

    def find(self, name: str, advice: str = AGAIN) -> Path:
        """Returns the path of the file after a check of its digest. Raises InputError, with `advice`, if it changed."""
        path, entry = self.folder / name, self.files.get(name)
        if entry is None:
            raise InputError(f"{path}: not in {INDEX}, so no run wrote it here; remove it and run again")
        if _matches(path, entry):
            return path
        pending = self._pending(name)
        if pending is not None:
            return pending
        if _matches(path, entry):  # the writer has renamed it meanwhile
            return path
        raise InputError(f"{path}: changed since it was written (its SHA-256 is not that of {INDEX}); {advice}")

    def read(self, name: str, advice: str = AGAIN) -> bytes:
        """Returns the content of the file after a check of its digest. Raises InputError as `find`."""
        for _ in range(TRIES):
            with contextlib.suppress(FileNotFoundError), opened(self.find(name, advice)) as file:
                content = file.read(self.files[name].size)
                if hashlib.sha256(content).hexdigest() == self.files[name].sha256:
                    return content
        raise InputError(f"{self.folder / name}: changes while it is read; {advice}")

    def _pending(self, name: str) -> Path | None:
        """Returns the path of the file's content under a temporary name, or None if the writer has renamed it."""
        return next((path for path in unfinished_of(self.folder / name) if _matches(path, self.files[name])), None)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yields a temporary path; on success it becomes the file `name`, atomically together with its entry.

        Raises InputError as `atomic_path`.
        """

        def commit(temporary: Path) -> None:
            files = {**self.files, name: _entry(temporary)}
            with atomic_path(self.folder / INDEX) as index:
                index.write_bytes(self._content(files))
            self.files = files

        with atomic_path(self.folder / name, commit) as temporary:
            yield temporary

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Writes the file atomically, together with its entry. Raises InputError as `atomic_path`."""
        with self.writing(name) as temporary:
            temporary.write_bytes(content)

    def recover(self) -> None:
        """Renames files that a killed writer left under temporary names. Only the folder's writer may call it."""
        for temporary in list(self.folder.rglob(f"{UNFINISHED}*")):
            for name, entry in self.files.items():
                path = self.folder / name
                if path.parent == temporary.parent and temporary in unfinished_of(path) and _matches(temporary, entry):
                    with writable(path):
                        temporary.replace(path)
                        sync(path.parent)
                    break

    @staticmethod
    def _content(files: dict[str, Entry]) -> bytes:
        return _rendered({name: dataclasses.asdict(entry) for name, entry in sorted(files.items())}, FORMAT)


def find_stored(folder: Path, name: str) -> Path:
    """Returns as `FileIndex.find`, in a folder in which a run may be writing."""
    return _beside_a_writer(folder, lambda index: index.find(name))


def read_stored(folder: Path, name: str, advice: str = AGAIN) -> bytes:
    """Returns as `FileIndex.read`, in a folder in which a run may be writing."""
    return _beside_a_writer(folder, lambda index: index.read(name, advice))


def _beside_a_writer(folder: Path, get: Callable[[FileIndex], T]) -> T:
    index = FileIndex.load(folder)
    while True:
        try:
            return get(index)
        except InputError:
            now = FileIndex.load(folder)
            if now.files == index.files:
                raise
            index = now


def _are_entries(files: Any) -> bool:
    return isinstance(files, dict) and all(
        isinstance(entry, dict) and {key: type(value) for key, value in entry.items()} == {"sha256": str, "size": int}
        for entry in files.values()
    )


def _rendered(files: Any, version: Any) -> bytes:
    """Returns the content of index.json, with a digest of its own."""
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return json_text({"format": version, "sha256": digest, "files": files}).encode()


def _entry(path: Path) -> Entry:
    with opened(path) as file:
        return Entry(hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)


def _matches(path: Path, entry: Entry) -> bool:
    """Returns whether the file has this content, without reading another size. Raises InputError if it is not plain."""
    if not os.path.lexists(path):
        return False
    with contextlib.suppress(FileNotFoundError), opened(path) as file:
        if os.fstat(file.fileno()).st_size != entry.size:
            return False
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    return False

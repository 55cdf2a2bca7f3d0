"""Finished rows of an extraction, kept on disk so that an interrupted run goes on where it stopped.

A folder of small npz files, each written atomically, and locked: a second run on the same output is refused. A row is
found again by its clip's file, segment, size and time of change and by the version of the features: an edited clip, or
a newer extractor, is computed again.
"""

import contextlib
import dataclasses
import logging
import time
import uuid
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from siamese_jax.checkpoints import SAVE_SECONDS
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.features import is09
from siamese_jax.io import atomic_path, remove_unfinished
from siamese_jax.lock import Lock

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What is computed from one clip.

    Fields:
      features: [64] float32.
      audio_hash: digest of the decoded samples.
      source_rate: sampling rate of the file, in Hz.
      resampling: how it became 16 kHz ("none", "soxr HQ").
    """

    features: np.ndarray
    audio_hash: str
    source_rate: int
    resampling: str


class Parts:
    """The rows in `folder`; a context that saves what is not saved yet when it ends, also by an exception.

    Raises InputError where another run holds the folder.
    """

    def __init__(self, folder: str | Path, what: str):
        """`what` the rows are for, in messages: the table's name."""
        self.folder = Path(folder)
        self._lock = Lock(self.folder / ".lock", what)
        remove_unfinished(self.folder)
        self._failed = False
        self._rows: dict[str, Row] = {}
        self._unsaved: dict[str, Row] = {}
        self._saved_at = time.monotonic()
        for file in sorted(self.folder.glob("*.npz")):
            self._load(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._failed:
                self.save()
        finally:
            self._lock.release()
            with contextlib.suppress(OSError):  # it holds parts
                self.folder.rmdir()

    def get(self, manifest: Manifest, clip: Clip) -> Row | None:
        """The finished row of a clip, or None."""
        key = _key(manifest, clip) if self._rows else None
        return self._rows.get(key) if key else None

    def add(self, manifest: Manifest, clip: Clip, row: Row) -> None:
        """Keeps a finished row; it is on disk some seconds later at the latest."""
        key = _key(manifest, clip)
        if key:
            self._unsaved[key] = row
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes the rows that are not on disk yet."""
        self._saved_at = time.monotonic()
        if not self._unsaved:
            return
        rows = list(self._unsaved.values())
        # A place that does not take them now will not take them on the way out either.
        self._failed = True
        self._lock.check()
        with atomic_path(self.folder / f"{uuid.uuid4().hex}.npz") as temporary:
            np.savez(
                temporary,
                key=np.asarray(list(self._unsaved)),
                features=np.stack([row.features for row in rows]),
                audio_hash=np.asarray([row.audio_hash for row in rows]),
                source_rate=np.asarray([row.source_rate for row in rows]),
                resampling=np.asarray([row.resampling for row in rows]),
            )
        # Rows of this run are the caller's to hold; keeping them here too would hold them twice.
        self._unsaved = {}
        self._failed = False

    def remove(self) -> None:
        """Removes the parts: the table is written."""
        self._unsaved = {}
        for file in self.folder.glob("*.npz"):
            file.unlink()

    def _load(self, file: Path) -> None:
        try:
            with np.load(file) as part:
                columns = [part[name] for name in ("features", "audio_hash", "source_rate", "resampling")]
                keys = part["key"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s: cannot be read (%s); its clips are computed again", file, error)
            return
        for key, features, digest, rate, resampling in zip(keys, *columns):
            self._rows[key] = Row(features, str(digest), int(rate), str(resampling))


def _key(manifest: Manifest, clip: Clip) -> str | None:
    """What a row depends on; None where the file cannot be looked at."""
    path = manifest.path(clip)
    try:
        status = path.stat()
    except OSError:
        return None
    segment = f"{clip.start}-{clip.end}"
    return "|".join((is09.VERSION, str(path.absolute()), segment, str(status.st_size), str(status.st_mtime_ns)))

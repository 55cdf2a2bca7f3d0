"""Finished rows of an extraction, kept on disk so that an interrupted run resumes.

A locked folder of small npz files, each written atomically. A row is found by its clip's file, segment, size and time
of change and by the version of the features: an edited clip, or a newer extractor, is computed again.
"""

import dataclasses
import logging
import time
import uuid
import zipfile
from pathlib import Path
from typing import Self

import numpy as np

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets.extraction_shares import ShareLock
from siamese_jax.runtime.distributed import WHOLE, Share
from siamese_jax.runtime.files import atomic_path
from siamese_jax.runtime.partial_results import SAVE_SECONDS

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class FeatureRow:
    """The features [F] float32 of a clip, the digest of its samples, and rate and resampling as in `audio.Decoded`."""

    features: np.ndarray
    audio_hash: str
    source_rate: int
    resampling: str


class ExtractionCache:
    """The rows of `output` in `folder`, of an extractor's `version`; a context that saves new rows when it ends.

    It saves after an exception too.

    Raises InputError where another run holds the folder, or another process with the same share.
    """

    def __init__(self, folder: str | Path, output: str, version: str, share: Share = WHOLE):
        self.folder, self._version, self._share = Path(folder), version, share
        self._lock = ShareLock(self.folder, output, share)
        self._failed = False
        self._rows: dict[str, FeatureRow] = {}
        self._unsaved: dict[str, FeatureRow] = {}
        self._saved_at = time.monotonic()
        self.load()

    def load(self) -> None:
        """Reads the rows that all processes have on disk now."""
        self._rows = {}
        for file in sorted(self.folder.glob("[!.]*.npz")):
            try:
                with np.load(file) as part:
                    columns = [part[name] for name in ("features", "audio_hash", "source_rate", "resampling")]
                    keys = part["key"].tolist()
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                log.warning("%s: cannot be read (%s); its clips are computed again", file, error)
                continue
            for key, features, digest, rate, resampling in zip(keys, *columns):
                self._rows[key] = FeatureRow(features, str(digest), int(rate), str(resampling))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if not self._failed:
                self.save()
        finally:
            self._lock.release()

    def get(self, manifest: Manifest, clip: Clip) -> FeatureRow | None:
        """Returns the finished row of a clip, or None."""
        return self._rows.get(self._key(manifest, clip)) if self._rows else None

    def add(self, manifest: Manifest, clip: Clip, row: FeatureRow) -> None:
        """Keeps a finished row; it is on disk some seconds later at the latest."""
        if key := self._key(manifest, clip):
            self._unsaved[key] = row
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes the rows that are not on disk yet."""
        self._saved_at = time.monotonic()
        if not self._unsaved:
            return
        # A place that refuses them now will refuse them on the way out too.
        self._failed = True
        self._lock.check()
        rows = self._unsaved.values()
        name = f"{self._share.index}-of-{self._share.count}-{uuid.uuid4().hex}"
        with atomic_path(self.folder / f"{name}.npz") as temporary:
            np.savez(
                temporary,
                key=np.asarray(list(self._unsaved)),
                features=np.stack([row.features for row in rows]),
                audio_hash=np.asarray([row.audio_hash for row in rows]),
                source_rate=np.asarray([row.source_rate for row in rows]),
                resampling=np.asarray([row.resampling for row in rows]),
            )
        # The caller holds the rows of this run; keeping them here too would hold them twice.
        self._unsaved = {}
        self._failed = False

    def finish(self) -> None:
        """Saves, and tells the other processes that this share is done."""
        self.save()
        self._lock.finish()

    def wait(self) -> None:
        """Waits for the other processes' shares, and reads their rows; raises as `ShareLock.wait`."""
        self._lock.wait()
        self.load()

    def remove(self) -> None:
        """Removes the rows: the table is written."""
        self._unsaved = {}
        for file in self.folder.glob("[!.]*.npz"):
            file.unlink(missing_ok=True)
        self._lock.remove()

    def _key(self, manifest: Manifest, clip: Clip) -> str:
        """Returns the inputs that a row depends on, or "" if the file is missing."""
        state = manifest.state(clip)
        return f"{self._version}|{state}" if state else ""

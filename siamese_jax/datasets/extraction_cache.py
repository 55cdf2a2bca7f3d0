"""Finished rows of an extraction, kept on disk so that an interrupted run goes on where it stopped.

A folder of small npz files, each written atomically, and locked: a second run on the same output is refused, while the
processes of one run, each with a share of the clips, hold a lock each. A row is found again by its clip's file,
segment, size and time of change and by the version of the features: an edited clip, or a newer extractor, is computed
again.
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

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.errors import InputError, LostError
from siamese_jax.features import is09
from siamese_jax.runtime import distributed, interrupt
from siamese_jax.runtime.distributed import WHOLE, Share
from siamese_jax.runtime.files import UNFINISHED, atomic_path, write_text
from siamese_jax.runtime.lock import Lock, holder
from siamese_jax.runtime.partial_results import SAVE_SECONDS

log = logging.getLogger(__name__)


TRIES = 2
"""Looks at a lock that seems to be held, before the last."""


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

    Raises InputError where another run holds the folder, or another process with the same share.
    """

    def __init__(self, folder: str | Path, what: str, share: Share = WHOLE):
        """`what` the rows are for, in messages: the table's name."""
        self.folder, self._what, self._share = Path(folder), what, share
        self._lock = self._take()
        try:
            for other in self._other_locks():
                if held := holder(other):
                    raise InputError(
                        f"{what}: in use by {held}, whose run has another number of processes. Wait for it, stop it, "
                        "or give another place"
                    )
        except InputError:
            self._lock.release()
            raise
        self._clear()
        self._failed = False
        self._rows: dict[str, Row] = {}
        self._unsaved: dict[str, Row] = {}
        self._saved_at = time.monotonic()
        self.load()

    def _take(self) -> Lock:
        for _ in range(TRIES):
            with contextlib.suppress(InputError):
                return Lock(self._lock_of(self._share), self._what)
            # Another process may only be looking whether somebody holds it.
            time.sleep(interrupt.POLL_SECONDS)
        return Lock(self._lock_of(self._share), self._what)

    def _lock_of(self, share: Share) -> Path:
        return self.folder / (".lock" if share == WHOLE else f".lock-{share.index}-of-{share.count}")

    def _done_of(self, share: Share) -> Path:
        return self.folder / f"done-{share.index}-of-{share.count}"

    def _others(self) -> list[Share]:
        return [Share(i, self._share.count) for i in range(self._share.count) if i != self._share.index]

    def _other_locks(self) -> list[Path]:
        """Locks of other runs: of those with another number of processes."""
        ours = {self._lock_of(share) for share in (self._share, *self._others())}
        return [file for file in self.folder.glob(".lock*") if file not in ours]

    def _clear(self) -> None:
        """Removes what earlier runs left behind, and nothing of the other processes of this one."""
        self._done_of(self._share).unlink(missing_ok=True)
        others = tuple(f"{UNFINISHED}{share.index}-of-{share.count}-" for share in self._others())
        for left in self.folder.glob(f"{UNFINISHED}*"):
            if not left.name.startswith(others):
                left.unlink(missing_ok=True)

    def load(self) -> None:
        """Takes in what is on disk now, of all processes."""
        self._rows = {}
        for file in sorted(self.folder.glob("[!.]*.npz")):
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
        # Rows of this run are the caller's to hold; keeping them here too would hold them twice.
        self._unsaved = {}
        self._failed = False

    def finish(self) -> None:
        """Tells the other processes that this one's share is done."""
        self.save()
        write_text(self._done_of(self._share), "")

    def wait(self) -> None:
        """Waits until all processes of the run have finished their shares.

        Raises LostError where one is not at work, or never comes.
        """
        since = time.monotonic()
        heard = dict.fromkeys(self._others(), since)
        while heard:
            for share in list(heard):
                file = self._lock_of(share)
                patience = (
                    distributed.LOST_SECONDS if file.exists() or heard[share] > since else distributed.JOIN_SECONDS
                )
                if holder(file):
                    heard[share] = time.monotonic()
                elif self._done_of(share).exists():
                    del heard[share]
                elif time.monotonic() - heard[share] > patience:
                    raise LostError(
                        f"{self._what}: {share} is not at work and has not finished its clips; start it again, and "
                        "this one; what is finished is kept, also for another number of processes"
                    )
            interrupt.check()
            time.sleep(interrupt.POLL_SECONDS if heard else 0)

    def remove(self) -> None:
        """Removes the parts: the table is written."""
        self._unsaved = {}
        for file in (*self.folder.glob("[!.]*.npz"), *self.folder.glob("done-*")):
            file.unlink(missing_ok=True)
        for file in self.folder.glob(".lock*"):
            if file != self._lock_of(self._share) and not holder(file):
                file.unlink(missing_ok=True)

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

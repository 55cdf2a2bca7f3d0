"""Several processes extract into one folder: a lock and a mark of completion for each process's share of the clips."""

import contextlib
import time
from pathlib import Path

from siamese_jax.errors import InputError, LostError
from siamese_jax.runtime import distributed, interrupt
from siamese_jax.runtime.distributed import WHOLE, Share
from siamese_jax.runtime.files import UNFINISHED, write_text
from siamese_jax.runtime.lock import Lock, holder

TRIES = 2  # attempts at a lock that seems to be held, before the last


class ShareLock:
    """Holds `folder` for a share of the clips of `output`; the other processes of the run hold a lock each.

    Raises InputError where another run holds the folder, or another process with the same share.
    """

    def __init__(self, folder: Path, output: str, share: Share):
        self.folder, self.share, self._output = folder, share, output
        self._others = [Share(i, share.count) for i in range(share.count) if i != share.index]
        self._lock = self._take()
        run = {self._lock_file(process) for process in (share, *self._others)}
        owners = (holder(file) for file in folder.glob(".lock*") if file not in run)
        if owner := next(filter(None, owners), None):
            self.release()
            raise InputError(
                f"{output}: in use by {owner}, whose run has another number of processes. Wait for it, stop it, "
                "or give another place"
            )
        self._clear()

    def _take(self) -> Lock:
        for _ in range(TRIES):
            with contextlib.suppress(InputError):
                return Lock(self._lock_file(self.share), self._output)
            # Another process may only be checking whether the lock is held.
            time.sleep(interrupt.POLL_SECONDS)
        return Lock(self._lock_file(self.share), self._output)

    def _lock_file(self, share: Share) -> Path:
        return self.folder / (".lock" if share == WHOLE else f".lock-{share.index}-of-{share.count}")

    def _done_file(self, share: Share) -> Path:
        return self.folder / f"done-{share.index}-of-{share.count}"

    def _clear(self) -> None:
        """Removes the leftovers of earlier runs, and nothing of this run's other processes."""
        self._done_file(self.share).unlink(missing_ok=True)
        others = tuple(f"{UNFINISHED}{share.index}-of-{share.count}-" for share in self._others)
        for file in self.folder.glob(f"{UNFINISHED}*"):
            if not file.name.startswith(others):
                file.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises InputError where the lock's file was removed or replaced."""
        self._lock.check()

    def release(self) -> None:
        """Removes the lock, and the folder if it is empty."""
        self._lock.release()
        with contextlib.suppress(OSError):  # it holds rows
            self.folder.rmdir()

    def finish(self) -> None:
        """Tells the other processes that this share is done."""
        write_text(self._done_file(self.share), "")

    def wait(self) -> None:
        """Waits until all processes of the run have finished. Raises LostError where one has stopped or never comes."""
        since = time.monotonic()
        heard = dict.fromkeys(self._others, since)
        while heard:
            for share in list(heard):
                file = self._lock_file(share)
                patience = (
                    distributed.LOST_SECONDS if file.exists() or heard[share] > since else distributed.JOIN_SECONDS
                )
                if holder(file):
                    heard[share] = time.monotonic()
                elif self._done_file(share).exists():
                    del heard[share]
                elif time.monotonic() - heard[share] > patience:
                    raise LostError(
                        f"{self._output}: {share} is not at work and has not finished its clips; start it and this "
                        "process again. Finished clips are kept, also for another number of processes"
                    )
            interrupt.check()
            time.sleep(interrupt.POLL_SECONDS if heard else 0)

    def remove(self) -> None:
        """Removes the marks of completion, and the locks that no process holds."""
        for file in self.folder.glob("done-*"):
            file.unlink(missing_ok=True)
        for file in self.folder.glob(".lock*"):
            if file != self._lock_file(self.share) and not holder(file):
                file.unlink(missing_ok=True)

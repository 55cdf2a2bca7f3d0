"""The other processes of a run: whether they are alive, and what they tell one another.

Processes speak through the coordination service that `jax.distributed` starts in process 0. JAX itself ends a process
by an abort when another is lost; since that loses work, every process also writes a pulse, and one whose pulse stays
away is told apart by the others in time to end in good order.
"""

import contextlib
import itertools
import json
import os
import threading
import time
from typing import Any

import jax
from absl import logging

from siamese_jax.errors import LostError
from siamese_jax.runtime import interrupt

LOST_SECONDS = float(os.environ.get("SIAMESE_JAX_LOST_SECONDS", "30"))
"""How long a process may give no sign before the others take it for lost; also how long they may take to end then."""

PULSE_SECONDS = 1.0

LOST = 3
"""Exit code where another process of the run was lost or has failed."""


class Peers:
    """This process's ties to the others of a run of several."""

    def __init__(self, client: Any):
        self.client, self.index, self.count = client, jax.process_index(), jax.process_count()
        self._lock, self._done = threading.Lock(), threading.Event()
        self._rounds, self._beats = itertools.count(), itertools.count()
        self._ended: int | None = None
        self._why = ""
        self.seen = {p: ("", time.monotonic()) for p in range(self.count) if p != self.index}
        self.running = set(self.seen)
        self.gone: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        since = None
        while not self._done.wait(PULSE_SECONDS):
            self.beat()
            since = since or (time.monotonic() if self.gone else None)
            if since and time.monotonic() - since > LOST_SECONDS:
                # The main thread may be where nothing wakes it, such as in a gathering that waits for the lost process.
                os.write(2, f"{self.gone}\n".encode())
                os._exit(LOST)

    def beat(self) -> None:
        """Gives a sign, and looks for those of the others."""
        with self._lock, contextlib.suppress(LostError, interrupt.Stopped):
            mine = json.dumps([next(self._beats), interrupt.signal_number(), self._ended, self._why])
            self.call(self.client.key_value_set, f"pulse/{self.index}", mine, True)
            now = time.monotonic()
            for key, sign in self.call(self.client.key_value_dir_get, "pulse/"):
                process = int(key.rpartition("/")[2])
                if process in self.running and sign != self.seen[process][0]:
                    self.seen[process] = (sign, now)
                    self._heed(process, *json.loads(sign)[1:])
            for process in self.running:
                if now - self.seen[process][1] > LOST_SECONDS:
                    self.lose(f"process {process} of {self.count} was lost: no sign of it for {LOST_SECONDS:g} s")

    def _heed(self, process: int, signum: int, ended: int | None, why: str) -> None:
        if signum:
            interrupt.request(signum)
        if ended is None:
            return
        self.running.discard(process)
        if ended > 128:
            self.gone = self.gone or interrupt.Stopped(ended - 128)
        elif ended:
            self.lose(f"process {process} of {self.count} failed: {why}")

    def lose(self, what: str) -> None:
        """Takes the run for lost, for the reason `what`; the first reason is the one that is told."""
        self.gone = self.gone or LostError(
            f"{what}. This run cannot go on without it; what is finished is kept: the same command, on any number of "
            "processes, goes on from there"
        )

    def call(self, method: Any, *arguments: Any) -> Any:
        """One call of the service, which is in process 0. Raises TimeoutError, or what the run ended by."""
        try:
            return method(*arguments)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" in str(error):
                raise TimeoutError from error
            self.lose(f"process 0 of {self.count} was lost: it cannot be reached any more")
            raise self.gone or error from error

    def get(self, key: str) -> str:
        """What another process says under `key`, waiting for it for as long as that process gives signs."""
        while True:
            with contextlib.suppress(TimeoutError):
                return self.call(self.client.blocking_key_value_get, key, int(1000 * PULSE_SECONDS))
            if self.gone:
                raise self.gone

    def exchange(self, value: str) -> list[str]:
        """What every process gives, in their order; all must come here as often, in the same order."""
        number = next(self._rounds)
        here = f"round/{number}"
        if self.index:
            self.call(self.client.key_value_set, f"{here}/{self.index}", value)
            return json.loads(self.get(f"{here}/all"))
        values = [value, *(self.get(f"{here}/{p}") for p in range(1, self.count))]
        self.call(self.client.key_value_set, f"{here}/all", json.dumps(values))
        # Whoever came to this round has read the one before.
        self.call(self.client.key_value_delete, f"round/{number - 1}/")
        return values

    def end(self, code: int, why: str) -> int:
        """Says how this process ended and waits for the others as long as that is of use; the exit code."""
        self._ended, self._why = code, why
        limit = time.monotonic() + LOST_SECONDS
        self.beat()
        # JAX ends a process by an abort when process 0 goes first: the others go as soon as they have failed.
        while self.running and (not code or (not self.index and time.monotonic() < limit)):
            if isinstance(self.gone, LostError) and (self.index or not self._lives()):
                break
            time.sleep(PULSE_SECONDS / 5)
            self.beat()
        self._done.set()
        self._thread.join()
        if (code or self.gone) and not self.index:
            time.sleep(PULSE_SECONDS)
        if code == 0 and self.gone and self.index:
            logging.error("%s", self.gone)
            return LOST
        return code

    def _lives(self) -> bool:
        """Whether any other process that has not ended gives signs."""
        return any(time.monotonic() - self.seen[process][1] <= LOST_SECONDS for process in self.running)

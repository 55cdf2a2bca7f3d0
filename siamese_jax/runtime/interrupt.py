"""A clean stop: the first SIGTERM or SIGINT asks for one, and long work stops where its results can be kept.

    with interrupt.watch():
        for step in range(steps):
            state = train_step(state)
            interrupt.check()  # raises Stopped once a signal has come; save what is done on the way out

Without `watch` the signals do what they always do, and `check` does nothing.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

POLL_SECONDS = 0.2
"""How long a wait for a thread may take to heed a stop."""

T = TypeVar("T")

_requested: list[int] = []
"""Signals that ask for a stop."""


class Stopped(BaseException):
    """Raised between two pieces of work after a signal; no `Exception`, so that no handler of errors swallows it.

    Fields:
      exit_code: 128 plus the signal's number, as a shell gives it: 143 after SIGTERM, 130 after SIGINT.
    """

    def __init__(self, signum: int):
        name = signal.Signals(signum).name
        super().__init__(f"stopped by {name}; what is finished is kept: the same command goes on from there")
        self.exit_code = 128 + signum


def requested() -> bool:
    """Whether a signal has asked for a stop."""
    return bool(_requested)


def signal_number() -> int:
    """The signal that asks for a stop; 0 where none has."""
    return _requested[0] if _requested else 0


def check() -> None:
    """Raises Stopped if a signal has asked for a stop; cheap, to be called between any two pieces of work."""
    if _requested:
        raise Stopped(_requested[0])


def result(future: Future[T]) -> T:
    """What a thread computes, as `future.result`, but heeding a stop while it waits."""
    while True:
        check()
        if wait([future], POLL_SECONDS).done:
            return future.result()


@contextlib.contextmanager
def threads(count: int) -> Iterator[Executor]:
    """Threads for work that is asked for ahead of need; what has not begun is dropped where the context ends early."""
    executor = ThreadPoolExecutor(count)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """While it lasts, the first SIGTERM or SIGINT asks for a stop and the second ends the process at once.

    The signals are read by a thread of their own: the main one may be inside a compiled call for seconds, where
    Python's handlers have to wait. To be called from the main thread, as `signal.signal`.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    former = {number: signal.signal(number, _heard) for number in SIGNALS}
    former_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(reading,), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_fd)
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(writing)
        thread.join()
        os.close(reading)
        _requested.clear()


def _heard(number: int, frame: object) -> None:
    """Python's own handler: for a signal whose byte went to an event loop that was running meanwhile (orbax's)."""
    if not _requested:
        _requested.append(number)


def _listen(reading: int) -> None:
    """Takes the signals' numbers, a byte each, until the pipe is closed at its other end."""
    received = False
    while byte := os.read(reading, 1):
        if byte[0] not in SIGNALS:
            continue
        name = signal.Signals(byte[0]).name
        if received:
            os.write(2, f"\n{name} again: ending at once\n".encode())
            os._exit(128 + byte[0])
        os.write(2, f"\n{name}: stopping as soon as what is under way can be kept; once more ends at once\n".encode())
        received = True
        _requested.append(byte[0])

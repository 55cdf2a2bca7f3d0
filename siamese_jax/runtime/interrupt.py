"""A clean stop: the first SIGTERM or SIGINT requests it, and long work stops where its results can be kept.

    with interrupt.watch():
        for step in range(steps):
            state = train_step(state)
            interrupt.check()  # raises Stopped after a signal; save the state on the way out

Without `watch` the signals keep their usual effect, and `check` does nothing.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

POLL_SECONDS = 0.2  # longest delay of a stop while a thread is waited for

T = TypeVar("T")

_requested: list[int] = []  # signals that came


class Stopped(BaseException):
    """Raised between two pieces of work after a signal; no `Exception`, so that no handler of errors swallows it.

    Its `exit_code` is 128 plus the signal's number, as a shell's: 143 after SIGTERM, 130 after SIGINT.
    """

    def __init__(self, signum: int):
        name = signal.Signals(signum).name
        super().__init__(f"stopped by {name}; finished results are kept: the same command resumes from them")
        self.exit_code = 128 + signum


def requested() -> bool:
    """Returns whether a signal has requested a stop."""
    return bool(_requested)


def signal_number() -> int:
    """Returns the number of the signal that requests a stop, or 0."""
    return _requested[0] if _requested else 0


def check() -> None:
    """Raises Stopped if a signal has requested a stop; cheap enough for between any two pieces of work."""
    if _requested:
        raise Stopped(_requested[0])


def result(future: Future[T]) -> T:
    """As `future.result`; raises Stopped when a signal comes during the wait."""
    while True:
        check()
        if wait([future], POLL_SECONDS).done:
            return future.result()


@contextlib.contextmanager
def threads(count: int) -> Iterator[Executor]:
    """Threads for work ahead of need; tasks that have not begun are dropped where the context ends by an exception."""
    executor = ThreadPoolExecutor(count)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """In this context the first SIGTERM or SIGINT requests a stop, and the second ends the process at once.

    A thread reads the signals: Python's handlers would wait while the main thread is inside a compiled call. Call it
    from the main thread, as `signal.signal`.
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
    """Python's own handler, for a signal whose byte went to an event loop that was running (orbax's)."""
    if not _requested:
        _requested.append(number)


def _listen(reading: int) -> None:
    """Reads the signals' numbers, a byte each, until the pipe's other end is closed."""
    received = False
    while byte := os.read(reading, 1):
        if byte[0] not in SIGNALS:
            continue
        name = signal.Signals(byte[0]).name
        if received:
            os.write(2, f"\n{name} again: ending at once\n".encode())
            os._exit(128 + byte[0])
        os.write(2, f"\n{name}: stopping once the work in flight is kept; a second signal ends at once\n".encode())
        received = True
        _requested.append(byte[0])

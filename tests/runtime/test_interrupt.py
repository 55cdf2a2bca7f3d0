"""A clean stop by signals, in processes of their own."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from siamese_jax.runtime import interrupt

WORK = """
import signal, sys, time
from siamese_jax.runtime import interrupt
with interrupt.watch():
    print("ready", flush=True)
    try:
        while True:
            {work}
            interrupt.check()
    except interrupt.Stopped as stopped:
        print("kept", stopped, flush=True)
        sys.exit(stopped.exit_code)
"""

# One call that holds the main thread inside compiled code for many seconds.
LONG_CALL = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 100_000_000)"


def start(work):
    process = subprocess.Popen([sys.executable, "-c", WORK.format(work=work)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_stops_between_two_pieces_of_work(number, code):
    process = start("time.sleep(0.01)")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out.startswith(f"kept stopped by {number.name}; finished results are kept: the same command resumes")
    assert f"{number.name}: stopping once the work in flight is kept; a second signal ends at once" in err


def test_the_second_signal_ends_at_once_even_inside_compiled_code():
    process = start(LONG_CALL)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 2
    assert process.returncode == 143
    assert "kept" not in out
    assert "SIGTERM again: ending at once" in err


def test_without_a_signal_nothing_stops_and_the_handlers_come_back():
    before = [signal.getsignal(number) for number in interrupt.SIGNALS]
    with interrupt.watch():
        assert [signal.getsignal(number) for number in interrupt.SIGNALS] != before
        interrupt.check()
        assert not interrupt.requested()
    assert [signal.getsignal(number) for number in interrupt.SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_request_ends_with_its_watch():
    with interrupt.watch():
        signal.raise_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not interrupt.requested() and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(interrupt.Stopped) as stopped:
            interrupt.check()
    assert stopped.value.exit_code == 143
    interrupt.check()


def test_a_wait_for_a_thread_heeds_a_stop():
    begun, go_on, dropped = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        return go_on.wait(10)

    def wait():
        with interrupt.threads(1) as executor:
            futures = [executor.submit(slow), executor.submit(dropped.append, 1)]
            assert begun.wait(10)
            signal.raise_signal(signal.SIGINT)
            interrupt.result(futures[0])

    with interrupt.watch(), pytest.raises(interrupt.Stopped):
        wait()
    go_on.set()
    with interrupt.threads(1) as executor:
        assert interrupt.result(executor.submit(slow)) is True
    assert dropped == []


def test_a_threads_own_error_comes_through():
    def fail():
        raise TimeoutError("mine")

    with interrupt.threads(1) as executor, pytest.raises(TimeoutError, match="mine"):
        interrupt.result(executor.submit(fail))


def test_a_signal_that_an_event_loop_takes_is_heard_all_the_same():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with interrupt.watch():
        ours = signal.set_wakeup_fd(writing)
        signal.raise_signal(signal.SIGTERM)
        signal.set_wakeup_fd(ours)
        assert os.read(reading, 1) == bytes([signal.SIGTERM])
        assert interrupt.requested()
    os.close(reading)
    os.close(writing)
    assert not interrupt.requested()

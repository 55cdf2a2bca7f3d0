"""One run on several processes gives what one process gives, and ends in good order when one of them does not."""

import signal
import socket
import time

import numpy as np
import pytest
from hosts_for_tests import CHUNK, N_TRIALS, start

from siamese_jax import hosts


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ends(processes, seconds=100):
    """(exit code, standard output, standard error) of every process; none is left running."""
    limit = time.monotonic() + seconds
    try:
        found = [process.communicate(timeout=max(1, limit - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, found)]


def arrays(file):
    with np.load(file) as found:
        return [found[name] for name in found]


def summed(ended):
    return [out.splitlines()[-1] for _, out, _ in ended]


def test_any_number_of_processes_and_devices_gives_the_same_trials(tmp_path):
    layouts = [(1, 1), (1, 2), (1, 3), (2, 2)]
    runs = [start("trials", tmp_path / f"{n}x{d}.npz", n, d, port=free_port()) for n, d in layouts]
    for run in runs:
        assert [code for code, *_ in ends(run)] == [0] * len(run)
    one, two, three, both = (arrays(tmp_path / f"{n}x{d}.npz") for n, d in layouts)
    assert len(one[0]) == N_TRIALS
    for a, b in zip(two, both):
        np.testing.assert_array_equal(a, b)
    for other in (one, three):
        for a, b in zip(two, other):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run of one process prints last."""
    (ended,) = ends(start("work", tmp_path_factory.mktemp("whole") / "w", 1, 2))
    assert ended[0] == 0, ended[2]
    return summed([ended])


def interrupted(tmp_path, which, number):
    """Two processes, of which one gets a signal after its first chunks; how both ended, and how long it took."""
    processes = start("work", tmp_path / "w", 2, 2, seconds=1.0, port=free_port())
    for process in processes:
        while (line := process.stdout.readline()) != f"{CHUNK}\n":
            assert line.startswith("[Gloo]"), process.communicate()
    processes[which].send_signal(number)
    sent = time.monotonic()
    return ends(processes), time.monotonic() - sent


def goes_on(tmp_path, n_processes, whole):
    """The same run again, on another number of processes: what was kept is not run again."""
    ended = ends(start("work", tmp_path / "w", n_processes, 2, port=free_port()))
    assert [code for code, *_ in ended] == [0] * n_processes
    assert "trials were finished by an earlier run" in ended[0][2]
    assert summed(ended) == whole * n_processes
    assert not list((tmp_path / "w").rglob("checkpoints"))


def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path, whole):
    ((code, _, err), (killed, _, _)), seconds = interrupted(tmp_path, 1, signal.SIGKILL)
    assert (code, killed) == (hosts.LOST, -signal.SIGKILL)
    assert "process 1 of 2 was lost: no sign of it for 6 s" in err
    assert "the same command, on any number of processes, goes on from there" in err
    assert "Traceback" not in err
    assert seconds < 40
    goes_on(tmp_path, 1, whole)


def test_a_signal_to_one_process_stops_all_and_the_run_goes_on(tmp_path, whole):
    ended, _ = interrupted(tmp_path, 1, signal.SIGTERM)
    assert [code for code, *_ in ended] == [143, 143]
    assert all("the same command goes on from there" in err and "Traceback" not in err for _, _, err in ended)
    goes_on(tmp_path, 2, whole)

"""One run on several processes gives what one process gives, and ends in good order when one of them does not."""

import os
import signal
import socket
import time

import numpy as np
import pytest
from hosts_for_tests import CHUNK, N_TRIALS, start

from siamese_jax import hosts
from siamese_jax.errors import InputError
from siamese_jax.hosts import Share
from siamese_jax.lock import Lock


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ends(processes, seconds=300):
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
    assert "process 1 of 2 was lost: no sign of it for 10 s" in err
    assert "the same command, on any number of processes, goes on from there" in err
    assert "Traceback" not in err
    assert seconds < 60
    goes_on(tmp_path, 1, whole)


def test_a_signal_to_one_process_stops_all_and_the_run_goes_on(tmp_path, whole):
    ended, _ = interrupted(tmp_path, 1, signal.SIGTERM)
    assert [code for code, *_ in ended] == [143, 143]
    assert all("the same command goes on from there" in err and "Traceback" not in err for _, _, err in ended)
    goes_on(tmp_path, 2, whole)


@pytest.mark.long
def test_without_process_0_the_others_end_at_once_and_the_run_goes_on(tmp_path, whole):
    ((killed, _, _), (code, _, err)), seconds = interrupted(tmp_path, 0, signal.SIGKILL)
    assert killed == -signal.SIGKILL
    # JAX's own watch ends the process most often before ours comes to it.
    assert code in (hosts.LOST, -signal.SIGABRT)
    assert "process 0 of 2 was lost" in err or "another task died" in err
    assert seconds < 20
    goes_on(tmp_path, 2, whole)


@pytest.mark.long
def test_what_is_wrong_on_one_process_is_heard_on_all(tmp_path):
    with Lock(tmp_path / "w" / ".lock", "the folder"):
        (code, _, first), (other, _, second) = ends(start("work", tmp_path / "w", 2, 1, port=free_port()))
    assert (code, other) == (2, hosts.LOST)
    assert f"in use by process {os.getpid()}" in first
    assert "process 0 of 2 failed" in second
    assert f"in use by process {os.getpid()}" in second


@pytest.mark.long
def test_processes_that_were_not_started_alike_are_refused(tmp_path):
    ended = ends(start("work", tmp_path / "w", 2, 1, port=free_port(), DIGEST=["a", "b"]))
    assert [code for code, *_ in ended] == [2, 2]
    assert all("digest of the configuration, tables and version" in err for *_, err in ended)
    ended = ends(start("work", tmp_path / "w", 2, 1, port=free_port(), JAX_NUM_CPU_DEVICES=["1", "2"]))
    assert [code for code, *_ in ended] == [2, 2]
    assert all("devices of a process: 2 cpu on process 1, 1 cpu on process 0" in err for *_, err in ended)
    assert not (tmp_path / "w").exists()


def test_a_share_is_found_or_asked_for(monkeypatch):
    assert hosts.share(False, None, None) == Share(0, 1)
    assert hosts.share(False, 3, 2) == Share(2, 3)
    for name, value in slurm(1, 4, 9911).items():
        monkeypatch.setenv(name, value)
    assert hosts.share(True, None, None) == Share(1, 4)


@pytest.mark.parametrize("given", [(None, 1), (2, None), (2, 2)])
def test_a_share_that_does_not_fit_is_refused(given):
    with pytest.raises(InputError, match=r"num_processes \w+, process_id \w+: expected their number and this one's"):
        hosts.share(False, *given)


@pytest.mark.parametrize("given", [("localhost:1", None, 0), ("localhost", 2, 0), ("localhost:1", 2, 2)])
def test_half_an_address_is_refused(given):
    with pytest.raises(InputError, match=r"coordinator localhost.*expected host:port, the same on all processes"):
        hosts.join(*given)
    assert (hosts.count(), hosts.index(), hosts.is_writer()) == (1, 0, True)


def slurm(process, processes, port):
    """What Slurm tells a process of a job step on this machine."""
    return {
        "SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(processes),
        "SLURM_STEP_NUM_TASKS": str(processes), "SLURM_PROCID": str(process), "SLURM_LOCALID": str(process),
        "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip

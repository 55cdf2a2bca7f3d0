"""One run on several processes gives what one process gives, and ends in good order when one of them does not."""

import os
import signal
import time

import numpy as np
import pytest
from hosts_for_tests import CHUNK, N_TRIALS, ends, open_mpi_rank, slurm_step, start

from siamese_jax.runtime import peers
from siamese_jax.runtime.lock import Lock


def summed(ended):
    return [out.splitlines()[-1] for _, out, _ in ended]


def assert_same_trials(tmp_path, kind, layouts, cluster=slurm_step):
    """The same bits on as many devices a process; on any number the same to 1e-8 in float64."""
    runs = [start(kind, tmp_path / f"{n}x{d}", n, d, cluster=cluster) for n, d in layouts]
    for run in runs:
        assert [(code, err) for code, _, err in ends(run) if code] == []
    for bits in (32, 64):
        found = {}
        for n, d in layouts:
            with np.load(tmp_path / f"{n}x{d}_{bits}.npz") as file:
                found[n, d] = {name: file[name] for name in file}
        expected = found[1, 2]
        for (n, d), given in found.items():
            assert list(given) == list(expected)
            for name in expected:
                assert len(given[name]) == N_TRIALS
                if d == 2 or given[name].dtype.kind != "f":
                    np.testing.assert_array_equal(given[name], expected[name], f"{name} on {n} x {d}")
                elif bits == 64:
                    np.testing.assert_allclose(given[name], expected[name], 1e-8, 1e-8, err_msg=f"{name} on {n} x {d}")
                else:
                    np.testing.assert_allclose(given[name], expected[name], 1e-4, 1e-5, err_msg=f"{name} on {n} x {d}")


def test_any_number_of_processes_and_devices_gives_the_same_trials(tmp_path):
    assert_same_trials(tmp_path, "trials", [(1, 1), (1, 2), (1, 3), (2, 2)])


def test_processes_find_one_another_by_open_mpi(tmp_path):
    assert_same_trials(tmp_path, "trials", [(1, 2), (2, 2)], open_mpi_rank)


@pytest.mark.long
def test_any_number_of_processes_and_devices_gives_the_same_fine_tuning(tmp_path):
    assert_same_trials(tmp_path, "fine_tuning", [(1, 1), (1, 2), (1, 3), (2, 2), (3, 1), (2, 3)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run of one process prints last."""
    (ended,) = ends(start("work", tmp_path_factory.mktemp("whole") / "w", 1, 2))
    assert ended[0] == 0, ended[2]
    return summed([ended])


def interrupted(tmp_path, which, number):
    """Two processes, of which one gets a signal after its first chunks; how both ended, and how long it took."""
    processes = start("work", tmp_path / "w", 2, 2, seconds=1.0, cluster=slurm_step)
    for process in processes:
        while (line := process.stdout.readline()) != f"{CHUNK}\n":
            assert line.startswith("[Gloo]"), process.communicate()
    processes[which].send_signal(number)
    sent = time.monotonic()
    return ends(processes), time.monotonic() - sent


def goes_on(tmp_path, n_processes, whole):
    """The same run again, on another number of processes: what was kept is not run again."""
    ended = ends(start("work", tmp_path / "w", n_processes, 2))
    assert [code for code, *_ in ended] == [0] * n_processes
    assert "trials were finished by an earlier run" in ended[0][2]
    assert summed(ended) == whole * n_processes
    assert not list((tmp_path / "w").rglob("checkpoints"))


def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path, whole):
    ((code, _, err), (killed, _, _)), seconds = interrupted(tmp_path, 1, signal.SIGKILL)
    assert (code, killed) == (peers.LOST, -signal.SIGKILL)
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
    assert code in (peers.LOST, -signal.SIGABRT)
    assert "process 0 of 2 was lost" in err or "another task died" in err
    assert seconds < 20
    goes_on(tmp_path, 2, whole)


@pytest.mark.long
def test_what_is_wrong_on_one_process_is_heard_on_all(tmp_path):
    with Lock(tmp_path / "w" / ".lock", "the folder"):
        (code, _, first), (other, _, second) = ends(start("work", tmp_path / "w", 2, 1))
    assert (code, other) == (2, peers.LOST)
    assert f"in use by process {os.getpid()}" in first
    assert "process 0 of 2 failed" in second
    assert f"in use by process {os.getpid()}" in second


@pytest.mark.long
def test_processes_that_were_not_started_alike_are_refused(tmp_path):
    ended = ends(start("work", tmp_path / "w", 2, 1, environment=[{"DIGEST": "a"}, {"DIGEST": "b"}]))
    assert [code for code, *_ in ended] == [2, 2]
    assert all("digest of the configuration, tables and version" in err for *_, err in ended)
    ended = ends(start("work", tmp_path / "w", 2, 1, environment=[{"JAX_NUM_CPU_DEVICES": n} for n in "12"]))
    assert [code for code, *_ in ended] == [2, 2]
    assert all("devices of a process: 2 cpu on process 1, 1 cpu on process 0" in err for *_, err in ended)
    assert not (tmp_path / "w").exists()

"""One run on several processes gives what one process gives, and ends on all of them when it ends on one."""

import os
import signal
import time

import numpy as np
import pytest
from hosts_for_tests import CHUNK, N_TRIALS, ends, open_mpi_rank, slurm_step, start

from siamese_jax.runtime.distributed import LOST
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


@pytest.mark.long
def test_any_number_of_processes_and_devices_gives_the_same_trials(tmp_path):
    assert_same_trials(tmp_path, "trials", [(1, 1), (1, 2), (1, 3), (2, 2)])


@pytest.mark.long
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


def started(tmp_path, **variables):
    """Two processes after their first chunks."""
    processes = start("work", tmp_path / "w", 2, 2, seconds=1.0, cluster=slurm_step, environment=[variables] * 2)
    for process in processes:
        while (line := process.stdout.readline()) != f"{CHUNK}\n":
            assert line.startswith("[Gloo]"), process.communicate()
    return processes


def interrupted(tmp_path, which, number):
    """Two processes, of which one gets a signal after its first chunks; how both ended, and how long it took."""
    processes = started(tmp_path)
    processes[which].send_signal(number)
    sent = time.monotonic()
    return ends(processes), time.monotonic() - sent


def resumes(tmp_path, n_processes, whole, from_checkpoints=True):
    """The same run again, on any number of processes, does not repeat finished trials."""
    ended = ends(start("work", tmp_path / "w", n_processes, 2))
    assert [code for code, *_ in ended] == [0] * n_processes
    assert ("trials were finished by an earlier run" in ended[0][2]) == from_checkpoints
    assert summed(ended) == whole * n_processes
    assert not list((tmp_path / "w").rglob("checkpoints"))


def test_a_killed_process_ends_the_others_and_the_run_resumes(tmp_path, whole):
    ((code, _, err), (killed, _, _)), seconds = interrupted(tmp_path, 1, signal.SIGKILL)
    assert (code, killed) == (LOST, -signal.SIGKILL)
    assert "process 0 of 2: another process was lost" in err
    assert "the same command, on any number of processes, resumes from them" in err
    assert "Traceback" not in err
    assert seconds < 60
    resumes(tmp_path, 1, whole)


@pytest.mark.long
def test_a_signal_to_one_process_stops_all_and_the_run_resumes(tmp_path, whole):
    ended, _ = interrupted(tmp_path, 1, signal.SIGTERM)
    assert [code for code, *_ in ended] == [143, 143]
    assert all("the same command resumes from them" in err and "Traceback" not in err for _, _, err in ended)
    resumes(tmp_path, 2, whole)


@pytest.mark.long
def test_without_process_0_the_others_end_and_the_run_resumes(tmp_path, whole):
    ((killed, _, _), (code, _, err)), seconds = interrupted(tmp_path, 0, signal.SIGKILL)
    assert killed == -signal.SIGKILL
    # JAX aborts the process, unless it is in a collective and comes to its error first.
    assert code in (LOST, -signal.SIGABRT)
    assert "process 1 of 2: another process was lost" in err or "another task died" in err
    assert seconds < 20
    resumes(tmp_path, 2, whole)


@pytest.mark.long
def test_a_process_that_hangs_ends_the_others_within_the_time_out_and_the_run_resumes(tmp_path, whole):
    first, second = started(tmp_path, SIAMESE_JAX_LOST_SECONDS="3")
    second.send_signal(signal.SIGSTOP)
    sent = time.monotonic()
    assert first.wait(60) == -signal.SIGABRT
    assert time.monotonic() - sent < 20
    second.kill()
    assert "stopped sending heartbeats" in ends([first, second])[0][2]
    resumes(tmp_path, 1, whole)


@pytest.mark.long
def test_a_signal_to_process_0_while_the_others_wait_for_it_stops_all(tmp_path, whole):
    processes = start("work", tmp_path / "w", 2, 2, cluster=slurm_step, environment=[{"ALONE_SECONDS": "60"}] * 2)
    while processes[0].stdout.readline() != "alone\n":
        assert processes[0].poll() is None
    processes[0].send_signal(signal.SIGTERM)
    ended = ends(processes, 60)
    assert [code for code, *_ in ended] == [143, 143]
    assert all("stopped by SIGTERM" in err and "Traceback" not in err for *_, err in ended)
    resumes(tmp_path, 2, whole, from_checkpoints=False)


@pytest.mark.parametrize(
    ("code", "others", "message"), [(143, 143, "stopped by SIGTERM"), (2, LOST, "1 of 2 failed: an")]
)
def test_a_process_that_ends_between_its_chunks_ends_all(tmp_path, code, others, message):
    ended = ends(start("work", tmp_path / "w", 2, 2, environment=[{}, {"ENDS_WITH": str(code)}]), 60)
    assert [code for code, *_ in ended] == [others, code]
    assert message in ended[0][2]
    assert all("Traceback" not in err for *_, err in ended)


@pytest.mark.long
def test_an_error_of_one_process_ends_all(tmp_path):
    with Lock(tmp_path / "w" / ".lock", "the folder"):
        (code, _, first), (other, _, second) = ends(start("work", tmp_path / "w", 2, 1))
    assert (code, other) == (2, LOST)
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

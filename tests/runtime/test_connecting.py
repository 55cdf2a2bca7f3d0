"""Processes that do not find one another end with words that say why."""

import re
import signal

import pytest
from hosts_for_tests import ends, slurm_step, start

from siamese_jax.errors import InputError
from siamese_jax.runtime import connecting, distributed, shares


@pytest.mark.parametrize("given", [("localhost:1", None, 0), ("localhost", 2, 0), ("localhost:1", 2, 2)])
def test_half_an_address_is_refused(given):
    with pytest.raises(InputError, match=r"coordinator localhost.*expected host:port, the same on all processes"):
        distributed.join(*given)
    assert (distributed.count(), distributed.index(), distributed.is_writer()) == (1, 0, True)


def test_processes_that_do_not_come_together_say_why(tmp_path):
    """All at once, so that the waits are one."""
    soon, output = {"SIAMESE_JAX_JOIN_SECONDS": "4"}, tmp_path / "none"
    nowhere = {**soon, "SLURM_STEP_NODELIST": "nowhere.invalid"}
    processes = [
        *start("trials", output, 2, 1, cluster=slurm_step, only=[1], environment=[soon] * 2),
        *start("trials", output, 2, 1, cluster=slurm_step, only=[0], environment=[soon] * 2),
        *start("trials", output, 2, 1, cluster=slurm_step, only=[1], environment=[nowhere] * 2),
        *start(
            "trials", output, 2, 1, cluster=slurm_step, only=[0], environment=[soon] * 2, hidden=["SLURM_STEP_NODELIST"]
        ),
    ]
    ended = ends(processes)
    assert [code for code, *_ in ended] == [2] * 4
    alone, first, lost, unfound = (err for *_, err in ended)
    assert "process 1 of 2: process 0 could not be reached at localhost:" in alone
    assert "within 4 s ([Errno 111] Connection refused)" in alone
    assert "process 0 of 2: not all 2 processes came to localhost:" in first
    assert "process 1 of 2: process 0 could not be reached at nowhere.invalid:" in lost
    assert all("Traceback" not in err and "Aborted" not in err for *_, err in ended)
    assert "no cluster was found" in unfound
    assert "SLURM_STEP_NODELIST is not set: start the processes by srun" in unfound


def test_a_wait_for_others_heeds_a_signal(tmp_path):
    (process,) = start("trials", tmp_path / "none", 2, 1, cluster=slurm_step, only=[0])
    while "Connecting to JAX distributed service" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    ((code, _, err),) = ends([process], 20)
    assert code == 143
    assert "stopped by SIGTERM" in err


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ((), "Nothing tells of Slurm, Open MPI, Kubernetes or a TPU pod: start the processes by the cluster's own"),
        (("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"), "SLURM_STEP_NODELIST is not set: .* srun"),
        (connecting.SLURM, "All of Slurm's variables are there"),
    ],
    ids=["none", "job", "step"],
)
def test_a_cluster_that_is_not_found_is_told_by_what_is_there(monkeypatch, variables, told):
    for name, value in slurm_step(0, 2, 61441).items():
        if name in variables:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    assert re.search(told, connecting.cluster_advice())
    if len(variables) < len(connecting.SLURM):
        with pytest.raises(InputError, match=f"no cluster was found that tells this process its part.*{told}"):
            shares.share(True, None, None)

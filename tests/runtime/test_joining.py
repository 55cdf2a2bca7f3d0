"""Processes that cannot join a run, or do not know their number, end with a message that says why."""

import re
import signal
from pathlib import Path

import pytest
from hosts_for_tests import ends, open_mpi_rank, slurm_step, start

from siamese_jax.errors import InputError
from siamese_jax.runtime import distributed
from siamese_jax.runtime.distributed import Share


@pytest.mark.parametrize("given", [("localhost:1", None, 0), ("localhost", 2, 0), ("localhost:1", 2, 2)])
def test_half_an_address_is_refused(given):
    with pytest.raises(InputError, match=r"coordinator localhost.*expected host:port, the same on all processes"):
        distributed.join(*given)
    assert (distributed.count(), distributed.index(), distributed.is_writer()) == (1, 0, True)


def test_an_absent_process_ends_the_others_with_a_message(tmp_path):
    """All at once, so that the waits are one."""
    soon, output = {"SIAMESE_JAX_JOIN_SECONDS": "4"}, tmp_path / "none"
    nowhere = {**soon, "SLURM_STEP_NODELIST": "nowhere.invalid"}

    def begin(*only, n_processes=2, variables=soon, hidden=()):
        environment = [variables] * n_processes
        return start(
            "trials", output, n_processes, 1, cluster=slurm_step, only=only, environment=environment, hidden=hidden
        )

    ended = ends([
        *begin(1), *begin(0), *begin(1, variables=nowhere), *begin(0, hidden=["SLURM_STEP_NODELIST"]),
        *begin(0, 1, n_processes=3),
    ])  # fmt: skip
    assert [code for code, *_ in ended] == [2] * 6
    without_0, without_1, lost, undetected, *without_2 = (err for *_, err in ended)
    assert "process 1 of 2: process 0 could not be reached at localhost:" in without_0
    assert "within 4 s ([Errno 111] Connection refused)" in without_0
    assert "process 0 of 2: not all 2 processes came to localhost:" in without_1
    assert "process 1 of 2: process 0 could not be reached at nowhere.invalid:" in lost
    assert "process 0 of 3: not all 3 processes came to localhost:" in without_2[0]
    assert "process 1 of 3: " in without_2[1]
    assert all("Traceback" not in err and "Aborted" not in err for *_, err in ended)
    assert "no cluster was found" in undetected
    assert "SLURM_STEP_NODELIST is not set: start the processes by srun" in undetected


def listening(pid):
    """The addresses, as the system's table writes them, on which a process listens."""
    sockets = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    tables = (Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    lines = [line.split() for table in tables for line in table]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


def test_a_wait_for_others_heeds_a_signal_and_listens_on_the_coordinator_s_address_alone(tmp_path):
    (process,) = start("trials", tmp_path / "none", 2, 1, cluster=slurm_step, only=[0])
    while "Connecting to JAX distributed service" not in process.stderr.readline():
        assert process.poll() is None
    if Path("/proc/net/tcp").exists():
        assert {address[-8:] for address in listening(process.pid)} == {"0100007F"}  # 127.0.0.1
    process.send_signal(signal.SIGTERM)
    ((code, _, err),) = ends([process], 20)
    assert code == 143
    assert "stopped by SIGTERM" in err


@pytest.mark.parametrize(
    ("variables", "advice"),
    [
        (
            (),
            "Neither Slurm's variables .*SLURM_PROCID.* nor Open MPI's .*_RANK.* are set: start .* by srun or mpirun",
        ),
        (("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"), "SLURM_STEP_NODELIST is not set: .* srun"),
        (distributed.SLURM, "All of Slurm's variables are set"),
    ],
    ids=["none", "job", "step"],
)
def test_an_undetected_cluster_is_described_by_the_variables_that_are_set(monkeypatch, variables, advice):
    for name, value in slurm_step(0, 2, 61441).items():
        if name in variables:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    assert re.search(advice, distributed.cluster_advice())
    if len(variables) < len(distributed.SLURM):
        with pytest.raises(InputError, match=f"no cluster was found that gives this process its number.*{advice}"):
            distributed.share(True, None, None)


def test_a_share_is_given_or_detected(monkeypatch):
    assert distributed.share(False, None, None) == Share(0, 1)
    assert distributed.share(False, 3, 2) == Share(2, 3)
    for cluster in (open_mpi_rank, slurm_step):
        for name, value in cluster(1, 4, 61441).items():
            monkeypatch.setenv(name, value)
        assert distributed.share(True, None, None) == Share(1, 4)


@pytest.mark.parametrize("given", [(None, 1), (2, None), (2, 2)])
def test_a_share_that_does_not_fit_is_refused(given):
    with pytest.raises(
        InputError, match=r"num_processes \w+, process_id \w+: expected the number of processes and the number of"
    ):
        distributed.share(False, *given)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("n1,m2", "n1"), ("n[001-0015],m2", "n001"), ("n[002,007-015],m2", "n002"), ("a-b[7-9]", "a-b7")],
)
def test_the_coordinator_is_the_first_node_of_slurm(monkeypatch, nodes, first):
    for name, value in {**slurm_step(1, 4, 61441), "SLURM_STEP_NODELIST": nodes}.items():
        monkeypatch.setenv(name, value)
    assert distributed._detect(None, None) == (f"{first}:61441", 4, 1)
    monkeypatch.setenv("JAX_COORDINATOR_PORT", "99")
    assert distributed._detect(5, 0) == (f"{first}:99", 5, 0)


@pytest.mark.parametrize(
    ("uri", "host"),
    [("tcp://10.96.0.1,10.148.0.1:34911", "10.96.0.1"), ("tcp6://[fe80::b9b,2620::2]:43370", "fe80::b9b")],
)
def test_the_coordinator_is_the_host_of_mpirun(monkeypatch, uri, host):
    variables = {**open_mpi_rank(1, 4, 61441), "OMPI_MCA_orte_hnp_uri": f"{7 * 2**12}.0;{uri}"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert distributed._detect(None, None) == (f"{host}:61447", 4, 1)


@pytest.mark.parametrize(
    "coordinator", ["localhost:1234", "127.0.0.1:1234", "127.9.9.9:1", "[::1]:1234", "192.0.2.7:80"]
)
def test_process_0_listens_on_the_given_address_alone(coordinator):
    assert distributed.bind_address(coordinator) == coordinator


def test_a_name_that_leads_to_its_own_machine_alone_is_said_to_be_open_to_all(monkeypatch, caplog):
    found = [(0, 0, 0, "", ("127.0.1.1", 1234))]
    monkeypatch.setattr(distributed.socket, "getaddrinfo", lambda *given, **how: found)
    assert distributed.bind_address("node7:1234") is None
    assert (
        "node7 is the address of this machine alone (127.0.1.1), so process 0 listens on all interfaces" in caplog.text
    )


def test_a_name_that_no_one_knows_is_left_to_joining(monkeypatch):
    def fail(*given, **how):
        raise OSError("unknown")

    monkeypatch.setattr(distributed.socket, "getaddrinfo", fail)
    assert distributed.bind_address("nowhere.invalid:1234") == "nowhere.invalid:1234"


def test_a_run_of_two_processes_listens_on_no_other_interface(monkeypatch):
    given = {}
    monkeypatch.setattr(distributed.jax.distributed, "initialize", lambda *a, **how: given.update(how) or stop())

    def stop():
        raise RuntimeError("not joined in this test")

    monkeypatch.setattr(distributed, "_state", "alone")
    with pytest.raises(InputError, match="could not join at localhost:1234"):
        distributed.join("localhost:1234", 2, 0)
    assert given["coordinator_bind_address"] == "localhost:1234"


@pytest.mark.parametrize("variable", ["SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID"])
@pytest.mark.parametrize("text", ["2(x2)", "", "-1", "9" * 5000])
def test_a_cluster_s_variable_that_is_no_number_is_named(monkeypatch, variable, text):
    for name, value in zip(distributed.SLURM, ("7", "localhost", "2", "0", "0"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(variable, text)
    with pytest.raises(InputError, match=f"{variable} is '.*'; expected a number of 0 or more"):
        distributed.share(True, None, None)


def test_a_port_beyond_all_ports_is_left_to_joining():
    assert distributed.bind_address("localhost:99999") == "localhost:99999"
    assert "could not be reached at localhost:99999" in distributed._absent("localhost:99999", 2)

"""One run on several processes through `jax.distributed` and `jax.experimental.multihost_utils`.

Every process runs the same program; process 0 alone reads and writes the work directory, and broadcasts its content.
The others learn of a process that ends at their next collective, of a killed process by the collective's error. Where a
collective hangs, or process 0 is killed, JAX aborts them by its heartbeat.
"""

import concurrent.futures
import dataclasses
import ipaddress
import os
import re
import signal
import socket
import sys
import time
from typing import Literal

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

from siamese_jax.errors import InputError, LostError, first_line
from siamese_jax.runtime import devices, environment, interrupt

JOIN_SECONDS = environment.seconds("SIAMESE_JAX_JOIN_SECONDS", 300)  # time-out for all processes to start
LOST_SECONDS = environment.seconds("SIAMESE_JAX_LOST_SECONDS", 30)  # time-out of a process's heartbeat
LOST = 3  # exit code where another process was lost or has failed
RUNNING = -1  # in place of an exit code, of a process that has not ended
PIECE = 1 << 20  # most bytes that one collective gathers from each process

# Variables of a Slurm step, of which processes outside srun lack some.
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
OPEN_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")

# ended: all processes know that the run ends; lost: collectives fail. Then every collective raises `_end`.
_state: Literal["alone", "joining", "joined", "ended", "lost"] = "alone"
_end: BaseException | None = None


@dataclasses.dataclass(frozen=True)
class Share:
    """One process's part of a partition that needs no communication: every `count`-th item, from `index`."""

    index: int
    count: int

    def of(self, n: int) -> range:
        """Returns the indices of this process's items among `n`."""
        return range(self.index, n, self.count)

    def __str__(self) -> str:
        return f"process {self.index} of {self.count}"


WHOLE = Share(0, 1)


def share(detect: bool, processes: int | None, process: int | None) -> Share:
    """Returns this process's share; `detect` reads numbers that are None from Slurm's or Open MPI's variables.

    Raises InputError where a number is unknown, or they do not fit.
    """
    if detect:
        _, processes, process = _detect(processes, process)
        if processes is None or process is None:
            raise InputError(f"no cluster was found that gives this process its number. {cluster_advice()}")
    elif processes is None and process is None:
        return WHOLE
    if processes is None or process is None or not 0 <= process < processes:
        numbers = f"num_processes {processes}, process_id {process}"
        raise InputError(f"{numbers}: expected the number of processes and the number of this process, from 0")
    return Share(process, processes)


def _detect(processes: int | None, process: int | None) -> tuple[str | None, int | None, int | None]:
    """(coordinator, processes, process) by the rules of JAX, which does not tell them before it has joined."""
    env, host, job, numbers = os.environ, "", 0, ("", "")
    if all(name in env for name in SLURM):
        # "node7,node9" or "node[07-12,15]"
        first, suffix = re.match(r"([^,[]*)(?:\[([^,\-\]]*))?", env["SLURM_STEP_NODELIST"]).groups("")  # type: ignore
        host, job, numbers = first + suffix, _number("SLURM_JOB_ID"), ("SLURM_NTASKS", "SLURM_PROCID")
    elif all(name in env for name in OPEN_MPI):
        # "JOB.0;tcp://10.96.0.1,10.148.0.1:34911" or "JOB.0;tcp6://[fe80::1,2620::2]:43370"
        uri = re.match(r"(\d+)\..*?tcp6?://\[?((?<=\[)[^,\]]+|[^,:\[]+)", env.get("OMPI_MCA_orte_hnp_uri", ""))
        host, job = (uri[2], int(uri[1]) >> 12) if uri else ("", 0)
        numbers = OPEN_MPI
    address = host and f"{host}:{env.get('JAX_COORDINATOR_PORT') or job % 2**12 + 61440}"
    if numbers[0]:
        processes = _number(numbers[0]) if processes is None else processes
        process = _number(numbers[1]) if process is None else process
    return env.get("JAX_COORDINATOR_ADDRESS") or address or None, processes, process


def _number(variable: str) -> int:
    text = os.environ[variable]
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise InputError(f"{variable} is {text[:40]!r}; expected a number of 0 or more, as the cluster sets it")
    return int(text)


def cluster_advice() -> str:
    """Returns how to start the processes where no cluster is found."""
    missing = [name for name in SLURM if name not in os.environ]
    if not missing:
        return "All of Slurm's variables are set: check that srun sets them for each process"
    if len(missing) < len(SLURM):
        return f"This is a Slurm job, but {', '.join(missing)} is not set: start the processes by srun, which sets it"
    return (
        f"Neither Slurm's variables ({', '.join(SLURM)}) nor Open MPI's ({', '.join(OPEN_MPI)}) are set: start the "
        "processes by srun or mpirun, or give each process --coordinator, --num_processes and --process_id"
    )


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Makes this process (number `process` of `processes`, from 0) part of a run; call it before any computation.

    `coordinator` is "host:port" of process 0, with a free port there; None detects all three (Slurm, Open MPI and, by
    JAX, Kubernetes and TPU pods). Raises InputError where the arguments do not fit, no cluster is found, a process is
    absent, or devices differ; interrupt.Stopped where a signal comes before all have joined.
    """
    global _state
    method = None if coordinator is None else "deactivate"
    if coordinator is None:
        coordinator, processes, process = _detect(processes, process)
    elif processes is None or process is None or not 0 <= process < processes or ":" not in coordinator:
        raise InputError(
            f"coordinator {coordinator}, num_processes {processes}, process_id {process}: expected host:port, the same "
            "on all processes, their number, and the number of this process from 0; give all three, or "
            "--distributed=auto"
        )
    _state = "joining"
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from `interrupt`
    # JAX aborts the process at initialization_timeout, and hears no signal before: this thread waits in its place.
    # JAX's own default listens on all interfaces.
    bound = bind_address(coordinator) if coordinator is not None and process == 0 else None
    joining = concurrent.futures.ThreadPoolExecutor(1).submit(
        jax.distributed.initialize, coordinator, processes, process, cluster_detection_method=method,
        coordinator_bind_address=bound,
        initialization_timeout=int(JOIN_SECONDS) + 3600, heartbeat_timeout_seconds=max(1, int(LOST_SECONDS)),
    )  # fmt: skip
    limit = time.monotonic() + JOIN_SECONDS
    while not concurrent.futures.wait([joining], interrupt.POLL_SECONDS).done:
        interrupt.check()
        if time.monotonic() > limit:
            raise InputError(f"process {process} of {processes}: {_absent(coordinator, processes)}")
    if error := joining.exception():
        if coordinator is None and isinstance(error, ValueError):
            raise InputError(f"no cluster was found ({first_line(error)}). {cluster_advice()}") from error
        raise InputError(
            f"process {process} of {processes}: could not join at {coordinator} ({first_line(error)}). Start all with "
            "the same coordinator, an address of process 0's machine whose port is free, the same num_processes, and "
            "each with its own process_id"
        ) from error
    _state = "joined"
    # The first collective connects the processes, and gloo waits at most 30 s for that: it must not come later.
    devices.require_platforms()
    own = jax.local_devices()
    require_same("devices of a process", f"{len(own)} {own[0].device_kind}")
    logging.info("process %d of %d, each with %d devices", index(), count(), len(own))


def bind_address(coordinator: str) -> str | None:
    """Returns the address, "host:port", on which process 0 listens: the coordinator's own; None for all interfaces.

    None, with a warning, only where the host's name leads to this machine alone: the other processes use its network
    address, which is not known here.
    """
    host, _, port = coordinator.rpartition(":")
    name = host.strip("[]")
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)}
        loopback = all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)
    except (OSError, ValueError, OverflowError):
        return coordinator  # joining says what is wrong with it
    if loopback and name != "localhost" and not name.startswith("127.") and name != "::1":
        logging.warning(
            "%s is the address of this machine alone (%s), so process 0 listens on all interfaces; give its network "
            "address as --coordinator to listen there only", name, ", ".join(sorted(addresses)),
        )  # fmt: skip
        return None
    return coordinator


def _absent(coordinator: str | None, processes: int | None) -> str:
    """Which process is missing: process 0 where its port refuses a connection, else another."""
    host, _, port = str(coordinator).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 2.0).close()
    except (OSError, ValueError, OverflowError) as error:
        return (
            f"process 0 could not be reached at {coordinator} within {JOIN_SECONDS:g} s ({error}). Check that it was "
            "started, that this address leads to it from here, and that nothing blocks the port"
        )
    return (
        f"not all {processes} processes came to {coordinator} within {JOIN_SECONDS:g} s. Start all of them, with the "
        "same coordinator and num_processes, each with its own process_id; the log of a missing process says why"
    )


def leave(code: int, why: str = "") -> None:
    """Ends this process's part with exit code `code` for the reason `why`; where a run fails, ends the process."""
    global _state, _end
    if _state == "alone":
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler would wait for the collective
    try:
        if _state == "joined":
            _exchange(why.encode(), code)
    except LostError as error:
        logging.error("%s", error)
        code = code or LOST
    except interrupt.Stopped as stopped:
        code = code or stopped.exit_code
    if _state in ("joined", "ended"):
        jax.distributed.shutdown()
    _state, _end = "alone", None
    if code:
        # A usual exit would wait for a process that is lost or never came.
        sys.stdout.flush()
        sys.stderr.flush()
        logging.flush()
        os._exit(code)


def count() -> int:
    """Returns the number of processes."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
    """Returns this process's number, from 0."""
    return jax.process_index() if jax.distributed.is_initialized() else 0


def is_writer() -> bool:
    """Returns whether this process reads and writes the work directory."""
    return index() == 0


def _gather(data: bytes, size: int) -> np.ndarray:
    """[P, size] uint8 of all processes, through one device of each; `data` is padded."""
    global _state, _end
    first = {device.process_index: device for device in sorted(jax.devices(), key=lambda device: -device.id)}
    mesh = Mesh(np.array([first[process] for process in range(count())]), ("process",))
    width = min(PIECE, 1 << (max(size, 1) - 1).bit_length())  # few shapes, so few programs
    pieces = [np.zeros((count(), 0), np.uint8)]
    try:
        for start in range(0, size, width):
            piece = np.frombuffer(data[start : start + width].ljust(width, b"\0"), np.uint8)
            rows = multihost_utils.host_local_array_to_global_array(piece[None], mesh, PartitionSpec("process"))
            pieces.append(np.asarray(multihost_utils.process_allgather(rows, tiled=True)))
    except (RuntimeError, ValueError) as error:  # JAX raises either
        _state, _end = "lost", _lost(f"another process was lost ({first_line(error)})")
        raise _end from error
    return np.concatenate(pieces, axis=1)[:, :size]


def _lost(reason: str) -> LostError:
    return LostError(
        f"process {index()} of {count()}: {reason}. This run cannot continue without it. Finished results are kept, "
        "and the same command, on any number of processes, resumes from them"
    )


def _exchange(data: bytes, code: int = RUNNING) -> list[bytes]:
    """The data of all processes, in their order; of one that ends, with exit code `code`, its reason. Collective.

    Raises LostError or interrupt.Stopped where another process ends with an error and this one does not.
    """
    global _state, _end
    if count() == 1:
        return [data]
    if _end is not None:
        raise _end
    header = np.array([code, len(data)], np.int64).tobytes()
    codes, sizes = np.ascontiguousarray(_gather(header, len(header))).view(np.int64).T.tolist()
    texts = [row[:size].tobytes() for row, size in zip(_gather(data, max(sizes)), sizes)]
    if max(codes) > 0:
        process, other = next((process, other) for process, other in enumerate(codes) if other > 0)
        failure = _lost(f"process {process} of {count()} failed: {texts[process].decode()}")
        _state, _end = "ended", interrupt.Stopped(other - 128) if other > 128 else failure
        if code <= 0:
            raise _end
    return texts


def check() -> None:
    """Raises interrupt.Stopped on all processes once a signal came to one. Collective: every process must call this."""
    signals = [int(number) for number in _exchange(str(interrupt.signal_number()).encode()) if int(number)]
    if signals:
        raise interrupt.Stopped(signals[0])


def require_same(name: str, value: str) -> None:
    """Raises InputError where `value` differs between processes. Collective: every process must call this."""
    values = [data.decode() for data in _exchange(value.encode())]
    for process, other in enumerate(values):
        if other != values[0]:
            differing = f"{other} on process {process}, {values[0]} on process 0"
            raise InputError(f"{name}: {differing}; start all processes with the same command, versions and devices")


def gather(part_K: np.ndarray) -> np.ndarray:
    """Returns the bytes [K] uint8 of all processes as [P, K]. Collective: every process must call this, with one K."""
    return np.stack([np.frombuffer(data, np.uint8) for data in _exchange(part_K.tobytes())])


def broadcast(data: bytes) -> bytes:
    """Returns process 0's `data`. Collective: every process must call this."""
    return _exchange(data if is_writer() else b"")[0]

"""How the processes of a run find one another: through `jax.distributed`, with errors that say what to do.

JAX ends a process by an abort where it cannot reach the first one, or waits for one that never comes. Its call is
therefore made in a thread, whose end is waited for here, where a stop is heeded too.
"""

import os
import socket
import threading
import time
from concurrent.futures import Future, wait
from typing import Any

import jax

from siamese_jax.errors import InputError
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.peers import LOST_SECONDS

JOIN_SECONDS = int(os.environ.get("SIAMESE_JAX_JOIN_SECONDS", "300"))
"""How long to wait for all processes to start."""

PROBE_SECONDS = 2.0
"""How long to try once more to reach process 0, to say what went wrong."""

SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
"""What JAX wants of Slurm's variables; only steps of a job have all of them."""

_begun: list[Future[None]] = []


def connect(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """`jax.distributed.initialize`; the arguments are those of `hosts.join`.

    Raises:
      InputError: as `hosts.join`, but for differing devices.
      interrupt.Stopped: a signal came while the others were waited for.
    """
    given = (coordinator, processes, process)
    if coordinator is not None and (None in given or not 0 <= process < processes or ":" not in coordinator):  # type: ignore[operator]
        raise InputError(
            f"coordinator {coordinator}, num_processes {processes}, process_id {process}: expected host:port, the same "
            "on all processes, their number, and this one's number from 0; give all three, or leave all to be found"
        )
    # It would take SIGTERM from `interrupt`.
    jax.config.update("jax_enable_preemption_service", False)
    begun: Future[None] = Future()
    _begun.append(begun)
    threading.Thread(target=_initialize, args=(begun, *given), name="connect", daemon=True).start()
    limit = time.monotonic() + JOIN_SECONDS
    while not wait([begun], interrupt.POLL_SECONDS).done:
        interrupt.check()
        if time.monotonic() > limit:
            raise InputError(_not_together())
    error = begun.exception()
    if isinstance(error, ValueError) and coordinator is None:
        raise InputError(f"no cluster was found ({_first_line(error)}). {cluster_advice()}") from error
    if error is not None:
        raise InputError(
            f"no run of several processes came about ({_first_line(error)}). Start all of them with the same "
            "coordinator, whose port must be free, and the same number, each with its own process_id"
        ) from error


def is_unfinished() -> bool:
    """Whether a thread still waits for other processes, so that JAX could not end this one in good order."""
    return any(not begun.done() for begun in _begun)


def cluster_advice() -> str:
    """What to do where JAX finds no cluster, or not all that it wants of one."""
    missing = [name for name in SLURM if name not in os.environ]
    if not missing:
        return "All of Slurm's variables are there: see that they are what srun sets for each process"
    if len(missing) < len(SLURM):
        return (
            f"This is a Slurm job, but {', '.join(missing)} is not set: start the processes by srun, which sets it for "
            "each of them"
        )
    return (
        "Nothing tells of Slurm, Open MPI, Kubernetes or a TPU pod: start the processes by the cluster's own launcher "
        "(srun, mpirun), or give each of them coordinator, num_processes and process_id"
    )


def _initialize(begun: "Future[None]", coordinator: str | None, processes: int | None, process: int | None) -> None:
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            cluster_detection_method=None if coordinator is None else "deactivate",
            # After that JAX aborts.
            initialization_timeout=JOIN_SECONDS + 3600,
            # JAX's own watch is for what ours does not see.
            heartbeat_timeout_seconds=int(3 * LOST_SECONDS) + 10,
        )
    except Exception as error:  # it is for the thread that waits
        begun.set_exception(error)
    else:
        begun.set_result(None)


def _not_together() -> str:
    """What is wrong where the processes have not come together in time."""
    from jax._src import distributed  # what a cluster's variables gave is nowhere else

    state: Any = distributed.global_state
    address = state.coordinator_address
    who = f"process {state.process_id} of {state.num_processes}"
    host, _, port = str(address).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
    except (OSError, ValueError) as error:
        return (
            f"{who}: process 0 could not be reached at {address} within {JOIN_SECONDS} s ({error}). Check that it was "
            "started, that this address is its own as seen from here, and that nothing blocks the port"
        )
    return (
        f"{who}: not all {state.num_processes} processes came to {address} within {JOIN_SECONDS} s. Start all of them, "
        "with the same coordinator and number, each with its own process_id; the log of one that is missing says why"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

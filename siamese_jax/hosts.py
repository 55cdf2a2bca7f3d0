"""One run on several processes, on one host or many: who does what, and what happens when one of them is lost.

Every process runs the same program. Trials are shared out (`trials.TrialProgram`), process 0 alone reads and writes
the work directory, and what it finds there, or decides, the others are told. A run of one process needs none of this:
there `count` is 1 and every function here returns at once.

Processes speak through the coordination service that `jax.distributed` starts in process 0. JAX itself ends a process
by an abort when another is lost; since that loses work, every process also writes a pulse, and one whose pulse stays
away is told apart by the others in time to end in good order.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import sys
import threading
import time
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from siamese_jax import interrupt
from siamese_jax.errors import InputError, LostError

LOST_SECONDS = float(os.environ.get("SIAMESE_JAX_LOST_SECONDS", "30"))
"""How long a process may give no sign before the others take it for lost; also how long they may take to end then."""

PULSE_SECONDS = 1.0
JOIN_SECONDS = int(os.environ.get("SIAMESE_JAX_JOIN_SECONDS", "300"))
"""How long to wait for all processes to start."""

LOST = 3
"""Exit code where another process of the run was lost or has failed."""

PIECE = 4 << 20
"""Bytes that process 0 sends at a time: one shape, so one program."""


@dataclasses.dataclass(frozen=True)
class Share:
    """One process's share of work that is known beforehand and needs no exchange: every `count`-th piece."""

    index: int
    count: int

    def of(self, n: int) -> range:
        """Which of `n` pieces are this process's."""
        return range(self.index, n, self.count)

    def __str__(self) -> str:
        return f"process {self.index} of {self.count}"


WHOLE = Share(0, 1)


def share(detect: bool, processes: int | None, process: int | None) -> Share:
    """The share of this process, which need not reach the others.

    Args:
      detect: have JAX find what is None (Slurm, Open MPI, Kubernetes, TPU pods).
      processes: how many there are.
      process: which this is, from 0.

    Raises InputError where the numbers are not both there, or do not fit.
    """
    if detect:
        # What `jax.distributed.initialize` asks, without the connection that it makes then.
        from jax._src.clusters import ClusterEnv

        _, processes, process, _ = ClusterEnv.auto_detect_unset_distributed_params(
            "unused:0", processes, process, None, None, JOIN_SECONDS
        )
    elif processes is None and process is None:
        return WHOLE
    if processes is None or process is None or not 0 <= process < processes:
        raise InputError(
            f"num_processes {processes}, process_id {process}: expected their number and this one's, from 0; on a "
            "cluster that JAX knows, start them by its launcher"
        )
    return Share(process, processes)


class _Run:
    """This process's part in a run of several."""

    def __init__(self, client: Any):
        self.client, self.index, self.count = client, jax.process_index(), jax.process_count()
        self._lock, self._done = threading.Lock(), threading.Event()
        self._rounds, self._beats = itertools.count(), itertools.count()
        self._ended: int | None = None
        self._why = ""
        self.seen = {p: ("", time.monotonic()) for p in range(self.count) if p != self.index}
        self.running = set(self.seen)
        self.gone: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        since = None
        while not self._done.wait(PULSE_SECONDS):
            self.beat()
            since = since or (time.monotonic() if self.gone else None)
            if since and time.monotonic() - since > LOST_SECONDS:
                # The main thread may be where nothing wakes it, such as in a gathering that waits for the lost process.
                os.write(2, f"{self.gone}\n".encode())
                os._exit(LOST)

    def beat(self) -> None:
        """Gives a sign, and looks for those of the others."""
        with self._lock, contextlib.suppress(LostError, interrupt.Stopped):
            mine = json.dumps([next(self._beats), interrupt.signal_number(), self._ended, self._why])
            self.call(self.client.key_value_set, f"pulse/{self.index}", mine, True)
            now = time.monotonic()
            for key, sign in self.call(self.client.key_value_dir_get, "pulse/"):
                process = int(key.rpartition("/")[2])
                if process in self.running and sign != self.seen[process][0]:
                    self.seen[process] = (sign, now)
                    self._heed(process, *json.loads(sign)[1:])
            for process in self.running:
                if now - self.seen[process][1] > LOST_SECONDS:
                    self._lose(f"process {process} of {self.count} was lost: no sign of it for {LOST_SECONDS:g} s")

    def _heed(self, process: int, signum: int, ended: int | None, why: str) -> None:
        if signum:
            interrupt.request(signum)
        if ended is None:
            return
        self.running.discard(process)
        if ended > 128:
            self.gone = self.gone or interrupt.Stopped(ended - 128)
        elif ended:
            self._lose(f"process {process} of {self.count} failed: {why}")

    def _lose(self, what: str) -> None:
        self.gone = self.gone or LostError(
            f"{what}. This run cannot go on without it; what is finished is kept: the same command, on any number of "
            "processes, goes on from there"
        )

    def call(self, method: Any, *arguments: Any) -> Any:
        """One call of the service, which is in process 0. Raises TimeoutError, or what the run ended by."""
        try:
            return method(*arguments)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" in str(error):
                raise TimeoutError from error
            self._lose(f"process 0 of {self.count} was lost: it cannot be reached any more")
            raise self.gone or error from error

    def get(self, key: str) -> str:
        """What another process says under `key`, waiting for it for as long as that process gives signs."""
        while True:
            with contextlib.suppress(TimeoutError):
                return self.call(self.client.blocking_key_value_get, key, int(1000 * PULSE_SECONDS))
            if self.gone:
                raise self.gone

    def exchange(self, value: str) -> list[str]:
        """What every process gives, in their order; all must come here as often, in the same order."""
        number = next(self._rounds)
        here = f"round/{number}"
        if self.index:
            self.call(self.client.key_value_set, f"{here}/{self.index}", value)
            return json.loads(self.get(f"{here}/all"))
        values = [value, *(self.get(f"{here}/{p}") for p in range(1, self.count))]
        self.call(self.client.key_value_set, f"{here}/all", json.dumps(values))
        # Whoever came to this round has read the one before.
        self.call(self.client.key_value_delete, f"round/{number - 1}/")
        return values

    def end(self, code: int, why: str) -> int:
        """Says how this process ended and waits for the others as long as that is of use; the exit code."""
        self._ended, self._why = code, why
        limit = time.monotonic() + LOST_SECONDS
        self.beat()
        # JAX ends a process by an abort when process 0 goes first: the others go as soon as they have failed.
        while self.running and (not code or (not self.index and time.monotonic() < limit)):
            if isinstance(self.gone, LostError) and (self.index or not self._lives()):
                break
            time.sleep(PULSE_SECONDS / 5)
            self.beat()
        self._done.set()
        self._thread.join()
        if (code or self.gone) and not self.index:
            time.sleep(PULSE_SECONDS)
        if code == 0 and self.gone and self.index:
            logging.error("%s", self.gone)
            return LOST
        return code

    def _lives(self) -> bool:
        """Whether any other process that has not ended gives signs."""
        return any(time.monotonic() - self.seen[process][1] <= LOST_SECONDS for process in self.running)


_run: _Run | None = None


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Makes this process one of a run of several; before the first computation.

    Args:
      coordinator: "host:port" where process 0 is to be reached, the port being a free one there; None to have the
        three found by JAX (Slurm, Open MPI, Kubernetes, TPU pods).
      processes: how many there are.
      process: which this is, from 0.

    Raises InputError where these do not fit, no cluster is found, not all processes come, or their devices differ.
    """
    global _run
    connect(coordinator, processes, process)
    from jax._src import distributed  # the service's key-value store has no other door

    if jax.process_count() == 1:
        return
    _run = _Run(distributed.global_state.client)
    devices = jax.local_devices()
    same("devices of a process", f"{len(devices)} {devices[0].device_kind}")
    logging.info("process %d of %d, each with %d devices", index(), count(), len(devices))


def connect(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Only what `join` begins with: `jax.distributed.initialize`, with errors that say what to do."""
    given = (coordinator, processes, process)
    if coordinator is not None and (None in given or not 0 <= process < processes or ":" not in coordinator):  # type: ignore[operator]
        raise InputError(
            f"coordinator {coordinator}, num_processes {processes}, process_id {process}: expected host:port, the same "
            "on all processes, their number, and this one's number from 0; give all three, or leave all to be found"
        )
    # It would take SIGTERM from `interrupt`.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            cluster_detection_method=None if coordinator is None else "deactivate",
            initialization_timeout=JOIN_SECONDS,
            # JAX's own watch is for what ours does not see.
            heartbeat_timeout_seconds=int(3 * LOST_SECONDS) + 10,
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"no run of several processes came about ({str(error).splitlines()[0]}). Start all of them with the same "
            "coordinator and number, each with its own process_id; on a cluster, start them by its launcher"
        ) from error


def leave(code: int, why: str = "") -> None:
    """Ends this process's part, after its last words: the others learn `code`, its exit code, and `why`.

    Where not all went well this does not return: it ends the process with its exit code.
    """
    global _run
    if _run is None:
        return
    run, _run = _run, None
    code = run.end(code, why)
    if code or run.gone or run.running:
        # JAX would wait for all to end well.
        sys.stdout.flush()
        sys.stderr.flush()
        logging.flush()
        os._exit(code)
    jax.distributed.shutdown()


def count() -> int:
    """How many processes the run has."""
    return 1 if _run is None else _run.count


def index() -> int:
    """Which of them this is, from 0."""
    return 0 if _run is None else _run.index


def is_writer() -> bool:
    """Whether this is the process that reads and writes the work directory."""
    return index() == 0


def check() -> None:
    """As `interrupt.check`, and all processes stop at the same call of it; all must come here."""
    if _run is None:
        interrupt.check()
        return
    asked = [int(number) for number in _run.exchange(str(interrupt.signal_number())) if int(number)]
    if asked:
        raise interrupt.Stopped(asked[0])


def agree(value: str) -> str:
    """The value that process 0 gives, on every process; all must come here."""
    return value if _run is None else _run.exchange(value if is_writer() else "")[0]


def same(what: str, value: str) -> None:
    """Raises InputError on every process where they do not all give the same value; all must come here."""
    values = [value] if _run is None else _run.exchange(value)
    if len(set(values)) > 1:
        other = next(p for p, given in enumerate(values) if given != values[0])
        raise InputError(
            f"{what}: {values[other]} on process {other}, {values[0]} on process 0; start all processes alike"
        )


def gather(part_K: np.ndarray) -> np.ndarray:
    """The bytes [K] uint8 of every process, [count, K] in their order; all must come here, with the same K."""
    if _run is None:
        return part_K[None]
    # Who is late is waited for here, where a stop and a loss are heeded.
    _run.exchange("")
    try:
        return _all_gather(part_K, _run.count)
    except jax.errors.JaxRuntimeError as error:
        _run._lose(f"a process was lost while results were gathered ({str(error).splitlines()[0]})")
        raise _run.gone or error from error


def _all_gather(part_K: np.ndarray, n_processes: int) -> np.ndarray:
    """Each local device gathers a column of its own, so that a process holds the whole once."""
    local = sorted(jax.local_devices(), key=lambda device: device.id)
    every = np.array(sorted(jax.devices(), key=lambda d: (d.process_index, d.id))).reshape(n_processes, len(local))
    mesh = Mesh(every, ("process", "local"), axis_types=(AxisType.Auto,) * 2)
    width = -(-part_K.size // len(local))
    padded = np.zeros((1, width * len(local)), np.uint8)
    padded[0, : part_K.size] = part_K
    columns = [jax.device_put(padded[:, i * width : (i + 1) * width], device) for i, device in enumerate(local)]
    spread = jax.make_array_from_single_device_arrays(
        (n_processes, padded.shape[1]), NamedSharding(mesh, PartitionSpec("process", "local")), columns
    )
    gathered = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, PartitionSpec(None, "local")))(spread)
    found = sorted(gathered.addressable_shards, key=lambda shard: shard.device.id)
    return np.concatenate([np.asarray(shard.data) for shard in found], axis=1)[:, : part_K.size]


def broadcast(data: bytes) -> bytes:
    """What process 0 gives, on every process; all must come here."""
    if _run is None:
        return data
    size = int(agree(str(len(data))))
    pieces = []
    for start in range(0, size, PIECE):
        piece = np.zeros(PIECE, np.uint8)
        if is_writer():
            given = np.frombuffer(data[start : start + PIECE], np.uint8)
            piece[: len(given)] = given
        pieces.append(gather(piece)[0, : size - start])
    return b"".join(piece.tobytes() for piece in pieces)

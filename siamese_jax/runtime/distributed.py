"""One run on several processes, on one host or many: who does what, and what happens when one of them is lost.

Every process runs the same program. Trials are shared out (`trials.TrialProgram`), process 0 alone reads and writes
the work directory, and what it finds there, or decides, the others are told. A run of one process needs none of this:
there `count` is 1 and every function here returns at once.

How processes find one another is in `connecting`, how they keep watch over one another in `peers`.
"""

import os
import sys

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from siamese_jax.errors import InputError
from siamese_jax.runtime import connecting, interrupt
from siamese_jax.runtime.peers import Peers

PIECE = 4 << 20
"""Bytes that process 0 sends at a time: one shape, so one program."""

_peers: Peers | None = None


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Makes this process one of a run of several; before the first computation.

    Args:
      coordinator: "host:port" where process 0 is to be reached, the port being a free one there; None to have the
        three found by JAX (Slurm, Open MPI, Kubernetes, TPU pods).
      processes: how many there are.
      process: which this is, from 0.

    Raises:
      InputError: these do not fit, no cluster is found, not all processes come, or their devices differ.
      interrupt.Stopped: a signal came while the others were waited for.
    """
    global _peers
    connecting.connect(coordinator, processes, process)
    from jax._src import distributed  # the service's key-value store has no other door

    if jax.process_count() == 1:
        return
    _peers = Peers(distributed.global_state.client)
    devices = jax.local_devices()
    same("devices of a process", f"{len(devices)} {devices[0].device_kind}")
    logging.info("process %d of %d, each with %d devices", index(), count(), len(devices))


def leave(code: int, why: str = "") -> None:
    """Ends this process's part, after its last words: the others learn `code`, its exit code, and `why`.

    Where not all went well this does not return: it ends the process with its exit code.
    """
    global _peers
    if _peers is None:
        if connecting.is_unfinished():
            _end(code)
        return
    peers, _peers = _peers, None
    code = peers.end(code, why)
    if code or peers.gone or peers.running:
        _end(code)
    jax.distributed.shutdown()


def _end(code: int) -> None:
    """Ends the process at once: on the usual way out JAX would wait for all to end well."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.flush()
    os._exit(code)


def count() -> int:
    """How many processes the run has."""
    return 1 if _peers is None else _peers.count


def index() -> int:
    """Which of them this is, from 0."""
    return 0 if _peers is None else _peers.index


def is_writer() -> bool:
    """Whether this is the process that reads and writes the work directory."""
    return index() == 0


def check() -> None:
    """As `interrupt.check`, and all processes stop at the same call of it; all must come here."""
    if _peers is None:
        interrupt.check()
        return
    asked = [int(number) for number in _peers.exchange(str(interrupt.signal_number())) if int(number)]
    if asked:
        raise interrupt.Stopped(asked[0])


def agree(value: str) -> str:
    """The value that process 0 gives, on every process; all must come here."""
    return value if _peers is None else _peers.exchange(value if is_writer() else "")[0]


def same(what: str, value: str) -> None:
    """Raises InputError on every process where they do not all give the same value; all must come here."""
    values = [value] if _peers is None else _peers.exchange(value)
    if len(set(values)) > 1:
        other = next(p for p, given in enumerate(values) if given != values[0])
        raise InputError(
            f"{what}: {values[other]} on process {other}, {values[0]} on process 0; start all processes alike"
        )


def gather(part_K: np.ndarray) -> np.ndarray:
    """The bytes [K] uint8 of every process, [count, K] in their order; all must come here, with the same K."""
    if _peers is None:
        return part_K[None]
    # Who is late is waited for here, where a stop and a loss are heeded.
    _peers.exchange("")
    try:
        return _all_gather(part_K, _peers.count)
    except jax.errors.JaxRuntimeError as error:
        _peers.lose(f"a process was lost while results were gathered ({str(error).splitlines()[0]})")
        raise _peers.gone or error from error


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
    if _peers is None:
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

"""Many trials at once: vmap, jit, chunks and devices are here alone."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.errors import InputError
from siamese_jax.runtime import distributed, interrupt, partial_results, xla

TRIAL_AXIS = "trial"
ACCELERATOR_SHARE = 0.3  # of an accelerator's memory, for the trials of one call

CPU_FLOATS = 5e6
"""Floats of the trials of one call on one CPU core: 13 to 25 trials, whose training stays in the cache.

Three times as many are a tenth slower, a third as many lose as much to starting operations (measured)."""


def chunk_size(n_trials: int, floats_per_trial: float) -> int:
    """Returns the trials of one compiled call over all local devices: as many as fit, in nearly equal chunks."""
    devices = jax.local_devices()
    budget = CPU_FLOATS
    if devices[0].platform != "cpu":
        budget = ACCELERATOR_SHARE * devices[0].memory_stats()["bytes_limit"] / 4
    most = max(1, int(budget // floats_per_trial)) * len(devices)
    n_chunks = -(-n_trials // most)
    return -(-n_trials // n_chunks)


class Kept(Protocol):
    """Storage of one call's finished trials, from which a stopped run resumes."""

    def restore(self, results: Any) -> np.ndarray:
        """Fills in the results [G, ...] of stored trials, in place; returns which they are, [G] bool."""

    def add(self, rows: np.ndarray, results: Any) -> None:
        """Stores the results [K, ...] of the trials `rows` [K]."""


class TrialProgram:
    """A trial, mapped over a leading trial axis [G] of its mapped arguments, compiled once.

    Args:
      trial: an unbatched pure function.
      in_axes: 0 for each argument that differs between trials, None for each that all share; as in `jax.vmap`.
      chunk: trials of one compiled call, over all local devices; bounds memory. Every chunk has this shape, the last is
        padded by repeating a trial, so a trial gives the same bits whatever the number of trials.
      own_loops: whether the trial has loops whose length depends on its data. Each device then ends its own; under the
        partitioner every turn of a loop would wait for all devices.
    """

    def __init__(self, trial: Callable[..., Any], in_axes: Sequence[int | None], chunk: int, own_loops: bool = False):
        devices = jax.local_devices()
        self.in_axes = tuple(in_axes)
        self.chunk = -(-chunk // len(devices)) * len(devices)
        mesh = jax.make_mesh((len(devices),), (TRIAL_AXIS,), axis_types=(AxisType.Auto,), devices=devices)
        self._mapped, self._shared = (
            NamedSharding(mesh, PartitionSpec(TRIAL_AXIS)),
            NamedSharding(mesh, PartitionSpec()),
        )
        shardings = tuple(self._shared if axis is None else self._mapped for axis in self.in_axes)
        # A third of a step are elementwise updates of many parameters: the widest vectors gain 3 to 10 % of a trial.
        options = dict(xla.cpu_option(devices[0].platform, xla.VECTOR_OPTION, 512))
        batched = jax.vmap(trial, in_axes=self.in_axes)
        if own_loops:
            specs = tuple(sharding.spec for sharding in shardings)
            batched = jax.shard_map(batched, mesh=mesh, in_specs=specs, out_specs=self._mapped.spec, check_vma=False)
        self._program = jax.jit(batched, in_shardings=shardings, out_shardings=self._mapped, compiler_options=options)
        self.compiled: Any = None

    def prepare(self, *arguments: Any) -> "TrialProgram":
        """Compiles for arguments of these shapes (any number of trials); safe to call from a thread."""
        rows = np.zeros(self.chunk, int)
        self.compiled = self._program.lower(*self._placed(arguments, self._replicated(arguments), rows)).compile()
        return self

    def __call__(self, *arguments: Any, on_chunk: Callable[[int], None] | None = None, kept: Kept | None = None) -> Any:
        """Runs all trials; returns NumPy arrays with the trial axis [G] in front.

        In a run of several processes each runs a chunk of its own at a time, and all return the results of all.
        Collective: every process must make the same calls in the same order.

        `on_chunk` is called with the number of trials of each finished chunk. Trials stored in `kept` (by default the
        open checkpoint, if any) are not run; finished chunks are added to it. At equal chunk shape the bits are the
        same either way: chunks are stored whole, so missing chunks hold the same trials at the same places.

        Raises:
          InputError: the mapped arguments do not agree on G.
          interrupt.Stopped: a signal came; finished trials are in `kept`, the chunk in flight included.
        """
        mapped = [leaf for a, axis in zip(arguments, self.in_axes) if axis == 0 for leaf in jax.tree.leaves(a)]
        sizes = {leaf.shape[0] for leaf in mapped}
        if len(sizes) != 1 or 0 in sizes:
            raise InputError(f"mapped arguments hold {sorted(sizes)} trials; expected one number, at least 1")
        if self.compiled is None:
            self.prepare(*arguments)
        n_trials = sizes.pop()
        results = jax.tree.map(lambda leaf: np.empty((n_trials, *leaf.shape[1:]), leaf.dtype), self.compiled.out_info)
        kept = (partial_results.next_call() if kept is None else kept) if distributed.is_writer() else None
        done = _restore(results, n_trials, kept)
        if on_chunk is not None and done.any():
            on_chunk(int(done.sum()))
        missing = np.flatnonzero(~done)
        chunks = [missing[start : start + self.chunk] for start in range(0, len(missing), self.chunk)]
        for round_rows, result in self._started(arguments, chunks):
            for rows, leaves in zip(round_rows, self._of_all(result)):
                leaves = [leaf[: len(rows)] for leaf in leaves]
                for target, leaf in zip(jax.tree.leaves(results), leaves):
                    target[rows] = leaf
                if kept is not None:
                    kept.add(rows, jax.tree.unflatten(jax.tree.structure(results), leaves))
                if on_chunk is not None:
                    on_chunk(len(rows))
        return results

    def _started(
        self, arguments: Sequence[Any], chunks: Sequence[np.ndarray]
    ) -> Iterator[tuple[Sequence[np.ndarray], Any]]:
        """The rows of all processes' chunks of a round, and the result of this one's; None where it has no chunk.

        A round is yielded when the next is in flight: the devices do not wait for the host. At a stop, the round in
        flight is yielded before Stopped is raised.
        """
        shared = self._replicated(arguments)
        in_flight = None
        for first in range(0, len(chunks), distributed.count()):
            try:
                distributed.check()
            except interrupt.Stopped:
                if in_flight is not None:
                    yield in_flight
                raise
            round_rows = chunks[first : first + distributed.count()]
            mine = round_rows[distributed.index()] if distributed.index() < len(round_rows) else None
            started = round_rows, None if mine is None else self._start(arguments, shared, mine)
            if in_flight is not None:
                yield in_flight
            in_flight = started
        if in_flight is not None:
            yield in_flight

    def _replicated(self, arguments: Sequence[Any]) -> list[Any]:
        """The shared arguments on every local device; None in the places of the mapped ones."""
        return [None if axis == 0 else jax.device_put(a, self._shared) for a, axis in zip(arguments, self.in_axes)]

    def _placed(self, arguments: Sequence[Any], shared: Sequence[Any], rows: np.ndarray) -> list[Any]:
        """The arguments of one compiled call for the trials `rows` [chunk], on the local devices."""
        selected = [a for a, axis in zip(arguments, self.in_axes) if axis == 0]
        mapped = iter(jax.device_put(jax.tree.map(lambda leaf: leaf[rows], selected), self._mapped))
        return [next(mapped) if axis == 0 else s for s, axis in zip(shared, self.in_axes)]

    def _start(self, arguments: Sequence[Any], shared: Sequence[Any], rows: np.ndarray) -> Any:
        """The result of one chunk, padding included, as arrays that are still being computed."""
        padded = np.concatenate([rows, np.repeat(rows[-1:], self.chunk - len(rows))])
        return self.compiled(*self._placed(arguments, shared, padded))

    def _of_all(self, result: Any | None) -> list[list[np.ndarray]]:
        """The leaves of every process's chunk, in their order; `result` is None where this process has no chunk."""
        if distributed.count() == 1:
            return [jax.device_get(jax.tree.leaves(result))]
        shapes = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in jax.tree.leaves(self.compiled.out_info)]
        leaves = [np.zeros(*shape) for shape in shapes] if result is None else jax.device_get(jax.tree.leaves(result))
        joined = np.concatenate([np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves])
        ends = np.cumsum([leaf.nbytes for leaf in leaves])[:-1]
        return [
            [part.view(dtype).reshape(shape) for part, (shape, dtype) in zip(np.split(row, ends), shapes)]
            for row in distributed.gather(joined)
        ]


def _restore(results: Any, n_trials: int, kept: Kept | None) -> np.ndarray:
    """Fills in process 0's stored trials on every process; which they are, [G] bool."""
    done = np.zeros(n_trials, bool) if kept is None else kept.restore(results)
    if distributed.count() == 1:
        return done
    done = np.frombuffer(distributed.broadcast(done.tobytes()), bool)
    for leaf in jax.tree.leaves(results) if done.any() else ():
        leaf[done] = np.frombuffer(distributed.broadcast(leaf[done].tobytes()), leaf.dtype).reshape(-1, *leaf.shape[1:])
    return done

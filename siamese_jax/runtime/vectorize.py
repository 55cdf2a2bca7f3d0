"""Many trials at once: the only place that knows of vmap, jit, chunks and devices."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.errors import InputError
from siamese_jax.runtime import distributed, interrupt, partial_results, xla

TRIAL_AXIS = "trial"

CPU_FLOATS = 5e6
"""Floats that the trials of one call may hold on one CPU core: some 13 to 25 trials, whose training stays in the cache.

Three times as many are a tenth slower, a third as many lose as much to starting operations (measured)."""

ACCELERATOR_SHARE = 0.3
"""Share of an accelerator's memory that the trials of one call may hold."""


def chunk_size(n_trials: int, floats_per_trial: float) -> int:
    """Trials of one compiled call over all local devices: as many as fit, in chunks of nearly equal size."""
    devices = jax.local_devices()
    budget = CPU_FLOATS
    if devices[0].platform != "cpu":
        budget = ACCELERATOR_SHARE * devices[0].memory_stats()["bytes_limit"] / 4
    most = max(1, int(budget // floats_per_trial)) * len(devices)
    n_chunks = -(-n_trials // most)
    return -(-n_trials // n_chunks)


def _rows(tree: Any, rows: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)


class Kept(Protocol):
    """Where the finished trials of one call are kept, so that a run that was stopped goes on with the others."""

    def restore(self, results: Any) -> np.ndarray:
        """Fills in the results [G, ...] of the trials that are kept, in place; which those are, [G] bool."""

    def add(self, rows: np.ndarray, results: Any) -> None:
        """Keeps the results [K, ...] of the trials `rows` [K]."""


class TrialProgram:
    """A trial, mapped over a leading trial axis [G] of its mapped arguments, compiled once.

    Args:
      trial: an unbatched pure function.
      in_axes: 0 for each argument that differs between trials, None for each that all share; as in `jax.vmap`.
      chunk: trials of one compiled call, over all local devices; bounds memory. Every chunk has this shape, the last
        one is padded by repeating a trial, so a trial gives the same bits whatever the number of trials.
    """

    def __init__(self, trial: Callable[..., Any], in_axes: Sequence[int | None], chunk: int):
        devices = jax.local_devices()
        self.in_axes = tuple(in_axes)
        self.chunk = -(-chunk // len(devices)) * len(devices)
        mesh = jax.make_mesh((len(devices),), (TRIAL_AXIS,), axis_types=(AxisType.Auto,), devices=devices)
        self._mapped = NamedSharding(mesh, PartitionSpec(TRIAL_AXIS))
        self._shared = NamedSharding(mesh, PartitionSpec())
        shardings = tuple(self._shared if axis is None else self._mapped for axis in self.in_axes)
        # A third of a step are elementwise updates of many parameters: the widest vectors gain 3 to 10 % of a trial.
        options = xla.cpu_option(devices[0].platform, xla.VECTOR_OPTION, 512)
        self._program = jax.jit(
            jax.vmap(trial, in_axes=self.in_axes),
            in_shardings=shardings,
            out_shardings=self._mapped,
            compiler_options=dict(options),
        )
        self.compiled: Any = None

    def prepare(self, *arguments: Any) -> "TrialProgram":
        """Compiles for arguments of these shapes (any number of trials); safe to call from a thread."""
        rows = np.zeros(self.chunk, int)
        self.compiled = self._program.lower(*self._placed(arguments, self._everywhere(arguments), rows)).compile()
        return self

    def __call__(self, *arguments: Any, on_chunk: Callable[[int], None] | None = None, kept: Kept | None = None) -> Any:
        """Runs all trials; the result has the trial axis [G] in front of every array, as NumPy arrays.

        In a run of several processes (`distributed`) each runs a chunk of its own at a time, and all get the
        results of all; every process must make the same calls in the same order.

        `on_chunk` is called with the number of trials that each finished chunk held. Trials that are in `kept` (by
        default the checkpoint that is open, if one is) are not run; finished chunks are added to it. At equal chunk
        shape a trial gives the same bits either way: chunks are kept whole, so those that are missing hold the same
        trials at the same places.

        Raises:
          InputError: the mapped arguments do not agree on G.
          interrupt.Stopped: a signal has come; what was finished is in `kept`, the chunk that was under way included.
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
        for at_once, found in self._started(arguments, chunks):
            for held, leaves in zip(at_once, self._of_all(found)):
                for into, leaf in zip(jax.tree.leaves(results), leaves):
                    into[held] = leaf[: len(held)]
                if kept is not None:
                    kept.add(held, jax.tree.unflatten(jax.tree.structure(results), [x[: len(held)] for x in leaves]))
                if on_chunk is not None:
                    on_chunk(len(held))
        return results

    def _started(
        self, arguments: Sequence[Any], chunks: Sequence[np.ndarray]
    ) -> Iterator[tuple[Sequence[np.ndarray], Any]]:
        """The chunks that all processes run at once, and the results of this one's, or None where it has none.

        They come when the next ones are under way: the devices do not wait for the host. At a stop, what is under way
        comes before Stopped is raised.
        """
        shared = self._everywhere(arguments)
        under_way = None
        for first in range(0, len(chunks), distributed.count()):
            try:
                distributed.check()
            except interrupt.Stopped:
                if under_way is not None:
                    yield under_way
                raise
            at_once = chunks[first : first + distributed.count()]
            mine = at_once[distributed.index()] if distributed.index() < len(at_once) else None
            started = at_once, None if mine is None else self._start(arguments, shared, mine)
            if under_way is not None:
                yield under_way
            under_way = started
        if under_way is not None:
            yield under_way

    def _everywhere(self, arguments: Sequence[Any]) -> list[Any]:
        """The shared arguments on every local device; None in the places of the mapped ones."""
        return [None if axis == 0 else jax.device_put(a, self._shared) for a, axis in zip(arguments, self.in_axes)]

    def _placed(self, arguments: Sequence[Any], shared: Sequence[Any], rows: np.ndarray) -> list[Any]:
        """The arguments of one compiled call for the trials `rows` [chunk], on the local devices."""
        mapped = iter(
            jax.device_put([_rows(a, rows) for a, axis in zip(arguments, self.in_axes) if axis == 0], self._mapped)
        )
        return [next(mapped) if axis == 0 else s for s, axis in zip(shared, self.in_axes)]

    def _start(self, arguments: Sequence[Any], shared: Sequence[Any], held: np.ndarray) -> Any:
        """The results of one chunk, padding included, as arrays that are still being computed."""
        rows = np.concatenate([held, np.repeat(held[-1:], self.chunk - len(held))])
        return self.compiled(*self._placed(arguments, shared, rows))

    def _of_all(self, found: Any | None) -> list[list[np.ndarray]]:
        """The leaves of every process's chunk, in the order of the processes; None where this one has none."""
        if distributed.count() == 1:
            return [jax.device_get(jax.tree.leaves(found))]
        shapes = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in jax.tree.leaves(self.compiled.out_info)]
        leaves = [np.zeros(*shape) for shape in shapes] if found is None else jax.device_get(jax.tree.leaves(found))
        every = distributed.gather(
            np.concatenate([np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves])
        )
        ends = np.cumsum([leaf.nbytes for leaf in leaves])[:-1]
        return [
            [part.view(dtype).reshape(shape) for part, (shape, dtype) in zip(np.split(row, ends), shapes)]
            for row in every
        ]


def _restore(results: Any, n_trials: int, kept: Kept | None) -> np.ndarray:
    """Fills in the trials that are kept, which process 0 knows, on every process; which those are, [G] bool."""
    done = np.zeros(n_trials, bool) if kept is None else kept.restore(results)
    if distributed.count() == 1:
        return done
    done = np.frombuffer(distributed.broadcast(done.tobytes()), bool)
    for leaf in jax.tree.leaves(results) if done.any() else ():
        leaf[done] = np.frombuffer(distributed.broadcast(leaf[done].tobytes()), leaf.dtype).reshape(-1, *leaf.shape[1:])
    return done

"""Padded batches in few shapes: the bucket of a clip, and the compiled program that computes it."""

import contextlib
import itertools
import math
import threading
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from siamese_jax.features import is09

SHORTEST = 192  # frames of the smallest bucket: two seconds, a whole number of blocks
STEP = 4  # ratio of the frames of successive buckets: coarse, since a CPU skips padding but compiles each shape (1.5 s)
CPU_BLOCK = 48  # frames that a CPU computes at a time: their spectra fit its cache
BATCH_FRAMES = 24576  # clips times frames of a batch at most, which bounds its memory
MOST_CLIPS = 32  # clips of a batch at most

# Kept as long as the process, so that a second extraction compiles nothing.
_pieces_program = jax.jit(is09.features_of_pieces)
_padded_program = jax.jit(is09.features)


class Engine:
    """Computes features, on all local accelerators or on the CPU; thread-safe."""

    def __init__(self) -> None:
        self._on_cpu = jax.default_backend() == "cpu"
        # Calls from two threads to one CPU device run in parallel (4,110 seconds of audio per second on two cores, as
        # with a device for each; one call at a time: 2,190), and one device compiles every shape once.
        self._devices = jax.local_devices()[:1] if self._on_cpu else jax.local_devices()
        self._turns = itertools.count()
        self._own = threading.local()
        self._locks: dict[tuple[int, int], threading.Lock] = {}
        self._called: set[tuple[int, int]] = set()

    def bucket(self, samples: int) -> int:
        """Returns the frames of the bucket for a clip of `samples`: it depends on the clip alone."""
        frames = SHORTEST
        while frames < is09.frame_count(samples):
            frames *= STEP
        return frames

    def clips(self, frames: int) -> int:
        """Returns the clips in a batch of a bucket."""
        return max(1, min(MOST_CLIPS, BATCH_FRAMES // frames))

    def features(self, samples: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """Returns the features of at most `clips(frames)` clips: int16 arrays [L] -> [N, 64] float32."""
        lengths_B = np.zeros(self.clips(frames), np.int32)
        lengths_B[: len(samples)] = [len(clip_L) for clip_L in samples]
        if self._on_cpu:
            program, batch = _pieces_program, self._buffer(len(lengths_B), frames)
            _fill(batch, samples)
        else:
            program, batch = _padded_program, _padded(samples, len(lengths_B), frames)
        number = self._device_number()
        operands = jax.device_put((batch, lengths_B), self._devices[number])
        with self._first_call((number, frames)):
            result = program(*operands)
        return np.asarray(result, np.float32)[: len(samples)]

    def _buffer(self, clips: int, frames: int) -> np.ndarray:
        """Returns this thread's memory for pieces, [clips, K, P] int16: fresh pages cost more than filling them."""
        buffers = self._own.__dict__.setdefault("buffers", {})
        if frames not in buffers:
            buffers[frames] = _aligned((clips, frames // CPU_BLOCK, is09.sample_count(CPU_BLOCK)))
        return buffers[frames]

    def _device_number(self) -> int:
        """Returns this thread's device: devices are assigned in turn, once."""
        if not hasattr(self._own, "number"):
            self._own.number = next(self._turns) % len(self._devices)
        return self._own.number

    @contextlib.contextmanager
    def _first_call(self, key: tuple[int, int]) -> Iterator[None]:
        """Admits a single thread to the first call on a device with a shape, which compiles."""
        if key in self._called:
            yield
            return
        with self._locks.setdefault(key, threading.Lock()):
            yield
            self._called.add(key)


def _padded(samples: Sequence[np.ndarray], clips: int, frames: int) -> np.ndarray:
    """Returns clips as rows [clips, L] int16, zeros past their ends."""
    batch_BxL = np.zeros((clips, is09.sample_count(frames)), np.int16)
    for row_L, clip_L in zip(batch_BxL, samples):
        own = min(len(row_L), len(clip_L))
        row_L[:own] = clip_L[:own]
    return batch_BxL


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Returns an int16 array at a multiple of 64 bytes, which JAX uses on a CPU without a copy."""
    size = 2 * math.prod(shape)
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(np.int16).reshape(shape)


def _fill(batch_BxKxP: np.ndarray, samples: Sequence[np.ndarray]) -> None:
    """Cuts the clips into `batch`, as `is09.cut` does. Leftovers of an earlier batch elsewhere are never read."""
    block = is09.HOP * CPU_BLOCK
    for pieces_KxP, clip_L in zip(batch_BxKxP, samples):
        for piece_P, start in zip(pieces_KxP, range(0, len(clip_L), block)):
            own_P = clip_L[start : start + len(piece_P)]
            piece_P[: len(own_P)] = own_P

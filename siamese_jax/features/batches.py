"""Padded batches in few shapes: which bucket a clip falls into, and the compiled program that computes it."""

import functools
import itertools
import threading
from collections.abc import Callable, Sequence

import jax
import numpy as np

from siamese_jax.features import is09

SHORTEST = 192
"""Frames of the smallest bucket: two seconds, a whole number of blocks."""

STEP = 4
"""Each bucket holds this many times the frames of the one before. Coarse, since a CPU skips padding but has to
compile every shape (1.5 s)."""

CPU_BLOCK = 64
"""Frames that a CPU computes at a time: their spectra stay in the cache."""

BATCH_FRAMES = 24576
"""Clips times frames of a batch, which bounds its memory."""

MOST_CLIPS = 32
"""Clips of a batch at most."""


class Engine:
    """Computes features, on all local accelerators or on the CPU; to be called from many threads at once."""

    def __init__(self) -> None:
        on_cpu = jax.default_backend() == "cpu"
        # Calls from two threads to one CPU device run side by side (4,110 seconds of audio per second on two cores,
        # as with a device for each; one call at a time: 2,190), and one device compiles every shape once.
        self._devices = jax.local_devices()[:1] if on_cpu else jax.local_devices()
        block = CPU_BLOCK if on_cpu else None
        self._program = jax.jit(functools.partial(is09.features, block=block))
        self._turns = itertools.count()
        self._own = threading.local()
        self._locks: dict[tuple[int, int], threading.Lock] = {}
        self._compiled: dict[tuple[int, int], Callable[..., jax.Array]] = {}

    def bucket(self, samples: int) -> int:
        """Frames of the bucket for a clip of `samples`: it depends on the clip alone."""
        frames = SHORTEST
        while frames < is09.frame_count(samples):
            frames *= STEP
        return frames

    def clips(self, frames: int) -> int:
        """Clips in a batch of a bucket."""
        return max(1, min(MOST_CLIPS, BATCH_FRAMES // frames))

    def features(self, samples: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """The features of clips, at most `clips(frames)` of them: int16 arrays [L] -> [N, 64] float32."""
        batch_BxL = np.zeros((self.clips(frames), is09.sample_count(frames)), np.int16)
        lengths_B = np.zeros(len(batch_BxL), np.int32)
        for row, clip_L in enumerate(samples):
            own_L = clip_L[: batch_BxL.shape[1]]
            batch_BxL[row, : len(own_L)] = own_L
            lengths_B[row] = len(own_L)
        number = self._device_number()
        operands = jax.device_put((batch_BxL, lengths_B), self._devices[number])
        program = self._compile(number, frames, operands)
        return np.asarray(program(*operands), np.float32)[: len(samples)]

    def _device_number(self) -> int:
        """Threads share the devices out in turn, and stay with theirs."""
        if not hasattr(self._own, "number"):
            self._own.number = next(self._turns) % len(self._devices)
        return self._own.number

    def _compile(self, number: int, frames: int, operands: tuple[jax.Array, jax.Array]) -> Callable[..., jax.Array]:
        """The program for a device and a bucket, compiled once, however many threads ask for it."""
        key = number, frames
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._compiled:
                self._compiled[key] = self._program.lower(*operands).compile()
        return self._compiled[key]

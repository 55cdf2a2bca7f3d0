"""Weights and images that anyone can make again from their names alone, with nothing but NumPy's integers.

NumPy may change its random streams between versions; this is splitmix64 (Steele et al. 2014), a fixed function.
"""

import zlib

import numpy as np


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [-1, 1), of `shape`, a function of `name` and place alone."""
    with np.errstate(over="ignore"):
        state = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(zlib.crc32(name.encode())) << np.uint64(32)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return ((state >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One array of a public state dict: kernels of He's variance, batch norms off their resting values."""
    value = uniform(name, shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return 1 + 0.5 * value
    if len(shape) == 1:
        return 0.1 * value
    return value * np.float32(np.sqrt(6 / np.prod(shape[1:])))


def scaled_shape(name: str, shape: tuple[int, ...], divisor: int, embedding: int) -> tuple[int, ...]:
    """A published shape at width 1 / divisor: channels shrink, the image's and the embedding do not."""
    kernel = shape[2:]
    out, rest = shape[0] // divisor, [n // divisor for n in shape[1:2]]
    if name.startswith("last_"):
        out = embedding
    if name == "conv2d_1a.conv.weight":
        rest = [shape[1]]
    return (out, *rest, *kernel)

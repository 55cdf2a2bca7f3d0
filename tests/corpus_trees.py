"""Folders that look like the real corpora, with sounds made on the spot."""

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 80000\n"

MakeTree = Callable[[Iterable[str]], Path]


def noise(name: str, n_samples: int = 1600) -> np.ndarray:
    """int16 samples that depend on the name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(-2000, 2000, n_samples).astype(np.int16)


def write_sound(path: Path, n_samples: int = 1600) -> None:
    """A short wav at 16 kHz, whatever the suffix says: scanning does not decode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(path.name, n_samples), 16000, subtype="PCM_16", format="WAV")

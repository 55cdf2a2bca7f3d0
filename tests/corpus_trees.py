"""Folders that look like the real corpora, with sounds made on the spot."""

import os
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


ANNEX = "../.git/annex/objects/xx/yy/SHA256E-s80000--aa.wav/SHA256E-s80000--aa.wav"
LATIN_1 = os.fsdecode(b"m\xfcller.wav")


def make_bad(folder: Path) -> dict[str, str]:
    """Bad clips below `folder`, and what is said about each."""
    (folder / "annex.wav").symlink_to(ANNEX)
    (folder / "unlocked.wav").write_text("/annex/objects/SHA256E-s80000--aa.wav\n")
    (folder / "broken.wav").symlink_to("gone/a.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "lfs.wav").write_bytes(LFS_POINTER)
    (folder / "zero.wav").write_bytes(b"")
    (folder / "words.wav").write_bytes(b"no sound " * 200)
    return {
        "annex.wav": "git annex get",
        "unlocked.wav": "git annex get",
        "broken.wav": "a broken link to gone/a.wav",
        "loop.wav": "symbolic links",
        "folder.wav": "a folder, expected a sound file",
        "pipe.wav": "no regular file, expected a sound file",
        "lfs.wav": "git lfs pull",
        "zero.wav": "0 bytes",
        "words.wav": "Format not recognised",
        "x" * 300 + ".wav": "File name too long",
        "a\0b.wav": "null",
        LATIN_1: "no UTF-8",
        "nowhere.wav": "no such file",
        "lfs.wav/inside.wav": "no such file",
    }

"""Synthesised clips and manifests of folders, for the benchmarks of extraction."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from siamese_jax.corpora.audio import RATE
from siamese_jax.corpora.manifest import Clip, Manifest


def _speech(seconds: float, seed: int) -> np.ndarray:
    """Something voiced and something noisy in turns: [L] int16."""
    rng = np.random.default_rng(seed)
    time_L = np.arange(int(seconds * RATE)) / RATE
    phase_L = np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time_L + seed)) / RATE
    voiced_L = sum(np.sin(2 * np.pi * k * phase_L) / k for k in range(1, 20))
    loudness_L = np.clip(np.sin(2 * np.pi * 1.3 * time_L + seed), 0.0, None)
    signal_L = loudness_L * voiced_L + 0.05 * rng.standard_normal(len(time_L))
    return (0.3 * 32767 * signal_L / np.abs(signal_L).max()).astype(np.int16)


def synthesise(folder: Path, clips: int, seconds: Sequence[float]) -> None:
    """Writes one file for each of `seconds`, and hard links to them up to `clips` names."""
    for number in range(clips):
        file = folder / f"{number:06d}.wav"
        if number < len(seconds):
            soundfile.write(file, _speech(seconds[number], number), RATE, subtype="PCM_16")
        else:
            os.link(folder / f"{number % len(seconds):06d}.wav", file)


def manifest(folder: Path) -> Manifest:
    files = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.wav"))]
    return Manifest(folder, tuple(Clip(file, file, "fear", "x_1", "x") for file in files))


def seconds(manifest: Manifest) -> float:
    infos = {file.stat().st_ino: soundfile.info(file) for file in map(manifest.path, manifest)}
    return sum(infos[manifest.path(clip).stat().st_ino].duration for clip in manifest)

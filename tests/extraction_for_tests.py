"""Clips to extract features from, and the options of these tests."""

from pathlib import Path

import numpy as np
import soundfile

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction
from siamese_jax.datasets.extractors import interspeech_2009

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = extraction.Options(workers=2, strict=False)
IS09 = interspeech_2009()


def write_clips(folder, count):
    """Clips of 60 ms to 2.5 s, so that two buckets are met, and a manifest of them."""
    rng = np.random.default_rng(3)
    clips = []
    for number in range(count):
        length = 960 + 41 * number if number % 4 else 32000 + 800 * (number // 4 % 10)
        time = np.arange(length) / 16000
        samples = 6000 * np.sin(2 * np.pi * (90 + 7 * number) * time) + 300 * rng.standard_normal(length)
        soundfile.write(folder / f"{number:03d}.wav", samples.astype(np.int16), 16000, subtype="PCM_16")
        emotion = ("anger", "fear")[number % 2]
        clips.append(Clip(f"{number:03d}.wav", f"{number:03d}", emotion, f"c_{number % 3}", "c", "female"))
    return Manifest(folder, tuple(clips))

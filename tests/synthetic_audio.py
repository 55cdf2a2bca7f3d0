"""Synthesised emotional tones: emotions differ in pitch, tremor, level and tilt, speakers in pitch and formant."""

import numpy as np

from siamese_jax.datasets.segments import SegmentSource, from_arrays
from siamese_jax.features.segments import SegmentConfig

RATE = 8000
SEGMENTS = SegmentConfig(rate=RATE, seconds=0.5, hop_seconds=0.25, shortest_seconds=0.2, quiet_db=200.0)

# Pitch rise over the clip (octaves), pitch level (octaves), tremor (Hz, octaves), level (dB), tilt (dB an octave).
EMOTIONS = {
    "anger": (-0.1, 0.25, 0.0, 0.0, -6.0, -3.0),
    "happiness": (0.5, 0.3, 4.0, 0.08, -9.0, -6.0),
    "sadness": (-0.3, -0.2, 0.0, 0.0, -20.0, -12.0),
    "fear": (0.2, 0.4, 9.0, 0.12, -14.0, -9.0),
}


def tone(emotion: str, speaker: int, take: int, seconds: float = 1.0) -> np.ndarray:
    """One clip, int16 [n]: harmonics of a moving pitch through a formant, with a little noise."""
    rng = np.random.default_rng([speaker, take, sorted(EMOTIONS).index(emotion)])
    rise, raised, tremor_hz, tremor, level, tilt = EMOTIONS[emotion]
    voice = np.random.default_rng(speaker)
    base, formant = 100 * 2 ** voice.uniform(0, 1.2), voice.uniform(500, 1500)
    n = round(seconds * rng.uniform(0.85, 1.15) * RATE)
    t = np.arange(n) / n
    octaves = raised + rise * (t - 0.5) + rng.normal(0, 0.08)
    octaves = octaves + tremor * np.sin(2 * np.pi * (tremor_hz * t * n / RATE + rng.uniform()))
    pitch = base * 2**octaves
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(n)
    for harmonic in range(1, 25):
        hz = harmonic * pitch
        gain = 10 ** ((tilt + rng.normal(0, 0.3)) * np.log2(harmonic) / 20) * (
            1 + 3 * np.exp(-(((hz - formant) / 300) ** 2))
        )
        sound += np.where(hz < RATE / 2, gain, 0) * np.sin(harmonic * phase)
    sound *= 10 ** ((level + rng.normal(0, 2)) / 20) / np.abs(sound).max() * np.sin(np.pi * t) ** 0.3
    sound += rng.normal(0, 1e-3, n)
    return np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)


def tones(speakers: range, takes: int, seconds: float = 1.0) -> SegmentSource:
    """`takes` clips of each emotion by each speaker."""
    rows = [(e, s, k) for s in speakers for e in EMOTIONS for k in range(takes)]
    return from_arrays(
        [tone(*row, seconds) for row in rows], [r[0] for r in rows], [f"tones_{r[1]:02d}" for r in rows], SEGMENTS
    )

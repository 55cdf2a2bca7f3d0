"""Sounds that golden values of the 64 features are kept for, made with NumPy alone.

Only the bit generator's raw stream is used, which NumPy promises not to change. Every sound carries a little noise:
an exactly periodic one has ties between lags, where the last digit of a rounding would decide.
"""

import numpy as np

RATE = 16000
FORMANTS = ((730.0, 1090.0, 2440.0), (270.0, 2290.0, 3010.0), (300.0, 870.0, 2240.0))
"""Peterson & Barney 1952, men: /a/, /i/, /u/, in Hz."""


def noise(count: int, seed: int) -> np.ndarray:
    """Uniform in [-1, 1): [count] float64."""
    raw = np.random.PCG64(seed).random_raw(count)
    return (raw >> np.uint64(11)) * 2.0**-52 - 1.0


def pulses(pitch: np.ndarray) -> np.ndarray:
    """A glottal pulse wherever the phase of `pitch` [L] Hz passes a whole turn."""
    phase = np.cumsum(pitch / RATE)
    return np.diff(np.floor(phase), prepend=0.0)


def resonate(signal: np.ndarray, frequency: float, bandwidth: float) -> np.ndarray:
    """A two-pole resonator of unit gain at 0 Hz."""
    radius = np.exp(-np.pi * bandwidth / RATE)
    a1, a2 = 2.0 * radius * np.cos(2.0 * np.pi * frequency / RATE), -radius * radius
    out = np.zeros(len(signal) + 2)
    for n, value in enumerate(signal * (1.0 - a1 - a2)):
        out[n + 2] = value + a1 * out[n + 1] + a2 * out[n]
    return out[2:]


def vowel(pitch: np.ndarray, formants: tuple[float, ...], seed: int) -> np.ndarray:
    """A vowel of peak 1 with aspiration noise: pitch [L] Hz -> [L]."""
    signal = pulses(pitch) + 0.02 * noise(len(pitch), seed)
    for frequency, bandwidth in zip(formants, (80.0, 100.0, 150.0)):
        signal = resonate(signal, frequency, bandwidth)
    return signal / np.abs(signal).max()


def to_int16(signal: np.ndarray) -> np.ndarray:
    """[-1, 1] to 16 bits, clipped."""
    return np.clip(np.rint(signal * 32767.0), -32768, 32767).astype(np.int16)


def sounds() -> dict[str, np.ndarray]:
    """The sounds by name: int16 [L] at 16 kHz, 55 ms to 1.5 s."""
    glide = vowel(np.linspace(100.0, 160.0, 16000), FORMANTS[0], 1)
    vibrato = vowel(220.0 + 8.0 * np.sin(np.arange(14000) * 2 * np.pi * 5 / RATE), FORMANTS[1], 2)
    creak = vowel(np.full(12000, 66.0), FORMANTS[2], 3)
    jumps = vowel(np.repeat([110.0, 290.0, 120.0, 240.0, 115.0], 3000), FORMANTS[0], 4)
    speech = np.concatenate([0.5 * glide[:9000], np.zeros(4000), 0.2 * noise(2500, 5), 0.4 * vibrato[:7000]])
    bursts = 0.003 * noise(16000, 6)
    for start in (3000, 7000, 7900, 12000):
        bursts[start : start + 400] += 0.3 * vowel(np.full(400, 200.0), FORMANTS[1], start)
    time = np.arange(12000) / RATE
    chirp = 0.6 * np.sin(2 * np.pi * (100.0 * time + 0.5 * (3900.0 / 0.75) * time**2))
    return {
        "glide": to_int16(0.5 * glide),
        "vibrato": to_int16(0.7 * vibrato + 0.01 * noise(14000, 7)),
        "creak": to_int16(0.6 * creak),
        "pitch_jumps": to_int16(0.5 * jumps),
        "speech_with_digital_silence": to_int16(speech),
        "silence_then_vowel": to_int16(np.concatenate([np.zeros(8000), 0.3 * glide[:5000], np.zeros(3001)])),
        "lone_bursts": to_int16(bursts),
        "white_noise": to_int16(0.3 * noise(9000, 8)),
        "chirp": to_int16(chirp + 0.002 * noise(12000, 9)),
        "shortest": to_int16(0.5 * glide[4000:4880]),
        "one_sample_short_of_five_frames": to_int16(0.5 * glide[4000:5039]),
        "clipped": to_int16(6.0 * glide[:10000]),
        "whisper_of_thirty_steps": to_int16(0.001 * glide),
        "three_steps": np.sign(np.rint(1.4 * noise(8000, 10))).astype(np.int16),
        "offset": to_int16(0.25 + 0.1 * vibrato[:8000]),
        "full_scale": np.where(noise(4000, 11) > 0, 32767, -32768).astype(np.int16),
    }

"""Writes copies of a folder of recordings with added noise or in the telephone band, in the same layout, 16 kHz.

    python scripts/degrade_recordings.py --root=RAVDESS --output=RAVDESS_noise --condition=noise --snr=10
    python scripts/degrade_recordings.py --root=RAVDESS --output=RAVDESS_telephone --condition=telephone

"noise" adds pink noise (equal power an octave) at a signal-to-noise ratio over the whole clip. "telephone" keeps 300 to
3400 Hz, at 8 kHz and back, with the 8-bit mu-law of G.711. A clip's noise depends on its name alone.
"""

import zlib
from pathlib import Path

import numpy as np
import soundfile
import soxr
from absl import app, flags
from scipy import signal

from siamese_jax.corpora import audio

ROOT = flags.DEFINE_string("root", None, "Folder of recordings.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder of the copies.", required=True)
CONDITION = flags.DEFINE_enum("condition", "noise", ["noise", "telephone"], "How to degrade.")
SNR = flags.DEFINE_float("snr", 10.0, "Signal-to-noise ratio in dB, for noise.")


def pink_noise(name: str, length: int) -> np.ndarray:
    """Returns pink noise [L] of power 1 between 50 Hz and 8 kHz."""
    spectrum = np.fft.rfft(np.random.default_rng(zlib.crc32(name.encode())).standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / audio.RATE)
    noise = np.fft.irfft(np.where(frequency < 50, 0, spectrum / np.sqrt(np.maximum(frequency, 50))), length)
    return noise / np.sqrt(np.mean(noise**2))


def telephone(sound_L: np.ndarray) -> np.ndarray:
    """Returns a sound [L] in -1..1 in the telephone band, with mu-law quantisation."""
    band = signal.butter(4, (300, 3400), "bandpass", fs=audio.RATE, output="sos")
    narrow = np.clip(soxr.resample(signal.sosfilt(band, sound_L), audio.RATE, 8000), -1, 1)
    law = np.round(127 * np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    narrow = np.sign(law) * (256 ** np.abs(law) - 1) / 255
    wide = soxr.resample(narrow, 8000, audio.RATE)
    return np.pad(wide, (0, max(0, len(sound_L) - len(wide))))[: len(sound_L)]


def degraded(name: str, sound_L: np.ndarray) -> np.ndarray:
    if CONDITION.value == "telephone":
        return telephone(sound_L)
    power = np.mean(sound_L**2) / 10 ** (SNR.value / 10)
    return sound_L + np.sqrt(power) * pink_noise(name, len(sound_L))


def main(_: list[str]) -> None:
    root, output = Path(ROOT.value), Path(OUTPUT.value)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in audio.AUDIO_SUFFIXES)
    for path in paths:
        sound_L = audio.decode(path).samples / 32768
        sound_L = degraded(path.stem, sound_L)
        target = output / path.relative_to(root).with_suffix(".wav")
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, np.clip(sound_L, -1, 1), audio.RATE, subtype="PCM_16")
    print(f"{len(paths)} recordings written to {output}")


if __name__ == "__main__":
    app.run(main)

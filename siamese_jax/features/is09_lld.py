"""Low-level descriptors of the INTERSPEECH 2009 Emotion Challenge (Schuller et al. 2009), frame by frame.

Samples are 16-bit integers at 16 kHz; frames of 25 ms start every 10 ms, the first at sample 0, and a last partial
frame is dropped. Constants are computed in float64 and used in the precision of the run: float32, or float64 where
`jax_enable_x64` is on.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

RATE = 16000
FRAME = 400
HOP = 160
FFT = 512
BINS = FFT // 2 + 1
LAGS = FFT // 2
FULL_SCALE = 32767.0

PRE_EMPHASIS = 0.97
MEL_BANDS = 26
CEPSTRA = 12
LIFTER = 22

VOICED = 0.55
FIRST_VOICING_LAG = 31
FIRST_PITCH_LAG = 32
PEAK_THRESHOLD = 0.6

_MFCC_NAMES = [f"pcm_fftMag_mfcc[{i}]" for i in range(1, CEPSTRA + 1)]
DESCRIPTOR_NAMES = ("pcm_RMSenergy", *_MFCC_NAMES, "pcm_zcr", "voiceProb", "F0")
"""The descriptors in the order of the last axis of `low_level_descriptors`, under openSMILE's names."""


def real_dtype() -> np.dtype:
    """Returns the precision of the run: float64 where `jax_enable_x64` is on, else float32."""
    return np.dtype(jnp.result_type(float))


def frame_count(samples: Any) -> Any:
    """Returns the number of whole frames in `samples`, an integer or an array of integers."""
    return (samples >= FRAME) * (1 + (samples - FRAME) // HOP)


def sample_count(frames: int) -> int:
    """Returns the fewest samples that hold `frames` frames."""
    return FRAME + HOP * (frames - 1)


@functools.cache
def mel_weights() -> np.ndarray:
    """Returns [BINS, MEL_BANDS] float64: triangles of peak 1, equidistant on the mel scale 1127 ln(1 + f / 700)."""

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log1p(hertz / 700.0)

    edges = np.linspace(mel(0.0), mel(RATE / 2), MEL_BANDS + 2)
    bins = mel(np.arange(BINS) * RATE / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rising, falling), 0.0, None)
    # Both ends of the band carry no weight; at 8 kHz rounding would leave 1e-14.
    weights[[0, -1]] = 0.0
    return weights


@functools.cache
def cepstral_weights() -> np.ndarray:
    """Returns the cosine transform, rows 1 to 12, with the sine lifter of 22: [MEL_BANDS, CEPSTRA] float64."""
    order = np.arange(1, CEPSTRA + 1)
    band = np.arange(MEL_BANDS)[:, None] + 0.5
    cosine = np.sqrt(2.0 / MEL_BANDS) * np.cos(np.pi / MEL_BANDS * order * band)
    return cosine * (1.0 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))


@functools.cache
def frame_window() -> np.ndarray:
    """Returns the symmetric Hamming window: [FRAME] float64."""
    return np.hamming(FRAME)


def spectrum(signal: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the root mean square [T] and squared magnitudes [T, BINS] of pre-emphasised, windowed frames; unbatched.

    `signal` [L] is in [-1, 1]; L must hold whole frames and nothing more (`sample_count`).
    """
    count = frame_count(signal.shape[0])
    window = jnp.asarray(frame_window()[None, :], signal.dtype)
    emphasised = signal - PRE_EMPHASIS * jnp.concatenate([signal[:1], signal[:-1]])
    # A frame is two and a half hops: three shifted views of the hops, no gather.
    hops = jnp.pad(emphasised, (0, HOP * (count + 2) - signal.shape[0])).reshape(count + 2, HOP)
    pieces = [
        hops[:-2] * window[:, :HOP],
        hops[1:-1] * window[:, HOP : 2 * HOP],
        hops[2:, : FRAME - 2 * HOP] * window[:, 2 * HOP :],
    ]
    windowed = jnp.concatenate([*pieces, jnp.zeros((count, FFT - FRAME), signal.dtype)], axis=1)
    # Pre-emphasis starts anew in every frame, as if its first sample came twice.
    first = signal[: HOP * count : HOP] * ((1 - PRE_EMPHASIS) * window[0, 0])
    windowed = windowed.at[:, 0].set(first)
    bins = jnp.fft.rfft(windowed)
    return jnp.sqrt(jnp.sum(windowed**2, axis=1) / FRAME), bins.real**2 + bins.imag**2


def cepstra(power: jax.Array) -> jax.Array:
    """Returns mel-frequency cepstral coefficients 1 to 12, liftered: power [T, BINS] -> [T, CEPSTRA]."""
    exact = jax.lax.Precision.HIGHEST
    mel = jnp.asarray(mel_weights() * FULL_SCALE, power.dtype)
    bands = jnp.matmul(jnp.sqrt(power), mel, precision=exact)
    # The floor is one step of a 16-bit sample: silence gives 0, not minus infinity.
    logarithms = jnp.log(jnp.maximum(bands, 1.0))
    # Every row of the cosine transform sums to 0: without their mean the logarithms, and the rounding errors, are a
    # quarter as large.
    logarithms -= jnp.mean(logarithms, axis=1, keepdims=True)
    return jnp.matmul(logarithms, jnp.asarray(cepstral_weights(), power.dtype), precision=exact)


def zero_crossing_rate(samples: jax.Array) -> jax.Array:
    """Returns sign changes per sample in each frame: samples [L] int32, whole frames alone, -> [T]; unbatched.

    A sample of 0 counts when its neighbours do not share a sign; digital silence thus gives 398 / 400. The
    integers are compared, since products of small floats lose their sign to rounding.
    """
    count = frame_count(samples.shape[0])
    padded = jnp.pad(samples, (0, HOP * (count + 2) + 2 - samples.shape[0]))
    before, here, after = padded[:-2], padded[1:-1], padded[2:]
    crossing = (before * here < 0) | ((here == 0) & (before * after <= 0))
    # The inner 398 samples of a frame are two hops and the first 78 samples of a third. Counts this small are exact
    # as floats, and a product sums them faster than a reduction.
    hops = crossing.astype(real_dtype()).reshape(count + 2, HOP)
    counted = np.ones((HOP, 2), real_dtype())
    counted[FRAME - 2 - 2 * HOP :, 1] = 0
    whole, part = jnp.matmul(hops, counted, precision=jax.lax.Precision.HIGHEST).T
    return (whole[:-2] + whole[1:-1] + part[2:]) / FRAME


def cosine_transform(even_TxK: jax.Array) -> jax.Array:
    """Returns the inverse Fourier transform of real and even spectra, lags 0 to 255: [T, BINS] -> [T, LAGS].

    Computed as the forward transform of the mirrored spectrum: equal for such input, and faster on a CPU.
    """
    mirrored = jnp.concatenate([even_TxK, even_TxK[:, -2:0:-1]], axis=1)
    return jnp.fft.rfft(mirrored).real[:, :LAGS] / FFT


def voicing(autocorrelation: jax.Array) -> jax.Array:
    """Returns the voicing probability, the highest normalised autocorrelation on a rising lag: [T, LAGS] -> [T]."""
    correlation = jnp.abs(autocorrelation)
    late = correlation[:, FIRST_VOICING_LAG:]
    rising = late > correlation[:, FIRST_VOICING_LAG - 1 : -1]
    peak = jnp.maximum(jnp.max(jnp.where(rising, late, 0.0), axis=1), correlation[:, -1])
    silent = correlation[:, 0] == 0.0
    return jnp.where(silent, 0.0, peak / jnp.where(silent, 1.0, correlation[:, 0]))


def pitch_candidate(cepstrum: jax.Array) -> jax.Array:
    """Returns the frequency in Hz of the cepstrum's first peak above the threshold, or 0: [T, LAGS] -> [T]."""
    highest = jnp.max(cepstrum[:, FIRST_PITCH_LAG:], axis=1)
    threshold = PEAK_THRESHOLD * (highest + jnp.mean(jnp.abs(cepstrum), axis=1))
    here = cepstrum[:, FIRST_PITCH_LAG + 1 : -1]
    peak = (here > threshold[:, None]) & (here > cepstrum[:, FIRST_PITCH_LAG:-2])
    peak &= here > cepstrum[:, FIRST_PITCH_LAG + 2 :]
    lags = np.arange(FIRST_PITCH_LAG + 1, LAGS - 1)[None, :]
    first = jnp.min(jnp.where(peak, lags, LAGS), axis=1)
    return jnp.where(first < LAGS, RATE / first.astype(cepstrum.dtype), 0.0)


def describe_frames(samples: jax.Array) -> jax.Array:
    """Returns all descriptors before `is09.track_pitch`: samples [L] integers -> [T, 16]; unbatched.

    L must hold whole frames and nothing more. The last column is the frame's own pitch candidate if voiced, else 0.
    """
    energy, power = spectrum(samples.astype(real_dtype()) / FULL_SCALE)
    # One call transforms both spectra. log1p, since ln(1 + P) drops the quiet bins in float32; the known identity
    # with (1 + P) - 1 does not help: XLA simplifies that to P.
    both = cosine_transform(jnp.concatenate([power, jnp.log1p(power)]))
    autocorrelation, cepstrum = both[: len(power)], both[len(power) :]
    voiced = voicing(autocorrelation)
    pitch = jnp.where(voiced >= VOICED, pitch_candidate(cepstrum), 0.0)
    crossings = zero_crossing_rate(samples.astype(jnp.int32))
    rest = jnp.stack([crossings, voiced, pitch], axis=1)
    return jnp.concatenate([energy[:, None], cepstra(power), rest], axis=1)

"""The two views of a segment as one-channel images: the waveform diagram and the log-mel spectrogram.

Each maps segments [B, L] to images [B, size, size, 1] in [0, 1], in one jitted call, time to the right. Liu et al. 2021
name the two views and no more; the drawing is this project's choice.

The waveform diagram is an antialiased min/max envelope: column c covers its share of the samples, up to the first
of the next column so that neighbours join; a pixel's value is the part of its height that the band from the least to
the greatest sample covers, the band being one pixel thicker than that range. The top row is `waveform_peak`, the bottom
row its negative; louder samples are drawn at the edge. Hard pixels would hide differences below 2 / size of the range.

The spectrogram has `size` frames centred in the columns (zeros beyond the segment), a Hann window, and `size` triangles
of unit height evenly spaced on the HTK mel scale, 2595 log10(1 + f / 700), the lowest at the bottom. Power is relative
to a sine of full scale, whose lines sum to 0 dB; decibels between `floor_db` and `ceiling_db` become [0, 1]. The bounds
are fixed, not the segment's own, to keep loudness, which tells emotions apart.
"""

import dataclasses
import functools
import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError, check_fields

VIEWS = ("waveform", "spectrogram")


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """The drawing of segments, `size` pixels a side, at a sampling `rate` in Hz.

    Fields:
      waveform_peak: amplitude at the top row, full scale being 1.
      window_seconds: length of the spectrogram's window.
      fft_size: points of the transform, at least the window's samples; zero-padding allows narrow bands.
      low_hz, high_hz: start of the lowest triangle, end of the highest.
      floor_db, ceiling_db: black and white, in dB relative to a sine of full scale.
    """

    rate: int
    size: int
    waveform_peak: float
    window_seconds: float
    fft_size: int
    low_hz: float
    high_hz: float
    floor_db: float
    ceiling_db: float

    def __post_init__(self) -> None:
        checks = {
            "rate": (self.rate > 0, "above 0"),
            "size": (self.size >= 2, "2 or more"),
            "waveform_peak": (self.waveform_peak > 0, "above 0"),
            "window_seconds": (self.window >= 2, f"2 samples or more at {self.rate} Hz"),
            "fft_size": (self.fft_size >= self.window, f"the window's {self.window} samples or more"),
            "low_hz": (0 <= self.low_hz < self.high_hz, f"at least 0 and below high_hz = {self.high_hz}"),
            "high_hz": (self.high_hz <= self.rate / 2, f"half the sampling rate, {self.rate / 2}, or less"),
            "floor_db": (self.floor_db < self.ceiling_db, f"below ceiling_db = {self.ceiling_db}"),
        }
        check_fields(self, checks)
        empty = int(np.sum(mel_triangles(self).sum(axis=0) == 0))
        if empty:
            raise InputError(
                f"ImageConfig: {empty} of {self.size} mel bands are narrower than the lines of a transform of "
                f"{self.fft_size} points and would stay black; take fft_size = {2 * self.fft_size} or more"
            )

    @property
    def window(self) -> int:
        """The samples of the spectrogram's window."""
        return round(self.window_seconds * self.rate)


def mel_triangles(config: ImageConfig) -> np.ndarray:
    """Returns weights [fft_size // 2 + 1, size] of the mel bands, low to high, triangles of height 1 in hertz."""
    from librosa.filters import mel  # at its use: the import takes seconds

    # `norm=None`: unit height. `ImageConfig` refuses empty bands, which librosa only warns of.
    settings: dict = {"n_mels": config.size, "fmin": config.low_hz, "fmax": config.high_hz, "htk": True, "norm": None}
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return mel(sr=config.rate, n_fft=config.fft_size, dtype=np.float64, **settings).T


@functools.partial(jax.jit, static_argnames="config")
def waveform_images(segments_BxL: jax.Array, config: ImageConfig) -> jax.Array:
    """Returns waveform diagrams [B, size, size, 1] in [0, 1] of segments [B, L], amplitudes about [-1, 1]."""
    chex.assert_rank(segments_BxL, 2)
    length, size = segments_BxL.shape[1], config.size
    first = np.arange(size) * length // size
    widest = -(-length // size) + 1
    # Indices past a column's end repeat its last sample, which changes neither minimum nor maximum.
    last = np.minimum(np.append(first[1:], length), length - 1)
    places = np.minimum(first[:, None] + np.arange(widest + 1), last[:, None])
    columns_BxWxK = segments_BxL[:, places]
    # Row of the pixel's centre that an amplitude falls on, top to bottom.
    low = _rows(columns_BxWxK.max(axis=2), config) - 0.5
    high = _rows(columns_BxWxK.min(axis=2), config) + 0.5
    row = jnp.arange(size, dtype=segments_BxL.dtype)[None, :, None]
    covered = jnp.minimum(high[:, None, :], row + 0.5) - jnp.maximum(low[:, None, :], row - 0.5)
    return jnp.clip(covered, 0, 1)[..., None]


def _rows(amplitude: jax.Array, config: ImageConfig) -> jax.Array:
    return (1 - jnp.clip(amplitude / config.waveform_peak, -1, 1)) * ((config.size - 1) / 2)


@functools.partial(jax.jit, static_argnames="config")
def spectrogram_images(segments_BxL: jax.Array, config: ImageConfig) -> jax.Array:
    """Returns log-mel spectrograms [B, size, size, 1] in [0, 1] of segments [B, L], amplitudes about [-1, 1]."""
    chex.assert_rank(segments_BxL, 2)
    length, size, window = segments_BxL.shape[1], config.size, config.window
    first = np.floor((np.arange(size) + 0.5) * length / size - window / 2).astype(int) + window
    padded = jnp.pad(segments_BxL, ((0, 0), (window, window)))
    # A slice per frame: a gather by index took longer than the transforms.
    frames_BxTxK = jnp.stack([padded[:, start : start + window] for start in first.tolist()], axis=1)
    hann_K = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
    # A sine of amplitude 1 has fft_size * sum(window^2) / 4 in its lines, by Parseval.
    scale = 4 / (config.fft_size * np.sum(hann_K**2))
    lines = jnp.fft.rfft(frames_BxTxK * hann_K.astype(segments_BxL.dtype)[None, None], n=config.fft_size)
    power = (jnp.square(lines.real) + jnp.square(lines.imag)) * scale
    triangles = mel_triangles(config).astype(segments_BxL.dtype)
    bands_BxTxH = jnp.matmul(power, triangles, precision=jax.lax.Precision.HIGHEST)
    # The floor comes before the logarithm: silence is black, with a gradient of zero.
    decibels = 10 * jnp.log10(jnp.maximum(bands_BxTxH, 10 ** (config.floor_db / 10)))
    shade = jnp.clip((decibels - config.floor_db) / (config.ceiling_db - config.floor_db), 0, 1)
    return shade.transpose(0, 2, 1)[:, ::-1, :, None]


def view_images(segments_BxL: jax.Array, view: str, config: ImageConfig) -> jax.Array:
    """Returns the images of a view, "waveform" or "spectrogram". Raises InputError for another name."""
    if view not in VIEWS:
        raise InputError(f"view {view!r}: expected one of {', '.join(VIEWS)}")
    return (waveform_images if view == "waveform" else spectrogram_images)(segments_BxL, config)

"""The log-mel spectrogram that Whisper takes as input (Radford et al. 2022, section 2.2), at a clip's own length.

Frames of 25 ms start every 10 ms at 16 kHz. They are centred, with reflection at both ends of the clip. The mel bands
are Slaney's. The logarithm has base 10 and is limited to 8 below the clip's largest value. The result is (x + 4) / 4.
"""

import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np

RATE = 16000
FRAME = 400  # samples of a frame
HOP = 160
MARGIN = FRAME // 2  # reflected samples at both ends
MIN_SAMPLES = FRAME
"""The shortest clip: a frame, 25 ms."""

_FLOOR = 1e-10  # of the power in a band
_RANGE = 8.0  # of the logarithm, below its maximum


def frame_count(samples: int) -> int:
    """Returns the number of frames of a clip of `samples`: its whole hops."""
    return samples // HOP


def sample_count(frames: int) -> int:
    """Returns the samples in a row of `reflected` for `frames`: the last frame begins after (frames - 1) hops."""
    return (frames - 1) * HOP + FRAME


def reflected(samples_L: np.ndarray, frames: int) -> np.ndarray:
    """Returns the samples of the clip's frames, reflected at both ends and zero-padded: [sample_count(frames)].

    Args:
      samples_L: float32, at least `MIN_SAMPLES`, at most `frames` frames.
    """
    row = np.zeros(sample_count(frames), np.float32)
    padded = np.pad(samples_L, MARGIN, mode="reflect")[: sample_count(frame_count(len(samples_L)))]
    row[: len(padded)] = padded
    return row


@functools.lru_cache
def filterbank(bands: int) -> np.ndarray:
    """Returns the weights [201, bands] float32 of power spectra in mel bands."""
    return np.ascontiguousarray(librosa.filters.mel(sr=RATE, n_fft=FRAME, n_mels=bands, dtype=np.float32).T)


# Periodic Hann.
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def log_mel(sound_BxL: jax.Array, frames_B: jax.Array, bands: int) -> jax.Array:
    """Returns the log-mel spectrograms [B, T, bands] of clips, with zeros after each clip's own frames.

    Args:
      sound_BxL: rows of `reflected`, [B, sample_count(T)] float32.
      frames_B: the number of frames of each clip, int.
    """
    n_frames = (sound_BxL.shape[1] - FRAME) // HOP + 1
    padded = jnp.pad(sound_BxL, ((0, 0), (0, (n_frames + 2) * HOP - sound_BxL.shape[1])))
    hops = padded.reshape(len(sound_BxL), n_frames + 2, HOP)
    frames_BxTx400 = jnp.concatenate([hops[:, :-2], hops[:, 1:-1], hops[:, 2:, : FRAME - 2 * HOP]], axis=2)
    spectrum_BxTx201 = jnp.fft.rfft(frames_BxTx400 * _WINDOW[None, None])
    power_BxTx201 = jnp.square(spectrum_BxTx201.real) + jnp.square(spectrum_BxTx201.imag)
    mel_BxTxM = jnp.matmul(power_BxTx201, filterbank(bands), precision="highest")
    log_BxTxM = jnp.log10(jnp.maximum(mel_BxTxM, _FLOOR))
    valid_BxTx1 = jnp.arange(n_frames)[None, :, None] < frames_B[:, None, None]
    most_Bx1x1 = jnp.max(log_BxTxM, axis=(1, 2), keepdims=True, where=valid_BxTx1, initial=np.log10(_FLOOR))
    return jnp.where(valid_BxTx1, (jnp.maximum(log_BxTxM, most_Bx1x1 - _RANGE) + 4) / 4, 0)

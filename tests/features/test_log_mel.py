"""The log-mel spectrogram at a clip's own length."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from siamese_jax.features import log_mel


def sound(length, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(length) / 16000
    return (0.2 * np.sin(2 * np.pi * 300 * time) + 0.01 * rng.standard_normal(length)).astype(np.float32)


program = jax.jit(log_mel.log_mel, static_argnames="bands")


def spectrogram(samples, frames=None, bands=80):
    own = log_mel.frame_count(len(samples))
    rows = log_mel.reflected(samples, frames or own)[None]
    return np.asarray(program(rows, jnp.array([own]), bands=bands))[0]


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("length", [880, 16000, 16159])
def test_equals_librosa_in_float64(length, bands):
    samples = sound(length)
    spectrum = librosa.stft(samples.astype(np.float64), n_fft=400, hop_length=160, pad_mode="reflect")
    mel = (
        librosa.filters.mel(sr=16000, n_fft=400, n_mels=bands, dtype=np.float64)
        @ np.abs(spectrum[:, : length // 160]) ** 2
    )
    logarithm = np.log10(np.maximum(mel, 1e-10))
    expected = (np.maximum(logarithm, logarithm.max() - 8) + 4) / 4
    np.testing.assert_allclose(spectrogram(samples, bands=bands).T, expected, atol=2e-5)


def test_padding_changes_nothing_and_is_zero():
    samples = sound(5000)
    # A burst at the end is louder in the padded row's first frame after the clip's own.
    burst = np.concatenate([np.zeros(4850, np.float32), 5 * sound(150)])
    for clip in (samples, burst):
        padded = spectrogram(clip, frames=48)
        np.testing.assert_allclose(padded[:31], spectrogram(clip), atol=1e-5)
        assert (padded[31:] == 0).all()


def test_the_shortest_clip_has_finite_values():
    assert np.isfinite(spectrogram(sound(log_mel.MIN_SAMPLES))).all()


def test_the_range_is_eight_below_the_clips_maximum():
    samples = np.concatenate([np.zeros(8000, np.float32), sound(8000)])
    values = spectrogram(samples)
    np.testing.assert_allclose(values.max() - values.min(), 2, atol=1e-6)

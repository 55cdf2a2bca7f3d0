"""Whisper's encoder against golden values of transformers, and on padded batches."""

import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from whisper_folders import write_encoder

from siamese_jax.corpora.audio import decode
from siamese_jax.features import log_mel
from siamese_jax.models import whisper, whisper_weights

GOLDEN = Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import whisper_recipe as recipe  # noqa: E402


@functools.partial(jax.jit, static_argnames=("config", "layers"))
def program(params, rows, frames, config, layers):
    mel = log_mel.log_mel(rows, frames, config.num_mel_bins)
    return mel, whisper.hidden_states(params, mel, frames, config.encoder_attention_heads, layers, "highest")


def states(params, config, samples, frames, layers, padded_to=None):
    rows = np.stack([log_mel.reflected(clip, padded_to or frames[0]) for clip in samples])
    return program(params, rows, jnp.asarray(frames), config, tuple(layers))


hidden_states = jax.jit(whisper.hidden_states, static_argnames=("n_heads", "layers", "precision"))


@pytest.mark.parametrize("name", recipe.SIZES)
def test_hidden_states_equal_transformers(name, tmp_path):
    config = write_encoder(name, tmp_path)
    params = whisper_weights.load(tmp_path, config, config.encoder_layers)
    golden = np.load(GOLDEN / "whisper.npz")
    samples = np.pad(recipe.sound(), (0, 480000 - 48000))
    mel, hidden = states(params, config, [samples], [3000], range(config.encoder_layers + 1))
    np.testing.assert_allclose(mel[0, ::25].T, golden[f"{name}_mel"], atol=1e-4)
    for state, expected in zip(hidden, golden[f"{name}_hidden"], strict=True):
        difference = np.asarray(state[0])[list(recipe.SHOWN)] - expected
        assert np.linalg.norm(difference) < 1e-4 * np.linalg.norm(expected)


def test_padding_and_neighbours_change_nothing(tmp_path):
    config = write_encoder("tiny", tmp_path)
    params = whisper_weights.load(tmp_path, config, 2)
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, length).astype(np.float32) for length in (9300, 16000, 880)]
    frames = [log_mel.frame_count(len(clip)) for clip in clips]
    assert [own % 2 for own in frames] == [0, 0, 1]
    _, together = states(params, config, clips, frames, (1, 2), padded_to=120)
    for row in (0, 2):
        clip, own = clips[row], frames[row]
        _, alone = states(params, config, [clip], [own], (1, 2), padded_to=own + own % 2)
        positions = whisper.position_count(own)
        for a, b in zip(together, alone):
            np.testing.assert_allclose(np.asarray(a)[row, :positions], np.asarray(b)[0, :positions], atol=2e-5)


def test_a_clip_has_a_position_for_each_two_frames_and_for_an_odd_last_one():
    """As many as a convolution of width 3 and stride 2 gives, with a frame of padding on both sides."""
    frames = np.arange(1, 9)
    expected = [len(np.convolve(np.ones(n + 2), np.ones(3), "valid")[::2]) for n in frames]
    np.testing.assert_array_equal(whisper.position_count(frames), expected)


def test_statistics_are_the_mean_and_the_deviation_of_valid_positions():
    state = np.random.default_rng(0).normal(3, 2, (2, 7, 4)).astype(np.float32)
    mean, deviation = np.moveaxis(np.asarray(jax.jit(whisper.statistics)(state, jnp.array([7, 3]))), 1, 0)
    np.testing.assert_allclose(mean, [state[0].mean(axis=0), state[1, :3].mean(axis=0)], rtol=1e-5)
    np.testing.assert_allclose(deviation, [state[0].std(axis=0), state[1, :3].std(axis=0)], rtol=1e-5)


def test_bfloat16_stays_near_float32(tmp_path):
    config = write_encoder("tiny", tmp_path)
    params = whisper_weights.load(tmp_path, config, 2)
    rough = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    mel = jnp.asarray(np.random.default_rng(0).normal(0, 0.5, (1, 60, 80)), jnp.float32)
    exact = hidden_states(params, mel, jnp.array([60]), n_heads=3, layers=(2,), precision="highest")[0]
    near = hidden_states(rough, mel.astype(jnp.bfloat16), jnp.array([60]), n_heads=3, layers=(2,), precision="highest")[
        0
    ]
    assert near.dtype == jnp.bfloat16
    assert 1e-4 < np.linalg.norm(near.astype(np.float32) - exact) / np.linalg.norm(exact) < 0.03


@pytest.mark.data
def test_the_whole_encoder_equals_its_reference(data_folder):
    """All layers and the final norm, on a synthesised sound and on a recording, in 30 s windows."""
    folder = data_folder / "models" / "whisper_tiny_en"
    if not folder.is_dir():
        pytest.skip("SIAMESE_JAX_DATA has no models/whisper_tiny_en")
    config = whisper_weights.read_config(folder)
    params = whisper_weights.load(folder, config, 4)
    reference = np.load(folder / "reference_30s.npz")
    clip = "03-01-05-01-01-01-07"
    recording = decode(data_folder / "audio" / "ravdess" / "Actor_07" / f"{clip}.wav").samples / np.float32(32768)
    for key, sound in (("synthetic", reference["synthetic_audio"]), (f"ravdess_{clip}", recording)):
        samples = np.pad(sound, (0, 480000 - len(sound)))
        mel, hidden = states(params, config, [samples], [3000], range(5))
        assert np.abs(np.asarray(mel[0, :400].T) - reference[f"{key}_mel"]).max() < 1e-4
        for state, expected in zip(hidden, reference[f"{key}_hidden"], strict=True):
            difference = np.asarray(state[0, :200]) - expected
            assert np.linalg.norm(difference) < 1e-5 * np.linalg.norm(expected)

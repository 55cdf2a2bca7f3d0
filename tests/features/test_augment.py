"""Augmentation: bounded, different for each of the batch, a function of its key, and off at strength zero."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.features.augment import (
    AugmentConfig,
    add_noise,
    augment_images,
    augment_segments,
    mask_axis,
    shift_time,
)

CONFIG = AugmentConfig(
    shift=0.2, noise_share=1.0, noise_low_db=10.0, noise_high_db=20.0, time_masks=2, time_width=0.25,
    frequency_masks=1, frequency_width=0.5,
)  # fmt: skip
OFF = AugmentConfig(0.0, 0.0, 10.0, 20.0, 0, 0.0, 0, 0.0)


def test_shifts_move_whole_segments_within_bounds():
    ramp = jnp.tile(jnp.arange(1.0, 51.0)[None], (200, 1))
    moved = np.asarray(shift_time(jax.random.key(0), ramp, 0.2))
    shifts = []
    for row in moved:
        kept = np.flatnonzero(row)
        shifts.append(int(kept[0] + 1 - row[kept[0]]))
        np.testing.assert_array_equal(row[kept], kept - shifts[-1] + 1)
    assert set(shifts) == set(range(-10, 11))


def test_noise_has_the_ratio_asked_for():
    tone = jnp.asarray(np.sin(np.arange(20000) * 0.3), jnp.float32)[None] * jnp.array([[0.01], [0.5]])
    noise = np.asarray(add_noise(jax.random.key(1), tone, 1.0, 15.0, 15.0) - tone)
    ratio = 10 * np.log10(np.mean(np.asarray(tone) ** 2, axis=1) / np.mean(noise**2, axis=1))
    np.testing.assert_allclose(ratio, 15, atol=0.3)


def test_the_ratios_of_segments_lie_between_both_bounds():
    tone = jnp.tile(jnp.asarray(np.sin(np.arange(4000) * 0.3), jnp.float32)[None], (64, 1))
    noise = np.asarray(add_noise(jax.random.key(1), tone, 1.0, 10.0, 20.0) - tone)
    ratio = 10 * np.log10(np.mean(np.asarray(tone) ** 2, axis=1) / np.mean(noise**2, axis=1))
    assert 9.5 < ratio.min() < 12
    assert 18 < ratio.max() < 20.5


def test_noise_reaches_its_share_of_segments_and_no_silence():
    sound = jnp.ones((400, 20)).at[0].set(0)
    changed = np.abs(np.asarray(add_noise(jax.random.key(2), sound, 0.3, 10.0, 20.0) - sound)).max(axis=1) > 0
    assert 0.22 < changed.mean() < 0.38
    always = add_noise(jax.random.key(2), sound, 1.0, 10.0, 20.0)
    np.testing.assert_array_equal(always[0], 0)


@pytest.mark.parametrize("axis", [1, 2])
def test_masks_are_bands_no_wider_than_asked(axis):
    images = jnp.ones((300, 20, 16, 1))
    masked = np.asarray(mask_axis(jax.random.key(3), images, axis, 1, 0.25))[..., 0]
    other = 3 - axis
    lines = masked.max(axis=other)
    np.testing.assert_array_equal(masked.min(axis=other), lines)  # whole lines, edge to edge
    widths = (lines == 0).sum(axis=1)
    size = images.shape[axis]
    assert widths.max() <= size // 4 + 1
    assert widths.max() > 1
    gaps = np.abs(np.diff(np.pad(lines, ((0, 0), (1, 1)), constant_values=1), axis=1)).sum(axis=1)
    assert set(gaps) <= {0, 2}  # one band each


def test_waveform_images_keep_their_amplitudes():
    images = jnp.ones((50, 12, 12, 1))
    waves = np.asarray(augment_images(jax.random.key(4), images, "waveform", CONFIG))
    np.testing.assert_array_equal(waves.max(axis=1), waves.min(axis=1))
    spectrograms = np.asarray(augment_images(jax.random.key(4), images, "spectrogram", CONFIG))
    assert (spectrograms.max(axis=2) == 0).any()


def test_the_key_decides():
    sound = jnp.asarray(np.random.default_rng(0).standard_normal((4, 100)), jnp.float32)
    first, again, other = (augment_segments(jax.random.key(k), sound, CONFIG) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - other).max()) > 0
    assert len(np.unique(np.asarray(first - sound)[:, 50])) == 4


def test_strength_zero_changes_nothing():
    sound, images = jnp.ones((3, 40)) * 0.5, jnp.ones((3, 8, 8, 1)) * 0.25
    np.testing.assert_array_equal(augment_segments(jax.random.key(0), sound, OFF), sound)
    np.testing.assert_array_equal(augment_images(jax.random.key(0), images, "spectrogram", OFF), images)


def test_gradients_pass_silence():
    grad = jax.grad(lambda x: augment_segments(jax.random.key(0), x, CONFIG).sum())(jnp.zeros((2, 30)))
    assert np.isfinite(grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"shift": 1.5}, r"shift = 1\.5"), ({"time_masks": -1}, "time_masks = -1"), ({"noise_share": -0.1}, "noise_share"),
     ({"noise_low_db": 30.0}, r"noise_low_db = 30\.0: expected at most noise_high_db = 20\.0")],
)  # fmt: skip
def test_bad_configs_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **change)

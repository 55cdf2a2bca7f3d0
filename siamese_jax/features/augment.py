"""Augmentation of segments and images for training: pure functions, an independent draw for each element of the batch.

A strength of zero returns the input. Shift and noise act on samples, before the images; masks act on images, as in
SpecAugment (Park et al. 2019).
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """The strength of each change.

    Fields:
      shift: greatest shift in time to either side, as a share of the segment; uniform.
      noise_low_db, noise_high_db: signal-to-noise ratio of the white noise, uniform in dB.
      noise_share: share of segments that get noise.
      time_masks, frequency_masks: number of masks along each axis.
      time_width, frequency_width: greatest width of a mask, as a share of the image; uniform from zero.
    """

    shift: float
    noise_share: float
    noise_low_db: float
    noise_high_db: float
    time_masks: int
    time_width: float
    frequency_masks: int
    frequency_width: float

    def __post_init__(self) -> None:
        for name in ("shift", "noise_share", "time_width", "frequency_width"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"AugmentConfig.{name} = {getattr(self, name)!r}: expected a share in [0, 1]")
        for name in ("time_masks", "frequency_masks"):
            if getattr(self, name) < 0:
                raise InputError(f"AugmentConfig.{name} = {getattr(self, name)!r}: expected 0 or more")
        if self.noise_low_db > self.noise_high_db:
            most = f"noise_high_db = {self.noise_high_db}"
            raise InputError(f"AugmentConfig.noise_low_db = {self.noise_low_db}: expected at most {most}")


def shift_time(key: jax.Array, segments_BxL: jax.Array, share: float) -> jax.Array:
    """Returns segments moved by up to `share` of their length to either side, padded with zeros."""
    batch, length = segments_BxL.shape
    furthest = round(share * length)
    shifts_B = jax.random.randint(key, (batch,), -furthest, furthest + 1)
    padded = jnp.pad(segments_BxL, ((0, 0), (furthest, furthest)))
    return jax.vmap(lambda row, shift: jax.lax.dynamic_slice(row, (furthest - shift,), (length,)))(padded, shifts_B)


def add_noise(key: jax.Array, segments_BxL: jax.Array, share: float, low_db: float, high_db: float) -> jax.Array:
    """Adds white Gaussian noise to about `share` of the segments, relative to the segment's power; silence stays."""
    choice_key, ratio_key, noise_key = jax.random.split(key, 3)
    batch = segments_BxL.shape[0]
    chosen_B = jax.random.bernoulli(choice_key, share, (batch,))
    ratio_B = jax.random.uniform(ratio_key, (batch,), segments_BxL.dtype, low_db, high_db)
    power_B = jnp.mean(jnp.square(segments_BxL), axis=1)
    # The guard keeps the root's gradient finite in silence.
    level_B = jnp.where(power_B > 0, jnp.sqrt(jnp.where(power_B > 0, power_B, 1)), 0) * 10 ** (-ratio_B / 20)
    noise_BxL = jax.random.normal(noise_key, segments_BxL.shape, segments_BxL.dtype)
    return segments_BxL + (level_B * chosen_B)[:, None] * noise_BxL


def mask_axis(key: jax.Array, images_BxHxWxI: jax.Array, axis: int, masks: int, width: float) -> jax.Array:
    """Sets `masks` bands along `axis` (1 frequency, 2 time) to zero, each up to `width` of the axis wide."""
    batch, size = images_BxHxWxI.shape[0], images_BxHxWxI.shape[axis]
    width_key, start_key = jax.random.split(key)
    width_BxK = jax.random.uniform(width_key, (batch, masks)) * width * size
    start_BxK = jax.random.uniform(start_key, (batch, masks)) * (size - width_BxK)
    place = jnp.arange(size)[None, None, :] + 0.5
    inside = (place >= start_BxK[:, :, None]) & (place < (start_BxK + width_BxK)[:, :, None])
    shape = [batch, 1, 1, 1]
    shape[axis] = size
    return jnp.where(inside.any(axis=1).reshape(shape), 0, images_BxHxWxI)


def augment_segments(key: jax.Array, segments_BxL: jax.Array, config: AugmentConfig) -> jax.Array:
    """Shifts samples [B, L], then adds noise. Consumes `key`."""
    chex.assert_rank(segments_BxL, 2)
    shift_key, noise_key = jax.random.split(key)
    shifted = shift_time(shift_key, segments_BxL, config.shift)
    return add_noise(noise_key, shifted, config.noise_share, config.noise_low_db, config.noise_high_db)


def augment_images(key: jax.Array, images_BxHxWxI: jax.Array, view: str, config: AugmentConfig) -> jax.Array:
    """Masks images [B, H, W, I] in [0, 1]: along time in both views, along frequency in the spectrogram alone, since
    the rows of a waveform diagram are amplitudes. Consumes `key`."""
    chex.assert_rank(images_BxHxWxI, 4)
    time_key, frequency_key = jax.random.split(key)
    images = mask_axis(time_key, images_BxHxWxI, 2, config.time_masks, config.time_width)
    if view == "waveform":
        return images
    return mask_axis(frequency_key, images, 1, config.frequency_masks, config.frequency_width)

"""Changes to segments and images that leave the emotion as it is, for training only.

Pure functions with explicit keys; each of the batch gets its own draw. A strength of zero leaves the input alone.
Shift and noise act on samples, before the images; masks act on images, as SpecAugment's do (Park et al. 2019).
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How far each change goes.

    Fields:
      shift: greatest shift in time, as a share of the segment, to either side, uniform.
      noise_low_db, noise_high_db: signal-to-noise ratio of the white noise, uniform in dB.
      noise_share: share of segments that noise is added to.
      time_masks, frequency_masks: number of masks along each axis.
      time_width, frequency_width: greatest width of a mask, as a share of the image, uniform from zero.
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
            raise InputError(
                f"AugmentConfig.noise_low_db = {self.noise_low_db}: expected at most noise_high_db = "
                f"{self.noise_high_db}"
            )


def shift_time(key: jax.Array, segments_BxL: jax.Array, share: float) -> jax.Array:
    """Segments moved by up to `share` of their length to either side; zeros move in, nothing wraps."""
    batch, length = segments_BxL.shape
    furthest = round(share * length)
    shifts_B = jax.random.randint(key, (batch,), -furthest, furthest + 1)
    padded = jnp.pad(segments_BxL, ((0, 0), (furthest, furthest)))
    return jax.vmap(lambda row, shift: jax.lax.dynamic_slice(row, (furthest - shift,), (length,)))(padded, shifts_B)


def add_noise(key: jax.Array, segments_BxL: jax.Array, share: float, low_db: float, high_db: float) -> jax.Array:
    """White Gaussian noise added to about `share` of the segments, at a ratio to the segment's own power.

    A silent segment stays silent.
    """
    which, how_much, noise = jax.random.split(key, 3)
    batch = segments_BxL.shape[0]
    chosen_B = jax.random.bernoulli(which, share, (batch,))
    ratio_B = jax.random.uniform(how_much, (batch,), segments_BxL.dtype, low_db, high_db)
    power_B = jnp.mean(jnp.square(segments_BxL), axis=1)
    # The guard keeps the root's gradient finite in silence.
    level_B = jnp.where(power_B > 0, jnp.sqrt(jnp.where(power_B > 0, power_B, 1)), 0) * 10 ** (-ratio_B / 20)
    noise_BxL = jax.random.normal(noise, segments_BxL.shape, segments_BxL.dtype)
    return segments_BxL + (level_B * chosen_B)[:, None] * noise_BxL


def mask_axis(key: jax.Array, images_BxHxWxI: jax.Array, axis: int, masks: int, width: float) -> jax.Array:
    """Images with `masks` bands along `axis` (1 frequency, 2 time) set to zero, each up to `width` of the axis wide."""
    batch, size = images_BxHxWxI.shape[0], images_BxHxWxI.shape[axis]
    wide, where = jax.random.split(key)
    width_BxK = jax.random.uniform(wide, (batch, masks)) * width * size
    start_BxK = jax.random.uniform(where, (batch, masks)) * (size - width_BxK)
    place = jnp.arange(size)[None, None, :] + 0.5
    inside = (place >= start_BxK[:, :, None]) & (place < (start_BxK + width_BxK)[:, :, None])
    shape = [batch, 1, 1, 1]
    shape[axis] = size
    return jnp.where(inside.any(axis=1).reshape(shape), 0, images_BxHxWxI)


def augment_segments(key: jax.Array, segments_BxL: jax.Array, config: AugmentConfig) -> jax.Array:
    """Shift, then noise, on samples [B, L]. The key is consumed here."""
    chex.assert_rank(segments_BxL, 2)
    shifting, noise = jax.random.split(key)
    shifted = shift_time(shifting, segments_BxL, config.shift)
    return add_noise(noise, shifted, config.noise_share, config.noise_low_db, config.noise_high_db)


def augment_images(key: jax.Array, images_BxHxWxI: jax.Array, view: str, config: AugmentConfig) -> jax.Array:
    """Masks on images [B, H, W, I] in [0, 1]: along time in both views, along frequency in the spectrogram alone,
    since the rows of a waveform diagram are amplitudes. The key is consumed here."""
    chex.assert_rank(images_BxHxWxI, 4)
    time, frequency = jax.random.split(key)
    images = mask_axis(time, images_BxHxWxI, 2, config.time_masks, config.time_width)
    if view == "waveform":
        return images
    return mask_axis(frequency, images, 1, config.frequency_masks, config.frequency_width)

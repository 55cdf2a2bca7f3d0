"""The 64 features of Feng & Chaspari 2020: the means and standard deviations of the INTERSPEECH 2009 set.

The 16 low-level descriptors of the INTERSPEECH 2009 Emotion Challenge (Schuller, Steidl & Batliner 2009), smoothed
over time, and their deltas; of each the mean and the standard deviation over the clip, in openSMILE's column order
and under its names. The stages are pure functions: `low_level_descriptors`, `contours`, `functionals`, and
`features` for all of them.
"""

import chex
import jax
import jax.numpy as jnp

from siamese_jax.features.is09_functionals import TAIL, contours, functionals
from siamese_jax.features.is09_lld import (
    DESCRIPTOR_NAMES,
    HOP,
    RATE,
    describe_frames,
    frame_count,
    real_dtype,
    sample_count,
    spectrum,
)

__all__ = [
    "DESCRIPTOR_NAMES",
    "FEATURE_NAMES",
    "MIN_SAMPLES",
    "RATE",
    "contours",
    "features",
    "frame_count",
    "functionals",
    "low_level_descriptors",
    "sample_count",
    "spectrum",
    "track_pitch",
]

VERSION = "1"
"""Raised whenever the same samples give other values; unfinished extractions of another version are not resumed."""

MIN_SAMPLES = sample_count(2 * TAIL)
"""The shortest clip that has features: four frames, 55 ms."""


def _columns(suffix: str) -> list[str]:
    stems = [
        name.replace("[", f"{suffix}[") if "[" in name else name + suffix for name in DESCRIPTOR_NAMES
    ]  # fmt: skip
    return [f"{stem}_{functional}" for stem in stems for functional in ("amean", "stddev")]


FEATURE_NAMES = (*_columns("_sma"), *_columns("_sma_de"))
"""openSMILE's names of the 64 columns."""


def track_pitch(candidate_BxT: jax.Array) -> jax.Array:
    """Follows the pitch over time: doublings are pulled back to the running mean, lone voiced frames are dropped.

    Args:
      candidate_BxT: [B, T] pitch in Hz of each frame, 0 where unvoiced, and 0 past the clip's frames.

    Returns:
      [B, T] the fundamental frequency in Hz, a frame late, 0 where unvoiced.
    """

    def step(mean_B, pitch_B):
        voiced = pitch_B > 0
        mean_B = jnp.where(voiced & (mean_B == 0), pitch_B, mean_B)
        inside = (pitch_B > 0.6 * mean_B) & (pitch_B < 1.4 * mean_B)
        kept_B = jnp.where(voiced, jnp.where(inside, pitch_B, mean_B), 0)
        weight_B = jnp.where(inside, 0.3, 0.1).astype(mean_B.dtype)
        return jnp.where(voiced, (1 - weight_B) * mean_B + weight_B * pitch_B, mean_B), kept_B

    # Only the running mean needs the frame before: one scan over all clips at once.
    start_B = jnp.zeros_like(candidate_BxT[:, 0])
    kept_BxT = jax.lax.scan(step, start_B, candidate_BxT.T)[1].T
    past_BxT = jnp.pad(kept_BxT, ((0, 0), (2, 0)))
    one, two = past_BxT[:, 1:-1], past_BxT[:, :-2]
    lag_BxT = jnp.where((two == 0) & (kept_BxT == 0), 0, one)
    before_BxT = jnp.pad(lag_BxT, ((0, 0), (1, 0)))[:, :-1]
    return jnp.where((lag_BxT > 0) & (before_BxT > 0), (before_BxT + lag_BxT) / 2, lag_BxT)


def _describe_blocks(samples_BxL: jax.Array, frames_B: jax.Array, count: int, block: int) -> jax.Array:
    """`describe_frames` over blocks of `block` frames, and only over those that hold a clip's own frames."""
    clips = samples_BxL.shape[0]
    most = -(-count // block)
    padding = max(sample_count(most * block) - samples_BxL.shape[1], 0)
    padded = jnp.pad(samples_BxL, ((0, 0), (0, padding)))
    # Cut before the loop: a slice at a moving offset is fused into all that reads it, and slows each.
    starts = range(0, most * block * HOP, block * HOP)
    pieces = jnp.stack([padded[:, start : start + sample_count(block)] for start in starts], axis=1)
    pieces = pieces.reshape(clips * most, sample_count(block))

    blocks_B = -(-frames_B // block)
    ends_B = jnp.cumsum(blocks_B)

    def body(i: jax.Array, output: jax.Array) -> jax.Array:
        clip = jnp.sum(ends_B <= i)
        row = clip * most + i - (ends_B[clip] - blocks_B[clip])
        return output.at[row].set(describe_frames(pieces[row]))

    empty = jnp.zeros((clips * most, block, len(DESCRIPTOR_NAMES)), real_dtype())
    described = jax.lax.fori_loop(0, ends_B[-1], body, empty)
    return described.reshape(clips, most * block, -1)[:, :count]


def low_level_descriptors(samples_BxL: jax.Array, lengths_B: jax.Array, block: int | None = None) -> jax.Array:
    """The 16 descriptors of every frame, in the order of `DESCRIPTOR_NAMES`.

    Args:
      samples_BxL: [B, L] int16 at 16 kHz, L at least one frame (400 samples).
      lengths_B: [B] samples of each clip; what lies past them is never looked at.
      block: None computes all frames at once, which suits an accelerator. A number computes that many frames at a
        time, which keeps the work in a CPU's cache and skips what is only padding.

    Returns:
      [B, T, 16], T the frames that L samples hold; rows past a clip's own frames are 0.
    """
    samples_BxL, lengths_B = jnp.asarray(samples_BxL), jnp.asarray(lengths_B)
    chex.assert_rank((samples_BxL, lengths_B), (2, 1))
    chex.assert_equal_shape_prefix((samples_BxL, lengths_B), 1)
    chex.assert_type((samples_BxL, lengths_B), int)
    frames_B = frame_count(lengths_B)
    count = int(frame_count(samples_BxL.shape[1]))
    if block is None:
        exact = samples_BxL[:, : sample_count(count)]
        descriptors_BxTxK = jax.vmap(describe_frames)(exact)
    else:
        descriptors_BxTxK = _describe_blocks(samples_BxL, frames_B, count, block)
    own_BxTx1 = (jnp.arange(count)[None, :] < frames_B[:, None])[:, :, None]
    descriptors_BxTxK = jnp.where(own_BxTx1, descriptors_BxTxK, 0)
    pitch_BxT = track_pitch(descriptors_BxTxK[:, :, -1])
    with_pitch = jnp.concatenate([descriptors_BxTxK[:, :, :-1], pitch_BxT[:, :, None]], axis=2)
    return jnp.where(own_BxTx1, with_pitch, 0)


def features(samples_BxL: jax.Array, lengths_B: jax.Array, block: int | None = None) -> jax.Array:
    """The 64 features of every clip of a padded batch, in the order of `FEATURE_NAMES`.

    Args: as `low_level_descriptors`.

    Returns:
      [B, 64]; NaN for a clip shorter than `MIN_SAMPLES` (the caller's to refuse: this function is traced).
    """
    frames_B = frame_count(jnp.asarray(lengths_B))
    smooth, delta = contours(low_level_descriptors(samples_BxL, lengths_B, block), frames_B)
    return functionals(smooth, delta, frames_B)

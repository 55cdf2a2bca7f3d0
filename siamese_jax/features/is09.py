"""The 64 features of Feng & Chaspari 2020: the means and standard deviations of the INTERSPEECH 2009 set.

The 16 low-level descriptors of the INTERSPEECH 2009 Emotion Challenge (Schuller, Steidl & Batliner 2009), smoothed
over time, and their deltas; of each the mean and the standard deviation over the clip, in openSMILE's column order
and under its names. The stages are `low_level_descriptors`, `contours` and `functionals`; `features` runs them all.
"""

import chex
import jax
import jax.numpy as jnp

from siamese_jax.features.is09_functionals import TAIL, contours, functionals
from siamese_jax.features.is09_lld import DESCRIPTOR_NAMES, HOP, describe_frames, frame_count, real_dtype, sample_count
from siamese_jax.features.is09_lld import RATE as RATE

VERSION = "1"
"""Incremented when the same samples give other values; extractions of another version are not resumed."""

MIN_SAMPLES = sample_count(2 * TAIL)
"""The shortest clip that has features: four frames, 55 ms."""


def _columns(suffix: str) -> list[str]:
    stems = [name.replace("[", f"{suffix}[") if "[" in name else name + suffix for name in DESCRIPTOR_NAMES]
    return [f"{stem}_{functional}" for stem in stems for functional in ("amean", "stddev")]


FEATURE_NAMES = (*_columns("_sma"), *_columns("_sma_de"))
"""openSMILE's names of the 64 columns."""


def track_pitch(candidate_BxT: jax.Array) -> jax.Array:
    """Returns the fundamental frequency [B, T] in Hz, a frame late, 0 where unvoiced.

    Doublings are pulled back to the running mean, lone voiced frames are dropped. `candidate_BxT` is the pitch in Hz of
    each frame, 0 where unvoiced and past the clip's frames.
    """

    def step(mean_B: jax.Array, pitch_B: jax.Array) -> tuple[jax.Array, jax.Array]:
        voiced = pitch_B > 0
        mean_B = jnp.where(voiced & (mean_B == 0), pitch_B, mean_B)
        inside = (pitch_B > 0.6 * mean_B) & (pitch_B < 1.4 * mean_B)
        tracked_B = jnp.where(voiced, jnp.where(inside, pitch_B, mean_B), 0)
        weight_B = jnp.where(inside, 0.3, 0.1).astype(mean_B.dtype)
        return jnp.where(voiced, (1 - weight_B) * mean_B + weight_B * pitch_B, mean_B), tracked_B

    # Only the running mean needs the frame before: one scan over all clips at once.
    start_B = jnp.zeros_like(candidate_BxT[:, 0])
    tracked_BxT = jax.lax.scan(step, start_B, candidate_BxT.T)[1].T
    past_BxT = jnp.pad(tracked_BxT, ((0, 0), (2, 0)))
    one, two = past_BxT[:, 1:-1], past_BxT[:, :-2]
    lag_BxT = jnp.where((two == 0) & (tracked_BxT == 0), 0, one)
    before_BxT = jnp.pad(lag_BxT, ((0, 0), (1, 0)))[:, :-1]
    return jnp.where((lag_BxT > 0) & (before_BxT > 0), (before_BxT + lag_BxT) / 2, lag_BxT)


def cut(samples_BxL: jax.Array, block: int) -> jax.Array:
    """Cuts clips [B, L] int16 into pieces of `block` frames each; the end of a piece is the beginning of the next.

    Returns [B, K, P], K the pieces for all frames of L samples, P the samples of a piece; zeros past L.
    """
    pieces = -(-int(frame_count(samples_BxL.shape[1])) // block)
    missing = max(sample_count(pieces * block) - samples_BxL.shape[1], 0)
    padded = jnp.pad(samples_BxL, ((0, 0), (0, missing)))
    starts = range(0, pieces * block * HOP, block * HOP)
    return jnp.stack([padded[:, start : start + sample_count(block)] for start in starts], axis=1)


def _describe_pieces(pieces_BxKxP: jax.Array, frames_B: jax.Array, block: int) -> jax.Array:
    """Runs `describe_frames` over pieces, one at a time, and only over pieces with a clip's own frames."""
    clips, most, length = pieces_BxKxP.shape
    # Pieces are whole rows, cut before the loop: a slice at a moving offset would be fused into all its readers.
    rows = pieces_BxKxP.reshape(clips * most, length)
    own_B = -(-frames_B // block)
    ends_B = jnp.cumsum(own_B)

    def body(i: jax.Array, output: jax.Array) -> jax.Array:
        clip = jnp.sum(ends_B <= i)
        row = clip * most + i - (ends_B[clip] - own_B[clip])
        return output.at[row].set(describe_frames(rows[row]))

    empty = jnp.zeros((clips * most, block, len(DESCRIPTOR_NAMES)), real_dtype())
    described = jax.lax.fori_loop(0, ends_B[-1], body, empty)
    return described.reshape(clips, most * block, -1)


def _finish(descriptors_BxTxK: jax.Array, frames_B: jax.Array) -> jax.Array:
    """Sets the frames past each clip's own to 0 and tracks the pitch over time."""
    own_BxTx1 = (jnp.arange(descriptors_BxTxK.shape[1])[None, :] < frames_B[:, None])[:, :, None]
    descriptors_BxTxK = jnp.where(own_BxTx1, descriptors_BxTxK, 0)
    pitch_BxT = track_pitch(descriptors_BxTxK[:, :, -1])
    with_pitch = jnp.concatenate([descriptors_BxTxK[:, :, :-1], pitch_BxT[:, :, None]], axis=2)
    return jnp.where(own_BxTx1, with_pitch, 0)


def low_level_descriptors(samples_BxL: jax.Array, lengths_B: jax.Array, block: int | None = None) -> jax.Array:
    """Returns the 16 descriptors of every frame [B, T, 16], in the order of `DESCRIPTOR_NAMES`; 0 past a clip's frames.

    `samples_BxL` is int16 at 16 kHz, L at least one frame (400 samples), with T whole frames; samples past `lengths_B`
    are never used. `block` None computes all frames at once, which suits an accelerator; a number computes that many
    frames at a time, which keeps the work in a CPU's cache and skips padding.
    """
    samples_BxL, lengths_B = jnp.asarray(samples_BxL), jnp.asarray(lengths_B)
    chex.assert_rank((samples_BxL, lengths_B), (2, 1))
    chex.assert_equal_shape_prefix((samples_BxL, lengths_B), 1)
    chex.assert_type((samples_BxL, lengths_B), int)
    frames_B = frame_count(lengths_B)
    count = int(frame_count(samples_BxL.shape[1]))
    if block is None:
        descriptors_BxTxK = jax.vmap(describe_frames)(samples_BxL[:, : sample_count(count)])
    else:
        descriptors_BxTxK = _describe_pieces(cut(samples_BxL, block), frames_B, block)[:, :count]
    return _finish(descriptors_BxTxK, frames_B)


def features_of_pieces(pieces_BxKxP: jax.Array, lengths_B: jax.Array) -> jax.Array:
    """As `features`, of clips in pieces [B, K, P] int16, as `cut` returns them: fastest on a CPU.

    Pieces without a clip's own frames are never used.
    """
    chex.assert_rank((pieces_BxKxP, lengths_B), (3, 1))
    frames_B = frame_count(lengths_B)
    block = int(frame_count(pieces_BxKxP.shape[2]))
    descriptors_BxTxK = _finish(_describe_pieces(pieces_BxKxP, frames_B, block), frames_B)
    return functionals(*contours(descriptors_BxTxK, frames_B), frames_B)


def features(samples_BxL: jax.Array, lengths_B: jax.Array, block: int | None = None) -> jax.Array:
    """Returns the 64 features of every clip of a padded batch [B, 64], in the order of `FEATURE_NAMES`.

    NaN for a clip shorter than `MIN_SAMPLES`: the caller must refuse it. Args: as `low_level_descriptors`.
    """
    frames_B = frame_count(jnp.asarray(lengths_B))
    smooth, delta = contours(low_level_descriptors(samples_BxL, lengths_B, block), frames_B)
    return functionals(smooth, delta, frames_B)

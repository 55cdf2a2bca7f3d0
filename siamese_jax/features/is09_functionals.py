"""From descriptors over time to a row for each clip: smoothing, deltas, means and standard deviations."""

import jax
import jax.numpy as jnp

TAIL = 2
"""Frames at the end of a clip that the functionals leave out."""


def _shifted(contour_BxTxK: jax.Array, frames_B: jax.Array, step: int) -> jax.Array:
    """Returns the contour at n + step, the clip's first and last frames repeated outwards."""
    count = contour_BxTxK.shape[1]
    if step < 0:
        first = jnp.repeat(contour_BxTxK[:, :1], -step, axis=1)
        return jnp.concatenate([first, contour_BxTxK[:, :step]], axis=1)
    last = _at(contour_BxTxK, frames_B - 1)[:, None]
    moved = jnp.pad(contour_BxTxK[:, step:], ((0, 0), (0, step), (0, 0)))
    inside = jnp.arange(count)[None, :] + step < frames_B[:, None]
    return jnp.where(inside[:, :, None], moved, last)


def _at(contour_BxTxK: jax.Array, frame_B: jax.Array) -> jax.Array:
    """Returns each clip's own frame [B, K], the first where the number is negative."""
    return jnp.take_along_axis(contour_BxTxK, jnp.maximum(frame_B, 0)[:, None, None], axis=1)[:, 0]


def contours(descriptors_BxTxK: jax.Array, frames_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the mean over a frame and its two neighbours, and its delta (regression over two frames each way).

    Both are [B, T, K], with edge frames repeated; rows past a clip's own frames (`frames_B`, at most T) are undefined.
    """
    before, after = (_shifted(descriptors_BxTxK, frames_B, step) for step in (-1, 1))
    smooth = (before + descriptors_BxTxK + after) / 3
    one, two = (_shifted(smooth, frames_B, step) - _shifted(smooth, frames_B, -step) for step in (1, 2))
    return smooth, (one + 2 * two) / 10


def _mean(contour_BxTxK: jax.Array, counted_BxT: jax.Array) -> jax.Array:
    total = jnp.sum(jnp.where(counted_BxT[:, :, None], contour_BxTxK, 0), axis=1)
    count = jnp.maximum(jnp.sum(counted_BxT, axis=1), 1)
    return total / count[:, None].astype(contour_BxTxK.dtype)


def _delta_mean(smooth_BxTxK: jax.Array, frames_B: jax.Array) -> jax.Array:
    """Returns the mean of the delta over the counted frames: the sum telescopes, and is exact where it is 0."""

    def from_end(steps: int) -> jax.Array:
        return _at(smooth_BxTxK, frames_B - steps)

    first, second = smooth_BxTxK[:, 0], smooth_BxTxK[:, 1]
    one = from_end(2) + from_end(3) - 2 * first
    two = from_end(1) + from_end(2) + from_end(3) + from_end(4) - 3 * first - second
    count = jnp.maximum(frames_B - TAIL, 1)
    return (one + 2 * two) / (10 * count)[:, None].astype(smooth_BxTxK.dtype)


def functionals(smooth_BxTxK: jax.Array, delta_BxTxK: jax.Array, frames_B: jax.Array) -> jax.Array:
    """Returns mean and population standard deviation of both contours over all frames of a clip but the last two.

    Both contours are [B, T, K] from `contours`. The result is [B, 4 K]: for each smoothed contour its mean then its
    deviation, then the same for the deltas. NaN for a clip of fewer than four frames.
    """
    counted_BxT = jnp.arange(smooth_BxTxK.shape[1])[None, :] < (frames_B - TAIL)[:, None]
    means = (_mean(smooth_BxTxK, counted_BxT), _delta_mean(smooth_BxTxK, frames_B))
    pairs = []
    for contour, mean in zip((smooth_BxTxK, delta_BxTxK), means):
        # Two passes: a mean of squares less a squared mean loses the small deviations in float32.
        deviation = jnp.sqrt(_mean((contour - mean[:, None]) ** 2, counted_BxT))
        pairs.append(jnp.stack([mean, deviation], axis=-1).reshape(len(mean), -1))
    return jnp.where(frames_B[:, None] >= 2 * TAIL, jnp.concatenate(pairs, axis=1), jnp.nan)

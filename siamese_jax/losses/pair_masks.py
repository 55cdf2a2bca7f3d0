"""Same/different masks over the pairs of a batch: symmetric, so a mean over them is a mean over unordered pairs."""

from typing import NamedTuple

import chex
import jax

PAIRS_WITHIN = ("any", "speaker")


class PairMasks(NamedTuple):
    """Which pairs of a batch count: `same` and `different`, each [B, B] bool, symmetric, with an empty diagonal."""

    same: jax.Array
    different: jax.Array


def pair_masks(
    label_B: jax.Array, clip_B: jax.Array, speaker_B: jax.Array, valid_B: jax.Array, within: str
) -> PairMasks:
    """Masks over every pair of a batch, from int labels, clips and speakers [B]; `valid_B` is false for padding.

    A clip drawn twice never meets itself (distance 0 would deflate D_s). `within` "any" pairs any two clips, "speaker"
    only clips of one speaker (the rule of the authors' later work).
    """
    chex.assert_rank([label_B, clip_B, speaker_B, valid_B], 1)

    def equal(value_B: jax.Array) -> jax.Array:
        return value_B[:, None] == value_B[None, :]

    allowed_BxB = valid_B[:, None] & valid_B[None, :] & ~equal(clip_B)
    if within == "speaker":
        allowed_BxB &= equal(speaker_B)
    return PairMasks(allowed_BxB & equal(label_B), allowed_BxB & ~equal(label_B))

"""Masks of same and different pairs."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.losses import pair_masks


def where(mask):
    return set(map(tuple, np.argwhere(np.asarray(mask)).tolist()))


def test_masks_leave_out_self_pairs_padding_and_repeated_clips():
    label = jnp.array([0, 0, 1, 0, 1])
    clip = jnp.array([7, 8, 9, 7, 3])
    valid = jnp.array([True, True, True, True, False])
    masks = pair_masks.pair_masks(label, clip, jnp.zeros(5, int), valid, "any")
    same = {(0, 1), (1, 0), (1, 3), (3, 1)}  # 0 and 3 are the same clip
    different = {(0, 2), (2, 0), (1, 2), (2, 1), (3, 2), (2, 3)}
    assert where(masks.same) == same
    assert where(masks.different) == different


def test_pairs_within_a_speaker_only():
    masks = pair_masks.pair_masks(
        jnp.array([0, 0, 1, 1]), jnp.arange(4), jnp.array([0, 1, 0, 1]), jnp.ones(4, bool), "speaker"
    )
    assert not masks.same.any()
    assert where(masks.different) == {(0, 2), (2, 0), (1, 3), (3, 1)}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_every_pair_of_valid_clips_is_same_or_different_and_the_masks_are_symmetric(label):
    n = len(label)
    masks = pair_masks.pair_masks(jnp.asarray(label), jnp.arange(n), jnp.zeros(n, int), jnp.ones(n, bool), "any")
    assert not (masks.same & masks.different).any()
    assert int(masks.same.sum() + masks.different.sum()) == n * (n - 1)
    np.testing.assert_array_equal(masks.same, masks.same.T)
    np.testing.assert_array_equal(masks.different, masks.different.T)

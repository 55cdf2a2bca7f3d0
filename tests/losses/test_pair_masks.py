"""Masks, balanced batches and few-shot draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.datasets.draws import balanced_batch, class_index, few_shot_draws
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


def test_balanced_batches_hold_each_class_equally_and_only_its_used_clips():
    label = np.array([0] * 50 + [1] * 5 + [2] * 2)
    use = np.ones(57, bool)
    use[:40] = False
    index = class_index(label, 3, use)
    rows = np.concatenate([balanced_batch(jax.random.key(i), index, 12) for i in range(50)])
    assert set(rows.tolist()) == set(np.flatnonzero(use).tolist())
    np.testing.assert_array_equal(np.bincount(label[rows]), [200, 200, 200])


def corpus(n_speakers=6, per_cell=3, n_classes=4):
    speaker, label, _ = np.meshgrid(np.arange(n_speakers), np.arange(n_classes), np.arange(per_cell), indexing="ij")
    return label.ravel().astype(np.int32), speaker.ravel().astype(np.int32)


def test_draws_take_one_clip_per_emotion_and_speaker_and_are_nested():
    label, speaker = corpus()
    draws = few_shot_draws(jax.random.key(0), label, speaker, 4, 20)
    for k in (1, 2, 5):
        support = draws.support(k)
        assert support.shape == (20, 4 * k)
        for rows in support:
            np.testing.assert_array_equal(np.sort(label[rows]), np.repeat(np.arange(4), k))
            assert len(set(speaker[rows].tolist())) == k
            np.testing.assert_array_equal(np.bincount(speaker[rows])[np.unique(speaker[rows])], 4)
    np.testing.assert_array_equal(draws.support(5)[:, :8], draws.support(2))
    assert len({tuple(rows) for rows in draws.support(2).tolist()}) > 15


def test_a_draw_does_not_depend_on_how_many_are_drawn():
    label, speaker = corpus()
    few = few_shot_draws(jax.random.key(3), label, speaker, 4, 3)
    many = few_shot_draws(jax.random.key(3), label, speaker, 4, 11)
    np.testing.assert_array_equal(few.clips, many.clips[:3])
    later = few_shot_draws(jax.random.key(3), label, speaker, 4, 4, first=5)
    np.testing.assert_array_equal(later.clips, many.clips[5:9])


def test_only_speakers_with_every_emotion_are_drawn():
    label, speaker = corpus()
    keep = ~((speaker == 2) & (label == 1))
    draws = few_shot_draws(jax.random.key(0), label[keep], speaker[keep], 4, 30)
    assert draws.speakers.shape == (30, 5)
    assert 2 not in draws.speakers


def test_draws_reach_every_clip_evenly():
    label, speaker = corpus(n_speakers=4, per_cell=2)
    draws = few_shot_draws(jax.random.key(5), label, speaker, 4, 2000)
    share = np.bincount(draws.support(1).ravel(), minlength=32) / 2000
    assert share.min() > 0.09
    assert share.max() < 0.16  # each is drawn with probability 1/8


def test_a_batch_that_cannot_be_balanced_is_refused():
    index = class_index(np.array([0, 1, 2]), 3, np.ones(3, bool))
    with pytest.raises(AssertionError):
        balanced_batch(jax.random.key(0), index, 8)

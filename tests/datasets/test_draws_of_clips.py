"""Balanced batches, few-shot draws, and the clips that a draw is tested on."""

import dataclasses

import jax
import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.datasets.draws import balanced_batch, class_index, evaluation_masks, few_shot_draws

TARGET = dataset.from_table(make_table("target", n_speakers=4), EMOTIONS, "target")


def test_no_labelled_clip_no_duplicate_of_one_and_of_other_speakers_alone():
    support = np.array([[0, 2, 4, 6], [8, 10, 12, 14]])  # of the first speaker, and of the second
    duplicate = np.arange(len(TARGET))
    duplicate[25] = 2  # another speaker's clip with the samples of a labelled one
    masks = evaluation_masks(dataclasses.replace(TARGET, duplicate=duplicate), support)
    clips = np.arange(len(TARGET))
    for draw, (rows, copies) in enumerate(zip(support, ([25], []))):
        paper = ~np.isin(clips, [*rows, *copies])
        np.testing.assert_array_equal(masks["paper"][draw], paper)
        np.testing.assert_array_equal(masks["speaker_disjoint"][draw], paper & (TARGET.speaker != draw))


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

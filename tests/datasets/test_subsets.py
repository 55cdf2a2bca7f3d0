"""Thinned classes and halves of the speakers."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.datasets.subsets import minorities, speaker_halves, thinned

WHOLE = dataset.from_table(make_table("target", n_speakers=6, seed=1), EMOTIONS, "target")


def consistent(part):
    """The rows, labels, speakers and duplicates of a part are those of its table."""
    table = part.table
    assert [EMOTIONS.index(name) for name in table.emotion] == part.label.tolist()
    assert [part.speakers[s] for s in part.speaker] == table.speaker.tolist()
    assert len(part.corpus) == len(part.full_table.clip)
    whole = dict(zip(WHOLE.full_table.clip, WHOLE.full_table.features))
    for clip, features in zip(part.full_table.clip, part.full_table.features):
        np.testing.assert_array_equal(whole[clip], features)


def test_thinned_classes_keep_their_share_and_other_clips_stay():
    part = thinned(WHOLE, (1, 3), 4.0, 0)
    before, after = (np.bincount(d.label, minlength=4) for d in (WHOLE, part))
    assert after.tolist() == [before[0], max(1, round(before[1] / 4)), before[2], max(1, round(before[3] / 4))]
    consistent(part)
    removed = set(WHOLE.table.clip) - set(part.table.clip)
    assert not removed & set(part.full_table.clip)
    assert np.bincount(thinned(WHOLE, (1, 3), 1000.0, 0).label).tolist() == [before[0], 1, before[2], 1]


def test_thinned_clips_are_drawn_by_the_seed():
    clips = [set(thinned(WHOLE, (0, 1), 3.0, seed).table.clip) for seed in (0, 0, 1)]
    assert clips[0] == clips[1]
    assert clips[0] != clips[2]


def test_every_half_of_the_classes_is_thinned_in_turn():
    assert minorities(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert minorities(3) == [(0,), (1,), (2,)]


def test_halves_share_no_speaker_and_hold_all_clips():
    halves = speaker_halves(WHOLE)
    assert sorted([*halves[0].speakers, *halves[1].speakers]) == list(WHOLE.speakers)
    assert sorted([*halves[0].table.clip, *halves[1].table.clip]) == sorted(WHOLE.table.clip)
    for half in halves:
        consistent(half)
        assert set(half.full_table.speaker) == set(half.speakers)

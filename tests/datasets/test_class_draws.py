"""Draws from corpora in which too few speakers have every emotion."""

import math

import jax
import numpy as np
import pytest

from siamese_jax.datasets import class_draws
from siamese_jax.errors import InputError


def corpus(has_SxC, per_cell=2):
    """Labels and speakers of clips, `per_cell` for each class of each speaker."""
    speaker, label = (np.repeat(axis, per_cell) for axis in np.nonzero(np.array(has_SxC, bool)))
    return label, speaker


LACKING = 1 - np.eye(6, 4, dtype=int)[[0, 1, 2, 3, 0, 1]]
"""Six speakers, each of whom lacks a class."""


def draw(has_SxC, n_draws, k, first=0):
    label, speaker = corpus(has_SxC)
    present = class_draws.presence(label, speaker, *np.shape(has_SxC))
    return class_draws.class_draws(jax.random.key(0), label, speaker, present, n_draws, k, first), label, speaker


def test_no_speaker_has_every_class():
    draws, label, speaker = draw(LACKING, 20, 2)
    assert class_draws.by_class(LACKING.astype(bool), 1)
    assert draws.speakers.shape == draws.clips.shape == (20, 2, 4)
    np.testing.assert_array_equal(label[draws.clips], np.broadcast_to(np.arange(4), (20, 2, 4)))
    np.testing.assert_array_equal(speaker[draws.clips], draws.speakers)
    assert set(draws.clips.ravel().tolist()) == set(range(len(label)))  # any of a speaker's clips of a class
    for chosen_KxC in draws.speakers:
        assert all(len(set(of_class)) == 2 for of_class in chosen_KxC.T.tolist())
        undrawn = np.setdiff1d(np.arange(6), chosen_KxC)
        assert LACKING[undrawn].any(axis=0).all()  # every class can be tested on other speakers


def test_draws_by_class_are_nested_and_do_not_depend_on_their_number():
    (many, *_), (later, *_) = draw(LACKING, 8, 2), draw(LACKING, 3, 2, first=5)
    np.testing.assert_array_equal(many.clips[5:], later.clips)
    np.testing.assert_array_equal(many.support(1), many.clips[:, 0])


def test_one_emotion_a_speaker():
    has = np.repeat(np.eye(4, dtype=int), 3, axis=0)
    draws, *_ = draw(has, 5, 2)
    assert len(np.unique(draws.speakers[0])) == 8
    assert class_draws.most_drawable(has.astype(bool)) == 2
    assert class_draws.speaker_sets(has.astype(bool), 2, True) == (3**4, True)


def test_speakers_with_every_class_are_drawn_while_one_of_them_is_left_to_test():
    assert [class_draws.by_class(np.ones((n, 3), bool), 2) for n in (1, 2, 3)] == [True, True, False]


def test_four_speakers_have_six_pairs():
    assert class_draws.speaker_sets(np.ones((4, 3), bool), 2, False) == (6, True)
    assert class_draws.speaker_sets(np.ones((4, 3), bool), 2, True) == (6, True)
    assert class_draws.speaker_sets(np.ones((24, 4), bool), 2, False) == (276, True)


def test_distinct_draws_by_class_are_counted():
    has = LACKING.astype(bool)
    number, exact = class_draws.speaker_sets(has, 2, True)
    seen = {np.sort(chosen, axis=0).tobytes() for chosen in draw(LACKING, 600, 2)[0].speakers}
    assert exact
    assert len(seen) == number
    many = np.tile(has, (3, 1))
    assert class_draws.speaker_sets(many, 2, True) == (math.prod(math.comb(n, 2) for n in many.sum(axis=0)), False)


def test_more_speakers_than_leave_a_test_clip_are_refused():
    assert class_draws.most_drawable(LACKING.astype(bool)) == 3
    with pytest.raises(InputError, match="4 speakers drawn for each class leave no test clip"):
        draw(LACKING, 1, 4)

"""Folds as properties: nobody is in two parts, everybody is tested once, groups are balanced, duplicates stay out."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from siamese_jax.datasets.folds import Fold, check_folds, random_folds, speaker_folds
from siamese_jax.errors import InputError

SEXES = ("", "female", "male")


@st.composite
def corpora(draw):
    """Speaker, sex and duplicate of each clip, and a number of folds."""
    n_folds = draw(st.integers(3, 6))
    sexes = draw(st.lists(st.sampled_from(SEXES), min_size=n_folds, max_size=14))
    sizes = [draw(st.integers(1, 5)) for _ in sexes]
    speaker = [f"s{i:02d}" for i, size in enumerate(sizes) for _ in range(size)]
    sex = [sexes[int(name[1:])] for name in speaker]
    duplicate = np.arange(len(speaker))
    for _ in range(draw(st.integers(0, 3))):
        a, b = draw(st.integers(0, len(duplicate) - 1)), draw(st.integers(0, len(duplicate) - 1))
        duplicate[duplicate == duplicate[b]] = duplicate[a]
    return speaker, sex, duplicate, n_folds


@given(corpora())
@settings(max_examples=60, deadline=None)
def test_speaker_folds(corpus):
    speaker, sex, duplicate, n_folds = corpus
    folds = speaker_folds(speaker, sex, duplicate, n_folds)
    assert len(folds) == n_folds
    names = np.array(speaker)
    tested = np.zeros(len(names), int)
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test, fold.duplicates)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(names)))
        people = [set(names[part].tolist()) for part in parts[:3]]
        assert all(people[a].isdisjoint(people[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
        assert not np.isin(duplicate[fold.test], duplicate[np.concatenate([fold.train, fold.validation])]).any()
        assert not np.isin(duplicate[fold.validation], duplicate[fold.train]).any()
        tested[fold.test] += 1
    assert tested.max() <= 1
    # Whoever has no duplicate elsewhere is tested.
    alone = np.array([len(set(names[duplicate == t].tolist())) == 1 for t in duplicate])
    assert (tested[alone] == 1).all()


@given(corpora())
@settings(max_examples=60, deadline=None)
def test_speaker_folds_are_balanced_and_do_not_depend_on_the_clips_order(corpus):
    speaker, sex, _, n_folds = corpus
    alone = np.arange(len(speaker))
    groups = [set(np.array(speaker)[fold.test].tolist()) for fold in speaker_folds(speaker, sex, alone, n_folds)]
    sizes = [len(group) for group in groups]
    assert max(sizes) - min(sizes) <= 1
    sex_of = dict(zip(speaker, sex))
    for one in SEXES:
        numbers = [sum(sex_of[name] == one for name in group) for group in groups]
        assert max(numbers) - min(numbers) <= 1
    back = speaker_folds(speaker[::-1], sex[::-1], alone, n_folds)
    assert [set(np.array(speaker)[::-1][fold.test].tolist()) for fold in back] == groups


def test_ravdess_and_emodb_as_they_are():
    """24 actors, 6 folds: two women and two men each; 10 speakers, 5 folds: one of each."""
    for n_speakers, n_folds, each in ((24, 6, 2), (10, 5, 1)):
        speaker = [f"s{i:02d}" for i in range(n_speakers) for _ in range(3)]
        sex = [("female", "male")[int(name[1:]) % 2] for name in speaker]
        for fold in speaker_folds(speaker, sex, np.arange(len(speaker)), n_folds):
            tested = {speaker[i] for i in fold.test}
            assert sorted(int(name[1:]) % 2 for name in tested) == [0] * each + [1] * each
            assert len({speaker[i] for i in fold.train}) == n_speakers - 4 * each


@given(st.integers(2, 5), st.integers(0, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_random_folds_are_stratified_and_keep_duplicates_together(n_folds, seed, data):
    label = np.array([c for c in range(3) for _ in range(data.draw(st.integers(n_folds, 12)))])
    duplicate = np.arange(len(label))
    a = data.draw(st.integers(0, len(label) - 2))
    assume(label[a] == label[a + 1])
    duplicate[a + 1] = duplicate[a]
    assume(min(len(np.unique(duplicate[label == c])) for c in range(3)) >= n_folds)
    folds = random_folds(label, duplicate, n_folds, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(len(label)))
    for fold in folds:
        assert len(fold.validation) == len(fold.duplicates) == 0
        assert not np.isin(duplicate[fold.test], duplicate[fold.train]).any()
    for c in range(3):
        numbers = [len(np.unique(duplicate[fold.test][label[fold.test] == c])) for fold in folds]
        assert max(numbers) - min(numbers) <= 1
    again = random_folds(label, duplicate, n_folds, seed)
    assert all(np.array_equal(f.test, g.test) for f, g in zip(folds, again))


def test_random_folds_differ_between_seeds():
    tests = {random_folds(np.repeat([0, 1], 10), np.arange(20), 4, seed)[0].test.tobytes() for seed in range(4)}
    assert len(tests) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: speaker_folds(["a", "b", "c"], [""] * 3, np.arange(3), 2), "2 folds: expected 3 or more"),
        (
            lambda: speaker_folds(["a", "b", "b"], [""] * 3, np.arange(3), 3),
            "3 folds need a speaker each, but there are 2",
        ),
        (lambda: random_folds(np.zeros(4, int), np.arange(4), 1, 0), "1 folds: expected 2 or more"),
        (lambda: random_folds(np.zeros(4, int), np.zeros(4, int), 2, 0), "different clip of class 0 each"),
    ],
)
def test_too_few_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def folds_of(label, speaker):
    return speaker_folds(speaker, [""] * len(speaker), np.arange(len(speaker)), 3)


def test_a_class_of_one_speaker_in_training_is_refused():
    # Two speakers of nine are ever sad: where one is tested, one voice is left to learn sadness from.
    speaker = np.repeat(list("abcdefghi"), 2)
    label = np.isin(np.arange(18), (1, 17)).astype(int)
    with pytest.raises(InputError, match=r"somewhere, fold 0 of 3: \d training clip\(s\) of 'sadness' by \d speaker"):
        check_folds(folds_of(label, speaker.tolist()), label, speaker, ("anger", "sadness"), "somewhere")


@pytest.mark.parametrize(
    ("speaker", "message"), [("a", r"2 training clip\(s\) of 'sadness' by 1 speaker"), ("b", None)]
)
def test_two_clips_of_a_class_by_one_speaker_are_refused_and_by_two_are_not(speaker, message):
    # Sad are a clip of speaker a and another of a or b; all other folds have more.
    people = np.array(["a", speaker, *"ccdd"])
    label = np.array([1, 1, 0, 0, 0, 1])
    fold = Fold(np.arange(4), np.zeros(0, int), np.array([4, 5]), np.zeros(0, int))
    names = ("anger", "sadness")
    people[3] = "e"
    if message is None:
        check_folds([fold], label, people, names, "somewhere")
    else:
        with pytest.raises(InputError, match=message):
            check_folds([fold], label, people, names, "somewhere")


def test_a_class_without_a_test_clip_is_refused():
    speaker = np.array(list("aabbccddeeff"))
    label = np.zeros(12, int)
    with pytest.raises(InputError, match="no clip of 'sadness' is tested in any fold"):
        check_folds(folds_of(label, speaker.tolist()), label, speaker, ("anger", "sadness"), "somewhere")


def test_good_folds_pass():
    speaker = np.array(list("aabbccddeeff"))
    label = np.array([0, 1] * 6)
    check_folds(folds_of(label, speaker.tolist()), label, speaker, ("anger", "sadness"), "somewhere")

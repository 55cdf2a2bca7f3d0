"""The scores of a model on labelled recordings, from given probabilities."""

from types import SimpleNamespace

import numpy as np
import pytest

from siamese_jax.corpora.manifest import Clip
from siamese_jax.recognizer import evaluation
from siamese_jax.recognizer.labelling import Labelled

CLASSES = ("anger", "fear", "joy")


@pytest.mark.long
def test_scores_count_the_classes_that_occur_and_the_sure_labels():
    label, predicted = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 2, 1, 0, 0])
    p = 0.1 + 0.7 * np.eye(3)[predicted]
    unsure = np.array([False, False, True, False, False, True])
    found = evaluation.scored(CLASSES, "clip", p, label, list("aabbab"), unsure, [])
    assert found.uar == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.wa == pytest.approx(4 / 6)
    assert found.accepted == pytest.approx(4 / 6)
    assert found.accepted_error == pytest.approx(1 / 4)
    assert found.confusion.tolist() == [[3, 0, 1], [1, 1, 0], [0, 0, 0]]
    # A class without a clip has no interval over speakers.
    assert (found.n_clips, found.n_speakers, found.interval) == (6, 2, None)


@pytest.mark.long
@pytest.mark.parametrize(("speakers", "has_interval"), [("aabbab", True), ("aaaaaa", False), ("", False)])
def test_an_interval_is_over_two_speakers_or_more(speakers, has_interval):
    label, predicted = np.array([0, 0, 1, 0, 1, 1]), np.array([0, 1, 1, 0, 1, 0])
    p = 0.2 + 0.6 * np.eye(2)[predicted]
    found = evaluation.scored(CLASSES[:2], "clip", p, label, list(speakers), np.zeros(6, bool), [])
    assert (found.interval is not None, found.n_speakers) == (has_interval, len(set(speakers)))


@pytest.mark.parametrize("names", [("a", "b", "a"), ("a", "", "a"), ("", "", "")])
def test_speakers_count_where_all_are_known(names):
    rows = [Labelled(None, Clip("f", "f", "joy", name, ""), "") for name in names]
    nobody = SimpleNamespace(enrolled=SimpleNamespace(speaker=None))
    assert evaluation._speakers(nobody, rows) == (list(names) if all(names) else [])

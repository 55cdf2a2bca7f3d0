"""The scores of a model on labelled recordings, from given probabilities."""

import numpy as np
import pytest

from siamese_jax.recognizer import evaluation

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

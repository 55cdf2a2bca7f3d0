"""Class proportions as a setting."""

import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.settings import proportions_of

CLASSES = ("fear", "anger", "joy")
LABELLED = np.array([2, 4, 2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform", (1 / 3, 1 / 3, 1 / 3)),
        ("labelled", (0.25, 0.5, 0.25)),
        ("fear=0.2, anger = 0.7,joy=0.1", (0.2, 0.7, 0.1)),
    ],
)
def test_proportions_are_uniform_those_of_the_labelled_clips_or_given(text, expected):
    np.testing.assert_allclose(proportions_of(text, CLASSES, LABELLED), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anger=0.5,fear=0.2,joy=0.2", "add up to 0.9; expected 1"),
        ("anger=0.5,fear=0.2,sad=0.3", "'sad' is no class; expected uniform, labelled or a share of each of fear"),
        ("anger=0.5,fear=0.5", "no share of 'joy'"),
        ("anger=0.5,anger=0.5", "'anger' is given twice"),
        ("anger=half,fear=0.2,joy=0.2", "the share of 'anger' is 'half'; expected a number"),
        ("anger=0,fear=0.5,joy=0.5", "the share of 'anger' is 0; expected a number above 0"),
        ("anger=nan,fear=0.5,joy=0.5", "the share of 'anger' is nan; expected a number above 0"),
    ],
)
def test_proportions_that_cannot_be_used_are_refused_by_name(text, message):
    with pytest.raises(InputError, match=r"config\.transfer\.proportions") as raised:
        proportions_of(text, CLASSES, LABELLED)
    assert message in str(raised.value)

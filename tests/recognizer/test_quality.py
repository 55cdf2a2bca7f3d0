"""Facts of a recording that make its label unsure."""

import numpy as np
import pytest

from siamese_jax.recognizer import quality
from siamese_jax.recognizer.segments import sounding_seconds

RATE = 16000


def speech(seconds, level=0.1):
    return (np.random.default_rng(0).normal(0, level, round(RATE * seconds)).clip(-1, 1) * 32767).astype(np.int16)


def quiet(seconds):
    return speech(seconds, 1e-5)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (speech(3), ""),
        (np.concatenate([quiet(1), speech(1), quiet(1)]), ""),
        (speech(0.3), "too short: 0.30 s"),
        (np.concatenate([quiet(2), speech(0.28), quiet(2)]), "too little speech: 0.28 s of 4.28 s"),
        (quiet(3), "almost silent: -116 dBFS"),
        (speech(3, level=0.6), "clipped: 9 % of the samples at full scale"),
    ],
)
def test_a_poor_recording_says_why_its_label_is_unsure(samples, reason):
    assert quality.problem(*quality._facts(samples)) == reason


def test_the_sounding_part_does_not_depend_on_level_or_place():
    padded = np.concatenate([quiet(0.4), speech(1.2), quiet(2)])
    assert sounding_seconds(padded, RATE) == pytest.approx(1.2, abs=0.05)
    assert sounding_seconds(padded // 8, RATE) == pytest.approx(1.2, abs=0.05)
    assert sounding_seconds(np.zeros(RATE, np.int16), RATE) == 0
    assert sounding_seconds(np.zeros(0, np.int16), RATE) == 0

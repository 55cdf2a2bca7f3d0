"""Clips far from those that were enrolled: constructed shifts, and the shipped tables' other speakers."""

import numpy as np
import pytest

from siamese_jax.datasets import shipped
from siamese_jax.protocols import familiarity
from siamese_jax.protocols.familiarity import FAR_FOLDER


def clips(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 50)) * 3 + 7 + 3 * shift).astype(np.float32)


def test_distances_are_in_standard_deviations_of_a_clip():
    known = familiarity.reference(clips(0, 4000), [clips(1, 4000, shift=9)])  # a source's own mean does not matter
    assert familiarity.shift(clips(2, 4000, shift=2), known) == pytest.approx(2, rel=0.05)
    assert familiarity.distances(clips(3, 200), known).mean() == pytest.approx(1, rel=0.05)


def test_shifted_clips_are_all_far_unless_their_own_mean_scales_them():
    known = familiarity.reference(clips(0, 40), [])
    shifted = clips(1, 30, shift=1.4)
    assert familiarity.far(shifted, known, scaled_together=False).all()
    assert not familiarity.far(shifted, known, scaled_together=True).any()
    assert familiarity.far(shifted[:7], known, scaled_together=False).mean() < 1  # too few for a shift


@pytest.mark.parametrize("scaled_together", [False, True])
def test_a_clip_unlike_the_others_is_far_alone(scaled_together):
    known = familiarity.reference(clips(0, 40), [])
    mixed = np.concatenate([clips(2, 30), clips(3, 1, shift=4)])
    assert familiarity.far(mixed, known, scaled_together).tolist() == [False] * 30 + [True]


def test_without_enrolled_clips_or_clips_nothing_is_far():
    assert familiarity.reference(clips(0, 1), [clips(1, 9)]) is None
    assert not familiarity.far(clips(2, 3, shift=99), None, scaled_together=False).any()
    assert familiarity.far(clips(2, 0), familiarity.reference(clips(0, 8), []), scaled_together=False).shape == (0,)


def test_a_constant_feature_is_not_compared():
    enrolled = np.array([[1.0, 0.0], [3.0, 0.0]])
    known = familiarity.reference(enrolled, [])
    assert familiarity.distances(np.array([[2.0, 5.0]]), known).tolist() == [0.0]


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_other_speakers_of_a_corpus_are_not_far_and_another_corpus_is(name):
    own, other = (np.load(shipped.shipped(n, "whisper")) for n in (name, *{*shipped.SHIPPED} - {name}))
    x, speaker, emotion = own["features"].astype(np.float32), own["speaker"], own["emotion"]
    enrolled_speakers = np.unique(speaker)[:2]
    enrolled = [
        np.flatnonzero((speaker == s) & (emotion == e))[0]
        for s in enrolled_speakers
        for e in ("anger", "happiness", "sadness", "fear")
    ]
    known = familiarity.reference(x[enrolled], [other["features"].astype(np.float32)])
    others = x[~np.isin(speaker, enrolled_speakers)]
    assert familiarity.shift(others, known) < 0.7
    assert familiarity.far(others, known, scaled_together=False).mean() < 0.05
    for s in np.unique(speaker)[2:]:
        assert familiarity.shift(x[speaker == s], known) < FAR_FOLDER
    assert familiarity.far(other["features"].astype(np.float32), known, scaled_together=False).all()

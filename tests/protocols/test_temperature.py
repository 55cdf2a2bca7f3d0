"""The temperature from held-out labelled clips, and the labels that are accepted."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.protocols import calibration
from siamese_jax.protocols.calibration import Fitted, Prior

CONFIDENCES = hnp.arrays(np.float64, st.integers(1, 30), elements=st.sampled_from(np.linspace(0.25, 1, 16)))


def test_folds_hold_out_speakers_and_never_a_class_that_would_be_lost():
    label, speaker = np.tile(np.arange(4), 3), np.repeat(["b", "a", "c"], 4)
    made = calibration.folds(label, speaker)
    assert [sorted(set(speaker[fold.held_out])) for fold in made] == [["a"], ["b"], ["c"]]
    for fold in made:
        assert sorted([*fold.train, *fold.held_out]) == list(range(12))
    label = np.array([0, 1, 2, 0, 1, 1])  # only the first speaker has class 2
    speaker = np.array(["a", "a", "a", "b", "b", "b"])
    assert [fold.held_out.tolist() for fold in calibration.folds(label, speaker)] == [[0, 1], [3, 4, 5]]


def test_at_most_five_folds_and_each_clip_is_held_out_once():
    label, speaker = np.tile(np.arange(4), 20), np.repeat(np.arange(20), 4)
    made = calibration.folds(label, speaker)
    assert len(made) == 5
    assert sorted(np.concatenate([fold.held_out for fold in made])) == list(range(80))
    for fold in made:
        assert not set(speaker[fold.train]) & set(speaker[fold.held_out])


@pytest.mark.parametrize("speaker", [None, np.zeros(8, int), np.full(8, "")])
def test_without_speakers_the_clips_of_a_class_are_spread_over_folds(speaker):
    label = np.repeat(np.arange(4), 2)
    made = calibration.folds(label, speaker)
    assert [label[fold.held_out].tolist() for fold in made] == [[0, 1, 2, 3]] * 2


def test_a_clip_a_class_leaves_no_fold_and_the_prior_decides():
    assert calibration.folds(np.arange(4), np.arange(4)) == []
    assert calibration.folds(np.zeros(0, int), None) == []
    found = calibration.temperature(lambda fold: np.zeros((0, 4)), np.arange(4), [], Prior(np.log(0.7), 0.15))
    assert found == pytest.approx(0.7)


def test_held_out_clips_move_the_temperature_from_the_prior():
    rng = np.random.default_rng(0)
    label, speaker = np.tile(np.arange(4), 20), np.repeat(np.arange(20), 4)
    right = 8 * np.eye(4)[label] + rng.normal(size=(80, 4))
    wrong = 8 * np.eye(4)[(label + (rng.random(80) < 0.5)) % 4]
    clip_folds = calibration.folds(label, speaker)
    found = [
        calibration.temperature(lambda fold, z=z: z[fold.held_out], label, clip_folds, Prior(0.0, 0.15))
        for z in (right, wrong)
    ]
    assert found[0] < 1.01
    assert found[1] > 1.5


def test_the_largest_set_with_the_stated_mean_is_accepted():
    confidence = np.array([0.5, 0.95, 0.9, 0.7, 0.6])
    assert calibration.accepted(confidence, 0.2).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]  # mean 0.85; 0.79 with 0.6
    assert calibration.accepted(confidence, 0.27).all()
    assert not calibration.accepted(confidence, 0.01).any()
    assert calibration.threshold(confidence, 0.01) == np.inf


@settings(max_examples=40, deadline=None)
@given(CONFIDENCES, st.floats(0, 0.7))
def test_accepted_sets_keep_what_is_stated_and_grow_with_it(confidence, stated):
    inside = calibration.accepted(confidence, stated)
    if inside.any():
        assert confidence[inside].mean() >= 1 - stated - 1e-9
        assert not (~inside & (confidence >= confidence[inside].min())).any()
    if not inside.all():
        more = confidence >= confidence[~inside].max()
        assert confidence[more].mean() < 1 - stated
    assert not (inside & ~calibration.accepted(confidence, stated + 0.1)).any()


def test_the_oracle_accepts_the_most_that_a_threshold_can():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    correct = np.array([True, False, True, True, False])
    assert calibration.oracle_threshold(confidence, correct, 0.25) == 0.6
    assert calibration.oracle_threshold(confidence, correct, 0.4) == 0.5
    assert calibration.oracle_threshold(confidence, ~correct, 0.1) == np.inf


def test_the_prior_is_interpolated_between_numbers_of_clips_and_wide_where_nothing_is_known(monkeypatch):
    known = Fitted("layer_ensemble", 0.1, "none", 0.0, "corpus")
    monkeypatch.setitem(calibration.TEMPERATURES, known, {8: 2.0, 32: 1.0})
    assert np.exp(calibration.prior(known, 16).log_mean) == pytest.approx(2**0.5)
    assert [np.exp(calibration.prior(known, n).log_mean) for n in (1, 99)] == pytest.approx([2, 1])
    unknown = calibration.prior(known._replace(c=7.0), 16)
    assert unknown.log_mean == 0
    assert unknown.sd > calibration.PRIOR_SD


def test_the_prior_is_interpolated_between_strengths_of_the_same_group():
    def of(strength, within="corpus"):
        return Fitted("logistic_regression", 0.01, "balanced", strength, "speaker", within)

    none = Fitted("logistic_regression", 0.01, "none", 0.0, "speaker")
    for within, measured in (("corpus", 0.5), ("speaker", 0.3)):
        ends = [calibration.prior(fitted, 8).log_mean for fitted in (none, of(measured, within))]
        between = calibration.prior(of(measured / 5, within), 8)
        assert between.log_mean == pytest.approx(0.8 * ends[0] + 0.2 * ends[1])
        assert between.sd == calibration.PRIOR_SD
    assert calibration.prior(of(0.3, "speaker"), 8) != calibration.prior(of(0.3), 8)
    assert calibration.prior(of(0.9, "speaker"), 8) == calibration.UNKNOWN
    assert calibration.prior(of(0.3)._replace(adaptation="self_trained"), 8) == calibration.UNKNOWN

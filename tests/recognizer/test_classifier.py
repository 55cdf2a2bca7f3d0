"""`TransferClassifier`: scikit-learn's checks, the source, the statistics, and what it refuses."""

import contextlib
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from siamese_jax.errors import InputError
from siamese_jax.recognizer.classifier import TransferClassifier

TRANSDUCTIVE = dict.fromkeys(
    ("check_methods_subset_invariance", "check_methods_sample_order_invariance"),
    "a transductive label depends on the other clips",
)
"""scikit-learn's checks that do not apply to transductive=True; all apply to the default."""

QUICK = ("check_no_attributes_set_in_init", "check_estimators_nan_inf", "check_classifiers_one_label")


def _failures(estimator, names=None, expected=None):
    """Runs the checks, without those that scikit-learn itself skips here; returns the failures."""
    failures = []
    for instance, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        if (names is None or name in names) and name not in (expected or {}):
            try:
                with contextlib.suppress(SkipTest):
                    check(instance)
            except Exception as error:
                failures.append(f"{name}: {error!r}")
    return failures


def test_quick_checks_of_scikit_learn_pass():
    assert _failures(TransferClassifier(), QUICK) == []


@pytest.mark.long
@pytest.mark.parametrize("transductive", [False, True])
def test_all_checks_of_scikit_learn_pass(transductive):
    expected = TRANSDUCTIVE if transductive else {}
    assert _failures(TransferClassifier(transductive=transductive), expected=expected) == []


def corpora(seed=0, shift=5.0):
    """A source and a target whose features are moved and stretched, the same classes below."""
    rng = np.random.default_rng(seed)
    label = np.arange(60) % 3
    words = np.array(["anger", "fear", "joy"])[label]
    x = rng.normal(size=(60, 8)) + 4 * np.eye(8)[label]
    moved = 3 * (rng.normal(size=(60, 8)) + 4 * np.eye(8)[label]) + shift
    return x, words, moved, words


def test_a_source_of_another_scale_helps_where_two_clips_are_labelled():
    x_source, y_source, x, y = corpora()
    few = np.r_[0:6]
    alone = TransferClassifier().fit(x[few], y[few]).score(x[6:], y[6:])
    model = TransferClassifier().fit(x[few], y[few], X_source=x_source, y_source=y_source)
    assert model.score(x[6:], y[6:]) >= max(alone, 0.9)


def test_source_clips_of_other_classes_serve_the_statistics_alone():
    x_source, y_source, x, y = corpora()
    model = TransferClassifier().fit(x[:2], y[:2], X_source=x_source, y_source=y_source)
    assert model.classes_.tolist() == ["anger", "fear"]
    assert model.predict_proba(x).shape == (60, 2)


def test_several_sources_weigh_the_same_whatever_their_sizes():
    x_source, y_source, x, y = corpora()
    twice = np.concatenate([x_source, x_source]), np.concatenate([y_source, y_source])
    other = corpora(1)[:2]
    fits = [
        TransferClassifier(calibrated=False).fit(
            x[:6], y[:6], X_source=[first[0], other[0]], y_source=[first[1], other[1]]
        )
        for first in ((x_source, y_source), twice)
    ]
    # The total weight, against which the penalty stands, grows with the number of clips.
    fits[1].set_params(c=0.01 * 126 / 186).fit(
        x[:6], y[:6], X_source=[twice[0], other[0]], y_source=[twice[1], other[1]]
    )
    np.testing.assert_allclose(fits[0].predict_proba(x), fits[1].predict_proba(x), atol=5e-3)


def test_a_label_depends_on_the_other_clips_only_if_it_is_transductive():
    x_source, y_source, x, y = corpora()
    for transductive in (False, True):
        model = TransferClassifier(transductive=transductive, calibrated=False)
        model.fit(x[:6], y[:6], X_source=x_source, y_source=y_source)
        together, apart = model.predict_proba(x[6:])[:20], model.predict_proba(x[6:26])
        assert np.array_equal(together, apart) != transductive


@pytest.mark.long
def test_it_goes_into_pipelines_grids_and_cross_validation():
    _, _, x, y = corpora()
    speakers = np.arange(60) // 20
    pipeline = make_pipeline(StandardScaler(), TransferClassifier())
    grid = GridSearchCV(pipeline, {"transferclassifier__c": [0.01, 1.0]}, cv=LeaveOneGroupOut())
    assert grid.fit(x, y, groups=speakers).best_score_ > 0.9
    assert clone(pipeline[-1]).get_params()["c"] == 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"c": -1.0}, "c is -1.0; expected a positive number"),
        ({"method": "magic"}, "method 'magic'; expected one of"),
    ],
)
def test_bad_settings_are_refused_at_fit(changes, message):
    _, _, x, y = corpora()
    with pytest.raises(InputError, match=message):
        TransferClassifier(**changes).fit(x, y)


def test_calibration_makes_probabilities_of_few_noisy_clips_better_and_changes_no_label():
    rng = np.random.default_rng(0)
    label = np.arange(240) % 3
    x = rng.normal(size=(240, 8)) + np.eye(8)[label]
    plain, calibrated = (TransferClassifier(c=100.0, calibrated=c).fit(x[:36], label[:36]) for c in (False, True))
    assert calibrated.temperature_ > 1.1
    np.testing.assert_array_equal(plain.predict(x), calibrated.predict(x))
    losses = [-model.predict_log_proba(x[36:])[np.arange(204), label[36:]].mean() for model in (plain, calibrated)]
    assert losses[1] < losses[0]
    np.testing.assert_array_equal(calibrated.predict(x), calibrated.predict_proba(x).argmax(axis=1))


def test_the_temperature_holds_out_speakers_where_they_are_given():
    """A speaker's clips are alike here, so that clips of the same speaker would make the probabilities too sure."""
    rng = np.random.default_rng(0)
    label, speaker = np.tile(np.arange(3), 12), np.repeat(np.arange(6), 6)
    x = rng.normal(size=(36, 8)) * 0.1 + np.eye(8)[label] * 0.5 + rng.normal(size=(6, 3, 8))[speaker, label]
    known, unknown = (TransferClassifier(c=100.0).fit(x, label, groups=groups) for groups in (speaker, None))
    assert known.temperature_ > 1.1 * unknown.temperature_


@pytest.mark.parametrize("adaptation", ["none", pytest.param("balanced", marks=pytest.mark.long)])
def test_calibration_of_a_transductive_model_changes_no_label(adaptation):
    x_source, y_source, x, y = corpora()
    plain, calibrated = (
        TransferClassifier(transductive=True, adaptation=adaptation, calibrated=calibrated).fit(
            x[:6], y[:6], X_source=x_source, y_source=y_source
        )
        for calibrated in (False, True)
    )
    before, after = plain.predict_proba(x[6:]), calibrated.predict_proba(x[6:])
    assert np.abs(before - after).max() > 1e-3
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    np.testing.assert_array_equal(calibrated.classes_[after.argmax(axis=1)], calibrated.predict(x[6:]))


def test_a_source_of_other_features_is_refused():
    x_source, y_source, x, y = corpora()
    with pytest.raises(InputError, match="X_source has 7 features, X has 8"):
        TransferClassifier().fit(x, y, X_source=x_source[:, 1:], y_source=y_source)


def test_the_unit_and_the_origin_of_a_sources_features_change_nothing():
    x_source, y_source, x, y = corpora()
    for transductive in (False, True):
        model = TransferClassifier(transductive=transductive, adaptation="none", calibrated=False)
        plain, moved = (
            model.fit(x[:6], y[:6], X_source=x_of_source, y_source=y_source).predict_proba(x[6:])
            for x_of_source in (x_source, 30 * x_source + 100)
        )
        np.testing.assert_allclose(plain, moved, atol=1e-3)


def test_nothing_is_known_of_the_temperature_of_features_before_clips_are_held_out():
    """A class of one clip cannot be held out. The speech encoder's features would have a temperature of 1.6."""
    x_source, y_source, x, y = corpora()
    for transductive in (False, True):
        model = TransferClassifier(transductive=transductive, adaptation="none")
        model.fit(x[:3], y[:3], X_source=x_source, y_source=y_source)
        calibrated = model.predict_proba(x[3:])
        np.testing.assert_allclose(calibrated, model.set_params(calibrated=False).predict_proba(x[3:]), rtol=1e-5)

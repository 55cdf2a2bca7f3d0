"""The mode of a folder: which one is taken, whose statistics and class proportions count, and what does not."""

import dataclasses

import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.features.scaling import Scaling, moments, shrunken
from siamese_jax.recognizer import methods, modes, transfer
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import OTHER, OWN_STATISTICS, PRIOR_CLIPS, Clips, Recipe

RECIPE = Recipe("logistic_regression", dataclasses.replace(SETTINGS, c=1.0), "balanced", 1e-3)
NONE = Clips(np.zeros((0, 6), np.float32), np.zeros(0, int), None)


def corpus(seed, n, n_speakers, moved=0.0):
    """Clips of three classes in turn; those of a speaker lie elsewhere than those of another."""
    rng = np.random.default_rng(seed)
    label, speaker = np.arange(n) % 3, np.arange(n) // 3 % n_speakers
    voices = rng.normal(size=(n_speakers, 6))
    x = rng.normal(size=(n, 6)) + 3 * np.eye(6)[label] + voices[speaker] + moved
    return Clips(x.astype(np.float32), label, np.array([f"s{i}" for i in speaker], object))


SOURCE = corpus(0, 120, 4)


def model(enrolled=NONE, source=SOURCE, within="speaker"):
    settings = dataclasses.replace(RECIPE.settings, balance=RECIPE.settings.balance._replace(within=within))
    recipe = dataclasses.replace(RECIPE, settings=settings)
    sources = (Source("mine", "", ("a", "b", "c"), source),)
    classifier = transfer.fit([source], enrolled, 3, recipe)
    names = tuple("fghijk")
    return Model(("a", "b", "c"), {}, names, recipe, sources, enrolled, classifier, 1.0, np.zeros(0))


@pytest.mark.parametrize(
    ("asked", "n_enrolled", "n_clips", "name", "why"),
    [
        ("auto", 0, 1, "clip", "1 recording, 0 enrolled: statistics of the sources"),
        ("auto", 0, 2, "folder", "2 recordings, 0 enrolled: statistics of these recordings, "),
        ("auto", 6, 500, "clip", "500 recordings, 6 enrolled: statistics of the enrolled recordings"),
        ("clip", 0, 500, "clip", "asked for: statistics of the sources"),
        ("folder", 6, 1, "folder", "asked for: statistics of these recordings, labels balanced within all"),
    ],
)
def test_the_mode_and_why(asked, n_enrolled, n_clips, name, why):
    enrolled = corpus(3, n_enrolled, 2) if n_enrolled else NONE
    taken = modes.decided(asked, model(enrolled), n_clips, None)
    assert taken.name == name
    assert taken.reason.startswith(why)


def test_the_reason_says_whether_speakers_count():
    known = np.array(["a", "b"], object)
    by_speaker = "statistics of these recordings by speaker, labels balanced within each speaker"
    assert modes.decided("folder", model(), 2, known).reason == f"asked for: {by_speaker}"
    unknown_source = model(source=SOURCE._replace(speaker=None))
    assert "recordings, labels balanced within each speaker" in modes.decided("folder", unknown_source, 2, known).reason
    unknown_enrolled = model(corpus(3, 6, 2)._replace(speaker=None))
    assert "recordings, labels" in modes.decided("folder", unknown_enrolled, 2, known).reason
    assert modes.decided("folder", model(within="corpus"), 2, known).reason.endswith("within all")


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match=r"mode 'both'; expected one of auto, clip, folder"):
        modes.decided("both", model(), 2, None)


@pytest.mark.parametrize("enrolled", [NONE, corpus(3, 6, 2)])
def test_labels_of_the_folders_clips_change_nothing(enrolled):
    folder = corpus(5, 30, 2)
    hidden = folder._replace(label=np.full(30, OTHER))
    shown = transfer.joint_log_probabilities([SOURCE], enrolled, folder, 3, RECIPE)
    assert np.array_equal(shown, transfer.joint_log_probabilities([SOURCE], enrolled, hidden, 3, RECIPE))


def test_class_proportions_are_balanced_within_each_speaker_alone():
    rng = np.random.default_rng(0)
    log_p = np.log(rng.dirichlet([0.3, 1, 3], size=300))
    group = np.arange(300) % 100  # more than are balanced at once
    settings = dataclasses.replace(SETTINGS, balance=SETTINGS.balance._replace(strength=1.0))
    arguments = [], np.zeros((300, 2)), np.zeros(0, int)
    balanced = methods.adapted("balanced", log_p, *arguments, group, settings)
    for speaker in (0, 70, 99):
        rows = group == speaker
        np.testing.assert_allclose(np.exp(balanced[rows]).mean(axis=0), 1 / 3, atol=0.02)
        alone = methods.adapted("balanced", log_p[rows], *arguments, np.zeros(3, int), settings)
        np.testing.assert_allclose(balanced[rows], alone, atol=1e-5)


def test_groups_are_speakers_where_they_are_known_and_wanted():
    folder = corpus(5, 12, 2)
    assert transfer.balance_groups(folder, "speaker").tolist() == [0, 0, 0, 1, 1, 1] * 2
    assert set(transfer.balance_groups(folder, "corpus")) == {0}
    assert set(transfer.balance_groups(folder._replace(speaker=None), "speaker")) == {0}


def test_few_clips_have_wider_statistics_and_many_their_own():
    rng = np.random.default_rng(1)
    wider = Scaling(np.full(4, 5.0, np.float32), np.full(4, 2.0, np.float32))
    x = rng.normal(size=(1000, 4)).astype(np.float32)
    least = np.full(4, 1e-3)
    own, none = shrunken(x, wider, 0.0, least), moments(x, least)
    np.testing.assert_allclose(own.shift, none.shift, rtol=1e-6)
    np.testing.assert_allclose(own.scale, none.scale, rtol=1e-6)
    np.testing.assert_allclose(shrunken(x, wider, 4.0, least).shift, none.shift, atol=0.03)
    one = shrunken(x[:1], wider, 4.0, least)
    np.testing.assert_allclose(one.shift, 0.8 * 5 + 0.2 * x[0], rtol=1e-5)
    np.testing.assert_allclose(one.scale, 2 * np.sqrt(0.8), rtol=1e-5)
    np.testing.assert_allclose(shrunken(x, wider, 1e9, least).shift, 5, atol=1e-3)


def test_a_clip_that_is_its_speakers_only_one_keeps_its_features():
    """By its own statistics alone it would lie at the mean, and all such clips would have one label."""
    folder = corpus(5, 9, 2)._replace(speaker=np.array([f"s{i}" for i in range(9)], object))
    own = dataclasses.replace(RECIPE, adaptation="none", prior_clips=OWN_STATISTICS)
    assert len(set(transfer.joint_log_probabilities([SOURCE], NONE, folder, 3, own).argmax(axis=1))) == 1
    with_prior = dataclasses.replace(own, prior_clips=PRIOR_CLIPS)
    found = transfer.joint_log_probabilities([SOURCE], NONE, folder, 3, with_prior)
    assert np.mean(found.argmax(axis=1) == folder.label) > 0.6


def test_a_folder_that_was_moved_is_labelled_right_by_its_own_statistics():
    folder = corpus(5, 60, 2, moved=8.0 * np.eye(6)[0])
    right = {
        mode: np.mean(model().log_probabilities(folder.x, mode).argmax(axis=1) == folder.label)
        for mode in ("clip", "folder")
    }
    assert right["clip"] < 0.5 < 0.7 < right["folder"]

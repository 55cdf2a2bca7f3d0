"""What a recogniser's fits are given: scaling, labels, rows and weights, with fits that only take note."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax

from siamese_jax.features.scaling import Scaling, moments, shrunken
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.recognizer import confidence, model, transfer
from siamese_jax.recognizer.classifier import TransferClassifier
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.networks import NetworkScorer
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import OTHER, OWN_STATISTICS, Classifier, Clips, PriorClips, Recipe

RECIPE = Recipe("logistic_regression", SETTINGS, "balanced", 1e-3, prior_clips=OWN_STATISTICS)


SCORER, OF_SOURCES = (LinearScorer(np.full((1, 3, 4), value), np.zeros((1, 3))) for value in (1.0, 2.0))


def clips(seed, n, speakers=("a", "b"), n_classes=3):
    """Clips of a corpus with a mean and a scale of its own; every seventh has another emotion."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4), loc=3 * seed, scale=1 + seed).astype(np.float32)
    label = np.where(np.arange(n) % 7 == 6, OTHER, np.arange(n) % n_classes)
    return Clips(x, label, None if speakers is None else np.resize(np.array(speakers, object), n))


def standardised(x, by):
    return (x - by.mean(axis=0)) / by.std(axis=0)


def by_speaker(given):
    scaled = np.empty_like(given.x)
    for name in set(given.speaker):
        rows = given.speaker == name
        scaled[rows] = standardised(given.x[rows], given.x[rows])
    return scaled


@pytest.fixture
def noted(monkeypatch):
    """The arguments of fits and adaptations; a fit's probabilities are the clips' first features."""
    noted = {"fits": [], "adapted": []}

    def fitted(method, sources, target, *settings):
        noted["fits"].append((sources, target))
        return SCORER

    def adapted(adaptation, log_p, sources, x, label, groups, settings):
        noted["adapted"].append((adaptation, sources, x, label, groups))
        return log_p

    def log_probabilities(scorer, x):
        noted["scorer"] = scorer
        return x[:, :3]

    for stub in (fitted, adapted, log_probabilities):
        monkeypatch.setattr(transfer, stub.__name__, stub)
    return noted


def check_labelled(found, x, label):
    np.testing.assert_allclose(found.x, x[label != OTHER], atol=1e-4)
    np.testing.assert_array_equal(found.label, label[label != OTHER])


def test_single_clips_have_the_statistics_of_the_enrolled_and_each_source_its_own(noted):
    sources, enrolled, query = [clips(0, 20), clips(1, 30)], clips(2, 9), clips(4, 5)
    classifier = transfer.fit(sources, enrolled, 3, RECIPE)
    ((of_sources, target),) = noted["fits"]
    for found, source in zip(of_sources, sources, strict=True):
        check_labelled(found, standardised(source.x, source.x), source.label)
    check_labelled(target, standardised(enrolled.x, enrolled.x), enrolled.label)
    found = transfer.single_log_probabilities(classifier, query.x)
    np.testing.assert_allclose(found, standardised(query.x, enrolled.x)[:, :3], atol=1e-4)


def test_without_enrolled_clips_every_source_makes_the_same_share_of_the_statistics(noted):
    sources = [clips(0, 20), clips(1, 200)]
    scaling = transfer.fit(sources, clips(2, 0), 3, RECIPE).scaling
    equal = np.concatenate([np.tile(sources[0].x, (10, 1)), sources[1].x])
    np.testing.assert_allclose(scaling.shift, equal.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaling.scale, equal.std(axis=0), rtol=1e-5)


def test_the_least_deviation_is_a_share_of_the_mean_over_the_corpora_that_vary(noted):
    sources, enrolled = [clips(0, 20), clips(1, 30)], clips(2, 9)
    enrolled.x[:, 0], enrolled.x[:, 1], sources[0].x[:, 1] = 1, 5 + 0.01 * enrolled.x[:, 1], 2
    for share in (0.1, 0.5):
        scale = transfer.fit(sources, enrolled, 3, dataclasses.replace(RECIPE, scale_floor=share)).scaling.scale
        deviations = np.stack([given.x.std(axis=0) for given in (*sources, enrolled)])
        expected = [
            share * deviations[:2, 0].mean(),
            share * deviations[1:, 1].mean(),
            *np.maximum(deviations[2], share * deviations.mean(axis=0))[2:],
        ]
        np.testing.assert_allclose(scale, expected, rtol=1e-4)


def test_few_clips_of_a_folder_and_of_a_speaker_have_the_next_wider_statistics():
    target, wider, least = clips(2, 9), Scaling(np.full(4, 5.0), np.full(4, 2.0)), np.full(4, 1e-3)
    of_folder = shrunken(target.x, wider, 2.0, least)
    for by, prior in ((False, None), (True, of_folder)):
        found = transfer.folder_scaled(target, wider, least, by, PriorClips(sources=2.0, folder=6.0))
        for name in "ab":
            rows = target.speaker == name
            scaling = of_folder if prior is None else shrunken(target.x[rows], prior, 6.0, least)
            np.testing.assert_allclose(found[rows], scaling(target.x[rows]), rtol=1e-4, atol=1e-5)
    alone = transfer.folder_scaled(target, None, least, False, PriorClips(sources=2.0, folder=6.0))
    np.testing.assert_allclose(alone, moments(target.x, least)(target.x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unknown", [None, "folder", "enrolled", "source"])
def test_a_folder_is_scaled_with_the_enrolled_clips_and_its_labels_are_not_used(noted, unknown):
    sources, enrolled = [clips(0, 20), clips(1, 30, None if unknown == "source" else ("a", "b"))], clips(2, 9)
    enrolled = enrolled._replace(speaker=None) if unknown == "enrolled" else enrolled
    folder = clips(3, 12, None if unknown == "folder" else ("b", "c"))
    found = transfer.joint_log_probabilities(sources, enrolled, folder, 3, RECIPE)
    together = transfer.joined(enrolled, folder)
    scale = (lambda given: standardised(given.x, given.x)) if unknown else by_speaker
    ((of_sources, target),) = noted["fits"]
    for given, source in zip(of_sources, sources, strict=True):
        check_labelled(given, scale(source), source.label)
    np.testing.assert_allclose(target.x, scale(together)[:9], atol=1e-4)
    np.testing.assert_array_equal(target.label, enrolled.label)
    np.testing.assert_allclose(found, scale(together)[9:, :3], atol=1e-4)
    ((adaptation, _, x, label, groups),) = noted["adapted"]
    assert adaptation == "balanced"
    np.testing.assert_allclose(x, scale(together), atol=1e-4)
    np.testing.assert_array_equal(label, enrolled.label)
    assert groups.tolist() == ([0] * 12 if unknown == "folder" else [0, 1] * 6)


@pytest.mark.parametrize("known", [True, False])
def test_a_network_that_scales_by_speaker_starts_from_sources_scaled_by_speaker(monkeypatch, known):
    seen = []
    monkeypatch.setattr(transfer, "started", lambda sources, n_classes, settings: seen.append(sources) or "new")
    sources, classifier = [clips(0, 20)], Classifier(None, NetworkScorer("settings", "own", {}, {}))
    target = clips(2, 9, ("a", "b") if known else None)
    start = transfer.of_sources(sources, target, 3, RECIPE, classifier)
    assert start == ("new" if known else "own")
    assert len(seen) == known
    for (found,) in seen:
        check_labelled(found, by_speaker(sources[0]), sources[0].label)


def test_a_scorer_of_the_sources_alone_is_used_where_nothing_is_enrolled_or_by_speaker(noted):
    sources = [clips(0, 20)]
    for enrolled, speakers, used in ((0, None, True), (3, None, False), (0, ("a", "b"), False)):
        folder = clips(3, 12, speakers)
        transfer.joint_log_probabilities(sources, clips(2, enrolled), folder, 3, RECIPE, OF_SOURCES)
        assert (noted["scorer"] is OF_SOURCES) == used


def rows_of(x, enrolled):
    """The enrolled clips among clips; none that is not enrolled."""
    return {int(np.flatnonzero((enrolled.x == row).all(axis=1))[0]) for row in x}


def enrolled_of_three_speakers():
    return clips(2, 9, ("a", "a", "a", "b", "b", "b", "c", "c", "c"))._replace(label=np.tile(np.arange(3), 3))


def test_the_temperature_of_single_clips_is_of_fits_without_the_clips_that_are_held_out(monkeypatch):
    enrolled, folds = enrolled_of_three_speakers(), []

    def fit(sources, given, n_classes, recipe, start):
        folds.append([given])
        return "classifier"

    def scored(classifier, x):
        folds[-1].append(x)
        return np.log(np.full((len(x), 3), [0.6, 0.3, 0.1]))

    monkeypatch.setattr(transfer, "fit", fit)
    monkeypatch.setattr(transfer, "single_log_probabilities", scored)
    temperature, held_out = confidence.single_temperature([clips(0, 20)], enrolled, 3, RECIPE)
    assert len(folds) == 3
    for given, x in folds:
        assert len(set(given.speaker)) == 2
        assert rows_of(given.x, enrolled) | rows_of(x, enrolled) == set(range(9))
        assert not rows_of(given.x, enrolled) & rows_of(x, enrolled)
    expected = 0.6 ** (1 / temperature) / sum(p ** (1 / temperature) for p in (0.6, 0.3, 0.1))
    np.testing.assert_allclose(held_out, np.full(9, expected), rtol=1e-6)
    # A third of the labels are right, and their probability is 0.6.
    assert temperature > 1.606


def test_the_temperature_of_a_folder_is_of_fits_in_which_held_out_clips_are_unlabelled(monkeypatch):
    enrolled, folder, calls = enrolled_of_three_speakers(), clips(3, 12, None), []

    def joint(sources, given, together, n_classes, recipe, of_sources):
        calls.append((given, together))
        return np.tile(np.arange(len(together.x))[:, None], 3)

    def temperature(score, label, folds, prior):
        for fold in folds:
            np.testing.assert_array_equal(score(fold), np.tile(np.arange(3)[:, None], 3))  # the first clips' scores
            np.testing.assert_array_equal(enrolled.x[fold.held_out], calls[-1][1].x[:3])
        return 1.0

    monkeypatch.setattr(confidence.calibration, "temperature", temperature)
    monkeypatch.setattr(transfer, "joint_log_probabilities", joint)
    confidence.joint_temperature([clips(0, 20)], enrolled, folder, 3, RECIPE)
    assert len(calls) == 3
    for given, together in calls:
        held_out = rows_of(together.x[:3], enrolled)
        assert held_out | rows_of(given.x, enrolled) == set(range(9))
        assert not held_out & rows_of(given.x, enrolled)
        assert len(held_out) == 3
        assert (together.label[:3] == OTHER).all()
        np.testing.assert_array_equal(together.x[3:], folder.x)


def test_a_fold_without_a_class_serves_only_a_method_that_learns_it_from_the_sources(monkeypatch):
    """A network of pairs compares with enrolled clips alone."""
    enrolled = enrolled_of_three_speakers()._replace(label=np.array([0, 1, 1, 0, 1, 0, 0, 2, 1]))
    monkeypatch.setattr(transfer, "fit", lambda *_: None)
    monkeypatch.setattr(transfer, "single_log_probabilities", lambda _, x: np.zeros((len(x), 3)))
    held_out = []
    monkeypatch.setattr(confidence.calibration, "temperature", lambda _, label, folds, prior: held_out.append(folds))
    for method in ("logistic_regression", "siamese"):
        confidence.single_temperature([clips(0, 20)], enrolled, 3, dataclasses.replace(RECIPE, method=method))
    assert [[fold.held_out.tolist() for fold in folds] for folds in held_out] == [
        [[0, 1, 2], [3, 4, 5], [6, 8]], [[0, 1, 2], [3, 4, 5]],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "adaptation"), [("all", "balanced"), ("folder", "balanced"), ("none", "balanced"), ("none", "none")]
)
def test_a_temperature_has_the_prior_of_its_method_adaptation_and_scaling(monkeypatch, known, adaptation):
    asked = []
    prior = confidence.calibration.prior
    monkeypatch.setattr(
        confidence.calibration, "prior", lambda fitted, n: asked.append((fitted, n)) or prior(fitted, n)
    )
    recipe = Recipe("logistic_regression", SETTINGS, adaptation, 1e-3)
    sources, enrolled = [clips(0, 20)], clips(2, 3, ("a", "b") if known == "all" else None)
    folder = clips(3, 12, None if known == "none" else ("b", "c"))
    confidence.single_temperature(sources, enrolled, 4, recipe)
    confidence.joint_temperature(sources, enrolled, folder, 4, recipe)
    strength, of = 0.3 if adaptation == "balanced" else 0.0, "speaker" if known == "all" else "corpus"
    within = "corpus" if known == "none" else "speaker"
    assert asked == [
        (("logistic_regression", 0.01, "none", 0.0, "support", "corpus"), 3),
        (("logistic_regression", 0.01, adaptation, strength, of, within), 3),
    ]


def test_the_mode_decides_whose_confidences_say_what_is_unsure():
    given, held_out = np.array([0.95, 0.9, 0.75, 0.5]), np.array([0.99, 0.61, 0.6])
    of_folder, least = confidence.unsure(given, "folder", held_out, 0.2)
    assert (of_folder.tolist(), least) == ([False, False, False, True], 0.75)
    of_clip, least = confidence.unsure(given, "clip", held_out, 0.2)
    assert (of_clip.tolist(), least) == ([False, False, False, True], 0.61)
    alone, least = confidence.unsure(given, "clip", np.zeros(0), 0.2)
    assert (alone.tolist(), least) == ([False, False, True, True], 0.8)


CLASSES = ("anger", "fear", "joy")


def test_a_model_divides_by_the_temperature_of_its_mode(monkeypatch):
    log_p = np.log(np.full((12, 3), [0.6, 0.3, 0.1]))
    monkeypatch.setattr(transfer, "single_log_probabilities", lambda classifier, x: log_p[: len(x)])
    monkeypatch.setattr(transfer, "joint_log_probabilities", lambda *given: log_p)
    monkeypatch.setattr(confidence, "joint_temperature", lambda *given: 3.0)
    classifier = Classifier(Scaling(np.zeros(4), np.ones(4)), SCORER)
    fitted = model.Model(CLASSES, {}, (), RECIPE, (), clips(2, 9), classifier, 2.0, np.zeros(0))
    for mode, temperature in (("clip", 2.0), ("folder", 3.0)):
        p = np.exp(fitted.log_probabilities(clips(3, 12).x, mode))
        expected = np.array([0.6, 0.3, 0.1]) ** (1 / temperature)
        np.testing.assert_allclose(p, np.tile(expected / expected.sum(), (12, 1)), rtol=1e-6)


def test_a_model_keeps_its_enrolled_clips_with_sorted_classes_and_passes_speakers_on(noted, monkeypatch):
    of_joint = []
    monkeypatch.setattr(confidence, "single_temperature", lambda *problem: (2.0, np.zeros(0)))
    monkeypatch.setattr(confidence, "joint_temperature", lambda *problem: of_joint.append(problem) or 1.0)
    x = clips(2, 4).x
    made = model.enrol(x, ["joy", "anger", "joy", "fear"], ["b", "a", "b", "a"], [], RECIPE, {}, tuple("wxyz"))
    assert made.classes == CLASSES
    assert made.enrolled.label.tolist() == [2, 0, 2, 1]
    assert made.enrolled.speaker.tolist() == ["b", "a", "b", "a"]
    assert made.temperature == 2.0
    check_labelled(noted["fits"][0][1], standardised(x, x), made.enrolled.label)
    folder = clips(3, 12, ("c", "d"))
    made.log_probabilities(folder.x, "folder", folder.speaker)
    ((_, enrolled, given, n_classes, *_),) = of_joint
    assert enrolled is made.enrolled
    assert (n_classes, given.speaker.tolist()) == (3, folder.speaker.tolist())
    np.testing.assert_allclose(noted["adapted"][0][2], by_speaker(transfer.joined(made.enrolled, folder)), atol=1e-4)
    unknown = model.enrol(x, ["joy", "anger"] * 2, ["", "a", "b", "a"], [], RECIPE, {}, tuple("wxyz"))
    assert unknown.enrolled.speaker is None


@pytest.mark.parametrize("kind", ["model", "classifier"])
def test_what_is_learned_of_the_sources_once_is_scaled_as_enrolled_and_folders_clips_are(noted, monkeypatch, kind):
    """By speaker where the speakers of both are known, not where those of the enrolled clips alone are."""
    asked = []
    monkeypatch.setattr(transfer, "of_sources", lambda sources, target, *rest: asked.append(target))
    monkeypatch.setattr(confidence, "single_temperature", lambda *problem: (1.0, np.zeros(0)))
    monkeypatch.setattr(confidence, "joint_temperature", lambda *problem: 1.0)
    x, words, speakers, folder = clips(2, 4).x, ["joy", "anger", "joy", "fear"], ["b", "a"] * 2, clips(3, 12)
    for of_folder in (None, folder.speaker):
        if kind == "model":
            made = model.enrol(x, words, speakers, [], RECIPE, {}, tuple("wxyz"))
            made.log_probabilities(folder.x, "folder", of_folder)
        else:
            made = TransferClassifier(transductive=True, calibrated=False).fit(x, words, groups=speakers)
            made.predict_proba(folder.x, of_folder)
    for target in asked:
        np.testing.assert_array_equal(target.x, np.concatenate([x, folder.x]))
    assert asked[0].speaker is None
    assert asked[1].speaker.tolist() == [*speakers, *folder.speaker]


def test_a_model_of_sources_is_held_out_on_each_source_by_the_others(noted):
    given = [clips(seed, 14) for seed in range(3)]
    # Their own order of emotions, with another one.
    emotions, number = ("joy", "anger", "boredom", "fear"), np.array([1, 3, 0, 2])
    sources = [Source(str(i), "", emotions, of._replace(label=number[of.label])) for i, of in enumerate(given)]
    made = model.of_sources(sources, CLASSES, RECIPE, {}, tuple("wxyz"))
    numbers = [[len(source.x) for source in of_sources] for of_sources, _ in noted["fits"]]
    assert [len(n) for n in numbers] == [3, 2, 2, 2]
    for left_out, (of_sources, _) in enumerate(noted["fits"][1:]):
        of = [i for i in range(3) if i != left_out]
        for found, i in zip(of_sources, of, strict=True):
            check_labelled(found, standardised(given[i].x, given[i].x), given[i].label)
    confidences = []
    for left_out, own in enumerate(given):
        scaling = transfer.fit([of for i, of in enumerate(given) if i != left_out], clips(2, 0), 3, RECIPE).scaling
        asked = scaling(own.x[own.label != OTHER])[:, :3]
        confidences += softmax(asked / made.temperature, axis=1).max(axis=1).tolist()
    assert made.temperature != 1
    np.testing.assert_allclose(made.held_out, confidences, rtol=1e-5)

"""Networks as methods of a recogniser: what they learn from, their settings and folders, and what they refuse."""

import dataclasses
import functools
import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.methods import Sources
from siamese_jax.recognizer import confidence, model_folder, network_settings, networks, recipes, transfer
from siamese_jax.recognizer.classifier import TransferClassifier
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.model import enrol
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Clips

NETWORKS = ("siamese", "metric_network")
NAMES = tuple(f"f{i}" for i in range(6))
MADE = {"features": "tones"}
WORDS = ("anger", "fear", "joy")


def _none(*_):
    raise AssertionError("no sound in these tests")


EXTRACTOR = Extractor("tones-1", NAMES, MADE, _none, _none, _none)


def clips(seed, n, words=WORDS):
    """Features of classes that are apart, and their words."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % len(words)
    x = rng.normal(size=(n, 6)) + 6 * np.eye(6)[[WORDS.index(words[i]) for i in label]]
    return x.astype(np.float32), [words[i] for i in label]


def source(name="tones", seed=0, words=WORDS):
    x, labels = clips(seed, 30, words)
    label = np.array([words.index(word) for word in labels])
    return Source(name, "", words, Clips(x, label, np.array([f"s{i // 6}" for i in range(30)], object)))


@functools.cache
def small(method, loss="none", seed=0, **changes):
    """The recipe of a network that is trained in no time."""
    made = recipes.recipe(method, None, 0.01, 1e-3, loss, seed)
    network = made.network
    if method == "siamese":
        spec = dataclasses.replace(network.network, widths=(8, 4))
        training = dataclasses.replace(network.training, learning_rate=0.01, second_learning_rate=0.01)
        network = dataclasses.replace(network, network=spec, training=training, source_steps=300, fine_tuning_steps=20)
    else:
        spec = dataclasses.replace(network.network, layer_widths=(8,), dimensions=4, members=2, pretraining_steps=300)
        spec = dataclasses.replace(spec, contrastive_rate=0.01, noise=0.1, dropout=0.0, joint_steps=20)
        network = dataclasses.replace(network, network=spec)
    return dataclasses.replace(made, network=dataclasses.replace(network, **changes))


def made(recipe, sources=None, labels=None, speakers=("anna", "bert")):
    x, words = clips(1, 6)
    who = [speakers[i // 3] for i in range(6)]
    return enrol(x, labels or words, who, sources or [source()], recipe, MADE, NAMES)


model = functools.cache(lambda method: made(small(method)))


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_a_network_recognises_other_clips_in_both_modes(method):
    x, words = clips(2, 60)
    for mode in ("clip", "folder"):
        log_p = model(method).log_probabilities(x, mode)
        np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
        assert np.mean(np.array(WORDS)[log_p.argmax(axis=1)] == words) > 0.6


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_the_seed_gives_the_bits(method):
    x, _ = clips(2, 10)
    first, again, other = (made(small(method, seed=seed)).log_probabilities(x, "clip") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.long
def test_each_loss_gives_another_network_from_one_start():
    found = [made(small("siamese", loss)).classifier.scorer for loss in ("none", "ratio", "cross_entropy_twice")]
    kernels = [scorer.tuned["encoder"]["layer_0"]["kernel"] for scorer in found]
    for i, first in enumerate(kernels):
        assert all(np.abs(first - second).max() > 1e-4 for second in kernels[i + 1 :])
        np.testing.assert_array_equal(found[0].start["head"]["kernel"], found[i].start["head"]["kernel"])


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_wrong_labels_of_clips_that_it_must_not_learn_from_change_nothing(method):
    """The source's clips of other words, and held-out enrolled clips in the fit that scores them."""
    recipe, x = small(method), clips(2, 20)[0]
    words = (*WORDS, "boredom", "disgust")
    plain = source(words=WORDS)
    others = np.arange(30) % 5 == 4
    asked = plain.clips.label.copy()
    asked[others] = 3
    poisoned = asked.copy()
    poisoned[others] = 4
    seen = asked.copy()
    seen[others] = (plain.clips.label[others] + 1) % 3
    before, after, changed = (
        made(recipe, [Source("tones", "", words, plain.clips._replace(label=label))]).log_probabilities(x, "clip")
        for label in (asked, poisoned, seen)
    )
    np.testing.assert_array_equal(before, after)
    assert np.abs(before - changed).max() > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
@pytest.mark.parametrize("mode", ["clip", "folder"])
def test_the_temperature_scores_a_clip_by_a_network_without_its_label(method, mode, monkeypatch):
    own, scored = model(method), []

    def temperature(score, label, folds, prior):
        scored.append([score(fold) for fold in folds])
        return 1.0

    monkeypatch.setattr(confidence.calibration, "temperature", temperature)
    folder = Clips(clips(2, 20)[0], np.full(20, -1), None)
    for label in (own.enrolled.label, np.r_[own.enrolled.label[:3], np.roll(own.enrolled.label[3:], 1)]):
        enrolled = own.enrolled._replace(label=label)
        problem = [[source().clips], enrolled, 3, own.recipe]
        if mode == "clip":
            confidence.single_temperature(*problem, transfer.start_of(own.classifier))
        else:
            confidence.joint_temperature([source().clips], enrolled, folder, 3, own.recipe)
    before, after = scored
    np.testing.assert_array_equal(before[1], after[1])
    assert np.abs(before[0] - after[0]).max() > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_a_clip_on_its_own_does_not_depend_on_the_others(method):
    x, _ = clips(2, 300)
    together = model(method).log_probabilities(x, "clip")
    poisoned = np.where(np.arange(300)[:, None] == 270, x, 1e4 * x)
    np.testing.assert_array_equal(together[270], model(method).log_probabilities(poisoned, "clip")[270])
    np.testing.assert_allclose(together[270:271], model(method).log_probabilities(x[270:271], "clip"), rtol=1e-5)


@pytest.mark.long
def test_padding_of_enrolled_clips_changes_rounding_alone(monkeypatch):
    x, _ = clips(2, 20)
    padded = model("siamese").log_probabilities(x, "clip")
    monkeypatch.setattr(networks, "PADDING", 1)
    np.testing.assert_allclose(made(small("siamese")).log_probabilities(x, "clip"), padded, rtol=1e-3, atol=1e-3)


@pytest.mark.long
def test_a_word_that_the_source_lacks_is_learned_from_the_enrolled_clips():
    two = [source(words=("anger", "fear")), source("more", 5, ("fear", "anger", "joy"))]
    x, words = clips(2, 60)
    log_p = made(small("siamese"), two).log_probabilities(x, "clip")
    assert np.mean(np.array(WORDS)[log_p.argmax(axis=1)] == words) > 0.5


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_by_speaker_the_sources_are_learned_from_again(method):
    x, _ = clips(2, 20)
    own = model(method)
    by_speaker = own.log_probabilities(x, "folder", np.array(["carl", "dora"] * 10, object))
    assert np.abs(by_speaker - own.log_probabilities(x, "folder")).max() > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
def test_a_saved_and_loaded_network_gives_the_same_bits(method, tmp_path):
    model_folder.save(tmp_path / "m", model(method))
    loaded, x = model_folder.load(tmp_path / "m", EXTRACTOR), clips(2, 30)[0]
    for mode in ("clip", "folder"):
        np.testing.assert_array_equal(loaded.log_probabilities(x, mode), model(method).log_probabilities(x, mode))
    assert loaded.recipe == model(method).recipe
    assert f"method {method}" in (tmp_path / "m" / "README.md").read_text()


def _reshaped(tensors, config):
    name = max(name for name in tensors if name.startswith("network.tuned"))
    tensors[name] = np.concatenate([tensors[name], tensors[name]])


def _without_a_tensor(tensors, config):
    del tensors[min(name for name in tensors if name.startswith("network."))]


def _of_another_kind(tensors, config):
    config["network"] = None


def _with_an_unknown_setting(tensors, config):
    config["network"]["magic"] = 1


@pytest.mark.long
@pytest.mark.parametrize("method", NETWORKS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_reshaped, "other shapes than its settings say"),
        (_without_a_tensor, "not a model of this program"),
        (_of_another_kind, "the settings of a network do not belong to"),
        (_with_an_unknown_setting, "'magic' is unknown"),
    ],
)
def test_a_network_that_its_settings_do_not_describe_is_refused(method, damage, message, tmp_path):
    """The digests are right: another program wrote the folder."""
    folder = tmp_path / "m"
    model_folder.save(folder, model(method))
    tensors, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    damage(tensors, config)
    weights = save(tensors)
    config |= {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps(model_folder._with_digest(config)))
    with pytest.raises(InputError, match=message):
        model_folder.load(folder, EXTRACTOR)


@pytest.mark.long
def test_a_training_that_diverges_is_refused():
    training = dataclasses.replace(small("siamese").network.training, learning_rate=1e30)
    with pytest.raises(InputError, match="diverged from seed 0; give another seed"):
        made(small("siamese", training=training))


@pytest.mark.parametrize("method", NETWORKS)
def test_without_a_source_a_network_is_refused_before_anything_is_read(method):
    with pytest.raises(InputError, match=f"the method {method} is trained on a source first; give a source"):
        FewShotEmotion(source="none", method=method)
    x, words = clips(1, 6)
    with pytest.raises(InputError, match=f"the method {method} is trained on a source first; give a source"):
        TransferClassifier(method=method).fit(x, words)


def test_sources_that_cannot_train_a_network_are_refused():
    with pytest.raises(InputError, match="labels that every source has: anger; the method siamese is trained on two"):
        networks.check("siamese", [np.array([0, 1]), np.array([0, 2, -1])], WORDS)
    with pytest.raises(InputError, match="the source has no clip of joy; the method metric_network needs"):
        networks.check("metric_network", [np.array([0, -1]), np.array([1])], WORDS)
    networks.check("logistic_regression", [], WORDS)
    networks.check("siamese", [np.array([0, 1])], WORDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "triplet"}, "loss 'triplet'; expected one of none, ratio"),
        ({"method": "metric_network", "loss": "ratio"}, "loss 'ratio' is of the method siamese; give loss='none'"),
        (
            {"method": "siamese", "adaptation": "balanced"},
            "siamese has no adaptation 'balanced'; give 'none'",
        ),
        ({"method": "siamese", "seed": -1}, "seed is -1; expected a whole number"),
        ({"method": "siamese", "seed": 1.5}, "seed is 1.5; expected a whole number"),
        ({"method": "metric_network", "seed": 2**32}, "seed is 4294967296; expected a whole number"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        FewShotEmotion(**changes)
    x, words = clips(1, 6)
    with pytest.raises(InputError, match=message):
        TransferClassifier(**changes).fit(x, words, X_source=x, y_source=words)


def test_batches_hold_as_many_clips_of_each_class():
    assert [network_settings.rounded(32, n) for n in (4, 3, 7, 20)] == [32, 30, 28, 40]


def test_a_networks_corpora_have_equal_weights_and_the_classes_that_all_of_them_have():
    corpora = tuple(
        (np.arange(5 * n, dtype=np.float32).reshape(n, 5), np.resize(classes, n).astype(np.int32))
        for n, classes in ((12, [3, 0, 1]), (48, [0, 2, 3]))
    )
    clips, index, n_shared = networks._source_clips(Sources(corpora, (1.0, 1.0), 5, ()), 4)
    asked = [np.isin(label, [0, 3]) for _, label in corpora]
    np.testing.assert_array_equal(clips.x, np.concatenate([x[rows] for (x, _), rows in zip(corpora, asked)]))
    assert clips.label.tolist() == [{0: 0, 3: 1}[c] for (_, label), rows in zip(corpora, asked) for c in label[rows]]
    assert n_shared == 2
    np.testing.assert_allclose(index.weights, [0.5, 0.5])
    np.testing.assert_array_equal(index.counts, [[4, 16], [4, 16]])


@pytest.mark.parametrize("method", ["logistic_regression", "siamese", "metric_network"])
def test_a_recipe_has_what_is_given_and_its_methods_own_adaptation_where_nothing_is(method):
    loss = "ratio" if method == "siamese" else "none"
    made = recipes.recipe(method, "none", 0.3, 0.05, loss, 7, ([0, 1], [2]))
    assert (made.method, made.adaptation, made.settings.c, made.scale_floor) == (method, "none", 0.3, 0.05)
    assert [columns.tolist() for columns in made.layers] == [[0, 1], [2]]
    of_network = None if made.network is None else (made.network.seed, getattr(made.network, "loss", "none"))
    assert of_network == (None if method == "logistic_regression" else (7, loss))
    default = "none" if method == "siamese" else "balanced"
    assert recipes.recipe(method, None, 0.3, 0.05, loss, 7).adaptation == default

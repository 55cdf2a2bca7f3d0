"""A recogniser of eight clips of two speakers recognises other speakers as well as the protocol's row says."""

import numpy as np
import pytest

import siamese_jax
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets import extraction, speech_encoder, table_files
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.shipped import shipped
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.recognizer import sources
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import enrol
from siamese_jax.recognizer.transfer import Recipe
from siamese_jax.runtime.devices import available_cores
from siamese_jax.stats import metrics

pytestmark = pytest.mark.long

METHOD = "logistic_regression"
N_DRAWS = 20


SCOPES = {"clip": ("support", "none"), "folder": ("speaker", "balanced")}
"""The scope of the standardisation and the adaptation of the protocol's row, by mode; speakers are known."""


def recalls(table, mode):
    """Mean UAR (%) over draws of eight clips: of the protocol's row, and of the recogniser."""
    scope, adaptation = SCOPES[mode]
    config = siamese_jax.load_config("reproduce")
    config.data.features = "whisper"
    config.data.scalings = (scope,)
    config.protocol.n_speakers = (2,)
    config.protocol.n_draws = N_DRAWS
    config.report.fixed_n_speakers = 2
    experiment = siamese_jax.resolve_config(config)
    plan = Plan.make(experiment, *siamese_jax.load_datasets(experiment))
    target, support = plan.target, plan.draws.support(2)
    tested = evaluation_masks(target, support)["speaker_disjoint"]
    draws = TransferDraws(plan, scope, SETTINGS)
    log_p = draws.inductive(METHOD, 2)
    if adaptation != "none":
        log_p = draws.adapted(adaptation, log_p, 2, draws.proportions(2))
    n_classes = len(experiment.data.emotions)
    of_protocol = _uar(log_p.argmax(axis=-1), target.label, tested, n_classes)
    row_of = {name: row for row, name in enumerate(table.clip.tolist())}
    x = table.features[[row_of[name] for name in target.table.clip.tolist()]]
    recipe = Recipe(METHOD, SETTINGS, adaptation, 1e-3)
    predicted = [
        _labels(recipe, x, target.table, rows, own, mode, experiment.data.emotions)
        for rows, own in zip(support, tested)
    ]
    return of_protocol, _uar(np.stack(predicted), target.label, tested, n_classes)


def _labels(recipe, x, table, rows, tested, mode, emotions):
    """The labels of a model that is enrolled with the clips `rows`, for the tested clips; 0 for all others."""
    extractor = speech_encoder.of_shipped_tables("whisper", ())
    read = sources.read(("emodb",), extractor.feature_names, extractor.made)
    words, speakers = table.emotion, table.speaker
    model = enrol(
        x[rows], words[rows].tolist(), speakers[rows].tolist(), read, recipe, extractor.made, extractor.feature_names
    )
    order = np.array([emotions.index(name) for name in model.classes])
    predicted = np.zeros(len(x), int)
    predicted[tested] = order[model.log_probabilities(x[tested], mode, speakers[tested]).argmax(axis=1)]
    return predicted


def _uar(predicted, label, tested, n_classes):
    counts = metrics.confusion(predicted.astype(np.int32), label, tested, n_classes)
    return 100 * float(metrics.unweighted_average_recall(counts).mean())


@pytest.mark.parametrize(("mode", "apart", "least"), [("clip", 0.3, 50), ("folder", 1, 70)])
def test_on_the_shipped_table_the_recogniser_is_the_protocols_row(mode, apart, least):
    protocol, recogniser = recalls(table_files.read_table(shipped("ravdess", "whisper")), mode)
    print(f"mode {mode}, UAR over {N_DRAWS} draws: protocol {protocol:.2f} %, recogniser {recogniser:.2f} %")
    assert protocol == pytest.approx(recogniser, abs=apart)
    assert recogniser > least


@pytest.mark.data
def test_on_recordings_the_recogniser_is_within_a_point_of_the_protocols_row(data_folder):
    manifest = siamese_jax.scan("ravdess", data_folder / "audio" / "ravdess")
    manifest = Manifest(manifest.root, tuple(clip for clip in manifest if clip.emotion in emotions_of_the_paper()))
    extractor = speech_encoder.of_shipped_tables("whisper", ())
    table = extraction.compute_table(manifest, extractor, extraction.Options(available_cores(), strict=True))
    for mode in SCOPES:
        protocol, recogniser = recalls(table, mode)
        print(f"mode {mode}, UAR over {N_DRAWS} draws: protocol {protocol:.2f} %, recogniser {recogniser:.2f} %")
        assert protocol == pytest.approx(recogniser, abs=1)


def emotions_of_the_paper():
    return siamese_jax.load_config("reproduce").data.emotions

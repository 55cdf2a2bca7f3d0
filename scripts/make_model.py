"""Writes the shipped recogniser of four emotions, or one from permitted sources only.

python scripts/make_model.py
python scripts/make_model.py --source=emodb --output=permitted

The first command trains on EMO-DB and RAVDESS and writes siamese_jax/datasets/shipped/recognizer. The model is
CC BY-NC-SA 4.0 (non-commercial), since it is computed from RAVDESS. The second uses EMO-DB alone.

Scores in the card come from the same recipe, trained without the tested corpus, or without the tested speakers.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.datasets.dataset import layer_columns
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.recognizer import evaluation, model_folder, sources, transfer
from siamese_jax.recognizer.card import CORPORA
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import Model, of_sources
from siamese_jax.recognizer.predictions import MODES
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import OTHER, Clips, Recipe

FOLDS = 10
CLASSES = tuple(sorted(PAPER_EMOTIONS))
SPEAKERS = "folder, known speakers"
MEASURED = (*MODES, SPEAKERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="emodb,ravdess", help="source corpora with commas")
    parser.add_argument("--output", default=str(shipped.RECOGNIZER), help="the model folder to write")
    arguments = parser.parse_args()
    extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    read = sources.read(sources.parse(arguments.source), extractor.feature_names, extractor.made)
    evidence = (*_other_corpora(read, extractor), *_other_speakers(read, extractor))
    model = dataclasses.replace(_fitted(read, extractor), evidence=evidence)
    model_folder.save(arguments.output, model)
    for row in evidence:
        print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    print(arguments.output)


def _fitted(read: Sequence[Source], extractor: Extractor, with_held_out: bool = True) -> Model:
    recipe = Recipe("logistic_regression", SETTINGS, "balanced", 1e-3, layer_columns(extractor.feature_names))
    return of_sources(read, CLASSES, recipe, extractor.made, extractor.feature_names, with_held_out)


def _other_corpora(read: Sequence[Source], extractor: Extractor) -> Iterator[dict[str, Any]]:
    """Yields the scores on each shipped corpus of a model without it."""
    known = sources.read(shipped.SHIPPED, extractor.feature_names, extractor.made)
    for tested in known:
        rest = [source for source in read if source.name != tested.name]
        if rest:
            rows = np.arange(len(tested.clips.label))
            model = _fitted(rest, extractor, with_held_out=False)
            for mode in MEASURED:
                p, label, speakers = _tested(model, tested, rows, mode)
                yield _row(rest, _title(tested), mode, p, label, speakers)


def _other_speakers(read: Sequence[Source], extractor: Extractor) -> Iterator[dict[str, Any]]:
    """Yields the scores on speakers of each source, in folds, of models without the fold's speakers."""
    parts: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for fold in range(FOLDS):
        held = {source.name: np.unique(source.clips.speaker)[fold::FOLDS] for source in read}
        model = _fitted([_without(source, held[source.name]) for source in read], extractor, with_held_out=False)
        for source, mode in itertools.product(read, MEASURED):
            rows = np.flatnonzero(np.isin(source.clips.speaker, held[source.name]))
            if len(rows):
                parts.setdefault((source.name, mode), []).append(_tested(model, source, rows, mode))
    for source, mode in itertools.product(read, MEASURED):
        p, label, speakers = (np.concatenate(arrays) for arrays in zip(*parts[source.name, mode]))
        yield _row(read, f"{_title(source)}, other speakers ({FOLDS} folds)", mode, p, label, speakers)


def _tested(model: Model, source: Source, rows: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns probabilities, labels and speakers of the clips at `rows` that have one of the classes.

    Without a temperature, since the priors of temperatures come from both corpora as targets.
    """
    assert source.clips.speaker is not None
    label = source.for_classes(CLASSES).label
    rows = rows[label[rows] >= 0]
    x = source.clips.x[rows]
    if mode == "clip":
        log_p = transfer.single_log_probabilities(model.classifier, x)
    else:
        clips = [other.for_classes(CLASSES) for other in model.sources]
        known = source.clips.speaker[rows] if mode == SPEAKERS else None
        folder = Clips(x, np.full(len(x), OTHER), known)
        log_p = transfer.joint_log_probabilities(
            clips, model.enrolled, folder, len(CLASSES), model.recipe, model.classifier.scorer
        )
    return np.exp(log_p), label[rows], source.clips.speaker[rows]


def _without(source: Source, speakers: np.ndarray) -> Source:
    keep = ~np.isin(source.clips.speaker, speakers)
    clips = source.clips
    assert clips.speaker is not None
    kept = clips._replace(x=clips.x[keep], label=clips.label[keep], speaker=clips.speaker[keep])
    return dataclasses.replace(source, clips=kept)


def _row(
    trained: Sequence[Source], tested: str, mode: str, p: np.ndarray, label: np.ndarray, speakers: np.ndarray
) -> dict[str, Any]:
    result = evaluation.scored(CLASSES, mode, p, label, speakers.tolist(), np.zeros(len(label), bool), [])
    assert result.interval is not None
    return {
        "trained_on": ", ".join(map(_title, trained)), "tested_on": tested, "mode": mode,
        "n_clips": result.n_clips, "n_speakers": result.n_speakers, "uar": result.uar,
        "low": float(result.interval.low), "high": float(result.interval.high), "wa": result.wa,
        "calibration_error": result.calibration_error,
    }  # fmt: skip


def _title(source: Source) -> str:
    return CORPORA[source.shipped].title if source.shipped else source.name


if __name__ == "__main__":
    main()

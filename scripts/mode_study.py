"""Measures what the statistics of a folder gain: few or many clips, labels in other proportions, known speakers.

python -m scripts.mode_study --record=docs/records/mode_study.json

EMO-DB to RAVDESS and back, from the shipped tables. Each draw enrols clips of a few speakers, and labels folders of the
others' clips in every mode. Labels are thinned two at a time; "one" is a folder of a single label. Scores are pooled
over draws: UAR, and for folders of a single label the mean over labels of the share that is right.
"""

import argparse
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.datasets.dataset import layer_columns
from siamese_jax.recognizer import sources, transfer
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.transfer import OTHER, Clips, PriorClips, Recipe
from siamese_jax.runtime.files import write_json

CLASSES = tuple(sorted(PAPER_EMOTIONS))
ENROLLED = {0: (0, 0), 8: (2, 1), 32: (4, 2)}
"""Enrolled clips: their speakers, and clips of a speaker and label."""
SIZES = (5, 20, 80, 0)
"""Clips of a folder; 0 for all of the other speakers' clips."""
SPEAKERS = {5: 1, 20: 4, 80: 8}
"""Least speakers of a folder."""
RATIOS = (1, 3, 10, 0)
"""Clips of a common label for one of a rare label; 0 for a single label."""


class Way(NamedTuple):
    """A mode, the clips that wider statistics count for, whether classes are balanced, and speakers known."""

    mode: str
    sources: float = 0.0
    folder: float = 0.0
    adaptation: str = "none"
    speakers: bool = False


WAYS = {
    "clip": Way("clip"),
    "folder, own statistics": Way("folder"),
    "folder, own statistics, balanced": Way("folder", adaptation="balanced"),
    "folder": Way("folder", 4, 4),
    "folder, balanced": Way("folder", 4, 4, "balanced"),
    "folder, 16 prior clips, balanced": Way("folder", 16, 4, "balanced"),
    "folder, speakers": Way("folder", 4, 4, "none", True),
    "folder, speakers, balanced": Way("folder", 4, 4, "balanced", True),
}
ENROLLED_WAYS = ("clip", "folder", "folder, balanced", "folder, speakers", "folder, speakers, balanced")
"""The ways with enrolled clips, each of which is a fit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--enrolled", default="0,8,32", help="numbers of enrolled clips, of 0, 8 and 32, with commas")
    parser.add_argument("--sizes", default="5,20,80,0", help="numbers of clips of a folder; 0 for all")
    parser.add_argument("--record", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows: list[dict[str, Any]] = []
    for n_enrolled, target in itertools.product(map(int, arguments.enrolled.split(",")), shipped.SHIPPED):
        rows += study(target, n_enrolled, arguments.draws, sizes)
        write_json(Path(arguments.record), {"draws": arguments.draws, "rows": rows})


def study(target: str, n_enrolled: int, n_draws: int, sizes: list[int]) -> list[dict[str, Any]]:
    """Returns a row for each way, size and ratio."""
    source, clips, layers = _corpora(target)
    confusions: dict[tuple[str, int, int], np.ndarray] = defaultdict(lambda: np.zeros((len(CLASSES),) * 2, int))
    kept: dict[Any, Any] = {}
    for draw in range(n_draws):
        rng = np.random.default_rng([n_enrolled, draw])
        enrolled, others = _enrolled(clips, n_enrolled, rng)
        for size, ratio in itertools.product(sizes, RATIOS):
            rows = folder(clips, others, size, ratio, rng)
            for name, log_p in _labelled(source, _at(clips, enrolled), _at(clips, rows), layers, kept):
                np.add.at(confusions[name, size, ratio], (clips.label[rows], log_p.argmax(axis=1)), 1)
        kept = {} if n_enrolled else kept
        logging.info("%s, %d enrolled, draw %d", target, n_enrolled, draw)
    facts = {"source": source.name, "target": target, "n_enrolled": n_enrolled}
    return [
        {**facts, "way": way, "n_clips": size, "ratio": ratio, **_scores(confusion)}
        for (way, size, ratio), confusion in confusions.items()
    ]


def _corpora(target: str) -> tuple[sources.Source, Clips, tuple[np.ndarray, ...]]:
    extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    known = {s.name: s for s in sources.read(shipped.SHIPPED, extractor.feature_names, extractor.made)}
    clips = known[target].for_classes(CLASSES)
    source = next(s for name, s in known.items() if name != target)
    return source, _at(clips, np.flatnonzero(clips.label != OTHER)), layer_columns(extractor.feature_names)


def _at(clips: Clips, rows: np.ndarray) -> Clips:
    assert clips.speaker is not None
    return Clips(clips.x[rows], clips.label[rows], clips.speaker[rows])


def _enrolled(clips: Clips, n_enrolled: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows of enrolled clips, and the other speakers in a random order."""
    assert clips.speaker is not None
    n_speakers, n_each = ENROLLED[n_enrolled]
    speakers = rng.permutation(np.unique(clips.speaker.astype(str)))
    rows = [
        rng.permutation(np.flatnonzero((clips.speaker == speaker) & (clips.label == label)))[:n_each]
        for speaker in speakers[:n_speakers]
        for label in range(len(CLASSES))
    ]
    return np.concatenate([*rows, np.zeros(0, int)]).astype(int), speakers[n_speakers:]


def folder(clips: Clips, speakers: np.ndarray, size: int, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Returns rows of a folder: clips of the first speakers, as many as its labels need; ratio as in `RATIOS`."""
    assert clips.speaker is not None
    n_classes = len(CLASSES)
    weight = np.zeros(n_classes) if ratio == 0 else np.ones(n_classes)
    if ratio == 0:
        weight[rng.integers(n_classes)] = 1
    else:
        weight[rng.permutation(n_classes)[:2]] = 1 / ratio
    wanted = rng.multinomial(size, weight / weight.sum())
    for n_speakers in range(SPEAKERS.get(size, len(speakers)), len(speakers) + 1):
        rows = rng.permutation(np.flatnonzero(np.isin(clips.speaker.astype(str), speakers[:n_speakers])))
        counts = np.bincount(clips.label[rows], minlength=n_classes)
        if size and (counts >= wanted).all():
            break
    if not size:
        wanted = np.round(weight * counts).astype(int)
    return np.concatenate([rows[clips.label[rows] == c][: wanted[c]] for c in range(n_classes)])


def _labelled(
    source: sources.Source, enrolled: Clips, unlabelled: Clips, layers: tuple[np.ndarray, ...], kept: dict[Any, Any]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the log-probabilities [Q, C] of each way; `kept` holds what folders of the same draw share."""
    for name, way in WAYS.items():
        if len(enrolled.x) and name not in ENROLLED_WAYS:
            continue
        recipe = Recipe(
            "logistic_regression", SETTINGS, way.adaptation, 1e-3, layers, PriorClips(way.sources, way.folder)
        )
        hidden = unlabelled._replace(label=np.full(len(unlabelled.x), OTHER))
        corpora, own, clips = [
            of if way.speakers else of._replace(speaker=None) for of in (source.for_classes(CLASSES), enrolled, hidden)
        ]
        if way.mode == "clip" or not len(enrolled.x):
            place = ("single", way.speakers)
            if place not in kept:
                kept[place] = _single(corpora, own, way, recipe)
        if way.mode == "clip":
            yield name, transfer.single_log_probabilities(kept[place], clips.x)
        else:
            scorer = None if len(enrolled.x) else kept[place].scorer
            yield name, transfer.joint_log_probabilities([corpora], own, clips, len(CLASSES), recipe, scorer)


def _single(corpus: Clips, own: Clips, way: Way, recipe: Recipe) -> transfer.Classifier:
    """Returns the classifier of single clips; with known speakers the source is scaled by speaker."""
    if way.speakers:
        corpus = corpus._replace(x=transfer.scaled_by(corpus, np.full(corpus.x.shape[1], 1e-6), True))
    return transfer.fit([corpus], own, len(CLASSES), recipe)


def _scores(confusion: np.ndarray) -> dict[str, float]:
    right = np.diag(confusion)
    return {
        "uar": round(float(np.mean(right / np.maximum(confusion.sum(axis=1), 1))), 5),
        "accuracy": round(float(right.sum() / confusion.sum()), 5),
        "n": int(confusion.sum()),
    }


if __name__ == "__main__":
    main()

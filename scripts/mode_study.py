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
from siamese_jax.features.scaling import Scaling, floor
from siamese_jax.recognizer import methods, sources, transfer
from siamese_jax.recognizer.methods import SETTINGS, Labelled
from siamese_jax.recognizer.transfer import OTHER, PRIOR_CLIPS, Clips, PriorClips, Recipe
from siamese_jax.runtime.files import write_json

CLASSES = tuple(sorted(PAPER_EMOTIONS))
NONE = np.zeros(0, int)
ENROLLED = {0: (0, 0), 8: (2, 1), 32: (4, 2)}
"""Enrolled clips: their speakers, and clips of a speaker and label."""
SIZES = (5, 20, 80, 0)
"""Clips of a folder; 0 for all of the other speakers' clips."""
SPEAKERS = {5: 1, 20: 4, 80: 8}
"""Least speakers of a folder."""
RATIOS = (1, 3, 10, 0)
"""Clips of a common label for one of a rare label; 0 for a single label."""


class Scope(NamedTuple):
    """Whose statistics scale a folder's clips: the clips that wider ones count for, and whether speakers are known."""

    prior_clips: PriorClips
    speakers: bool


SCOPES = {
    "own statistics": Scope(PriorClips(0, 0), False),
    "folder": Scope(PRIOR_CLIPS, False),
    "16 prior clips": Scope(PriorClips(16, 4), False),
    "folder, speakers": Scope(PRIOR_CLIPS, True),
}
"""The scopes of mode folder; each is measured with and without balanced classes."""

ENROLLED_SCOPES = ("folder", "folder, speakers")
"""The scopes with enrolled clips: each folder is a fit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--enrolled", default="0,8,32", help="numbers of enrolled clips, of 0, 8 and 32, with commas")
    parser.add_argument("--tested", default="emodb,ravdess", help="the corpora that are labelled, with commas")
    parser.add_argument("--sizes", default="5,20,80,0", help="numbers of clips of a folder; 0 for all")
    parser.add_argument(
        "--ratios", default="1,3,10,0", help="clips of a common label for one of a rare; 0 for one label"
    )
    parser.add_argument("--record", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sizes, ratios = ([int(n) for n in text.split(",")] for text in (arguments.sizes, arguments.ratios))
    rows: list[dict[str, Any]] = []
    for n_enrolled, target in itertools.product(map(int, arguments.enrolled.split(",")), arguments.tested.split(",")):
        rows += study(target, n_enrolled, arguments.draws, sizes, ratios)
        write_json(Path(arguments.record), {"rows": rows})


def study(target: str, n_enrolled: int, n_draws: int, sizes: list[int], ratios: list[int]) -> list[dict[str, Any]]:
    """Returns a row for each way, size and ratio."""
    source, clips = _corpora(target)
    recipe = Recipe("logistic_regression", SETTINGS, "balanced", 1e-3)
    confusions: dict[tuple[str, int, int], np.ndarray] = defaultdict(lambda: np.zeros((len(CLASSES),) * 2, int))
    known: dict[bool, Known] = {}
    for draw in range(n_draws):
        rng = np.random.default_rng([n_enrolled, draw])
        rows, others = _enrolled(clips, n_enrolled, rng)
        enrolled = _at(clips, rows)
        if n_enrolled or not known:
            known = {by: known_of(source, enrolled, clips, recipe, by) for by in (False, True)}
        for size, ratio in itertools.product(sizes, ratios):
            own = np.random.default_rng([n_enrolled, draw, size, ratio])
            rows = folder(clips, others, size, ratio, own)
            for name, log_p in _labelled(known, enrolled, _at(clips, rows), recipe):
                np.add.at(confusions[name, size, ratio], (clips.label[rows], log_p.argmax(axis=1)), 1)
        logging.info("%s, %d enrolled, draw %d", target, n_enrolled, draw)
    facts = {"tested": target, "n_enrolled": n_enrolled, "n_draws": n_draws}
    return [
        {**facts, "way": way, "n_clips": size, "ratio": ratio, **_scores(confusion)}
        for (way, size, ratio), confusion in confusions.items()
    ]


def _corpora(target: str) -> tuple[Clips, Clips]:
    """Returns the other corpus, with emotions that serve the statistics alone, and the target's clips."""
    extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    known = {s.name: s for s in sources.read(shipped.SHIPPED, extractor.feature_names, extractor.made)}
    clips = known[target].for_classes(CLASSES)
    source = next(s for name, s in known.items() if name != target)
    return source.for_classes(CLASSES), _at(clips, np.flatnonzero(clips.label != OTHER))


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


class Known(NamedTuple):
    """What the folders of a draw share: the source, by speaker or not, as fits take it, its statistics, a floor."""

    corpus: Clips
    scaled: Labelled
    wider: Scaling
    least: np.ndarray
    single: transfer.Classifier


def known_of(source: Clips, enrolled: Clips, target: Clips, recipe: Recipe, by_speaker: bool) -> Known:
    """Returns what is learned from the source, and from the enrolled clips one at a time."""
    least = np.asarray(floor(np.concatenate([source.x, target.x]), recipe.scale_floor))
    inside = source.label != OTHER
    x = transfer.scaled_by(source, least, by_speaker)
    corpus = source._replace(x=x)
    wider = transfer.fit([source], enrolled._replace(x=enrolled.x[:0], label=enrolled.label[:0]), len(CLASSES), recipe)
    single = transfer.fit([corpus if by_speaker else source], enrolled, len(CLASSES), recipe)
    return Known(source, Labelled(x[inside], source.label[inside]), wider.scaling, least, single)


def _labelled(
    known: dict[bool, Known], enrolled: Clips, unlabelled: Clips, recipe: Recipe
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the log-probabilities [Q, C] of each way."""
    yield "clip", transfer.single_log_probabilities(known[False].single, unlabelled.x)
    n_enrolled = len(enrolled.x)
    for name, scope in SCOPES.items():
        if n_enrolled and name not in ENROLLED_SCOPES:
            continue
        of = known[scope.speakers]
        folder = unlabelled if scope.speakers else unlabelled._replace(speaker=None)
        own = enrolled if scope.speakers else enrolled._replace(speaker=None)
        x = transfer.folder_scaled(
            transfer.joined(own, folder), of.wider, of.least, scope.speakers, scope.prior_clips
        )  # fmt: skip
        scorer = of.single.scorer
        if n_enrolled:
            target = Labelled(x[:n_enrolled], enrolled.label)
            scorer = methods.fitted(recipe.method, [of.scaled], target, (), len(CLASSES), recipe.settings)
        log_p = methods.log_probabilities(scorer, x[n_enrolled:])
        yield name, log_p
        groups = transfer.balance_groups(folder, recipe.settings.balance.within)
        yield f"{name}, balanced", methods.adapted("balanced", log_p, [], x, NONE, groups, recipe.settings)


def _scores(confusion: np.ndarray) -> dict[str, float]:
    right = np.diag(confusion)
    return {
        "uar": round(float(np.mean(right / np.maximum(confusion.sum(axis=1), 1))), 5),
        "accuracy": round(float(right.sum() / confusion.sum()), 5),
        "n": int(confusion.sum()),
    }


if __name__ == "__main__":
    main()

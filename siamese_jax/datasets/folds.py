"""Folds of a corpus for training, validation and testing, by clip: over speakers, or at random on request.

A random split tests voices that were trained on, and clips recorded in one session with training clips: its results do
not hold for other people. It is offered because the literature reports it, and every result names its split.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError

SPLITS = ("speakers", "random")


@dataclasses.dataclass(frozen=True)
class Fold:
    """The clips of a fold: each field holds increasing indices, and no clip is in two fields.

    `validation` is for early stopping; `duplicates` are left out of test or validation, since a training or validation
    clip has the same samples.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    duplicates: np.ndarray


def speaker_folds(speaker: Sequence[str], sex: Sequence[str], duplicate: np.ndarray, n_folds: int) -> tuple[Fold, ...]:
    """Returns folds whose test, validation and training speakers are different people; each speaker is tested once.

    Groups of speakers are balanced: their sizes and their numbers of each sex differ by one at most, and speakers are
    assigned from the most to the least talkative. Group i is tested in fold i and validates the fold before. Nothing is
    random. `speaker` and `sex` ("" if unknown) are [N], of each clip; `duplicate` [N] int is shared by clips with the
    same samples. Raises InputError for fewer than 3 folds (to test, validate and train), or fewer speakers than folds.
    """
    clips = Counter(speaker)
    _check_count(n_folds, 3, len(clips), "speaker")
    sex_of = dict(zip(speaker, sex))
    group_of: dict[str, int] = {}
    n_speakers, n_clips, n_of_sex = Counter[int](), Counter[int](), Counter[tuple[str, int]]()
    for name in sorted(clips, key=lambda name: (sex_of[name], -clips[name], name)):
        own_sex = sex_of[name]
        group = min(range(n_folds), key=lambda g: (n_of_sex[own_sex, g], n_speakers[g], n_clips[g], g))
        group_of[name] = group
        n_of_sex[own_sex, group] += 1
        n_speakers[group] += 1
        n_clips[group] += clips[name]
    groups = np.array([group_of[name] for name in speaker])
    return tuple(_speaker_fold(groups, duplicate, n_folds, i) for i in range(n_folds))


def random_folds(label: np.ndarray, duplicate: np.ndarray, n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Returns stratified folds over clips, whoever speaks; duplicates stay together.

    There is no validation part: held-out clips of training voices do not tell when to stop. `label` [N] int is the
    class of each clip; `duplicate` [N] int is shared by clips with the same samples; `seed` orders the clips.
    Raises InputError for fewer than 2 folds, or fewer different clips of a class than folds.
    """
    rng = np.random.default_rng(seed)
    group = np.zeros(len(label), int)
    first = np.unique(duplicate, return_index=True)[1]
    start = 0
    for c in np.unique(label):
        own = rng.permutation(np.sort(first[label[first] == c]))
        _check_count(n_folds, 2, len(own), f"different clip of class {c}")
        # The next class starts at the group after this one's last, so that no group collects every remainder.
        group[own] = (start + np.arange(len(own))) % n_folds
        start += len(own)
    group_of_duplicate = dict(zip(duplicate[first].tolist(), group[first].tolist()))
    group = np.array([group_of_duplicate[t] for t in duplicate.tolist()])
    none = np.zeros(0, np.int64)
    return tuple(Fold(np.flatnonzero(group != i), none, np.flatnonzero(group == i), none) for i in range(n_folds))


def _check_count(n_folds: int, least: int, available: int, of_what: str) -> None:
    if n_folds < least:
        raise InputError(f"{n_folds} folds: expected {least} or more")
    if available < least:
        raise InputError(
            f"{n_folds} folds need a {of_what} each, but there are {available}, and {least} folds are the fewest; add "
            f"recordings until there are {least}, or leave the corpus out"
        )
    if available < n_folds:
        raise InputError(
            f"{n_folds} folds need a {of_what} each, but there are {available}; take {least} to {available} folds"
        )


def _speaker_fold(group: np.ndarray, duplicate: np.ndarray, n_folds: int, i: int) -> Fold:
    validating = group == (i + 1) % n_folds
    training = (group != i) & ~validating
    unseen = ~np.isin(duplicate, duplicate[training])
    validation = validating & unseen
    test = (group == i) & unseen & ~np.isin(duplicate, duplicate[validation])
    rest = ~(training | validation | test)
    return Fold(*(np.flatnonzero(part) for part in (training, validation, test, rest)))


def check_folds(
    folds: Sequence[Fold], label: np.ndarray, speaker: np.ndarray, emotions: Sequence[str], where: str
) -> None:
    """Checks that every fold can be trained and every class tested, before anything is trained.

    Raises InputError, naming `where`, fold and class, where no fold tests a clip of a class, or a fold's training part
    holds fewer than two clips, or a single speaker, of a class.
    """
    tested = np.concatenate([fold.test for fold in folds])
    for c, emotion in enumerate(emotions):
        if not (label[tested] == c).any():
            remedy = "add clips of it, or leave the emotion out of config.emotions"
            raise InputError(f"{where}: no clip of {emotion!r} is tested in any fold; {remedy}")
        for i, fold in enumerate(folds):
            rows = fold.train[label[fold.train] == c]
            people = len(set(speaker[rows].tolist()))
            if len(rows) < 2 or people < 2:
                raise InputError(
                    f"{where}, fold {i} of {len(folds)}: {len(rows)} training clip(s) of {emotion!r} by {people} "
                    "speaker(s); expected two clips and two speakers or more, since the network would learn a voice. "
                    "Change the number of folds, add clips, or leave the emotion out of config.emotions"
                )


Split = tuple[np.ndarray, np.ndarray]
"""Rows to train on and rows to test on."""


def leave_one_speaker_out(target: Dataset) -> list[Split]:
    """Returns (training rows, test rows) of each speaker's fold, without test clips that duplicate a training clip."""
    folds = []
    for speaker in range(len(target.speakers)):
        train = np.flatnonzero(target.speaker != speaker)
        test = np.flatnonzero((target.speaker == speaker) & ~np.isin(target.duplicate, target.duplicate[train]))
        folds.append((train, test))
    return folds

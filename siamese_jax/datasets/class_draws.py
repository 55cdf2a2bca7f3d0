"""Few-shot draws from corpora in which too few speakers have every emotion: each class from the speakers who have it.

A draw takes one random order of all speakers. The k-th labelled clip of a class is by the k-th speaker in this order
who has the class. So draws are nested and use as few speakers as possible.
"""

import itertools
import math
from typing import NamedTuple

import jax
import numpy as np

from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.errors import InputError

_ATTEMPTS = 1000  # orders tried until one leaves a test clip of every class
_MOST_ENUMERATED = 7  # speakers up to which all orders are enumerated


class SpeakerSets(NamedTuple):
    """The number of distinct sets of speakers that draws can take; an upper bound unless `exact`."""

    number: int
    exact: bool


def presence(label_N: np.ndarray, speaker_N: np.ndarray, n_speakers: int, n_classes: int) -> np.ndarray:
    """Returns whether each speaker has a clip of each class, [S, C]."""
    has_SxC = np.zeros((n_speakers, n_classes), bool)
    has_SxC[speaker_N, label_N] = True
    return has_SxC


def by_class(has_SxC: np.ndarray, most_drawn: int) -> bool:
    """Returns whether too few speakers have every class to draw `most_drawn` of them and leave another to test."""
    return int(has_SxC.all(axis=1).sum()) <= most_drawn


def most_drawable(has_SxC: np.ndarray) -> int:
    """Returns the largest number of speakers whose draw leaves a test clip of every class; 0 if there is none."""
    complete = int(has_SxC.all(axis=1).sum()) - 1
    for k in range(int(has_SxC.sum(axis=0).min()) - 1, max(complete, 0), -1):
        if drawable(has_SxC, k):
            return k
    return max(complete, 0)


def drawable(has_SxC: np.ndarray, n_drawn: int) -> bool:
    """Returns whether a draw of `n_drawn` speakers can leave a test clip of every class."""
    if not by_class(has_SxC, n_drawn):
        return True
    rng = np.random.default_rng(0)
    return any(_leaves_tests(has_SxC, rng.permutation(len(has_SxC)), n_drawn) for _ in range(_ATTEMPTS))


def _chosen(has_SxC: np.ndarray, order_S: np.ndarray, k: int) -> np.ndarray:
    """Returns the first k speakers of an order who have each class, [k, C]."""
    return np.stack([order_S[has_SxC[order_S, c]][:k] for c in range(has_SxC.shape[1])], axis=1)


def _leaves_tests(has_SxC: np.ndarray, order_S: np.ndarray, k: int) -> bool:
    if has_SxC.sum(axis=0).min() <= k:
        return False
    drawn_S = np.isin(np.arange(len(has_SxC)), _chosen(has_SxC, order_S, k))
    return bool(has_SxC[~drawn_S].any(axis=0).all())


def class_draws(
    key: jax.Array, label_N: np.ndarray, speaker_N: np.ndarray, has_SxC: np.ndarray, n_draws: int, most_drawn: int,
    first: int = 0,
) -> FewShotDraws:  # fmt: skip
    """Draws `most_drawn` speakers for each class, and a clip of each speaker; draw i consumes fold_in(key, i).

    Every draw leaves a test clip of each class by a speaker who is not drawn. `speakers` of the result is
    [draws, most_drawn, C]. `first` is the number of the first draw; draw i does not depend on it.

    Raises InputError if no order of the speakers leaves such clips.
    """
    speakers, clips = [], []
    for i in range(first, first + n_draws):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, i))))
        orders = (rng.permutation(len(has_SxC)) for _ in range(_ATTEMPTS))
        order_S = next((order for order in orders if _leaves_tests(has_SxC, order, most_drawn)), None)
        if order_S is None:
            raise InputError(
                f"{most_drawn} speakers drawn for each class leave no test clip of some class by another speaker; "
                "lower config.protocol.n_speakers"
            )
        chosen_KxC = _chosen(has_SxC, order_S, most_drawn)
        rows = [[rng.choice(np.flatnonzero((speaker_N == s) & (label_N == c))) for c, s in enumerate(row)]
                for row in chosen_KxC]  # fmt: skip
        speakers.append(chosen_KxC)
        clips.append(rows)
    return FewShotDraws(np.array(speakers), np.array(clips))


def speaker_sets(has_SxC: np.ndarray, n_drawn: int, for_each_class: bool) -> SpeakerSets:
    """Returns the number of distinct sets of `n_drawn` speakers; `for_each_class`, of combinations of a set per class.

    The number is exact in three cases: every drawn speaker has every class; any two classes have all speakers or none
    in common; there are up to 7 speakers.
    """
    if not for_each_class:
        return SpeakerSets(math.comb(int(has_SxC.all(axis=1).sum()), n_drawn), True)
    if len(has_SxC) <= _MOST_ENUMERATED:
        outcomes = set()
        for order in itertools.permutations(range(len(has_SxC))):
            order_S = np.array(order)
            if _leaves_tests(has_SxC, order_S, n_drawn):
                outcomes.add(np.sort(_chosen(has_SxC, order_S, n_drawn), axis=0).tobytes())
        return SpeakerSets(len(outcomes), True)
    groups = np.unique(has_SxC, axis=1)
    disjoint = bool((groups.sum(axis=1) <= 1).all())
    return SpeakerSets(math.prod(math.comb(int(n), n_drawn) for n in groups.sum(axis=0)), disjoint)

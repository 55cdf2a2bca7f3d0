"""The methods by name: sources and labelled target clips, both standardised, to linear classifiers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import log_softmax

from siamese_jax.models import logistic_regression as lr

TOLERANCE = 2e-5  # share of the objective
MAX_ITERATIONS = 1000
_PAD = 1.25  # between successive sizes to which clips and columns are padded, so that fewer shapes compile


class Labelled(NamedTuple):
    """Clips [N, F] float32, standardised, and their classes [N] int."""

    x: np.ndarray
    label: np.ndarray


class LinearScorer(NamedTuple):
    """An ensemble of E linear classifiers: weights [E, C, F], intercepts [E, C]; unused columns have weight 0."""

    weights: np.ndarray
    intercepts: np.ndarray


class Settings(NamedTuple):
    """Settings of the methods: `c` is scikit-learn's C of the logistic regression."""

    c: float


def log_probabilities(scorer: LinearScorer, x_QxF: np.ndarray) -> np.ndarray:
    """Returns the mean over the members of their log-probabilities, normalised, [Q, C] float64."""
    x = x_QxF.astype(np.float64)
    members = [
        log_softmax(x @ weights.T.astype(np.float64) + intercepts, axis=1)
        for weights, intercepts in zip(scorer.weights, scorer.intercepts)
    ]
    return log_softmax(np.mean(members, axis=0), axis=1)


def logistic_regression(
    sources: Sequence[Labelled], target: Labelled, n_classes: int, settings: Settings
) -> LinearScorer:
    """Returns one logistic regression: the sources together and the target have half of the total weight each.

    Without a source, or without target clips, the others have all of the weight. Sources weigh the same.
    """
    corpora = [clips for clips in (*sources, target) if len(clips.label)]
    n_sources = len(corpora) - bool(len(target.label))
    halves = bool(n_sources) + bool(len(target.label))
    total = sum(len(clips.label) for clips in corpora)
    weights = [total / (halves * max(n_sources, 1) * len(clips.label)) for clips in corpora]
    if len(target.label):
        weights[-1] = total / (halves * len(target.label))
    x = np.concatenate([clips.x for clips in corpora])
    basis = lr.shared_basis(x)
    coefficients = _fit(
        np.asarray(x @ basis, np.float32), np.concatenate([clips.label for clips in corpora]),
        np.repeat(weights, [len(clips.label) for clips in corpora]), n_classes, settings,
    )  # fmt: skip
    return LinearScorer((coefficients[:, 1:] @ basis.T)[None], coefficients[None, :, 0])


def _fit(x_NxR: np.ndarray, label: np.ndarray, weight: np.ndarray, n_classes: int, settings: Settings) -> np.ndarray:
    """Returns coefficients [C, 1 + R], the first column the intercepts; shapes are padded with clips of weight 0."""
    n_clips, rank = x_NxR.shape
    n_padded, rank_padded = _size(n_clips), _size(rank)
    x = np.zeros((n_padded, 1 + rank_padded), np.float32)
    x[:, 0] = 1
    x[:n_clips, 1 : 1 + rank] = x_NxR
    padding = (0, n_padded - n_clips)
    clips = lr.LabelledClips(x, np.pad(label, padding).astype(np.int32), np.pad(weight, padding).astype(np.float32))
    none = jax.tree.map(lambda column: column[:0], clips)
    start = np.zeros((n_classes, x.shape[1]), np.float32)
    fit = _program(none, clips, start, lr.Settings(settings.c, TOLERANCE, MAX_ITERATIONS))
    return np.asarray(fit.coefficients)[:, : 1 + rank]


_program = jax.jit(lr.fit)


def _size(count: int) -> int:
    size = 16.0
    while size < count:
        size *= _PAD
    return int(np.ceil(size))


Method = Callable[[Sequence[Labelled], Labelled, int, Settings], LinearScorer]

METHODS: dict[str, Method] = {"logistic_regression": logistic_regression}
"""Every method is inductive: it sees labelled clips alone."""

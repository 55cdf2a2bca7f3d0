"""The temperature of a model's probabilities, and which labels are unsure; no test clip's label is used."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import log_softmax

from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.models.siamese import Params
from siamese_jax.protocols import calibration
from siamese_jax.protocols.calibration import Fitted, Fold, Prior
from siamese_jax.recognizer import transfer
from siamese_jax.recognizer.transfer import OTHER, Clips, Recipe

STATED_ERROR = 0.2
"""The share of wrong labels among those that are not unsure, as stated."""


def tempered(log_p_QxC: np.ndarray, temperature: float) -> np.ndarray:
    """Returns `stats.calibration.tempered` [Q, C] in float64."""
    return log_softmax(log_p_QxC / temperature, axis=1)


def single_temperature(
    sources: Sequence[Clips], enrolled: Clips, n_classes: int, recipe: Recipe, start: Params | None = None,
    prior: Prior | None = None,
) -> tuple[float, np.ndarray]:  # fmt: skip
    """Returns the temperature of clips on their own, and the confidences [K] of held-out enrolled clips.

    Without enrolled clips that can be held out the temperature is the prior's, and K is 0. A network starts from
    `start` in each fold. Without `prior` it is that of the method on the speech encoder's features.
    """

    def score(fold: Fold) -> np.ndarray:
        classifier = transfer.fit(sources, _rows(enrolled, fold.train), n_classes, recipe, start)
        return transfer.single_log_probabilities(classifier, enrolled.x[fold.held_out])

    fitted = Fitted(recipe.method, recipe.settings.c, "none", 0.0, "support")
    prior = prior or calibration.prior(fitted, len(enrolled.x))
    return _temperature(score, _learned(sources, recipe), enrolled, prior)


def joint_temperature(
    sources: Sequence[Clips], enrolled: Clips, folder: Clips, n_classes: int, recipe: Recipe,
    of_sources: LinearScorer | Params | None = None, prior: Prior | None = None,
) -> float:  # fmt: skip
    """Returns the temperature of the clips of a folder: held-out enrolled clips count among the folder's.

    `of_sources` is as in `transfer.joint_log_probabilities`, and `prior` as in `single_temperature`.
    """

    def score(fold: Fold) -> np.ndarray:
        unlabelled = _rows(enrolled, fold.held_out)
        unlabelled = unlabelled._replace(label=np.full(len(unlabelled.x), OTHER))
        together = transfer.joined(unlabelled, folder)
        log_p = transfer.joint_log_probabilities(
            sources, _rows(enrolled, fold.train), together, n_classes, recipe, of_sources
        )
        return log_p[: len(unlabelled.x)]

    scaling = "speaker" if transfer.is_by_speaker(sources, transfer.joined(enrolled, folder)) else "corpus"
    balance = recipe.settings.balance
    strength, within = (balance.strength, balance.within) if recipe.adaptation != "none" else (0.0, "corpus")
    within = "corpus" if folder.speaker is None else within
    fitted = Fitted(recipe.method, recipe.settings.c, recipe.adaptation, strength, scaling, within)
    prior = prior or calibration.prior(fitted, len(enrolled.x))
    return _temperature(score, _learned(sources, recipe), enrolled, prior)[0]


def _learned(sources: Sequence[Clips], recipe: Recipe) -> Sequence[Clips]:
    """Returns the sources whose classes a fit has: none of the Siamese network, which compares with enrolled clips."""
    return () if recipe.method == "siamese" else sources


def _temperature(
    score: Callable[[Fold], np.ndarray], sources: Sequence[Clips], enrolled: Clips, prior: Prior
) -> tuple[float, np.ndarray]:
    known = {label for source in sources for label in np.unique(source.label)}
    folds = [
        fold
        for fold in calibration.folds(enrolled.label, enrolled.speaker)
        if set(enrolled.label) <= known | set(enrolled.label[fold.train])
    ]
    log_p: list[np.ndarray] = []

    def scored(fold: Fold) -> np.ndarray:
        log_p.append(score(fold))
        return log_p[-1]

    temperature = calibration.temperature(scored, enrolled.label, folds, prior)
    confidences = [tempered(values, temperature).max(axis=1) for values in log_p]
    return temperature, np.exp(np.concatenate([*confidences, np.zeros(0)]))


def unsure(confidence: np.ndarray, mode: str, held_out: np.ndarray, stated_error: float) -> tuple[np.ndarray, float]:
    """Returns which clips [N] are unsure, and the least confidence of the others.

    In mode "folder" the largest set of mean confidence 1 - `stated_error` is sure; in mode "clip" the threshold is that
    of the held-out enrolled clips, or 1 - `stated_error` without any, which accepts fewer.
    """
    given = confidence if mode == "folder" else held_out
    least = calibration.threshold(given, stated_error) if len(given) else 1 - stated_error
    return confidence < least, least


def _rows(clips: Clips, rows: np.ndarray) -> Clips:
    return Clips(clips.x[rows], clips.label[rows], None if clips.speaker is None else clips.speaker[rows])

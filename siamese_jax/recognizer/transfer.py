"""Labelled clips of sources and of a target to a classifier, each corpus standardised by itself."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from siamese_jax.features.scaling import Scaling, floor, moments, shrunken
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.models.siamese import Params
from siamese_jax.protocols.transfer.settings import TransferSettings
from siamese_jax.recognizer.methods import Labelled, Scorer, adapted, fitted, log_probabilities, started
from siamese_jax.recognizer.network_settings import NetworkSettings
from siamese_jax.recognizer.networks import NetworkScorer

OTHER = -1
"""The label of a clip that serves the statistics alone: unlabelled, or of an emotion that is not asked for."""


class Clips(NamedTuple):
    """The clips of a corpus: features [N, F] float32 as extracted, labels [N] int or `OTHER`, speakers [N] or None."""

    x: np.ndarray
    label: np.ndarray
    speaker: np.ndarray | None


class PriorClips(NamedTuple):
    """The clips that wider statistics count for: the sources' in those of a folder, a folder's in those of a speaker.

    At 0 a folder, or a speaker, has the statistics of its own clips alone, however few they are.
    """

    sources: float
    folder: float


PRIOR_CLIPS = PriorClips(sources=4.0, folder=4.0)
OWN_STATISTICS = PriorClips(sources=0.0, folder=0.0)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is made.

    Fields:
      method, settings: of `methods`.
      adaptation: of `methods.ADAPTATIONS`, to the clips of a folder.
      scale_floor: least standard deviation of a feature, as a share of the corpora's own.
      layers: the columns of each layer of a speech encoder; () for other features.
      network: the settings of a method that is a network; None for the others.
      prior_clips: for the statistics of a folder.
    """

    method: str
    settings: TransferSettings
    adaptation: str
    scale_floor: float
    layers: tuple[np.ndarray, ...] = ()
    network: NetworkSettings | None = None
    prior_clips: PriorClips = PRIOR_CLIPS


class Classifier(NamedTuple):
    """A fitted classifier of clips on their own: `scaling` [F] comes first, then `scorer`."""

    scaling: Scaling
    scorer: Scorer


def fit(
    sources: Sequence[Clips], enrolled: Clips, n_classes: int, recipe: Recipe, start: Params | None = None
) -> Classifier:
    """Returns the classifier of single clips: they have the statistics of the enrolled clips.

    Without an enrolled clip they have the mean statistics of the sources. A network may start from `start_of` another
    classifier of the same sources.
    """
    least = _floor(sources, enrolled, recipe.scale_floor)
    scaling = moments(enrolled.x, least) if len(enrolled.x) else _mean_scaling(sources, least)
    scaled = [_labelled(moments(source.x, least)(source.x), source.label) for source in sources]
    target = _labelled(scaling(enrolled.x), enrolled.label)
    return Classifier(
        scaling,
        fitted(recipe.method, scaled, target, recipe.layers, n_classes, recipe.settings, recipe.network, start),
    )


def start_of(classifier: Classifier) -> Params | None:
    """Returns what a network has learned from the sources; None for another method."""
    return classifier.scorer.start if isinstance(classifier.scorer, NetworkScorer) else None


def of_sources(
    sources: Sequence[Clips], target: Clips, n_classes: int, recipe: Recipe, classifier: Classifier
) -> LinearScorer | Params | None:
    """Returns what `joint_log_probabilities` need not learn again from the sources, scaled as `target` is.

    Of a network its start. Where corpora are scaled by speaker it is trained here, once for all fits on these clips.
    """
    scorer = classifier.scorer
    if isinstance(scorer, LinearScorer):
        return scorer
    if not is_by_speaker(sources, target):
        return scorer.start
    least = _floor(sources, target, recipe.scale_floor)
    scaled = [_labelled(scaled_by(clips, least, True), clips.label) for clips in sources]
    return started(scaled, n_classes, scorer.settings)


def single_log_probabilities(classifier: Classifier, x_QxF: np.ndarray) -> np.ndarray:
    """Returns log-probabilities [Q, C] of clips that do not depend on one another."""
    return log_probabilities(classifier.scorer, classifier.scaling(x_QxF))


def joint_log_probabilities(
    sources: Sequence[Clips], enrolled: Clips, folder: Clips, n_classes: int, recipe: Recipe,
    of_sources: LinearScorer | Params | None = None,
) -> np.ndarray:  # fmt: skip
    """Returns log-probabilities [Q, C] of the clips of a folder, whose statistics scale them and the enrolled clips.

    Where all speakers are known, every corpus is scaled by speaker. Few clips have the statistics of wider ones too,
    see `PriorClips`. `of_sources` is the scorer of `fit` without enrolled clips, which need not be fitted again where
    corpora are scaled as a whole; of a network, its start.
    """
    target = joined(enrolled, folder)
    by_speaker = is_by_speaker(sources, target)
    least = _floor(sources, target, recipe.scale_floor)
    wider = _mean_scaling(sources, least) if sources else None
    x = folder_scaled(target, wider, least, by_speaker, recipe.prior_clips)
    n_enrolled = len(enrolled.x)
    own = Labelled(x[:n_enrolled], enrolled.label)
    labelled = [_labelled(scaled_by(clips, least, by_speaker), clips.label) for clips in sources]
    scorer: Scorer | None = of_sources if isinstance(of_sources, LinearScorer) else None
    start = None if isinstance(of_sources, LinearScorer) else of_sources
    if scorer is None or n_enrolled or by_speaker:
        scorer = fitted(recipe.method, labelled, own, recipe.layers, n_classes, recipe.settings, recipe.network, start)
    log_p = log_probabilities(scorer, x)
    groups = balance_groups(folder, recipe.settings.balance.within)
    return adapted(recipe.adaptation, log_p, labelled, x, own.label, groups, recipe.settings)[n_enrolled:]


def balance_groups(folder: Clips, within: str) -> np.ndarray:
    """Returns the group [Q] of each clip of the folder, 0 to G-1, in which class proportions are balanced.

    `within` "speaker" makes a group of each speaker where the speakers are known; otherwise all clips are one group.
    """
    if within == "corpus" or folder.speaker is None:
        return np.zeros(len(folder.x), int)
    return np.unique(folder.speaker.astype(str), return_inverse=True)[1]


def folder_scaled(
    target: Clips, wider: Scaling | None, least_F: np.ndarray, by_speaker: bool, prior_clips: PriorClips
) -> np.ndarray:
    """Returns the features [N, F] of enrolled and folder's clips, standardised together or by speaker.

    `wider` are the statistics of the sources, None without sources.
    """
    of_folder = moments(target.x, least_F)
    if wider is not None:
        of_folder = shrunken(target.x, wider, prior_clips.sources, least_F)
    if not by_speaker or target.speaker is None:
        return np.asarray(of_folder(target.x))
    scaled = np.empty_like(target.x)
    for speaker in np.unique(target.speaker):
        rows = target.speaker == speaker
        scaled[rows] = shrunken(target.x[rows], of_folder, prior_clips.folder, least_F)(target.x[rows])
    return scaled


def is_by_speaker(sources: Sequence[Clips], target: Clips) -> bool:
    """Returns whether the clips of a folder are scaled by speaker: all speakers are known."""
    return all(clips.speaker is not None for clips in (*sources, target))


def _labelled(x: np.ndarray, label: np.ndarray) -> Labelled:
    rows = label != OTHER
    return Labelled(x[rows], label[rows])


def joined(enrolled: Clips, folder: Clips) -> Clips:
    """Returns the clips of both, with speakers where all are known."""
    known = enrolled.speaker is not None or not len(enrolled.x)
    speaker = None
    if known and folder.speaker is not None:
        speaker = np.concatenate([enrolled.speaker if enrolled.speaker is not None else [], folder.speaker])
    return Clips(
        np.concatenate([enrolled.x, folder.x]), np.concatenate([enrolled.label, folder.label]).astype(int), speaker
    )


def scaled_by(clips: Clips, least_F: np.ndarray, by_speaker: bool) -> np.ndarray:
    """Returns the features [N, F] standardised over all clips, or over each speaker's."""
    if not by_speaker or clips.speaker is None:
        return moments(clips.x, least_F)(clips.x)
    scaled = np.empty_like(clips.x)
    for speaker in np.unique(clips.speaker):
        rows = clips.speaker == speaker
        scaled[rows] = moments(clips.x[rows], least_F)(clips.x[rows])
    return scaled


def _floor(sources: Sequence[Clips], target: Clips, share: float) -> np.ndarray:
    """Returns the least standard deviation [F]: a share of the mean over corpora, 1 for a constant column."""
    corpora = [clips.x for clips in (*sources, target) if len(clips.x)]
    floors = np.stack([floor(x, share) for x in corpora])
    constant = np.stack([np.ptp(x, axis=0) == 0 for x in corpora])
    varying = np.where(constant, 0, floors).sum(axis=0) / np.maximum((~constant).sum(axis=0), 1)
    return np.where(constant.all(axis=0), 1.0, varying)


def _mean_scaling(sources: Sequence[Clips], least_F: np.ndarray) -> Scaling:
    """Returns the mean and standard deviation [F] of clips of which every source makes the same share."""
    means = np.stack([source.x.astype(np.float64).mean(axis=0) for source in sources])
    variances = np.stack([source.x.astype(np.float64).var(axis=0) for source in sources])
    deviation = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
    return Scaling(means.mean(axis=0).astype(np.float32), np.maximum(deviation, least_F).astype(np.float32))

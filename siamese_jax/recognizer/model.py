"""A recogniser on features: sources and enrolled clips to a classifier with class names, pure."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siamese_jax.corpora.csv_files import some
from siamese_jax.corpora.spelling import similar
from siamese_jax.errors import InputError
from siamese_jax.recognizer import confidence, networks, transfer
from siamese_jax.recognizer.label_words import unmapped
from siamese_jax.recognizer.predictions import MODES
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Classifier, Clips, Recipe

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted recogniser.

    Fields:
      classes: names, in the order of the probabilities.
      features: the record of the feature set (`Extractor.made`), and `feature_names`.
      recipe: how it was made from `sources` and `enrolled`; the latter's labels are indices into `classes`.
      classifier: of clips on their own, with the `temperature` that their log-probabilities are divided by.
      held_out: [K] confidences in clips that the classifier was not fitted on, from which `unsure` is decided.
      audio_hashes: digests of the enrolled recordings' samples.
      evidence: rows of scores for the card, each of the same recipe without the tested speakers, as JSON values.
    """

    classes: tuple[str, ...]
    features: Mapping[str, Any]
    feature_names: tuple[str, ...]
    recipe: Recipe
    sources: tuple[Source, ...]
    enrolled: Clips
    classifier: Classifier
    temperature: float
    held_out: np.ndarray
    audio_hashes: tuple[str, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()

    def log_probabilities(self, x_QxF: np.ndarray, mode: str, speaker: np.ndarray | None = None) -> np.ndarray:
        """Returns log-probabilities [Q, C]; in mode "folder" all clips are scaled together, by speaker if given."""
        if mode not in MODES:
            raise InputError(f"mode {mode!r:.80}; expected one of {', '.join(MODES)}")
        if mode == "clip":
            log_p = transfer.single_log_probabilities(self.classifier, x_QxF)
            return confidence.tempered(log_p, self.temperature)
        folder = Clips(x_QxF, np.full(len(x_QxF), transfer.OTHER), speaker)
        sources, n_classes = [source.for_classes(self.classes) for source in self.sources], len(self.classes)
        together = transfer.joined(self.enrolled, folder)
        learned = transfer.of_sources(sources, together, n_classes, self.recipe, self.classifier)
        problem = sources, self.enrolled, folder, n_classes, self.recipe, learned
        temperature = confidence.joint_temperature(*problem)
        log_p = transfer.joint_log_probabilities(*problem)
        return confidence.tempered(log_p, temperature)


def enrol(
    x_MxF: np.ndarray, labels: Sequence[str], speakers: Sequence[str], sources: Sequence[Source], recipe: Recipe,
    features: Mapping[str, Any], feature_names: Sequence[str], audio_hashes: Sequence[str] = (),
) -> Model:  # fmt: skip
    """Returns the model of labelled clips; a speaker is "" where it is unknown.

    Raises InputError for labels of a single spelling or class. Logs what a user must know about the clips.
    """
    classes = checked_classes(labels, speakers, sources)
    label = np.array([classes.index(name) for name in labels], int)
    speaker = np.asarray(list(speakers), object) if all(speakers) else None
    enrolled = Clips(np.asarray(x_MxF, np.float32), label, speaker)
    clips = [source.for_classes(classes) for source in sources]
    networks.check(recipe.method, [source.label for source in clips], classes)
    problem = clips, enrolled, len(classes), recipe
    classifier = transfer.fit(*problem)
    return Model(
        classes, features, tuple(feature_names), recipe, tuple(sources), enrolled, classifier,
        *confidence.single_temperature(*problem, transfer.start_of(classifier)), tuple(audio_hashes),
    )  # fmt: skip


def of_sources(
    sources: Sequence[Source], classes: tuple[str, ...], recipe: Recipe, features: Mapping[str, Any],
    feature_names: Sequence[str], with_held_out: bool = True,
) -> Model:  # fmt: skip
    """Returns the model of source corpora alone. Raises InputError for a class that no source has.

    The confidences that decide on `unsure` are those in the clips of each source by a model of the others; none without
    `with_held_out`.
    """
    enrolled = Clips(np.zeros((0, len(feature_names)), np.float32), np.zeros(0, int), None)
    clips = [source.for_classes(classes) for source in sources]
    classifier = transfer.fit(clips, enrolled, len(classes), recipe)
    temperature, _ = confidence.single_temperature(clips, enrolled, len(classes), recipe)
    held_out = [np.zeros(0)]
    for i, own in enumerate(clips if with_held_out and len(clips) > 1 else []):
        others = transfer.fit([*clips[:i], *clips[i + 1 :]], enrolled, len(classes), recipe)
        log_p = transfer.single_log_probabilities(others, own.x[own.label != transfer.OTHER])
        held_out.append(np.exp(confidence.tempered(log_p, temperature).max(axis=1)))
    return Model(
        classes, features, tuple(feature_names), recipe, tuple(sources), enrolled, classifier, temperature,
        np.concatenate(held_out),
    )  # fmt: skip


def checked_classes(labels: Sequence[str], speakers: Sequence[str], sources: Sequence[Source]) -> tuple[str, ...]:
    """Returns the sorted classes of labels. Raises InputError for one class, or for one word in two spellings."""
    counts = Counter(labels)
    if spellings := similar(counts):
        groups = "; ".join(", ".join(f"{name!r} ({counts[name]} clips)" for name in group) for group in spellings)
        raise InputError(
            f"labels that differ by letter case, blanks or Unicode form alone: {groups}; give one spelling"
        )
    if len(counts) < 2:
        only = ", ".join(map(repr, counts)) or "none"
        raise InputError(f"a single class ({only}) among {len(labels)} clips; expected two labels or more")
    if single := sorted(name for name, count in counts.items() if count == 1):
        log.warning("labels with a single clip: %s; enrol two or more of each for a usable spread", some(single))
    known = {name for source in sources for name in source.emotions}
    if sources and (alone := sorted(counts.keys() - known)):
        names = ", ".join(source.name for source in sources)
        log.warning("not in the source (%s): %s; learned from the enrolled clips alone", names, some(alone))
        if mapped := unmapped(alone):
            log.warning("--aliases maps %s", some(mapped))
    if len(set(speakers)) == 1 and all(speakers):
        log.warning(
            "all %d enrolled clips are of one speaker: how emotions sound in other voices is known from the source "
            "alone, and the model may take other voices for other emotions",
            len(labels),
        )
    return tuple(sorted(counts))

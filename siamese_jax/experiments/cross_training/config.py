"""The configuration of a cross-training: every knob, none with a default in the library."""

import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import EMOTIONS
from siamese_jax.datasets.folds import SPLITS
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.matrix import Cell, chosen, matrix
from siamese_jax.features.augment import AugmentConfig
from siamese_jax.features.images import VIEWS, ImageConfig
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.models.embedding_classifiers import DECISIONS
from siamese_jax.models.facenet import FaceNetConfig
from siamese_jax.protocols.config import Experiment, check
from siamese_jax.runtime.config_dict import flat, record, shown, values
from siamese_jax.runtime.files import user_path
from siamese_jax.training.facenet.config import Learning, TrainConfig

EXAMPLE = "configs/facenet.py"
PROJECTIONS = ("tsne", "pca")
CORPUS_NAME = re.compile(r"[A-Za-z0-9_]+")
"""Valid names of corpora, which are parts of file names."""

NEW_CORPUS_KEYS = ("folds", "options", "relabel")
"""Keys of `CorpusSettings` that a corpus takes from `new_corpus` if only the command line names it."""

SHARED = ("segments", "images", "network", "augment")
"""The groups that pre-training and fine-tuning share."""


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """The place of a corpus and its use.

    Fields:
      audio: the folder of a corpus that the package knows by this name, or a CSV manifest; "" leaves it out.
      folds: test folds, at least 3. options: switches of the corpus's own scan ("unsegmented").
      relabel: emotions to be read as others, "calm=neutral"; no other label changes.
    """

    audio: str
    folds: int
    options: tuple[str, ...]
    relabel: tuple[str, ...]

    @property
    def is_manifest(self) -> bool:
        return self.audio.lower().endswith(".csv")


@dataclasses.dataclass(frozen=True)
class CrossTraining:
    """A cross-training matrix (Liu et al. 2021; open points as this project reads them).

    Fields:
      corpora: by name; those without audio take no part. new_corpus: settings of a corpus of the command line only.
      target: the corpus that the comparison is about, first in every order; the others follow by name.
      emotions: the classes, in order; clips of others are left out, and counted. Empty: all emotions of the corpora,
        which must be the same.
      cells: see `matrix.chosen`; further cells may be added to a work directory with results. views: of the matrix.
      split: "speakers" or "random", see `datasets.folds`. projection: of the embeddings, "tsne" or "pca".
      strict: stop at the first clip that cannot be used, instead of leaving it out and naming it.
      segments, images, network, augment: shared by both stages; pretraining, fine_tuning: the rest of `TrainConfig`.
      decision: of an utterance, see `embedding_classifiers`; the others are stored too. `neighbours`: of that decision.
      keep_weights: whether each fold's network is written to weights/.
      features: the Siamese network and the classifiers on features, on the same folds. Of this experiment the
        corpora, the emotions, the level and the seed are those of the cross-training, and nothing is fine-tuned.
        Corpora never share recordings. The classifiers are scikit-learn's, whatever the `logistic_solver`.
      level: of the intervals. seed: of all random numbers.
    """

    corpora: dict[str, CorpusSettings]
    target: str
    new_corpus: CorpusSettings
    emotions: tuple[str, ...]
    views: tuple[str, ...]
    cells: tuple[str, ...]
    split: str
    strict: bool
    segments: SegmentConfig
    images: ImageConfig
    network: FaceNetConfig
    augment: AugmentConfig
    pretraining: Learning
    fine_tuning: Learning
    decision: str
    neighbours: int
    keep_weights: bool
    projection: str
    features: Experiment
    level: float
    seed: int

    @property
    def used(self) -> dict[str, CorpusSettings]:
        """The corpora that take part, the target first."""
        with_audio = [name for name, settings in self.corpora.items() if settings.audio]
        return {name: self.corpora[name] for name in sorted(with_audio, key=lambda n: (n != self.target, n))}

    def cell_list(self) -> list[Cell]:
        """The cells to run, in order; raises InputError for unknown names."""
        return chosen(self.cells, list(self.used), self.views)

    def matrix(self) -> list[Cell]:
        """All cells of the corpora that take part."""
        return matrix(list(self.used), self.views)

    def train_config(self, stage: str, view: str) -> TrainConfig:
        """The training of a stage, "pretraining" or "fine_tuning", on one view."""
        shared = {name: getattr(self, name) for name in SHARED}
        return TrainConfig(view=view, **shared, **vars(getattr(self, stage)))

    def feature_experiment(self, source: str, target: str, emotions: Sequence[str]) -> Experiment:
        """The experiment on features from one corpus to another."""
        return self.features.replace(
            source=source, target=target, emotions=tuple(emotions), level=self.level, seed=self.seed
        )


def with_audio(config: ConfigDict, places: Sequence[str], keep_target: bool = False) -> ConfigDict:
    """The configuration with corpora from the command line, "ravdess=FOLDER" or "mine=clips.csv", and no others.

    The first of them is the target if the configured target is a corpus of the configuration and not among them.
    Raises InputError if a place is not of this form, or a name is given twice; if the target is unknown; and with
    `keep_target` if it is not among them.
    """
    changed = ConfigDict(values(config), convert_dict=True)
    if not places:
        return changed
    corpora: dict[str, Any] = {}
    for place in places:
        name, equals, audio = place.partition("=")
        if not (name and equals and audio) or name in corpora:
            raise InputError(f"--audio={place}: expected NAME=FOLDER or NAME=MANIFEST.csv, each name once")
        settings = config.corpora.get(name, config.new_corpus)
        corpora[name] = {**settings.to_dict(), "audio": str(user_path(audio))}
    if changed.target not in corpora:
        if keep_target or changed.target not in config.corpora:
            raise InputError(
                f"config.target is {changed.target!r}, but --audio gives {', '.join(corpora)}; take one of these as "
                "the target, or give the target's recordings too"
            )
        changed.target = next(iter(corpora))
        logging.info("the target is %s, the first corpus given", changed.target)
    changed.corpora = ConfigDict(corpora)
    return changed


def with_flags(message: str, listed: Collection[str]) -> str:
    """A message about `config.corpora.NAME.KEY` with the keys that flags can set, if the configuration has `listed`.

    A corpus that --audio alone names has no flags of its own: it takes the settings of `config.new_corpus`.
    """

    def flag(found: re.Match[str]) -> str:
        return found[0] if found[1] in listed else f"config.new_corpus.{found[2]}"

    return re.sub(rf"config\.corpora\.({CORPUS_NAME.pattern})\.({'|'.join(NEW_CORPUS_KEYS)})\b", flag, message)


def resolve(config: ConfigDict) -> CrossTraining:
    """The cross-training that `config` describes. Raises InputError that names an unknown, missing or invalid key."""
    resolved = record(CrossTraining, _within_bounds(values(config)), "config", EXAMPLE)
    _check(resolved)
    return resolved


MOST = {
    "folds": 1000, "rate": 768_000, "seconds": 3600, "size": 4096, "fft_size": 1 << 20, "channels": 16,
    "embedding": 1 << 16, "width": 16, "depth": 16, "time_masks": 1000, "frequency_masks": 1000,
    "classes_per_batch": 1000, "segments_per_class": 1_000_000, "epochs": 1_000_000, "patience": 1_000_000,
    "validation_segments": 10_000_000, "embed_batch": 1_000_000, "devices": 4096, "neighbours": 1_000_000,
}  # fmt: skip
"""The largest values of settings that memory and time grow with, checked before any is used."""


def _within_bounds(given: dict[str, Any]) -> dict[str, Any]:
    for place, value in flat(given).items():
        most = MOST.get(place.rpartition(".")[2])
        if most is not None and isinstance(value, (int, float)) and value > most:
            raise InputError(f"config.{place} is {shown(value)}; expected at most {most:,}")
    return given


def _check(config: CrossTraining) -> None:
    for key, allowed in (("split", SPLITS), ("decision", DECISIONS), ("projection", PROJECTIONS)):
        if getattr(config, key) not in allowed:
            raise InputError(f"config.{key} holds {getattr(config, key)!r}; expected one of {', '.join(allowed)}")
    choices: dict[str, Sequence[str]] = {"views": VIEWS, "emotions": EMOTIONS}
    for key, names in choices.items():
        values = getattr(config, key)
        if not set(values) <= set(names) or len(set(values)) < len(values) or (key == "views" and not values):
            raise InputError(f"config.{key} is {values}; expected some of {', '.join(names)}, each once")
    if len(config.emotions) == 1:
        raise InputError(f"config.emotions is {config.emotions}; expected two or more, or () for all emotions")
    if config.neighbours < 1:
        raise InputError(f"config.neighbours is {config.neighbours}; expected 1 or more")
    if not 0 < config.level < 1:
        raise InputError(f"config.level is {config.level}; expected a share between 0 and 1, such as 0.95")
    for name, settings in config.corpora.items():
        _check_corpus(name, settings)
    if not config.used:
        raise InputError(
            "no corpus has audio; give folders or CSV manifests, for instance --audio=ravdess=RAVDESS "
            "--audio=emodb=EMO-DB --audio=mine=clips.csv"
        )
    if config.target not in config.used:
        used = ", ".join(config.used)
        raise InputError(f"config.target is {config.target!r}, which has no audio; expected one of {used}")
    config.cell_list()
    for stage in ("pretraining", "fine_tuning"):
        for view in config.views:
            config.train_config(stage, view)
    check(config.features, "config.features")
    config.feature_experiment("source", "target", config.emotions or EMOTIONS[:2])


def _check_corpus(name: str, settings: CorpusSettings) -> None:
    if not CORPUS_NAME.fullmatch(name):
        raise InputError(f"config.corpora holds {name!r}; names are of letters, digits and underscores")
    relabelling(name, settings)
    if settings.audio and not settings.is_manifest and name not in adapters.CORPORA:
        raise InputError(
            f"corpus {name}, audio {settings.audio!r}: {name} is no corpus that the package knows "
            f"({', '.join(adapters.CORPORA)}); give a CSV manifest (file, emotion, speaker), a name ending in .csv"
        )
    if settings.is_manifest and settings.options:
        raise InputError(f"config.corpora.{name}.options are for folders; a manifest has none, so give ()")


def relabelling(name: str, settings: CorpusSettings) -> dict[str, str]:
    """`relabel` as a mapping. Raises InputError if a pair is no "word=emotion", or a word is mapped twice."""
    emotion_of: dict[str, str] = {}
    for pair in settings.relabel:
        word, equals, emotion = pair.partition("=")
        if not word or not equals or emotion not in EMOTIONS or word in emotion_of:
            raise InputError(
                f"config.corpora.{name}.relabel holds {pair!r}; expected WORD=EMOTION, the emotion one of "
                f"{', '.join(EMOTIONS)}, each word once"
            )
        emotion_of[word] = emotion
    return emotion_of

"""What the cells of a matrix share: corpora, keys, and which clips each training sees."""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from siamese_jax.datasets.class_batches import plan_batches
from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.config import CrossTraining
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, Material
from siamese_jax.models import facenet
from siamese_jax.training.facenet.config import TrainConfig

PARTS = ("train", "validation", "test", "left out")
"""What a clip is in a fold, by the number in `part`."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What one training sees: places of clips to train on and to validate with, and its name in the work directory."""

    name: str
    train: np.ndarray
    validation: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all cells share. Keys: fold_in(fold_in(key(seed), CRC-32 of the purpose), fold)."""

    settings: CrossTraining
    emotions: tuple[str, ...]
    corpora: Mapping[str, Corpus]

    @property
    def n_parameters(self) -> int:
        """Of the network."""
        shapes = jax.eval_shape(lambda key: facenet.init(key, self.settings.network), jax.random.key(0))
        return facenet.parameter_counts(shapes)["total"]

    def key(self, purpose: str, fold: int) -> jax.Array:
        """A key of its own for each purpose and fold; cells that differ in their pre-training alone share theirs."""
        named = jax.random.fold_in(jax.random.key(self.settings.seed), zlib.crc32(purpose.encode()))
        return jax.random.fold_in(named, fold)

    def fine_tuning_part(self, material: Material, fold: int) -> Part:
        """A fold's own training and validation clips."""
        one = self.corpora[material.corpus].folds[fold]
        return Part(f"fold_{fold}", one.train, one.validation)

    def pretraining_part(self, cell: Cell, fold: int) -> Part:
        """The fold's training clips where both stages share the corpus; else all but one group, which validates."""
        assert cell.pretraining is not None
        if cell.shares_corpus:
            return self.fine_tuning_part(cell.pretraining, fold)
        first = self.corpora[cell.pretraining.corpus].folds[0]
        return Part("all", np.union1d(first.train, first.test), first.validation)

    def sources(self, material: Material, part: Part) -> tuple[SegmentSource, SegmentSource | None]:
        """The segments to train on, and to validate with where any clips are there for it."""
        corpus = self.corpora[material.corpus]
        return corpus.segments_of(part.train), corpus.segments_of(part.validation) if len(part.validation) else None

    def check(self, cells: list[Cell]) -> None:
        """Raises InputError, naming corpus and fold, where one of the trainings cannot draw its batches."""
        trainings: dict[tuple[str, str, str], tuple[Material, Part, TrainConfig]] = {}
        for cell in cells:
            for fold in range(len(self.corpora[cell.fine_tuning.corpus].folds)):
                part = self.fine_tuning_part(cell.fine_tuning, fold)
                config = self.settings.train_config("fine_tuning", cell.fine_tuning.view)
                trainings["fine-tuning", cell.fine_tuning.corpus, part.name] = (cell.fine_tuning, part, config)
                if cell.pretraining is not None:
                    part = self.pretraining_part(cell, fold)
                    config = self.settings.train_config("pretraining", cell.pretraining.view)
                    trainings["pre-training", cell.pretraining.corpus, part.name] = (cell.pretraining, part, config)
        for (stage, name, which), (material, part, config) in trainings.items():
            segments, _ = self.sources(material, part)
            labels = (segments.emotion.tolist(), segments.speaker.tolist(), segments.clip.tolist())
            try:
                plan_batches(*labels, config.classes_per_batch, config.segments_per_class)
            except InputError as error:
                raise InputError(f"{stage} on corpus {name}, {which}: {error}") from error
            if self.settings.neighbours > len(segments):
                raise InputError(
                    f"config.neighbours is {self.settings.neighbours}, but {stage} on corpus {name}, {which}, has "
                    f"{len(segments)} segments; take fewer"
                )


def fold_name(cell: Cell, fold: int) -> str:
    """The name of a fold's arrays."""
    return f"{cell.folder}/fold_{fold}"


def described(plan: Plan) -> dict[str, Any]:
    """What was trained and tested on, as plain JSON values: emotions, and for each corpus clips, folds and losses."""
    return {"emotions": list(plan.emotions), "corpora": {name: _described(plan, c) for name, c in plan.corpora.items()}}


def _described(plan: Plan, corpus: Corpus) -> dict[str, Any]:
    data = corpus.dataset
    speaker = data.table.speaker
    counts = {emotion: int((data.label == c).sum()) for c, emotion in enumerate(plan.emotions)}
    folds = [
        {
            **{f"{part}_clips": len(getattr(fold, part)) for part in ("train", "validation", "test", "duplicates")},
            **{
                f"{part}_speakers": sorted(set(speaker[getattr(fold, part)].tolist()))
                for part in ("validation", "test")
            },
        }
        for fold in corpus.folds
    ]
    return {
        "clips": len(data), "speakers": list(data.speakers), "segments": len(corpus.source), "by_emotion": counts,
        "other_emotions": dict(corpus.others), "left_out": [list(pair) for pair in corpus.left_out], "folds": folds,
    }  # fmt: skip

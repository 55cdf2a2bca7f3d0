"""The plan that the cells of a matrix share: corpora, keys, and the clips of each training."""

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
"""The role of a clip in a fold, by the number in `part`."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One training: its name in the work directory, and the places of the clips to train on and to validate with."""

    name: str
    train: np.ndarray
    validation: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plan:
    """The data and keys that all cells share. Keys: fold_in(fold_in(key(seed), CRC-32 of the purpose), fold)."""

    settings: CrossTraining
    emotions: tuple[str, ...]
    corpora: Mapping[str, Corpus]

    @property
    def n_parameters(self) -> int:
        """Of the network."""
        shapes = jax.eval_shape(lambda key: facenet.init(key, self.settings.network), jax.random.key(0))
        return facenet.parameter_counts(shapes)["total"]

    def n_folds(self, cell: Cell) -> int:
        return len(self.corpora[cell.fine_tuning.corpus].folds)

    def key(self, purpose: str, fold: int) -> jax.Array:
        """A key of its own for each purpose and fold; cells that differ in their pre-training alone share theirs."""
        named = jax.random.fold_in(jax.random.key(self.settings.seed), zlib.crc32(purpose.encode()))
        return jax.random.fold_in(named, fold)

    def fine_tuning_part(self, material: Material, fold: int) -> Part:
        """A fold's own training and validation clips."""
        clips = self.corpora[material.corpus].folds[fold]
        return Part(f"fold_{fold}", clips.train, clips.validation)

    def pretraining_part(self, cell: Cell, fold: int) -> Part:
        """The fold's training clips if both stages share the corpus; else all but one group, which validates."""
        assert cell.pretraining is not None
        if cell.shares_corpus:
            return self.fine_tuning_part(cell.pretraining, fold)
        first = self.corpora[cell.pretraining.corpus].folds[0]
        return Part("all", np.union1d(first.train, first.test), first.validation)

    def pretraining_name(self, cell: Cell, fold: int) -> str:
        """The name of the arrays and weights of a cell's pre-training."""
        assert cell.pretraining is not None
        return f"pretraining/{cell.pretraining.file_name}/{self.pretraining_part(cell, fold).name}"

    def sources(self, material: Material, part: Part) -> tuple[SegmentSource, SegmentSource | None]:
        """The segments to train on, and to validate with if there are any."""
        corpus = self.corpora[material.corpus]
        return corpus.segments_of(part.train), corpus.segments_of(part.validation) if len(part.validation) else None

    def check(self, cells: list[Cell]) -> None:
        """Raises InputError, naming corpus and fold, if one of the trainings cannot draw its batches."""
        trainings: dict[tuple[str, str, str], tuple[str, Material, Part]] = {}
        for cell in cells:
            for fold in range(self.n_folds(cell)):
                part = self.fine_tuning_part(cell.fine_tuning, fold)
                trainings["fine-tuning", cell.fine_tuning.corpus, part.name] = ("fine_tuning", cell.fine_tuning, part)
                if cell.pretraining is not None:
                    part = self.pretraining_part(cell, fold)
                    trainings["pre-training", cell.pretraining.corpus, part.name] = (
                        "pretraining",
                        cell.pretraining,
                        part,
                    )
        for (words, name, which), (stage, material, part) in trainings.items():
            segments, _ = self.sources(material, part)
            try:
                steps_per_epoch(segments, self.settings.train_config(stage, material.view))
            except InputError as error:
                raise InputError(f"{words} on corpus {name}, {which}: {error}") from error
            if self.settings.neighbours > len(segments):
                raise InputError(
                    f"config.neighbours is {self.settings.neighbours}, but {words} on corpus {name}, {which}, has "
                    f"{len(segments)} segments; lower it"
                )


def steps_per_epoch(segments: SegmentSource, config: TrainConfig) -> int:
    """Batches of an epoch. Raises InputError if the segments cannot fill the batches."""
    labels = (segments.emotion.tolist(), segments.speaker.tolist(), segments.clip.tolist())
    return plan_batches(*labels, config.classes_per_batch, config.segments_per_class).steps


def fold_name(cell: Cell, fold: int) -> str:
    """The name of a fold's arrays."""
    return f"{cell.folder}/fold_{fold}"


def described(plan: Plan) -> dict[str, Any]:
    """The training and test data as plain JSON values: emotions, and for each corpus clips, folds and losses."""
    return {"emotions": list(plan.emotions), "corpora": {name: _described(plan, c) for name, c in plan.corpora.items()}}


def _described(plan: Plan, corpus: Corpus) -> dict[str, Any]:
    data = corpus.dataset
    folds = []
    for fold in corpus.folds:
        clips = {f"{part}_clips": len(getattr(fold, part)) for part in ("train", "validation", "test", "duplicates")}
        rows = {f"{part}_speakers": data.table.speaker[getattr(fold, part)] for part in ("validation", "test")}
        folds.append({**clips, **{name: sorted(set(speakers.tolist())) for name, speakers in rows.items()}})
    counts = {emotion: int((data.label == c).sum()) for c, emotion in enumerate(plan.emotions)}
    return {
        "clips": len(data), "speakers": list(data.speakers), "segments": len(corpus.source), "by_emotion": counts,
        "other_emotions": dict(corpus.others), "left_out": [list(pair) for pair in corpus.left_out], "folds": folds,
    }  # fmt: skip

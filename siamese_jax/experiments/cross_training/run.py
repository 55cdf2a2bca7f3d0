"""The cross-training protocol: from a configuration to a work directory with the results of both systems.

Every cell of the matrix is trained fold by fold: pre-training (once, or without the fold's test and validation speakers
where it shares the corpus), fine-tuning, embeddings, decisions. A fold whose arrays are there is not run again.
"""

import dataclasses
import functools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets.class_batches import plan_batches
from siamese_jax.experiments.cross_training import baselines, corpora, differences, results
from siamese_jax.experiments.cross_training.config import CrossTraining
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, Material
from siamese_jax.experiments.cross_training.plan import PARTS, Part, Plan, described, fold_name
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models import embedding_classifiers, facenet, facenet_weights
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.progress import Bars, bars
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.loop import Trained, train
from siamese_jax.training.facenet.step import embed_all

KIND = "facenet"
MAY_CHANGE = ("corpora", "target", "new_corpus", "cells", "decision", "level", "keep_weights")
"""Settings that leave finished arrays as they are: where audio lies, what else is to be run, how it is told. What
identifies a corpus, its folds among it, stands in the work directory's digests."""


def run(
    e: CrossTraining, workdir: str | Path, cache: str | Path, after_cell: Callable[[Path], None] = lambda path: None
) -> None:
    """Runs what is not there yet of the systems on features and of the cells, in order.

    Writes config.json, corpora.json, arrays/ (netCDF, a file for each system, cell and fold) and weights/; and after
    each cell what is known by then: summary.json (`records.Row`), differences.json and provenance.json.

    Args:
      cache: folder of decoded samples and features, which work directories may share and which may be removed.
      after_cell: called with the work directory when a cell's results are written.

    Raises:
      InputError: a corpus, its folds or the configuration cannot be used (before anything is trained), the folder
        holds another experiment, or a training diverged.
    """
    start = time.perf_counter()
    found = corpora.manifests(e)
    emotions = corpora.common_emotions(found, e.emotions)
    digests = {name: f"{corpora.digest(one)}, {e.corpora[name].folds} folds" for name, one in found.items()}
    cells = e.cell_list()
    with bars() as shown:
        plan = Plan(e, emotions, corpora.load(e, found, emotions, cache, shown))
        plan.check(cells)
    # The folder comes after the checks: what was refused leaves nothing that a mended configuration would differ from.
    with WorkDir(workdir, e, digests, KIND, may_change=MAY_CHANGE) as work, bars() as shown:
        write_json(work.path / "corpora.json", described(plan))
        baselines.run(e, emotions, plan.corpora, work, shown)
        for cell in cells:
            run_cell(plan, work, shown, cell)
            _write(plan, work, time.perf_counter() - start)
            after_cell(work.path)


def _write(plan: Plan, work: WorkDir, seconds: float) -> None:
    found = results.collect(plan, work)
    write_json(work.path / "summary.json", [dataclasses.asdict(one.row) for one in found])
    compared = differences.between(plan, found)
    write_json(work.path / "differences.json", [dataclasses.asdict(one) for one in compared])
    work.write_provenance(seconds)


def run_cell(plan: Plan, work: WorkDir, shown: Bars, cell: Cell) -> None:
    """All folds of a cell."""
    for fold in range(len(plan.corpora[cell.fine_tuning.corpus].folds)):
        name = fold_name(cell, fold)
        if not work.has(name):
            interrupt.check()
            logging.info("%s, fold %d", cell, fold)
            start = _start(plan, work, shown, cell, fold)
            work.arrays(name, functools.partial(_fold, plan, work, shown, cell, fold, start))
        _forget_checkpoints(work, _title(cell, fold))


def _start(plan: Plan, work: WorkDir, shown: Bars, cell: Cell, fold: int) -> facenet.Variables:
    """Where a fold's fine-tuning starts: fresh, or pre-trained."""
    if cell.pretraining is None:
        return facenet.init(plan.key(f"init of {cell.fine_tuning}", fold), plan.settings.network)
    return _pretrained(plan, work, shown, cell, fold)


def _fold(plan: Plan, work: WorkDir, shown: Bars, cell: Cell, fold: int, start: facenet.Variables) -> xr.Dataset:
    """Trains, embeds and decides; see `labelled`."""
    e, material, corpus = plan.settings, cell.fine_tuning, plan.corpora[cell.fine_tuning.corpus]
    part = plan.fine_tuning_part(material, fold)
    config = e.train_config("fine_tuning", material.view)
    key = plan.key(f"fine-tuning on {material}", fold)
    trained, cost = _train(plan, work, shown, config, _title(cell, fold), material, part, start, key)
    if e.keep_weights:
        facenet_weights.save_weights(work.path / "weights" / f"{fold_name(cell, fold)}.npz", trained.variables)
    embed_all(config, trained.variables, corpus.source, np.arange(min(config.embed_batch, len(corpus.source))))
    before = time.perf_counter()
    emb = embed_all(config, trained.variables, corpus.source)
    cost["embedding_seconds"] = time.perf_counter() - before
    arrays = labelled(plan, corpus, fold, emb).merge(_curves(trained))
    return arrays.assign_attrs(cost | {"best_epoch": trained.best_epoch, "segments": len(corpus.source)})


def _pretrained(plan: Plan, work: WorkDir, shown: Bars, cell: Cell, fold: int) -> dict[str, Any]:
    """The variables of a cell's pre-training, which other cells and, on another corpus, other folds share."""
    material, part = cell.pretraining, plan.pretraining_part(cell, fold)
    assert material is not None
    name = f"pretraining/{material.file_name}/{part.name}"
    number = fold if cell.shares_corpus else len(plan.corpora[material.corpus].folds)
    config = plan.settings.train_config("pretraining", material.view)
    file = work.path / "weights" / f"{name}.npz"
    title = f"pre-training on {material}, {part.name}"

    def make() -> xr.Dataset:
        logging.info("pre-training on %s, %s", material, part.name)
        start = facenet.init(plan.key(f"init of {material}", number), config.network)
        key = plan.key(f"pre-training on {material}", number)
        trained, cost = _train(plan, work, shown, config, title, material, part, start, key)
        facenet_weights.save_weights(file, trained.variables)
        return _curves(trained).assign_attrs(cost | {"best_epoch": trained.best_epoch})

    work.arrays(name, make)
    _forget_checkpoints(work, title)
    return facenet_weights.load_weights(file, config.network)


def _train(
    plan: Plan, work: WorkDir, shown: Bars, config: TrainConfig, title: str, material: Material, part: Part,
    start: facenet.Variables, key: jax.Array,
) -> tuple[Trained, dict[str, float]]:  # fmt: skip
    """One training and what it cost."""
    segments, validation = plan.sources(material, part)
    labels = (segments.emotion.tolist(), segments.speaker.tolist(), segments.clip.tolist())
    steps = plan_batches(*labels, config.classes_per_batch, config.segments_per_class).steps
    advance = shown.start(title, config.epochs * steps)
    times: list[float] = []

    def on_progress(done: int) -> None:
        times.append(time.perf_counter())
        advance(done)

    trained = train(config, start, segments, validation, key, _checkpoints(work, title), on_progress)
    # The median step knows nothing of compiling, of validating, and of when the training was stopped and went on.
    step = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    return trained, {
        "training_seconds": step * steps * len(trained.history["loss"]),
        "training_images_per_second": config.batch / step,
        "training_segments": len(segments),
    }


def _title(cell: Cell, fold: int) -> str:
    return f"{cell}, fold {fold}"


def _checkpoints(work: WorkDir, title: str) -> Path:
    return work.path / "training" / "".join(c if c.isalnum() else "_" for c in title)


def _forget_checkpoints(work: WorkDir, title: str) -> None:
    """What a training kept to go on from is of no more use once its arrays are there, and not before."""
    shutil.rmtree(_checkpoints(work, title), ignore_errors=True)


def _curves(trained: Trained) -> xr.Dataset:
    return xr.Dataset({name: ("epoch", np.asarray(curve)) for name, curve in trained.history.items()})


def labelled(plan: Plan, corpus: Corpus, fold: int, emb_KxE: np.ndarray) -> xr.Dataset:
    """The clips' decisions from the embeddings of all segments of a corpus.

    Returns `predictions` (decision, clip), `scores` (decision, clip, class), `embedding` (clip, unit), the mean of a
    clip's segments, and `part` (clip), an index into PARTS; clips are in the corpus's order, emotion and speaker named.
    """
    e, one, data = plan.settings, corpus.folds[fold], corpus.dataset
    place_K, n = corpus.place, len(data)
    trained_K = np.isin(place_K, one.train)
    scores = []
    for kind in embedding_classifiers.DECISIONS:
        by_segment = embedding_classifiers.segment_scores(
            kind, emb_KxE, emb_KxE[trained_K], data.label[place_K[trained_K]], len(plan.emotions), e.neighbours
        )
        scores.append(embedding_classifiers.utterance_scores(by_segment, place_K, n))
    part = np.full(n, PARTS.index("left out"), np.int8)
    for name in ("train", "validation", "test"):
        part[getattr(one, name)] = PARTS.index(name)
    stacked = np.stack(scores)
    return xr.Dataset(
        {
            "predictions": (("decision", "clip"), stacked.argmax(axis=2).astype(np.int8)),
            "scores": (("decision", "clip", "class"), stacked),
            "embedding": (("clip", "unit"), embedding_classifiers.utterance_scores(emb_KxE, place_K, n)),
            "part": ("clip", part),
        },
        coords={
            "decision": list(embedding_classifiers.DECISIONS),
            "class": list(plan.emotions),
            "clip": data.table.clip.astype(object),
            "emotion": ("clip", data.table.emotion.astype(object)),
            "speaker": ("clip", data.table.speaker.astype(object)),
        },
    )

"""The cross-training protocol: from a configuration to a work directory with the results of both systems."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training import baselines, corpora, results
from siamese_jax.experiments.cross_training.config import CrossTraining
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, Material
from siamese_jax.experiments.cross_training.plan import PARTS, Part, Plan, described, fold_name, steps_per_epoch
from siamese_jax.experiments.run_context import clip_coords
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models import embedding_classifiers, facenet, facenet_weights
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.plain_files import remove_tree
from siamese_jax.runtime.progress import Bars, bars
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.loop import Trained, train
from siamese_jax.training.facenet.step import embed_all

KIND = "facenet"
MAY_CHANGE = ("corpora", "target", "new_corpus", "cells", "decision", "level", "keep_weights")
"""Settings that leave finished arrays as they are; the work directory's digests identify a corpus and its folds."""


def run(
    config: CrossTraining, workdir: str | Path, cache: str | Path,
    after_cell: Callable[[Path], None] = lambda path: None,
) -> None:  # fmt: skip
    """Runs the systems on features and the cells that are missing from `workdir`, fold by fold, in order.

    Writes config.json, corpora.json, arrays/ (netCDF, a file for each system, cell and fold) and weights/; and after
    each cell the results so far: summary.json (`records.Row`), differences.json and provenance.json.

    Args:
      cache: folder of decoded samples and features, which work directories may share and which may be removed.
      after_cell: called with the work directory when a cell's results are written.

    Raises InputError if a corpus, its folds or the configuration cannot be used (before anything is trained), the
    folder holds another experiment, or a training diverged.
    """
    started = time.perf_counter()
    manifests = corpora.manifests(config)
    emotions = corpora.common_emotions(manifests, config.emotions)
    digests = {name: f"{corpora.digest(m)}, {config.corpora[name].folds} folds" for name, m in manifests.items()}
    cells = config.cell_list()
    with bars() as progress:
        plan = Plan(config, emotions, corpora.load(config, manifests, emotions, cache, progress))
        plan.check(cells)
    # The folder comes after the checks: a refused configuration leaves nothing that a corrected one would differ from.
    with WorkDir(workdir, config, digests, KIND, may_change=MAY_CHANGE) as work, bars() as progress:
        work.write_json("corpora.json", described(plan))
        baselines.run(config, emotions, plan.corpora, work, progress)
        for cell in cells:
            for fold in range(plan.n_folds(cell)):
                _run_fold(plan, work, progress, cell, fold)
            collected = results.collect(plan, work)
            differences = results.differences(plan, collected)
            work.write_json("summary.json", [dataclasses.asdict(counted.row) for counted in collected])
            work.write_json("differences.json", [dataclasses.asdict(record) for record in differences])
            work.write_provenance(time.perf_counter() - started)
            after_cell(work.path)


def _run_fold(plan: Plan, work: WorkDir, progress: Bars, cell: Cell, fold: int) -> None:
    name = fold_name(cell, fold)
    if not work.has(name):
        interrupt.check()
        logging.info("%s, fold %d", cell, fold)
        if cell.pretraining is None:
            start = facenet.init(plan.key(f"init of {cell.fine_tuning}", fold), plan.settings.network)
        else:
            start = _pretrained(plan, work, progress, cell, fold)
        work.arrays(name, functools.partial(_fold, plan, work, progress, cell, fold, start))
    _forget_checkpoints(work, _title(cell, fold))


def _fold(plan: Plan, work: WorkDir, progress: Bars, cell: Cell, fold: int, start: facenet.Variables) -> xr.Dataset:
    """Trains, embeds and decides; see `labelled`."""
    material, source = cell.fine_tuning, plan.corpora[cell.fine_tuning.corpus].source
    config = plan.settings.train_config("fine_tuning", material.view)
    key, part = plan.key(f"fine-tuning on {material}", fold), plan.fine_tuning_part(material, fold)
    trained, cost = _train(plan, work, progress, config, _title(cell, fold), material, part, start, key)
    if plan.settings.keep_weights:
        with work.writing(f"weights/{fold_name(cell, fold)}.npz") as file:
            facenet_weights.save_weights(file, trained.variables)
    # One batch first, so that compiling is not timed.
    embed_all(config, trained.variables, source, np.arange(min(config.embed_batch, len(source))))
    before = time.perf_counter()
    emb = embed_all(config, trained.variables, source)
    cost |= {"embedding_seconds": time.perf_counter() - before, "segments": len(source)}
    return labelled(plan, plan.corpora[material.corpus], fold, emb).merge(_curves(trained)).assign_attrs(cost)


def _pretrained(plan: Plan, work: WorkDir, progress: Bars, cell: Cell, fold: int) -> facenet.Variables:
    """The variables of a cell's pre-training, which other cells and, on another corpus, other folds share."""
    material, part = cell.pretraining, plan.pretraining_part(cell, fold)
    assert material is not None
    name, title = plan.pretraining_name(cell, fold), f"pre-training on {material}, {part.name}"
    number = fold if cell.shares_corpus else len(plan.corpora[material.corpus].folds)
    config = plan.settings.train_config("pretraining", material.view)
    file = f"weights/{name}.npz"

    def make() -> xr.Dataset:
        logging.info("%s", title)
        start = facenet.init(plan.key(f"init of {material}", number), config.network)
        key = plan.key(f"pre-training on {material}", number)
        trained, cost = _train(plan, work, progress, config, title, material, part, start, key)
        with work.writing(file) as temporary:
            facenet_weights.save_weights(temporary, trained.variables)
        return _curves(trained).assign_attrs(cost, weights=facenet_weights.digest(trained.variables))

    written = work.arrays(name, make).attrs.get("weights")
    try:
        variables = _weights(work, file, config, written)
    except InputError as error:
        logging.warning("%s. The training runs again", error)
        make()
        variables = _weights(work, file, config, written)
    _forget_checkpoints(work, title)
    return variables


def _weights(work: WorkDir, name: str, config: TrainConfig, written: str | None) -> facenet.Variables:
    """The variables of a pre-training. Raises InputError if the file is damaged, or not of the digest `written`."""
    file = work.file(name, "it is made again")
    variables = facenet_weights.load_weights(file, config.network)
    if facenet_weights.digest(variables) != written:
        raise InputError(
            f"{file}: not the weights that this work directory's arrays were made with; put that file back, or give "
            "another work directory"
        )
    return variables


def _train(
    plan: Plan, work: WorkDir, progress: Bars, config: TrainConfig, title: str, material: Material, part: Part,
    start: facenet.Variables, key: jax.Array,
) -> tuple[Trained, dict[str, float]]:  # fmt: skip
    """One training; with its cost and best epoch."""
    segments, validation = plan.sources(material, part)
    steps = steps_per_epoch(segments, config)
    advance = progress.start(title, config.epochs * steps)
    times: list[float] = []

    def on_progress(done: int) -> None:
        times.append(time.perf_counter())
        advance(done)

    trained = train(config, start, segments, validation, key, _checkpoints(work, title), on_progress)
    # The median step leaves out compiling, validation, and the time between a stop and the resumed training.
    step = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    return trained, {
        "training_seconds": step * steps * len(trained.history["loss"]),
        "training_images_per_second": config.batch / step, "training_segments": len(segments),
        "best_epoch": trained.best_epoch,
    }  # fmt: skip


def _title(cell: Cell, fold: int) -> str:
    return f"{cell}, fold {fold}"


def _checkpoints(work: WorkDir, title: str) -> Path:
    return work.path / "training" / "".join(c if c.isalnum() else "_" for c in title)


def _forget_checkpoints(work: WorkDir, title: str) -> None:
    """Removes a training's checkpoints, which resuming needs until its arrays are written."""
    remove_tree(work.path, _checkpoints(work, title).relative_to(work.path))


def _curves(trained: Trained) -> xr.Dataset:
    return xr.Dataset({name: ("epoch", np.asarray(curve)) for name, curve in trained.history.items()})


def labelled(plan: Plan, corpus: Corpus, fold: int, emb_KxE: np.ndarray) -> xr.Dataset:
    """The clips' decisions from the embeddings of all segments of a corpus.

    Returns `predictions` (decision, clip), `scores` (decision, clip, class), `embedding` (clip, unit), the mean of a
    clip's segments, and `part` (clip), an index into PARTS; clips are in the corpus's order, emotion and speaker named.
    """
    clips, data, place_K, n = corpus.folds[fold], corpus.dataset, corpus.place, len(corpus.dataset)
    trained_K = np.isin(place_K, clips.train)
    label_K, n_classes = data.label[place_K[trained_K]], len(plan.emotions)
    by_decision = []
    for decision in embedding_classifiers.DECISIONS:
        by_segment = embedding_classifiers.segment_scores(
            decision, emb_KxE, emb_KxE[trained_K], label_K, n_classes, plan.settings.neighbours
        )
        by_decision.append(embedding_classifiers.utterance_scores(by_segment, place_K, n))
    part = np.full(n, PARTS.index("left out"), np.int8)
    for name in ("train", "validation", "test"):
        part[getattr(clips, name)] = PARTS.index(name)
    scores = np.stack(by_decision)
    arrays = {
        "predictions": (("decision", "clip"), scores.argmax(axis=2).astype(np.int8)),
        "scores": (("decision", "clip", "class"), scores),
        "embedding": (("clip", "unit"), embedding_classifiers.utterance_scores(emb_KxE, place_K, n)),
        "part": ("clip", part),
    }
    coords = {"decision": list(embedding_classifiers.DECISIONS), "class": list(plan.emotions), **clip_coords(data)}
    return xr.Dataset(arrays, coords=coords)

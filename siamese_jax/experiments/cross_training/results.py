"""From finished arrays to rows: one a system, corpus and cell, all folds pooled."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.experiments.cross_training import baselines, intervals
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, cell_name
from siamese_jax.experiments.cross_training.plan import PARTS, Plan, fold_name
from siamese_jax.experiments.cross_training.records import Row
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models.embedding_classifiers import DECISIONS
from siamese_jax.stats import estimands
from siamese_jax.stats.scoring import counts_by_speaker


@dataclasses.dataclass(frozen=True)
class Counted:
    """A row and its confusion counts by speaker [S, C, C], over all runs."""

    row: Row
    counts: np.ndarray


def finished(plan: Plan, work: WorkDir) -> list[Cell]:
    """The cells whose folds are all there, in the matrix's order."""
    return [
        cell
        for cell in plan.settings.matrix()
        if all(work.has(fold_name(cell, fold)) for fold in range(len(plan.corpora[cell.fine_tuning.corpus].folds)))
    ]


def collect(plan: Plan, work: WorkDir) -> list[Counted]:
    """Every finished system and cell; FaceNet with every decision."""
    found = [
        _of_system(plan, work, one) for one in baselines.every(plan.settings, list(plan.corpora)) if work.has(one.name)
    ]
    for cell in finished(plan, work):
        found += [_of_cell(plan, work, cell, kind) for kind in DECISIONS]
    return found


def _of_system(plan: Plan, work: WorkDir, one: baselines.System) -> Counted:
    corpus, kept = plan.corpora[one.target], work.arrays(one.name, xr.Dataset)
    counts = _counts(plan, corpus, kept.predictions.transpose("run", "clip").values, kept.tested.values)
    if one.in_domain:
        scaling = IN_DOMAIN_SCOPE[one.scope]
    else:
        scaling = out_of_domain_scope(plan.corpora[one.source].dataset, corpus.dataset, one.scope)
    words = {"siamese": "Siamese", "logistic_regression": "logistic regression", "svm": "RBF SVM"}[one.method]
    head = f", head {one.head}" if one.head else ""
    learnt = "in domain" if one.in_domain else f"from {one.source} alone"
    cost = {
        "parameters": int(kept.attrs["parameters"]),
        "training_seconds": float(kept.attrs["training_seconds"]),
        "pretraining_seconds": 0.0,
        "images_per_second": None,
        "ms_per_clip": 1000 * (float(kept.attrs["seconds_per_clip"]) + corpus.extraction_seconds),
    }
    return _counted(
        plan, corpus, counts, kept.sizes["run"], cost, name=f"{words} {learnt}{head}, scaled by {scaling}",
        system=one.method, view=None, pretraining=None, learnt_from="folds" if one.in_domain else one.source,
        scaling=scaling, decision=None,
    )  # fmt: skip


def _of_cell(plan: Plan, work: WorkDir, cell: Cell, kind: str) -> Counted:
    corpus = plan.corpora[cell.fine_tuning.corpus]
    folds = [work.arrays(fold_name(cell, i), xr.Dataset) for i in range(len(corpus.folds))]
    counts = np.zeros((len(corpus.dataset.speakers), len(plan.emotions), len(plan.emotions)), int)
    for kept in folds:
        tested = kept.part.values == PARTS.index("test")
        counts += _counts(plan, corpus, kept.predictions.sel(decision=kind).values[None], tested)
    segments = folds[0].attrs["segments"]
    embedding = float(np.median([kept.attrs["embedding_seconds"] for kept in folds]))
    cost = {
        "parameters": plan.n_parameters,
        "training_seconds": intervals.number(sum(kept.attrs["training_seconds"] for kept in folds)),
        "pretraining_seconds": _pretraining_seconds(plan, work, cell),
        "images_per_second": _median([kept.attrs["training_images_per_second"] for kept in folds]),
        "ms_per_clip": 1000 * embedding / segments * len(corpus.source) / len(corpus.dataset),
    }
    return _counted(
        plan, corpus, counts, 1, cost, name=cell_name(cell), system="facenet", view=cell.fine_tuning.view,
        pretraining=None if cell.pretraining is None else str(cell.pretraining), learnt_from="folds", scaling=None,
        decision=kind,
    )  # fmt: skip


def _median(rates: Sequence[float]) -> float | None:
    """Of those that could be measured."""
    known = [rate for rate in rates if math.isfinite(rate)]
    return float(np.median(known)) if known else None


def _pretraining_seconds(plan: Plan, work: WorkDir, cell: Cell) -> float | None:
    if cell.pretraining is None:
        return 0.0
    names = {
        f"pretraining/{cell.pretraining.file_name}/{plan.pretraining_part(cell, fold).name}"
        for fold in range(len(plan.corpora[cell.fine_tuning.corpus].folds))
    }
    return intervals.number(sum(work.arrays(name, xr.Dataset).attrs["training_seconds"] for name in names))


def _counts(plan: Plan, corpus: Corpus, predictions_RxN: np.ndarray, tested_N: np.ndarray) -> np.ndarray:
    data, n_classes = corpus.dataset, len(plan.emotions)
    by_run = counts_by_speaker(predictions_RxN, data.label, tested_N, data.speaker, len(data.speakers), n_classes)
    return by_run.sum(axis=0)


def _counted(
    plan: Plan, corpus: Corpus, counts_SxCxC: np.ndarray, n_runs: int, cost: dict[str, Any], **what: Any
) -> Counted:
    e, total = plan.settings, counts_SxCxC.sum(axis=0)
    values = jnp.asarray(counts_SxCxC, jnp.float32)
    recalls = [intervals.over_speakers(values, estimands.Recall(c), e.level) for c in range(len(total))]
    uar, wa = (intervals.over_speakers(values, statistic, e.level) for statistic in (estimands.uar, estimands.accuracy))
    row = Row(
        **what, **cost, corpus=corpus.name, split=e.split, n_folds=len(corpus.folds), n_runs=n_runs,
        n_speakers=int((counts_SxCxC.sum(axis=(1, 2)) > 0).sum()), n_clips=int(total.sum()) // n_runs,
        **intervals.limits("uar", uar), **intervals.limits("wa", wa), interval=intervals.label(uar),
        recalls=[list(intervals.percent(one)) for one in recalls], confusion=total.tolist(),
    )  # fmt: skip
    return Counted(row, counts_SxCxC)

"""Rows (a system, corpus and cell, all folds pooled) and paired differences, with intervals over tested speakers."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.experiments.cross_training import baselines
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.cross_training.matrix import Cell, cell_name, comparison
from siamese_jax.experiments.cross_training.plan import PARTS, Plan, fold_name
from siamese_jax.experiments.cross_training.records import Difference, Row
from siamese_jax.experiments.records import number
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models.embedding_classifiers import DECISIONS
from siamese_jax.stats import coverage, estimands, intervals, paired_tests
from siamese_jax.stats.records import CLIPPED, Interval, within
from siamese_jax.stats.scoring import counts_by_speaker

METHOD_NAMES = {"siamese": "Siamese", "logistic_regression": "logistic regression", "svm": "RBF SVM"}


@dataclasses.dataclass(frozen=True)
class Counted:
    """A row and its confusion counts by speaker [S, C, C], over all runs."""

    row: Row
    counts: np.ndarray


def collect(plan: Plan, work: WorkDir) -> list[Counted]:
    """Every finished system and cell, in the matrix's order; FaceNet with every decision."""
    systems = [s for s in baselines.every(plan.settings, list(plan.corpora)) if work.has(s.name)]
    cells = [
        cell
        for cell in plan.settings.matrix()
        if all(work.has(fold_name(cell, fold)) for fold in range(plan.n_folds(cell)))
    ]
    rows = [_of_system(plan, work, system) for system in systems]
    return rows + [_of_cell(plan, work, cell, decision) for cell in cells for decision in DECISIONS]


def _of_system(plan: Plan, work: WorkDir, system: baselines.System) -> Counted:
    corpus, arrays = plan.corpora[system.target], work.arrays(system.name, xr.Dataset)
    counts = _counts(plan, corpus, arrays.predictions.transpose("run", "clip").values, arrays.tested.values)
    if system.in_domain:
        scaling, data = IN_DOMAIN_SCOPE[system.scope], "in domain"
    else:
        scaling = out_of_domain_scope(plan.corpora[system.source].dataset, corpus.dataset, system.scope)
        data = f"from {system.source} alone"
    head = f", head {system.head}" if system.head else ""
    return _counted(
        plan, corpus, counts, arrays.sizes["run"], system=system.method, view=None, pretraining=None,
        name=f"{METHOD_NAMES[system.method]} {data}{head}, scaled by {scaling}",
        trained_on="folds" if system.in_domain else system.source, scaling=scaling, decision=None,
        parameters=int(arrays.attrs["parameters"]), training_seconds=float(arrays.attrs["training_seconds"]),
        pretraining_seconds=0.0, images_per_second=None,
        ms_per_clip=1000 * (float(arrays.attrs["seconds_per_clip"]) + corpus.extraction_seconds),
    )  # fmt: skip


def _of_cell(plan: Plan, work: WorkDir, cell: Cell, decision: str) -> Counted:
    corpus = plan.corpora[cell.fine_tuning.corpus]
    folds = [work.arrays(fold_name(cell, fold), xr.Dataset) for fold in range(plan.n_folds(cell))]
    counts = np.zeros((len(corpus.dataset.speakers), len(plan.emotions), len(plan.emotions)), int)
    for arrays in folds:
        tested = arrays.part.values == PARTS.index("test")
        counts += _counts(plan, corpus, arrays.predictions.sel(decision=decision).values[None], tested)
    embedding = float(np.median([arrays.attrs["embedding_seconds"] for arrays in folds]))
    seconds_per_clip = embedding / folds[0].attrs["segments"] * len(corpus.source) / len(corpus.dataset)
    rates = [arrays.attrs["training_images_per_second"] for arrays in folds]
    measured = [rate for rate in rates if math.isfinite(rate)]
    return _counted(
        plan, corpus, counts, 1, name=cell_name(cell), system="facenet", view=cell.fine_tuning.view,
        pretraining=None if cell.pretraining is None else str(cell.pretraining), trained_on="folds", scaling=None,
        decision=decision, parameters=plan.n_parameters, training_seconds=_training_seconds(folds),
        pretraining_seconds=_pretraining_seconds(plan, work, cell),
        images_per_second=float(np.median(measured)) if measured else None, ms_per_clip=1000 * seconds_per_clip,
    )  # fmt: skip


def _training_seconds(stages: Iterable[xr.Dataset]) -> float | None:
    return number(sum(arrays.attrs["training_seconds"] for arrays in stages))


def _pretraining_seconds(plan: Plan, work: WorkDir, cell: Cell) -> float | None:
    if cell.pretraining is None:
        return 0.0
    names = {plan.pretraining_name(cell, fold) for fold in range(plan.n_folds(cell))}
    return _training_seconds(work.arrays(name, xr.Dataset) for name in names)


def _counts(plan: Plan, corpus: Corpus, predictions_RxN: np.ndarray, tested_N: np.ndarray) -> np.ndarray:
    data, n_classes = corpus.dataset, len(plan.emotions)
    by_run = counts_by_speaker(predictions_RxN, data.label, tested_N, data.speaker, len(data.speakers), n_classes)
    return by_run.sum(axis=0)


def _counted(plan: Plan, corpus: Corpus, counts_SxCxC: np.ndarray, n_runs: int, **fields: Any) -> Counted:
    settings, total = plan.settings, counts_SxCxC.sum(axis=0)

    def over_speakers(statistic: Callable[[jax.Array], jax.Array]) -> Interval:
        return _over_speakers(counts_SxCxC, statistic, settings.level)

    uar, wa = over_speakers(estimands.uar), over_speakers(estimands.accuracy)
    scores: dict[str, Any] = dict(
        zip(("uar", "uar_low", "uar_high", "wa", "wa_low", "wa_high"), _percent(uar) + _percent(wa))
    )
    recalls = [over_speakers(estimands.Recall(c)) for c in range(len(total))]
    clipped = any(interval.label.endswith(CLIPPED) for interval in (uar, wa, *recalls))
    row = Row(
        **fields, **scores, corpus=corpus.name, split=settings.split, n_folds=len(corpus.folds), n_runs=n_runs,
        n_speakers=int((counts_SxCxC.sum(axis=(1, 2)) > 0).sum()), n_clips=int(total.sum()) // n_runs,
        recalls=[list(_percent(interval)) for interval in recalls],
        interval=_label(dataclasses.replace(uar, clipped=jnp.asarray(clipped))), confusion=total.tolist(),
    )  # fmt: skip
    return Counted(row, counts_SxCxC)


def differences(plan: Plan, collected: Sequence[Counted]) -> list[Difference]:
    """Each pre-training against none, and the compared cells against every system on features, over speakers."""
    records: list[Difference] = []
    for corpus in plan.corpora:
        rows = [counted for counted in collected if counted.row.corpus == corpus]
        cells = {counted.row.name: counted for counted in rows if counted.row.decision == plan.settings.decision}
        systems = [counted for counted in rows if counted.row.system != "facenet"]
        pretrained = [
            (cell, scratch)
            for cell in cells.values() if cell.row.pretraining is not None
            for scratch in cells.values() if scratch.row.pretraining is None and scratch.row.view == cell.row.view
        ]  # fmt: skip
        names = [cell_name(cell) for cell in comparison(list(plan.corpora), corpus)]
        compared = [(cells[name], system) for name in names if name in cells for system in systems]
        for family, pairs in (("pre-training", pretrained), ("systems", compared)):
            records += _family(plan, corpus, family, pairs)
    return records


def _family(plan: Plan, corpus: str, family: str, pairs: Sequence[tuple[Counted, Counted]]) -> list[Difference]:
    if not pairs:
        return []
    sums = [np.stack([a.counts / a.row.n_runs, b.counts / b.row.n_runs], axis=1) for a, b in pairs]
    of_pairs = [_over_speakers(both, estimands.uar_difference, plan.settings.level) for both in sums]
    tests, adjusted = paired_tests.t_tests(of_pairs)
    return [
        Difference(
            family, corpus, a.row.name, b.row.name, int(interval.n_units), *_percent(interval),
            _p_value(interval, test.p_value), _p_value(interval, p_adjusted), _label(interval),
        )
        for (a, b), interval, test, p_adjusted in zip(pairs, of_pairs, tests, adjusted)
    ]  # fmt: skip


def _p_value(interval: Interval, p: jax.Array) -> float | None:
    return number(float(p)) if _offered(interval) else None


def _over_speakers(sums: np.ndarray, statistic: Callable[[jax.Array], jax.Array], level: float) -> Interval:
    least = -1.0 if statistic is estimands.uar_difference else 0.0
    interval = intervals.jackknife_interval(jnp.asarray(sums, jnp.float32), statistic, level, over="speakers")
    return within(interval, least, 1.0)


def _percent(interval: Interval) -> tuple[float | None, float | None, float | None]:
    """Estimate and limits in per cent, the limits only if the interval is offered at so few units."""
    offered = _offered(interval)
    low, high = (number(100 * float(limit)) if offered else None for limit in (interval.low, interval.high))
    return number(100 * float(interval.estimate)), low, high


def _label(interval: Interval) -> str:
    return interval.label if _offered(interval) else f"none: not offered at {int(interval.n_units)} speakers"


def _offered(interval: Interval) -> bool:
    """Whether its coverage has been found good enough at this number of speakers."""
    n = int(interval.n_units)
    return n >= 2 and interval.kind in coverage.offered_methods(n, interval.over)

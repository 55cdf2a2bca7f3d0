"""From finished arrays to results: one row a system, corpus and cell, and paired differences over speakers."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax import metrics, stats
from siamese_jax.facenet import systems
from siamese_jax.facenet.cells import Cell, comparison
from siamese_jax.facenet.corpus import Corpus
from siamese_jax.facenet.decision import DECISIONS
from siamese_jax.facenet.plan import PARTS, Plan, fold_name
from siamese_jax.scaling import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.stats import estimands
from siamese_jax.stats.records import Interval
from siamese_jax.workdir import WorkDir


@dataclasses.dataclass(frozen=True)
class Row:
    """One system on one corpus, all folds pooled. Scores are in per cent, null where not computable.

    Fields:
      name: the system in words, unique within a corpus.
      system: facenet, siamese, logistic_regression or svm.
      corpus: that is tested; view: of FaceNet's fine-tuning.
      pretraining: FaceNet's, as "emodb/spectrogram"; null for none and for others.
      learnt_from: "folds" of the corpus, or another corpus.
      scaling: whose clips the features were standardised by; null for FaceNet.
      decision: FaceNet's.
      split, n_folds, n_speakers, n_clips: what was tested. n_runs: trainings pooled (seeds of the Siamese network).
      uar, uar_low, uar_high, wa, wa_low, wa_high, interval: with the kind of interval, its unit being speakers.
      recalls: of the emotions, each with its limits. confusion: counts, rows the true emotion, over all runs.
      parameters: of one network, or numbers that a classifier keeps.
      training_seconds: of one training in each fold, together; the pre-training's own stand in pretraining_seconds
        (of all that the cell rests on).
      images_per_second: FaceNet's, of a training step (median).
      ms_per_clip: to classify a decoded clip: images and network, or the features (with decoding) and the classifier.
    """

    name: str
    system: str
    corpus: str
    view: str | None
    pretraining: str | None
    learnt_from: str
    scaling: str | None
    decision: str | None
    split: str
    n_folds: int
    n_speakers: int
    n_clips: int
    n_runs: int
    uar: float | None
    uar_low: float | None
    uar_high: float | None
    wa: float | None
    wa_low: float | None
    wa_high: float | None
    interval: str
    recalls: list[list[float | None]]
    confusion: list[list[int]]
    parameters: int
    training_seconds: float
    pretraining_seconds: float
    images_per_second: float | None
    ms_per_clip: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference of UAR in points, `name` minus `minus`, on the same clips of a corpus.

    Fields:
      family: "pre-training" (against none, same folds and batches) or "systems".
      p, p_adjusted: of the t test over speakers, and the same by Holm's method within the corpus's family.
    """

    family: str
    corpus: str
    name: str
    minus: str
    n_speakers: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    interval: str


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
        _of_system(plan, work, one) for one in systems.every(plan.settings, list(plan.corpora)) if work.has(one.name)
    ]
    for cell in finished(plan, work):
        found += [_of_cell(plan, work, cell, kind) for kind in DECISIONS]
    return found


def _of_system(plan: Plan, work: WorkDir, one: systems.System) -> Counted:
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
        "training_seconds": float(sum(kept.attrs["training_seconds"] for kept in folds)),
        "pretraining_seconds": _pretraining_seconds(plan, work, cell),
        "images_per_second": float(np.nanmedian([kept.attrs["training_images_per_second"] for kept in folds])),
        "ms_per_clip": 1000 * embedding / segments * len(corpus.source) / len(corpus.dataset),
    }
    return _counted(
        plan, corpus, counts, 1, cost, name=cell_name(cell), system="facenet", view=cell.fine_tuning.view,
        pretraining=None if cell.pretraining is None else str(cell.pretraining), learnt_from="folds", scaling=None,
        decision=kind,
    )  # fmt: skip


def cell_name(cell: Cell) -> str:
    """A cell in words."""
    before = "not pre-trained" if cell.pretraining is None else f"pre-trained on {cell.pretraining}"
    return f"FaceNet on the {cell.fine_tuning.view}, {before}"


def _pretraining_seconds(plan: Plan, work: WorkDir, cell: Cell) -> float:
    if cell.pretraining is None:
        return 0.0
    names = {
        f"pretraining/{cell.pretraining.file_name}/{plan.pretraining_part(cell, fold).name}"
        for fold in range(len(plan.corpora[cell.fine_tuning.corpus].folds))
    }
    return float(sum(work.arrays(name, xr.Dataset).attrs["training_seconds"] for name in names))


def _counts(plan: Plan, corpus: Corpus, predictions_RxN: np.ndarray, tested_N: np.ndarray) -> np.ndarray:
    data = corpus.dataset
    by_run = metrics.confusion_by_group(
        predictions_RxN, data.label, tested_N, data.speaker, len(data.speakers), len(plan.emotions)
    )
    return np.asarray(by_run).sum(axis=0)


def _counted(
    plan: Plan, corpus: Corpus, counts_SxCxC: np.ndarray, n_runs: int, cost: dict[str, Any], **what: Any
) -> Counted:
    e, total = plan.settings, counts_SxCxC.sum(axis=0)
    values = jnp.asarray(counts_SxCxC, jnp.float32)
    uar, wa = (_interval(values, statistic, e.level) for statistic in (estimands.uar, estimands.accuracy))
    row = Row(
        **what, **cost, corpus=corpus.name, split=e.split, n_folds=len(corpus.folds), n_runs=n_runs,
        n_speakers=int((counts_SxCxC.sum(axis=(1, 2)) > 0).sum()), n_clips=int(total.sum()) // n_runs,
        **_limits("uar", uar), **_limits("wa", wa), interval=_label(uar),
        recalls=[list(_percent(_interval(values, estimands.Recall(c), e.level))) for c in range(len(total))],
        confusion=total.tolist(),
    )  # fmt: skip
    return Counted(row, counts_SxCxC)


def _interval(sums: jax.Array, statistic: Callable[[jax.Array], jax.Array], level: float) -> Interval:
    found: Interval = stats.jackknife_interval(sums, statistic, level, over="speakers")
    return found


def _limits(name: str, interval: Interval) -> dict[str, Any]:
    estimate, low, high = _percent(interval)
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def _percent(interval: Interval) -> tuple[float | None, float | None, float | None]:
    """Estimate and limits in per cent, the limits only where the interval is offered at so few units."""
    offered = _offered(interval)
    low, high = (_number(100 * float(v)) if offered else None for v in (interval.low, interval.high))
    return _number(100 * float(interval.estimate)), low, high


def _label(interval: Interval) -> str:
    return interval.label if _offered(interval) else f"none: not offered at {int(interval.n_units)} speakers"


def _offered(interval: Interval) -> bool:
    n = int(interval.n_units)
    return n >= 2 and interval.kind in stats.offered_methods(n, interval.over)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def differences(plan: Plan, found: Sequence[Counted]) -> list[Difference]:
    """Each pre-training against none, and the compared cells against every system on features, over speakers."""
    mine = [one for one in found if one.row.decision == plan.settings.decision]
    others = [one for one in found if one.row.system != "facenet"]
    result: list[Difference] = []
    for corpus in plan.corpora:
        own = {one.row.name: one for one in mine if one.row.corpus == corpus}
        pretrained = [
            (one, bare)
            for one in own.values() if one.row.pretraining is not None
            for bare in own.values() if bare.row.pretraining is None and bare.row.view == one.row.view
        ]  # fmt: skip
        names = [cell_name(cell) for cell in comparison(list(plan.corpora), corpus)]
        beside = [(own[name], other) for name in names if name in own for other in others if other.row.corpus == corpus]
        for family, pairs in (("pre-training", pretrained), ("systems", beside)):
            result += _family(plan, corpus, family, pairs)
    return result


def _family(plan: Plan, corpus: str, family: str, pairs: Sequence[tuple[Counted, Counted]]) -> list[Difference]:
    if not pairs:
        return []
    both = [np.stack([a.counts / a.row.n_runs, b.counts / b.row.n_runs], axis=1) for a, b in pairs]
    level = plan.settings.level
    intervals = [_interval(jnp.asarray(sums, jnp.float32), estimands.uar_difference, level) for sums in both]
    tests = [stats.t_test(interval) for interval in intervals]
    adjusted = np.asarray(stats.holm(jnp.stack([test.p_value for test in tests])))
    return [
        Difference(
            family, corpus, a.row.name, b.row.name, int(interval.n_units),
            *_percent(interval), _p(interval, float(test.p_value)), _p(interval, float(p)),
            _label(interval),
        )
        for (a, b), interval, test, p in zip(pairs, intervals, tests, adjusted)
    ]  # fmt: skip


def _p(interval: Interval, value: float) -> float | None:
    return _number(value) if _offered(interval) else None


def described(plan: Plan) -> dict[str, Any]:
    """What was trained and tested on, as plain JSON values: emotions, and for each corpus clips, folds and losses."""
    return {"emotions": list(plan.emotions), "corpora": {name: _described(plan, c) for name, c in plan.corpora.items()}}


def _described(plan: Plan, corpus: Corpus) -> dict[str, Any]:
    data = corpus.dataset
    speaker = data.table.speaker
    counts = {emotion: int((data.label == c).sum()) for c, emotion in enumerate(plan.emotions)}
    folds = [
        {
            **{f"{part}_clips": len(getattr(fold, part)) for part in ("train", "validation", "test", "twins")},
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

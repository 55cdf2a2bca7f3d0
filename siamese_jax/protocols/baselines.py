"""The baselines: classifiers on the same features, draws and test clips, by scikit-learn or `protocols.logistic`."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.folds import Split, leave_one_speaker_out
from siamese_jax.features.scaling import over_rows
from siamese_jax.protocols import logistic
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import interrupt, partial_results

CLASSIFIERS: dict[str, Callable[[float], LogisticRegression | SVC]] = {
    "logistic_regression": lambda c: LogisticRegression(C=c, max_iter=2000),
    "svm": lambda _: SVC(kernel="rbf", C=1.0, gamma="scale"),
}
"""The library's defaults but for C of the logistic regression, and its iterations: nothing is tuned on the target."""


class Task(NamedTuple):
    """A fit: training clips [M, F], their classes [M] and weights [M], and the clips [Q, F] to classify."""

    x: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    query: np.ndarray


def joint(source: Task, target_x: np.ndarray, target_label: np.ndarray) -> Task:
    """The source's clips, with their weights, and target clips in one training set, each with half of the weight."""
    n, m = len(source.label), len(target_label)
    weight = np.concatenate([source.weight * ((n + m) / (2 * n)), np.full(m, (n + m) / (2 * m))])
    x, label = np.concatenate([source.x, target_x]), np.concatenate([source.label, target_label])
    return Task(x, label, weight, source.query)


def plain(x: np.ndarray, label: np.ndarray, query: np.ndarray) -> Task:
    """A training set of one corpus, every clip with weight 1."""
    return Task(x, label, np.ones(len(label)), query)


def fit_all(
    name: str, tasks: list[Task], logistic_c: float, on_done: Callable[[int], None], n_jobs: int
) -> list[np.ndarray]:
    """Predictions [Q] int8 of classifier `name` for every task, in order; `n_jobs` single-threaded fits at a time.

    `on_done` is called with the number of tasks done since the last call. Fits in the open checkpoint
    (`runtime.partial_results`) are not repeated.
    """

    def fit(task: Task) -> np.ndarray:
        model = CLASSIFIERS[name](logistic_c)
        model.fit(task.x.astype(np.float64), task.label, sample_weight=task.weight)
        return model.predict(task.query.astype(np.float64)).astype(np.int8)

    predictions = np.full((len(tasks), max(len(task.query) for task in tasks)), -1, np.int8)
    checkpoint = partial_results.next_call()
    done = np.zeros(len(tasks), bool) if checkpoint is None else checkpoint.restore(predictions)
    missing = np.flatnonzero(~done)
    on_done(int(done.sum()))
    with threadpool_limits(limits=1):
        fits = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(delayed(fit)(tasks[i]) for i in missing)
        for i, predicted in zip(missing, fits):
            predictions[i, : len(predicted)] = predicted
            if checkpoint is not None:
                checkpoint.add(np.array([i]), predictions[[i]])
            on_done(1)
            interrupt.check()
    return [row[: len(task.query)] for row, task in zip(predictions, tasks)]


PARTS = ("loso", "source_only", "few_shot")
"""The training data: the target without a speaker (leave-one-speaker-out), the source, a draw's labelled clips."""


def run(plan: Plan, scope: str, parts: Sequence[str], on_done: Callable[[int], None], n_jobs: int) -> xr.Dataset:
    """Returns the results of every classifier under a scaling scope, on the draws of the plan.

    `parts` are of `PARTS`; "source_only" and "few_shot" are left out if the scope has no source. The result has `loso`
    (method, clip) and `tested` (clip); `source_only` (method, clip); `few_shot` (method, data, n_speakers, draw, clip),
    data being "target" and "source+target"; and `fit_seconds`.
    """
    protocol, target = plan.experiment.protocol, plan.target
    wanted = [part for part in parts if part == "loso" or scope != "train"]
    splits = leave_one_speaker_out(target)
    tested = np.isin(np.arange(len(target)), np.concatenate([test for _, test in splits]))
    out: dict[str, list[np.ndarray]] = {part: [] for part in wanted}
    seconds = []
    for name in protocol.baselines:
        start = perf_counter()
        in_jax = name == "logistic_regression" and protocol.logistic_solver == "jax"
        results = (
            logistic.predictions(plan, scope, wanted, splits, on_done)
            if in_jax
            else _by_tasks(name, plan, scope, wanted, splits, on_done, n_jobs)
        )
        for part in wanted:
            out[part].append(results[part])
        seconds.append(perf_counter() - start)
    dims = {"few_shot": ("method", "data", "n_speakers", "draw", "clip")}
    arrays = {key: (dims.get(key, ("method", "clip")), np.stack(value)) for key, value in out.items() if value}
    coords: dict[str, Any] = {"method": list(protocol.baselines)}
    if "few_shot" in wanted:
        coords |= {"n_speakers": list(protocol.n_speakers), "data": ["target", "source+target"]}
    dataset = xr.Dataset(arrays, coords=coords).assign(fit_seconds=("method", seconds))
    return dataset.assign(tested=("clip", tested)) if "loso" in wanted else dataset


def _by_tasks(
    name: str, plan: Plan, scope: str, parts: Sequence[str], splits: Sequence[Split], on_done: Callable[[int], None],
    n_jobs: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The classes of the target's clips by part, from one fit of scikit-learn after the other."""
    protocol = plan.experiment.protocol
    loso = in_domain_tasks(plan, scope, splits)[0] if "loso" in parts else []
    source_only = [source_task(plan, scope)] if "source_only" in parts else []
    few_shot = _few_shot_tasks(plan, scope) if "few_shot" in parts else []
    predictions = fit_all(
        name, [task for _, task in loso] + source_only + few_shot, protocol.logistic_c, on_done, n_jobs
    )
    results: dict[str, np.ndarray] = {}
    if loso:
        pooled = np.zeros(len(plan.target), np.int8)
        for (rows, _), predicted in zip(loso, predictions):
            pooled[rows] = predicted
        results["loso"] = pooled
    if source_only:
        results["source_only"] = predictions[len(loso)]
    if few_shot:
        of_draws = np.stack(predictions[len(loso) + len(source_only) :])
        results["few_shot"] = of_draws.reshape(2, len(protocol.n_speakers), protocol.n_draws, -1)
    return results


def n_fits(plan: Plan, scope: str, parts: Sequence[str]) -> int:
    """Fits of all classifiers in `run`, for progress."""
    protocol = plan.experiment.protocol
    n_few_shot = 2 * len(protocol.n_speakers) * protocol.n_draws
    n_tasks = {"loso": len(plan.target.speakers), "source_only": 1, "few_shot": n_few_shot}
    return len(protocol.baselines) * sum(n_tasks[part] for part in parts if part == "loso" or scope != "train")


def in_domain_tasks(
    plan: Plan, scope: str, splits: Sequence[Split]
) -> tuple[list[tuple[np.ndarray, Task]], np.ndarray]:
    """(test rows, task) of each split of the target with test clips, and which clips are tested [N]."""
    scope = scaling_scopes.IN_DOMAIN_SCOPE[scope]
    clips = plan.target_clips(scope)
    tested, tasks = np.zeros(len(plan.target), bool), []
    for train, test in splits:
        if len(test):
            x = clips.x
            if scope == "train":
                scaling = over_rows(x, [train], 0)
                x = (x - scaling.shift) / scaling.scale
            tasks.append((test, plain(x[train], clips.label[train], x[test])))
            tested[test] = True
    return tasks, tested


def source_task(plan: Plan, scope: str) -> Task:
    """Training on the source, classifying the target."""
    ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
    return _on_source(plan, scope, plan.target_clips(ood_scope).x)


def _on_source(plan: Plan, scope: str, query: np.ndarray) -> Task:
    """The source's clips, each corpus with its share of the weight."""
    source = plan.source_clips(scope)
    return Task(source.x, source.label, plan.source.clip_weight, query)


def _few_shot_tasks(plan: Plan, scope: str) -> list[Task]:
    """Tasks by data (target, source+target), number of speakers and draw, in that order."""
    target = plan.target_clips(scope)
    source = _on_source(plan, scope, target.x)
    on_target, on_both = [], []
    for n_speakers in plan.experiment.protocol.n_speakers:
        scalings = plan.support_scaling(target, scope, n_speakers)
        for rows, shift, scale in zip(plan.draws.support(n_speakers), scalings.shift, scalings.scale):
            x, label = (target.x - shift) / scale, target.label
            on_target.append(plain(x[rows], label[rows], x))
            on_both.append(joint(source._replace(query=x), x[rows], label[rows]))
    return on_target + on_both

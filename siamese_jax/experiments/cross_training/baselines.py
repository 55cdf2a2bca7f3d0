"""What FaceNet stands beside: the Siamese network and classifiers of scikit-learn on 64 features of the same clips.

In domain they are tested on FaceNet's own folds; needing nothing to stop by, they train on the
validation clips as well. Source only, they learn from another corpus and are tested on the same clips.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.datasets.folds import Split
from siamese_jax.experiments.cross_training.config import CrossTraining
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models import siamese, similarity
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.progress import Bars


@dataclasses.dataclass(frozen=True)
class System:
    """One system on one target corpus.

    Fields:
      target: corpus that is tested.
      method: "siamese" or one of `alternatives.ALTERNATIVES`.
      source: corpus that it learns from; the target itself for in-domain training.
      scope: of the features' scaling, as the experiment names it.
      head: of the Siamese network, "" for others.
    """

    target: str
    method: str
    source: str
    scope: str
    head: str

    @property
    def in_domain(self) -> bool:
        return self.source == self.target

    @property
    def name(self) -> str:
        """Of its arrays."""
        return f"systems/{self.target}/{self.source}/{self.method}{self.head and '-'}{self.head}/{self.scope}"


def every(e: CrossTraining, corpora: Sequence[str]) -> list[System]:
    """All systems on features: in domain, and source only from each other corpus."""
    methods = [("siamese", head) for head in e.features.network.heads]
    methods += [(name, "") for name in e.features.protocol.baselines]
    return [
        System(target, method, source, scope, head)
        for target in corpora
        for source in [target, *(name for name in corpora if name != target)]
        for scope in e.features.data.scalings
        for method, head in methods
        if not (scope == "train" and source != target)
    ]


def run(
    e: CrossTraining, emotions: Sequence[str], corpora: Mapping[str, Corpus], work: WorkDir, shown: Bars
) -> list[System]:
    """Runs the systems that are not there yet, and returns all.

    Each one's arrays: `predictions` (run, clip) and `tested` (clip), and what it cost: `training_seconds` and
    `seconds_per_clip` (classifying from features, timed on a second call), `parameters`.
    """
    found = every(e, list(corpora))
    for system in found:
        if not work.has(system.name):
            logging.info("%s on %s, from %s, scaled by %s", system.method, system.target, system.source, system.scope)
            work.arrays(system.name, functools.partial(_run, e, emotions, corpora, system, shown))
    return found


def splits(corpus: Corpus) -> list[Split]:
    """FaceNet's folds for a system that needs no validation."""
    return [(np.union1d(fold.train, fold.validation), fold.test) for fold in corpus.folds]


def _run(
    e: CrossTraining, emotions: Sequence[str], corpora: Mapping[str, Corpus], system: System, shown: Bars
) -> xr.Dataset:
    target = corpora[system.target]
    source = next(c for c in corpora.values() if c.name == system.source).dataset
    experiment = e.feature_experiment(system.source, system.target, emotions)
    no_draws = FewShotDraws(np.zeros((0, 0), int), np.zeros((0, 0, 0), int))
    plan = Plan(experiment, source, target.dataset, no_draws, 0)
    tested = np.zeros(len(target.dataset), bool)
    tested[np.concatenate([fold.test for fold in target.folds])] = True
    make: Callable[..., xr.Dataset] = _siamese if system.method == "siamese" else _classifier
    arrays = make(plan, system, splits(target), shown)
    table = target.dataset.table
    names = {"clip": table.clip.astype(object), "emotion": ("clip", table.emotion.astype(object))}
    return arrays.assign(tested=("clip", tested)).assign_coords(
        {**names, "speaker": ("clip", table.speaker.astype(object))}
    )


def _siamese(plan: Plan, system: System, folds: Sequence[Split], shown: Bars) -> xr.Dataset:
    e, title = plan.experiment, f"Siamese on {system.target}, from {system.source}"
    start = time.perf_counter()
    if system.in_domain:
        n_runs, reference = e.protocol.n_in_domain_seeds, max(len(train) for train, _ in folds)
        found = stages.in_domain(plan, system.head, system.scope, folds, shown.start(title, n_runs * len(folds)))
    else:
        n_runs, reference = e.protocol.n_seeds, len(plan.source)
        trained = stages.source_training(plan, system.head, system.scope, shown.start(title, n_runs))
        scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, system.scope)
        params = stages.params_from_arrays(trained)
        found = stages.out_of_domain(plan, system.head, scope, params, lambda _: None)
    seconds = time.perf_counter() - start
    n_parameters, per_clip = _siamese_cost(plan, system.head, reference)
    predictions = found.predictions.transpose("seed", "clip").values
    return xr.Dataset({"predictions": (("run", "clip"), predictions)}).assign_attrs(
        training_seconds=seconds / n_runs, seconds_per_clip=per_clip, parameters=n_parameters
    )


def _siamese_cost(plan: Plan, head: str, n_reference: int) -> tuple[int, float]:
    """Parameters, and seconds to classify a clip by `n_reference` labelled ones; no value changes either."""
    spec, dataset = plan.spec(head), plan.target
    x = dataset.table.features
    params = siamese.init(spec.network, jax.random.key(0), x.shape[1])
    n = len(dataset)
    rows = np.resize(np.arange(n), n_reference)
    program = jax.jit(
        lambda p, query, reference, label: similarity.classify(
            spec.network, p, query, reference, label, jnp.ones(n_reference, bool), spec.n_classes, spec.pooling
        )
    )
    arguments = (params, x, x[rows], dataset.label[rows])
    jax.block_until_ready(program(*arguments))
    start = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    seconds = time.perf_counter() - start
    return sum(leaf.size for leaf in jax.tree.leaves(params)), seconds / n


def _classifier(plan: Plan, system: System, folds: Sequence[Split], shown: Bars) -> xr.Dataset:
    dataset = plan.target
    predictions = np.zeros(len(dataset), np.int8)
    fit = classified = 0.0
    n_classified, sizes = 0, []
    tasks = list(_tasks(plan, system, dataset, folds))
    advance = shown.start(f"{system.method} on {system.target}, from {system.source}", len(tasks))
    for rows, task in tasks:
        model: Any = baselines.ALTERNATIVES[system.method]()
        start = time.perf_counter()
        model.fit(task.x.astype(np.float64), task.label, sample_weight=task.weight)
        fitted = time.perf_counter()
        predictions[rows] = model.predict(task.query.astype(np.float64))
        fit += fitted - start
        classified += time.perf_counter() - fitted
        n_classified += len(rows)
        sizes.append(_n_parameters(model))
        advance(1)
    return xr.Dataset({"predictions": (("run", "clip"), predictions[None])}).assign_attrs(
        training_seconds=fit, seconds_per_clip=classified / n_classified, parameters=int(np.mean(sizes))
    )


def _tasks(
    plan: Plan, system: System, dataset: Dataset, folds: Sequence[Split]
) -> Iterator[tuple[np.ndarray, baselines.Task]]:
    if system.in_domain:
        yield from baselines.in_domain_tasks(plan, system.scope, folds)[0]
    else:
        yield np.arange(len(dataset)), baselines.source_task(plan, system.scope)


def _n_parameters(model: Any) -> int:
    """Numbers that a fitted classifier keeps: weights, or support vectors with theirs."""
    kept = ("coef_", "intercept_") if not hasattr(model, "support_vectors_") else (
        "support_vectors_", "dual_coef_", "intercept_"
    )  # fmt: skip
    return sum(np.asarray(getattr(model, name)).size for name in kept)

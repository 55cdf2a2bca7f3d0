"""Baselines of FaceNet: the Siamese network and classifiers of scikit-learn on features of the same clips.

In domain they are tested on FaceNet's folds; without early stopping, they train on the validation clips as well.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.datasets.folds import Split
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.config import CrossTraining
from siamese_jax.experiments.cross_training.corpora import Corpus
from siamese_jax.experiments.run_context import clip_coords
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.models import siamese, similarity
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.progress import Bars


@dataclasses.dataclass(frozen=True)
class System:
    """One system on one target corpus.

    Fields:
      source: the training corpus; the target itself for in-domain training.
      method: "siamese" or one of `protocols.baselines.CLASSIFIERS`. head: of the Siamese network, "" for others.
      scope: of the features' scaling, as the experiment names it.
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

    @property
    def title(self) -> str:
        """Of its progress bar."""
        method = "Siamese" if self.method == "siamese" else self.method
        return f"{method} on {self.target}, from {self.source}"


def every(config: CrossTraining, corpora: Sequence[str]) -> list[System]:
    """All systems on features: in domain, and source only from each other corpus."""
    methods = [("siamese", head) for head in config.features.network.heads]
    methods += [(name, "") for name in config.features.protocol.baselines]
    return [
        System(target, method, source, scope, head)
        for target in corpora
        for source in [target, *(name for name in corpora if name != target)]
        for scope in config.features.data.scalings
        for method, head in methods
        if not (scope == "train" and source != target)
    ]


def run(
    config: CrossTraining, emotions: Sequence[str], corpora: Mapping[str, Corpus], work: WorkDir, progress: Bars
) -> None:
    """Runs the systems whose arrays are missing.

    Their arrays: `predictions` (run, clip) and `tested` (clip), and the cost: `training_seconds` and
    `seconds_per_clip` (classifying from features, timed on a second call), `parameters`.
    """
    for system in every(config, list(corpora)):
        if not work.has(system.name):
            logging.info("%s, scaled by %s", system.title, system.scope)
            work.arrays(system.name, functools.partial(_run, config, emotions, corpora, system, progress))


def _run(
    config: CrossTraining, emotions: Sequence[str], corpora: Mapping[str, Corpus], system: System, progress: Bars
) -> xr.Dataset:
    source, target = corpora[system.source].dataset, corpora[system.target]
    experiment = config.feature_experiment(system.source, system.target, emotions)
    no_draws = FewShotDraws(np.zeros((0, 0), int), np.zeros((0, 0, 0), int))
    plan = Plan(experiment, source, target.dataset, no_draws, 0)
    tested = np.zeros(len(target.dataset), bool)
    tested[np.concatenate([fold.test for fold in target.folds])] = True
    # FaceNet's folds, for systems that need no validation.
    splits = [(np.union1d(fold.train, fold.validation), fold.test) for fold in target.folds]
    make: Callable[..., xr.Dataset] = _siamese if system.method == "siamese" else _classifier
    arrays = make(plan, system, splits, progress)
    return arrays.assign(tested=("clip", tested)).assign_coords(clip_coords(target.dataset))


def _siamese(plan: Plan, system: System, folds: Sequence[Split], progress: Bars) -> xr.Dataset:
    protocol, head, scope = plan.experiment.protocol, system.head, system.scope
    start = time.perf_counter()
    if system.in_domain:
        n_runs, n_reference = protocol.n_in_domain_seeds, max(len(train) for train, _ in folds)
        advance = progress.start(system.title, n_runs * len(folds))
        arrays = stages.in_domain(plan, head, scope, folds, advance)
    else:
        n_runs, n_reference = protocol.n_seeds, len(plan.source)
        trained = stages.source_training(plan, head, scope, progress.start(system.title, n_runs))
        ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
        arrays = stages.out_of_domain(plan, head, ood_scope, trained, lambda _: None)
    seconds = time.perf_counter() - start
    if n_diverged := int(arrays.diverged.sum()):
        raise InputError(
            f"{system.title}: {n_diverged} of {n_runs} trainings diverged; lower config.features.training.learning_rate"
        )
    n_parameters, per_clip = _siamese_cost(plan, head, n_reference)
    return _arrays(arrays.predictions.transpose("seed", "clip").values, seconds / n_runs, per_clip, n_parameters)


def _arrays(
    predictions_RxN: np.ndarray, training_seconds: float, seconds_per_clip: float, parameters: int
) -> xr.Dataset:
    return xr.Dataset({"predictions": (("run", "clip"), predictions_RxN)}).assign_attrs(
        training_seconds=training_seconds, seconds_per_clip=seconds_per_clip, parameters=parameters
    )


def _siamese_cost(plan: Plan, head: str, n_reference: int) -> tuple[int, float]:
    """Parameters, and seconds to classify a clip by `n_reference` labelled ones; neither depends on their values."""
    spec, dataset, x = plan.spec(head), plan.target, plan.target.table.features
    params = siamese.init(spec.network, jax.random.key(0), x.shape[1])
    rows = np.resize(np.arange(len(dataset)), n_reference)
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
    return sum(leaf.size for leaf in jax.tree.leaves(params)), seconds / len(dataset)


def _classifier(plan: Plan, system: System, folds: Sequence[Split], progress: Bars) -> xr.Dataset:
    n_clips = len(plan.target)
    if system.in_domain:
        tasks = list(baselines.in_domain_tasks(plan, system.scope, folds)[0])
    else:
        tasks = [(np.arange(n_clips), baselines.source_task(plan, system.scope))]
    advance = progress.start(system.title, len(tasks))
    predictions = np.zeros(n_clips, np.int8)
    times, sizes = [], []
    for rows, task in tasks:
        model: Any = baselines.CLASSIFIERS[system.method](plan.experiment.protocol.logistic_c)
        start = time.perf_counter()
        model.fit(task.x.astype(np.float64), task.label, sample_weight=task.weight)
        fitted = time.perf_counter()
        predictions[rows] = model.predict(task.query.astype(np.float64))
        times.append((fitted - start, time.perf_counter() - fitted))
        sizes.append(_n_parameters(model))
        advance(1)
    fit, classified = np.sum(times, axis=0).tolist()
    n_classified = sum(len(rows) for rows, _ in tasks)
    return _arrays(predictions[None], fit, classified / n_classified, int(np.mean(sizes)))


def _n_parameters(model: Any) -> int:
    """Numbers that a fitted classifier keeps: weights, or support vectors with theirs."""
    names = ("support_vectors_", "dual_coef_") if hasattr(model, "support_vectors_") else ("coef_",)
    return sum(np.asarray(getattr(model, name)).size for name in (*names, "intercept_"))

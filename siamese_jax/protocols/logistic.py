"""The logistic regression baseline in JAX: all draws and folds at once, each fitted to its minimum."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.folds import Split
from siamese_jax.features.scaling import over_rows
from siamese_jax.models import logistic_regression as lr
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.models.logistic_regression import LabelledClips, Settings
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import Clips
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.progress import OnDone
from siamese_jax.runtime.vectorize import TrialProgram, chunk_size

TOLERANCE = 2e-5  # share of the objective; it is then within 1e-4 of the minimum on encoder features at C = 1
MAX_ITERATIONS = 1000


def predictions(
    plan: Plan, scope: str, parts: Sequence[str], splits: Sequence[Split], on_done: OnDone
) -> dict[str, np.ndarray]:
    """Returns the classes of the target's clips, int8, by part: as `protocols.baselines.run` stores them."""
    settings = _settings(plan)
    n_classes = len(plan.experiment.data.emotions)
    out = {}
    if "loso" in parts:
        out["loso"] = _in_domain(plan, scope, splits, settings, n_classes, on_done)
    source = source_fit(plan, scope) if {"source_only", "few_shot"} & set(parts) else None
    if source and "source_only" in parts:
        ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
        query = lr.with_ones(np.asarray(plan.target_clips(ood_scope).x @ source.basis, np.float32))
        out["source_only"] = np.argmax(source.coefficients @ query.T, axis=0).astype(np.int8)
        on_done(1)
    if "few_shot" in parts:
        draws = (FewShot(plan, scope, of_source) for of_source in (None, source))
        n_speakers = plan.experiment.protocol.n_speakers
        out["few_shot"] = np.stack([np.stack([few.fits(k, on_done).classes for k in n_speakers]) for few in draws])
    return out


def _settings(plan: Plan) -> Settings:
    return Settings(plan.experiment.protocol.logistic_c, TOLERANCE, MAX_ITERATIONS)


class FewShotFit(NamedTuple):
    """The classes [Q] int8 of all target clips, the objective reached, and the number of iterations."""

    classes: Array
    objective: Array
    iterations: Array


def few_shot_trial(
    rows: Array, shift: Array, scale: Array, source: LabelledClips, basis: Array, start: Array, target: Clips,
    settings: Settings,
) -> FewShotFit:  # fmt: skip
    """Returns the fit on the source and the target clips at `rows` [M], see `few_shot_fit`.

    Args:
      shift, scale: of the target's features [F] in this draw.
    """
    x_MxF = (target.x[rows] - shift[None]) / scale[None]
    scorer, fit = few_shot_fit(x_MxF, target.label[rows], source, basis, start, settings)
    weights_CxF = scorer.weights[0] / scale[None]
    intercept_C = scorer.intercepts[0] - jnp.sum(shift[None] * weights_CxF, axis=1)
    logits_CxQ = jnp.matmul(weights_CxF, target.x.T, precision="highest") + intercept_C[:, None]
    return FewShotFit(jnp.argmax(logits_CxQ, axis=0).astype(jnp.int8), fit.objective, fit.iterations)


def few_shot_fit(
    x_MxF: Array, label_M: Array, source: LabelledClips, basis: Array, start: Array, settings: Settings
) -> tuple[LinearScorer, lr.Fit]:
    """Returns the logistic regression on source and labelled target clips, as a scorer of one member.

    The source clips and the labelled target clips each have half of the total weight, as in `baselines.joint`. Without
    a source every clip has weight 1.

    Args:
      source: clips in coordinates of `basis` [F, R], with ones, and weights of mean 1. N and R are 0 without a source.
      start: coefficients [C, 1 + R] of the fit on the source alone.
    """
    n_source, n_own = len(source.label), len(label_M)
    coordinates, span = lr.own_coordinates(x_MxF, basis)
    total, halves = n_source + n_own, 2 if n_source else 1
    own = LabelledClips(lr.with_ones(coordinates), label_M, jnp.full(n_own, total / (halves * n_own), jnp.float32))
    source = source._replace(weight=source.weight * (total / (2 * max(n_source, 1))))
    start_CxP = jnp.pad(start, ((0, 0), (0, own.x.shape[1] - start.shape[1])))
    fit = lr.fit(source, own, start_CxP, settings)
    weights_CxF = lr.feature_weights(fit.coefficients, basis, span)
    return LinearScorer(weights_CxF[None], fit.coefficients[None, :, 0]), fit


def fold_trial(weight: Array, clips: LabelledClips, query: Array, start: Array, settings: Settings) -> jax.Array:
    """Returns the classes [Q] int8 of query clips by a fit on clips with weights [N]; both sets are in coordinates."""
    coefficients = lr.fit(clips._replace(weight=weight), _no_clips(clips), start, settings).coefficients
    return jnp.argmax(jnp.matmul(coefficients, query.T, precision="highest"), axis=0).astype(jnp.int8)


class SourceFit(NamedTuple):
    """The source clips in coordinates of `basis` [F, R], with ones, each corpus with its share of the weight N; and
    their coefficients [C, 1 + R]."""

    clips: LabelledClips
    basis: np.ndarray
    coefficients: np.ndarray


def source_fit(plan: Plan, scope: str) -> SourceFit:
    """Returns the fit on the source alone: the classifier of the out-of-domain part, and the start of every draw."""
    clips = plan.source_clips(scope)
    return fit_source(
        LabelledClips(clips.x, clips.label, plan.source.clip_weight),
        len(plan.experiment.data.emotions), plan.experiment.protocol.logistic_c,
    )  # fmt: skip


def fit_source(clips: LabelledClips, n_classes: int, c: float) -> SourceFit:
    """Returns the fit on source clips with original features [N, F] and weights of mean 1."""
    in_basis, basis = _in_basis(Clips(clips.x, clips.label, clips.label))
    in_basis = in_basis._replace(weight=np.asarray(clips.weight, np.float32))
    zeros = np.zeros((n_classes, in_basis.x.shape[1]), np.float32)
    fit = jax.jit(lr.fit)(in_basis, _no_clips(in_basis), zeros, Settings(c, TOLERANCE, MAX_ITERATIONS))
    return SourceFit(in_basis, basis, np.asarray(fit.coefficients))


class FewShot:
    """The fits of all draws under a scaling scope, on labelled target clips with or without (None) the source."""

    def __init__(self, plan: Plan, scope: str, source: SourceFit | None):
        self._plan, self._scope, self._target = plan, scope, plan.target_clips(scope)
        self._settings = _settings(plan)
        self._programs: dict[int, TrialProgram] = {}
        if source is None:
            none = LabelledClips(np.zeros((0, 1), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32))
            basis = np.zeros((self._target.x.shape[1], 0), np.float32)
            source = SourceFit(none, basis, np.zeros((len(plan.experiment.data.emotions), 1), np.float32))
        self._source = source

    def fits(self, n_speakers: int, on_done: OnDone | None = None) -> FewShotFit:
        """Returns the fits of the plan's draws of `n_speakers`; the fields are [draws, ...]."""
        rows = self._plan.draws.support(n_speakers)
        scaling = self._plan.support_scaling(self._target, self._scope, n_speakers)
        if n_speakers not in self._programs:
            n_classes = len(self._source.coefficients)
            n_clips = len(self._source.clips.label) + len(self._target.label)
            floats = _floats(rows.shape[1], self._target.x.shape[1], n_clips, n_classes)
            chunk = chunk_size(len(rows), floats)
            self._programs[n_speakers] = TrialProgram(few_shot_trial, (0, 0, 0, *[None] * 5), chunk, own_loops=True)
        shared = (*self._source, self._target, self._settings)
        return self._programs[n_speakers](rows, scaling.shift, scaling.scale, *shared, on_chunk=on_done)


def _in_domain(
    plan: Plan, scope: str, splits: Sequence[Split], settings: Settings, n_classes: int, on_done: OnDone
) -> np.ndarray:
    """Returns the classes [N] of the target's clips, each by the fit of the split that tests it; 0 if no split does."""
    scope = scaling_scopes.IN_DOMAIN_SCOPE[scope]
    target = plan.target_clips(scope)
    splits = [(train, test) for train, test in splits if len(test)]
    pooled = np.zeros(len(target.label), np.int8)
    if scope != "train":
        clips, _ = _in_basis(target)
        weights = np.stack([np.isin(np.arange(len(pooled)), train) for train, _ in splits]).astype(np.float32)
        classes = _folds(weights, clips, clips.x, settings, n_classes, on_done)
        for (_, test), classes_N in zip(splits, classes):
            pooled[test] = classes_N[test]
        return pooled
    # Each split has its own scale and coordinates, so splits run one after the other, padded to one shape.
    n_train, n_test = max(len(train) for train, _ in splits), max(len(test) for _, test in splits)
    program = jax.jit(fold_trial)
    n_columns = 1 + min(n_train, target.x.shape[1])
    start = np.zeros((n_classes, n_columns), np.float32)
    for train, test in splits:
        scaling = over_rows(target.x, [train], 0)
        x = (target.x - scaling.shift) / scaling.scale
        clips, basis = _in_basis(Clips(x[train], target.label[train], target.speaker[train]))
        query = _padded(lr.with_ones(np.asarray(x[test] @ basis, np.float32)), (n_test, n_columns))
        padded = LabelledClips(
            _padded(clips.x, (n_train, n_columns)), _padded(clips.label, (n_train,)), _padded(clips.weight, (n_train,))
        )
        pooled[test] = np.asarray(program(padded.weight, padded, query, start, settings))[: len(test)]
        on_done(1)
        interrupt.check()
    return pooled


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array with zeros up to `shape`."""
    return np.pad(array, [(0, most - own) for most, own in zip(shape, array.shape)])


def _folds(
    weights: np.ndarray, clips: LabelledClips, query: np.ndarray, settings: Settings, n_classes: int, on_done: OnDone
) -> np.ndarray:
    """Returns the classes [G, Q] by fits with weights [G, N]."""
    floats = _floats(0, clips.x.shape[1], len(clips.label) + len(query), n_classes)
    program = TrialProgram(
        fold_trial, (0, None, None, None, None), chunk_size(len(weights), floats),
        own_loops=True,
    )  # fmt: skip
    start = np.zeros((n_classes, clips.x.shape[1]), np.float32)
    return program(weights, clips, query, start, settings, on_chunk=on_done)


def _no_clips(clips: LabelledClips) -> LabelledClips:
    return jax.tree.map(lambda column: column[:0], clips)


def _in_basis(clips: Clips) -> tuple[LabelledClips, np.ndarray]:
    """Returns clips of weight 1 in coordinates, with ones, and the basis [F, R]."""
    basis = lr.shared_basis(clips.x)
    x = lr.with_ones(np.asarray(clips.x @ basis, np.float32))
    return LabelledClips(x, np.asarray(clips.label, np.int32), np.ones(len(x), np.float32)), basis


def _floats(n_own: int, n_features: int, n_clips: int, n_classes: int) -> float:
    """Returns the number of floats in a trial: its own clips, the logits of all clips, the vectors of L-BFGS."""
    return 4.0 * n_own * n_features + 8 * n_clips * n_classes + (2 * lr.MEMORY + 6) * n_features * n_classes

"""The metric network as a transfer method: trained on the source once, then on source and labelled target clips.

Inductive. Its form is no linear scorer, so it has a trial of its own beside those of `transfer.methods`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.datasets.draws import ClassIndex, balanced_batch, class_index
from siamese_jax.models import metric
from siamese_jax.models.metric import Perturbation
from siamese_jax.models.siamese import Params
from siamese_jax.protocols.config import MetricNetworkConfig
from siamese_jax.protocols.transfer.methods import Sources
from siamese_jax.protocols.trials import Clips
from siamese_jax.training import metric as training
from siamese_jax.training.metric import Batch, TrainingSettings

NAME = "metric_network"


class SourceClips(NamedTuple):
    """The source: features [N, R] in coordinates of a basis, classes [N], weights [N] of mean 1, rows by class."""

    x: Array
    label: Array
    weight: Array
    by_class: ClassIndex


class Components(NamedTuple):
    """Principal components of the source: directions [F, R], and their variances within classes [R]."""

    directions: np.ndarray
    variances: np.ndarray


class Shared(NamedTuple):
    """What draws share: a basis [F, R], the source, and the members' parameters [E, ...] after training on it."""

    basis: Array
    source: SourceClips
    params: Params


def source_components(sources: Sources, most: int) -> Components:
    """Returns at most `most` components of the source clips, without those of variance 0."""
    x_NxF, label_N, weight_N = sources.clips()
    x_NxF, share_Nx1 = x_NxF.astype(np.float64), (weight_N / len(weight_N))[:, None]
    root_NxF = np.sqrt(share_Nx1) * (x_NxF - np.sum(share_Nx1 * x_NxF, axis=0))
    _, length_R, rows_RxF = np.linalg.svd(root_NxF, full_matrices=False)
    rows_RxF = rows_RxF[: min(most, int(np.sum(length_R > 1e-6 * length_R[0])))]
    x_NxR = x_NxF @ rows_RxF.T
    for c in np.unique(label_N):
        of_class = label_N == c
        x_NxR[of_class] -= np.average(x_NxR[of_class], axis=0, weights=weight_N[of_class])
    variances_R = np.sum(share_Nx1 * np.square(x_NxR), axis=0)
    return Components(rows_RxF.T.astype(np.float32), variances_R.astype(np.float32))


def source_clips(sources: Sources, n_classes: int) -> SourceClips:
    """Returns the source clips in their own features [N, F]. The clips of several corpora have the corpora's weights
    in the prototypes; batches draw from the clips of a class alike."""
    x_NxF, label_N, weight_N = sources.clips()
    return SourceClips(x_NxF, label_N, weight_N, class_index(label_N, n_classes, np.ones(len(label_N), bool)))


def prepare(settings: MetricNetworkConfig, components: Components, source: SourceClips, key: jax.Array) -> Shared:
    """Returns what draws share; `key` is split over the members.

    A component is divided by its standard deviation within classes, after the variances are shrunk to their mean.
    """
    mean = jnp.mean(components.variances)
    variance_R = components.variances + settings.component_shrinkage * (mean - components.variances)
    basis_FxR = components.directions * jax.lax.rsqrt(variance_R)[None]
    source = source._replace(x=jnp.matmul(source.x, basis_FxR, precision="highest"))
    of_member = functools.partial(_source_member, settings, source)
    return Shared(basis_FxR, source, jax.vmap(of_member)(jax.random.split(key, settings.members)))


class Tuned(NamedTuple):
    """After source and labelled target clips: the members' parameters [E, ...] and class prototypes [E, C, D]."""

    params: Params
    prototypes: Array


def trial(
    settings: MetricNetworkConfig, key: jax.Array, rows_M: Array, shift_F: Array, scale_F: Array, target: Clips,
    shared: Shared,
) -> jax.Array:  # fmt: skip
    """Returns log-probabilities [N, C] of the target's clips by networks trained on those at `rows_M` too."""
    x_NxR = jnp.matmul((target.x - shift_F[None]) / scale_F[None], shared.basis, precision="highest")
    return log_probabilities(settings, tuned(settings, key, x_NxR[rows_M], target.label[rows_M], shared), x_NxR)


def tuned(settings: MetricNetworkConfig, key: jax.Array, x_MxR: Array, label_M: Array, shared: Shared) -> Tuned:
    """Returns the networks trained on source and labelled target clips; `key` is split over the members."""

    def member(params: Params, key: jax.Array) -> Tuned:
        params = joint_training(settings, params, key, shared.source, x_MxR, label_M)
        return Tuned(params, _prototypes(settings, params, shared.source, x_MxR, label_M))

    return jax.vmap(member)(shared.params, jax.random.split(key, settings.members))


def log_probabilities(settings: MetricNetworkConfig, tuned: Tuned, x_NxR: Array) -> jax.Array:
    """Returns log-probabilities [N, C]: the members' log-probabilities averaged, and normalised again."""

    def member(params: Params, prototype_CxD: Array) -> jax.Array:
        return metric.class_log_probabilities(metric.embed(params, x_NxR), prototype_CxD, settings.score_temperature)

    return jax.nn.log_softmax(jnp.mean(jax.vmap(member)(*tuned), axis=0))


def joint_training(
    settings: MetricNetworkConfig, params: Params, key: jax.Array, source: SourceClips, x_MxR: Array, label_M: Array
) -> Params:
    """Returns a member's parameters after training on source and labelled target clips; consumes `key`.

    A batch is a draw of the source and all labelled target clips, which have half of the weight as anchors each, as in
    the logistic regression.
    """
    n_own, n_source = len(label_M), settings.source_batch
    own_M = len(source.label) + jnp.arange(n_own)
    weight_B = jnp.concatenate([jnp.full(n_source, 1 / n_source), jnp.full(n_own, 1 / n_own)])

    def batch(key: jax.Array) -> Batch:
        drawn = _source_batch(source, key, n_source)
        x_BxR, label_B = jnp.concatenate([drawn.x, x_MxR]), jnp.concatenate([drawn.label, label_M])
        return Batch(x_BxR, label_B, jnp.concatenate([drawn.clip, own_M]), weight_B)

    return training.train(params, batch, key, settings.joint_steps, _training(settings))


def floats(settings: MetricNetworkConfig, n_clips: int, n_labelled: int, shared: Shared) -> float:
    """Returns the floats of a trial's training and scores, for the size of a chunk."""
    n_params = sum(leaf.size for leaf in jax.tree.leaves(shared.params))
    width = shared.basis.shape[1] + 2 * sum(settings.layer_widths) + 2 * settings.dimensions
    rows = settings.source_batch + n_labelled
    return 4.0 * n_params + settings.members * 3 * rows * (width + rows) + n_clips * shared.basis.shape[1]


def _source_member(settings: MetricNetworkConfig, source: SourceClips, key: jax.Array) -> Params:
    """The key is split, parameters and training."""
    init_key, train_key = jax.random.split(key)
    params = metric.init(init_key, source.x.shape[1], settings.layer_widths, settings.dimensions)
    batch = functools.partial(_source_batch, source, size=settings.source_batch)
    return training.train(params, batch, train_key, settings.pretraining_steps, _training(settings))


def _source_batch(source: SourceClips, key: jax.Array, size: int) -> Batch:
    rows_B = balanced_batch(key, source.by_class, size)
    return Batch(source.x[rows_B], source.label[rows_B], rows_B, jnp.ones(size))


def _training(settings: MetricNetworkConfig) -> TrainingSettings:
    perturbation = Perturbation(settings.noise, settings.dropout)
    return TrainingSettings(settings.contrastive_rate, settings.contrastive_temperature, perturbation)


def _prototypes(
    settings: MetricNetworkConfig, params: Params, source: SourceClips, x_MxR: Array, label_M: Array
) -> jax.Array:
    """Prototypes [C, D], in which the source counts for `prototype_source_clips` clips of its class."""
    n_classes = len(source.by_class.counts)
    source_SxC = source.weight[:, None] * jax.nn.one_hot(source.label, n_classes)
    source_SxC = source_SxC * (settings.prototype_source_clips / jnp.sum(source_SxC, axis=0))[None]
    weight_BxC = jnp.concatenate([source_SxC, jax.nn.one_hot(label_M, n_classes)])
    emb_BxD = jnp.concatenate([metric.embed(params, source.x), metric.embed(params, x_MxR)])
    return metric.prototypes(emb_BxD, weight_BxC)

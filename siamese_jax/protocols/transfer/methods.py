"""The inductive methods: each fits a linear scorer to source clips and labelled target clips.

A method prepares once for a source what all draws share, on the host, and then is a pure function of the labelled
clips, to be mapped over draws.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.errors import InputError
from siamese_jax.models import discriminant
from siamese_jax.models import logistic_regression as lr
from siamese_jax.models.discriminant import SourceMoments, Whitening
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.models.logistic_regression import LabelledClips
from siamese_jax.protocols import logistic
from siamese_jax.protocols.transfer.settings import TransferSettings


@dataclasses.dataclass(frozen=True)
class Sources:
    """The source corpora, each scaled by itself: features [N, F] and labels [N] of each, and the corpora's weights.

    There may be none. `layers` holds the columns of each layer of a speech encoder; () for other features.
    """

    corpora: tuple[tuple[np.ndarray, np.ndarray], ...]
    weights: tuple[float, ...]
    n_features: int
    layers: tuple[np.ndarray, ...] = ()

    def of(self, columns: np.ndarray) -> "Sources":
        """Returns the sources with these columns [K] alone."""
        corpora = tuple((np.ascontiguousarray(x[:, columns]), label) for x, label in self.corpora)
        return Sources(corpora, self.weights, len(columns))

    def clips(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns features [N, F], labels [N] and weights [N] of all clips; the weights add up to N."""
        if not self.corpora:
            return np.zeros((0, self.n_features), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)
        x_NxF, label_N = (np.concatenate(arrays) for arrays in zip(*self.corpora))
        parts = np.asarray(self.weights, np.float64) / np.sum(self.weights)
        each = [np.full(len(label), part / len(label)) for (_, label), part in zip(self.corpora, parts)]
        return (
            x_NxF.astype(np.float32),
            label_N.astype(np.int32),
            (len(x_NxF) * np.concatenate(each)).astype(np.float32),
        )


class Method(NamedTuple):
    """Returns of `prepare(sources, n_classes, n_labelled, settings)`: what all draws share. Of `fit(shared, x [M, F],
    label [M])`: the scorer, as a pure function."""

    prepare: Callable[[Sources, int, int, TransferSettings], Any]
    fit: Callable[[Any, Array, Array], LinearScorer]


class LogisticShared(NamedTuple):
    """The source clips in coordinates of a basis [F, R], the coefficients of their fit, and C."""

    clips: LabelledClips
    basis: np.ndarray
    start: np.ndarray
    c: np.float32


def prepare_logistic_regression(
    sources: Sources, n_classes: int, n_labelled: int, settings: TransferSettings
) -> LogisticShared:
    """Returns what fits share; the source's fit is their start."""
    x_NxF, label_N, weight_N = sources.clips()
    c = np.float32(settings.c)
    if not len(label_N):
        none = LabelledClips(np.zeros((0, 1), np.float32), label_N, weight_N)
        return LogisticShared(
            none, np.zeros((sources.n_features, 0), np.float32), np.zeros((n_classes, 1), np.float32), c
        )
    source = logistic.fit_source(LabelledClips(x_NxF, label_N, weight_N), n_classes, settings.c)
    return LogisticShared(*source, c)


def fit_logistic_regression(shared: LogisticShared, x_MxF: Array, label_M: Array) -> LinearScorer:
    """Returns the logistic regression on source and labelled target clips, half of the weight each."""
    settings = lr.Settings(shared.c, logistic.TOLERANCE, logistic.MAX_ITERATIONS)
    return logistic.few_shot_fit(x_MxF, label_M, shared.clips, shared.basis, shared.start, settings)[0]


class LayerShared(NamedTuple):
    """What the logistic regression of each layer shares, and the layer's columns [K]."""

    layers: tuple[LogisticShared, ...]
    columns: tuple[np.ndarray, ...]


def prepare_layer_ensemble(
    sources: Sources, n_classes: int, n_labelled: int, settings: TransferSettings
) -> LayerShared:
    """Returns what fits share. Raises InputError for features without layers."""
    if not sources.layers:
        raise InputError(
            "the method layer_ensemble needs the features of a speech encoder, in columns named by layer; give "
            "--config.data.features=whisper, or take it out of config.transfer.methods"
        )
    layers = (prepare_logistic_regression(sources.of(of), n_classes, n_labelled, settings) for of in sources.layers)
    return LayerShared(tuple(layers), sources.layers)


def fit_layer_ensemble(shared: LayerShared, x_MxF: Array, label_M: Array) -> LinearScorer:
    """Returns one logistic regression a layer."""
    weights, intercepts = [], []
    for layer, columns in zip(shared.layers, shared.columns):
        member = fit_logistic_regression(layer, x_MxF[:, columns], label_M)
        zeros_CxF = jnp.zeros((len(layer.start), x_MxF.shape[1]), x_MxF.dtype)
        weights.append(zeros_CxF.at[:, columns].set(member.weights[0]))
        intercepts.append(member.intercepts[0])
    return LinearScorer(jnp.stack(weights), jnp.stack(intercepts))


class DiscriminantShared(NamedTuple):
    """The source's moments, their whitening, and settings of the fit."""

    means: np.ndarray
    present: np.ndarray
    whitening: Whitening
    source_clips: np.float32
    temperature: np.float32


def prepare_adapted_discriminant(
    sources: Sources, n_classes: int, n_labelled: int, settings: TransferSettings
) -> DiscriminantShared:
    """Returns what fits share."""
    own = settings.discriminant
    moments = source_moments(sources, n_classes)
    whitening = discriminant.adapted_whitening(moments, own.covariance_clips, n_labelled, own.shrinkage)
    scalars = np.float32(own.source_clips), np.float32(own.temperature)
    return DiscriminantShared(moments.means, moments.present, whitening, *scalars)


def source_moments(sources: Sources, n_classes: int) -> SourceMoments:
    """Returns the moments of the sources; without a source all classes are absent, with unit covariance."""
    if not sources.corpora:
        zeros = np.zeros((n_classes, sources.n_features), np.float32)
        return SourceMoments(zeros, zeros[:, 0], np.eye(sources.n_features, dtype=np.float32))
    return discriminant.source_moments(sources.corpora, sources.weights, n_classes)


def fit_adapted_discriminant(shared: DiscriminantShared, x_MxF: Array, label_M: Array) -> LinearScorer:
    """Returns the source's discriminant, adapted to the labelled target clips."""
    return discriminant.adapted(
        shared.means, shared.present, shared.whitening, x_MxF, label_M, shared.source_clips, shared.temperature
    )


METHODS: dict[str, Method] = {
    "logistic_regression": Method(prepare_logistic_regression, fit_logistic_regression),
    "layer_ensemble": Method(prepare_layer_ensemble, fit_layer_ensemble),
    "adapted_discriminant": Method(prepare_adapted_discriminant, fit_adapted_discriminant),
}
"""By name, as in `config.transfer.methods`."""


def check_classes(sources: Sources, label_M: np.ndarray, names: Sequence[str]) -> None:
    """Raises InputError for a class without a labelled clip in source and target."""
    labels = [label_M, *(label for _, label in sources.corpora)]
    present = set(np.unique(np.concatenate(labels)).tolist())
    if missing := [name for c, name in enumerate(names) if c not in present]:
        raise InputError(
            f"no clip of {missing[0]!r} is labelled, neither in the source nor in the target; label one, or leave out "
            "this class"
        )


def check_source_classes(sources: Sources, names: Sequence[str]) -> None:
    """Raises InputError for a class without a source clip."""
    present = {int(c) for _, label in sources.corpora for c in np.unique(label)}
    if missing := [name for c, name in enumerate(names) if c not in present]:
        raise InputError(
            f"the source has no clip of {missing[0]!r}; the method metric_network needs clips of every class: give "
            "another source, or take it out of config.transfer.methods"
        )

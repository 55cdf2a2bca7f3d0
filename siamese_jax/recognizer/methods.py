"""The transfer methods on one set of labelled clips, with or without a source, and their scores in float64."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from siamese_jax.errors import InputError
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.models.siamese import Params
from siamese_jax.protocols.config import ADAPTATIONS as ADAPTATIONS
from siamese_jax.protocols.config import METHODS as METHODS
from siamese_jax.protocols.transfer import adaptations, balance
from siamese_jax.protocols.transfer import methods as linear
from siamese_jax.protocols.transfer.adaptations import Balance
from siamese_jax.protocols.transfer.methods import Sources, check_classes
from siamese_jax.protocols.transfer.settings import (
    BalanceSettings,
    DiscriminantSettings,
    SelfTrainingSettings,
    TransferSettings,
)
from siamese_jax.recognizer import networks
from siamese_jax.recognizer.network_settings import NetworkSettings
from siamese_jax.recognizer.networks import NetworkScorer

SETTINGS = TransferSettings(
    c=0.01,
    discriminant=DiscriminantSettings(source_clips=10, covariance_clips=100, shrinkage=0.3, temperature=1.0),
    balance=BalanceSettings(within="speaker", strength=0.3),
    self_training=SelfTrainingSettings(
        rounds=2, source_clips=10, unlabelled_clips=20, covariance_clips=100, target_covariance_clips=100,
        shrinkage=0.3, temperature=1.0,
    ),
)  # fmt: skip
"""The settings of a recogniser; a model's config.json records them. Those of networks are in `network_settings`."""

Scorer = LinearScorer | NetworkScorer

TOLERANCE = 1e-5  # of the gradient's largest element
MAX_ITERATIONS = 5000

GROUPS = 64
"""Groups whose class proportions are balanced at once; more need more memory."""


class Labelled(NamedTuple):
    """Clips [N, F] float32, standardised, and their classes [N] int."""

    x: np.ndarray
    label: np.ndarray


def fitted(
    method: str, sources: Sequence[Labelled], target: Labelled, layers: tuple[np.ndarray, ...], n_classes: int,
    settings: TransferSettings, network: NetworkSettings | None = None, start: Params | None = None,
) -> Scorer:  # fmt: skip
    """Returns the scorer of a method of the protocols on one set of clips; the sources weigh the same.

    The target or the sources may be missing, but not for a network, which has settings `network` and may start from
    `started`. Raises InputError for a class without a clip, and for a method that needs layers where there are none.
    """
    corpora = _sources(sources, target.x.shape[1], layers)
    check_classes(corpora, target.label, [str(c) for c in range(n_classes)])
    if network is not None:
        return networks.fitted(corpora, target.x, target.label, n_classes, network, start)
    if method == "adapted_discriminant":
        return _discriminant(corpora, target.x, target.label, n_classes, settings)
    if method == "layer_ensemble" and not layers:
        raise InputError("the method layer_ensemble needs the columns of each layer; give `layers`, or another method")
    columns = layers if method == "layer_ensemble" else (np.arange(target.x.shape[1]),)
    members = [
        _logistic_regression(corpora.of(of), target.x[:, of], target.label, n_classes, settings.c) for of in columns
    ]
    weights = np.zeros((len(members), n_classes, target.x.shape[1]), np.float32)
    for e, (of, member) in enumerate(zip(columns, members)):
        weights[e][:, of] = member.weights[0]
    return LinearScorer(weights, np.concatenate([member.intercepts for member in members]))


def started(sources: Sequence[Labelled], n_classes: int, network: NetworkSettings) -> Params:
    """Returns what a network learns from the sources alone, see `networks.started`."""
    return networks.started(_sources(sources, sources[0].x.shape[1], ()), n_classes, network)


def _sources(sources: Sequence[Labelled], n_features: int, layers: tuple[np.ndarray, ...]) -> Sources:
    corpora = tuple((clips.x, clips.label.astype(np.int32)) for clips in sources if len(clips.label))
    return Sources(corpora, (1.0,) * len(corpora), n_features, layers)


def _discriminant(
    sources: Sources, x_MxF: np.ndarray, label_M: np.ndarray, n_classes: int, settings: TransferSettings
) -> LinearScorer:
    method = linear.METHODS["adapted_discriminant"]
    shared = method.prepare(sources, n_classes, max(len(label_M), 1), settings)
    if not len(label_M):
        # One clip at the mean of its class moves no mean.
        x_MxF, label_M = shared.means[:1], np.zeros(1)
    return LinearScorer(*map(np.asarray, method.fit(shared, x_MxF, label_M.astype(np.int32))))


def _logistic_regression(
    sources: Sources, x_MxF: np.ndarray, label_M: np.ndarray, n_classes: int, c: float
) -> LinearScorer:
    """Returns the protocols' `few_shot_fit` by scikit-learn, which compiles nothing for each number of clips."""
    from sklearn.linear_model import LogisticRegression

    source_NxF, source_label_N, weight_N = sources.clips()
    n_source, n_own = len(source_label_N), len(label_M)
    parts = bool(n_source) + bool(n_own)
    weight = np.concatenate([
        weight_N * ((n_source + n_own) / (parts * max(n_source, 1))),
        np.full(n_own, (n_source + n_own) / (parts * max(n_own, 1))),
    ])  # fmt: skip
    x = np.concatenate([source_NxF, x_MxF]).astype(np.float64)
    basis = np.linalg.qr(x.T)[0] if len(x) < x.shape[1] else np.eye(x.shape[1])
    # With two classes scikit-learn penalises the difference of the rows, of which each has half.
    binary = n_classes == 2
    model = LogisticRegression(C=2 * c if binary else c, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    model.fit(x @ basis, np.concatenate([source_label_N, label_M]), sample_weight=weight)
    coefficients, intercepts = model.coef_ @ basis.T, model.intercept_
    if binary:
        coefficients, intercepts = (np.concatenate([-half, half]) / 2 for half in (coefficients, intercepts))
    return LinearScorer(coefficients[None].astype(np.float32), intercepts[None].astype(np.float32))


def log_probabilities(scorer: Scorer, x_QxF: np.ndarray) -> np.ndarray:
    """Returns `models.linear_scorer.log_probabilities` [Q, C] in float64, or a network's.

    A clip's do not depend on the others.
    """
    if isinstance(scorer, NetworkScorer):
        return networks.log_probabilities(scorer, x_QxF)
    x = x_QxF.astype(np.float64)
    members = [
        log_softmax(x @ weights.T.astype(np.float64) + intercepts, axis=1)
        for weights, intercepts in zip(scorer.weights, scorer.intercepts)
    ]
    return log_softmax(np.mean(members, axis=0), axis=1)


def adapted(
    adaptation: str, log_p_NxC: np.ndarray, sources: Sequence[Labelled], x_NxF: np.ndarray, label_M: np.ndarray,
    group_Q: np.ndarray, settings: TransferSettings,
) -> np.ndarray:  # fmt: skip
    """Returns log-probabilities [N, C] adapted to the unlabelled clips; the first M clips are the labelled ones.

    Class proportions are uniform within each group of the Q unlabelled clips, 0 to G-1.
    """
    if adaptation == "none":
        return log_p_NxC
    n_classes, n_labelled = log_p_NxC.shape[1], len(label_M)
    even_C = np.full(n_classes, 1 / n_classes, np.float32)
    if adaptation == "balanced":
        unlabelled_QxC = _balanced(log_p_NxC[n_labelled:], group_Q, even_C, settings.balance.strength)
        return np.concatenate([log_p_NxC[:n_labelled], unlabelled_QxC])
    group_N = np.concatenate([np.full(n_labelled, -1), group_Q])
    given = Balance(_members(group_N, group_Q.max() + 1), even_C, settings.balance.strength)
    log_p, rows = jnp.asarray(log_p_NxC, jnp.float32), np.arange(n_labelled)
    corpora, own = _sources(sources, x_NxF.shape[1], ()), settings.self_training
    target = adaptations.target_whitening(corpora, x_NxF, n_classes, own)
    labels = jnp.asarray(label_M)
    adapted_NxC = adaptations.self_trained_trial(log_p, rows, labels, given, target, adaptations.scalars(own))
    return np.asarray(adapted_NxC, np.float64)


def _balanced(log_p_QxC: np.ndarray, group_Q: np.ndarray, even_C: np.ndarray, strength: float) -> np.ndarray:
    """Returns balanced log-probabilities [Q, C]; a few groups at once, of sizes that few programs serve."""
    balanced_QxC = np.array(log_p_QxC, np.float64)
    for first in range(0, group_Q.max(initial=-1) + 1, GROUPS):
        rows = np.flatnonzero((group_Q >= first) & (group_Q < first + GROUPS))
        n_rows = _padded(len(rows))
        log_p, group = np.zeros((n_rows, log_p_QxC.shape[1]), np.float32), np.full(n_rows, -1)
        log_p[: len(rows)], group[: len(rows)] = log_p_QxC[rows], group_Q[rows] - first
        members = _members(group, _padded(group.max() + 1))
        balanced_QxC[rows] = _BALANCED(log_p, members, even_C, np.float32(strength))[: len(rows)]
    return balanced_QxC


def _members(group_N: np.ndarray, n_groups: int) -> np.ndarray:
    """Returns [N, G] float32, 1 where a clip is in a group; a clip of group -1 is in none."""
    return (group_N[:, None] == np.arange(n_groups)).astype(np.float32)


def _padded(n: int) -> int:
    return 1 << max(int(n) - 1, 0).bit_length()


_BALANCED = jax.jit(balance.balanced)

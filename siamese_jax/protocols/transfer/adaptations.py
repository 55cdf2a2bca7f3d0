"""The transductive adaptations of a method's log-probabilities to the unlabelled clips of the target."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.models import discriminant
from siamese_jax.models.discriminant import Unlabelled, Whitening
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.protocols.transfer.balance import balanced
from siamese_jax.protocols.transfer.methods import Sources, source_moments
from siamese_jax.protocols.transfer.settings import TransferSettings

ADAPTATIONS = ("none", "balanced", "self_trained")
"""Of `config.transfer.adaptations`: the method as it is (inductive); class proportions balanced; and the discriminant
trained on the balanced pseudo-labels (both transductive)."""


class Transduction(NamedTuple):
    """What the draws of an adaptation share.

    Fields:
      groups: [N, G], 1 where a clip of the target counts for a group.
      proportions: [C], of the classes in each group.
      whitening, clips: of `discriminant.target_whitening`.
      present: [C], the source's classes.
      the rest: of `SelfTrainingSettings` and `BalanceSettings`.
    """

    groups: np.ndarray
    proportions: np.ndarray
    strength: np.float32
    whitening: Whitening
    clips: Unlabelled
    present: np.ndarray
    rounds: np.int32
    source_clips: np.float32
    unlabelled_clips: np.float32
    temperature: np.float32


def prepare(
    sources: Sources, x_NxF: np.ndarray, groups_NxG: np.ndarray, proportions_C: np.ndarray, settings: TransferSettings
) -> Transduction:
    """Returns what draws share, for the target's clips [N, F], standardised, labelled and unlabelled."""
    own, moments = settings.self_training, source_moments(sources, len(proportions_C))
    whitening, clips = discriminant.target_whitening(
        moments, x_NxF, own.covariance_clips, own.target_covariance_clips, own.shrinkage
    )
    return Transduction(
        groups_NxG.astype(np.float32), np.asarray(proportions_C, np.float32), np.float32(settings.balance.strength),
        whitening, clips, moments.present, np.int32(own.rounds), np.float32(own.source_clips),
        np.float32(own.unlabelled_clips), np.float32(own.temperature),
    )  # fmt: skip


def balanced_trial(log_p_NxC: Array, rows_M: Array, shared: Transduction) -> jax.Array:
    """Returns balanced log-probabilities [N, C]; labelled clips, at `rows_M`, count for no group and stay."""
    return balanced(log_p_NxC, jnp.asarray(shared.groups).at[rows_M].set(0), shared.proportions, shared.strength)


def self_trained_trial(log_p_NxC: Array, rows_M: Array, label_M: Array, shared: Transduction) -> jax.Array:
    """Returns the log-probabilities [N, C] of the discriminant trained on balanced pseudo-labels, balanced.

    The first pseudo-labels are those of a method's log-probabilities; each round fits and balances again.
    """
    return _self_train(log_p_NxC, rows_M, label_M, shared)[0]


def self_trained_scorer(
    log_p_NxC: Array, rows_M: Array, label_M: Array, shared: Transduction
) -> tuple[jax.Array, LinearScorer]:
    """Returns as `self_trained_trial`, and the last round's scorer, for clips that come later."""
    return _self_train(log_p_NxC, rows_M, label_M, shared)


def _self_train(
    log_p_NxC: Array, rows_M: Array, label_M: Array, shared: Transduction
) -> tuple[jax.Array, LinearScorer]:
    groups_NxG = jnp.asarray(shared.groups).at[rows_M].set(0)
    n_clips, n_classes = log_p_NxC.shape
    labelled_N = jnp.zeros(n_clips, log_p_NxC.dtype).at[rows_M].set(1)
    truth_NxC = jnp.zeros_like(log_p_NxC).at[rows_M].set(jax.nn.one_hot(label_M, n_classes, dtype=log_p_NxC.dtype))

    def fitted(_: int, state: tuple[jax.Array, LinearScorer]) -> tuple:
        balanced_NxC = balanced(state[0], groups_NxG, shared.proportions, shared.strength)
        responsibility_NxC = jnp.where(labelled_N[:, None] > 0, truth_NxC, jnp.exp(balanced_NxC))
        scorer, log_p = discriminant.self_trained(
            shared.whitening, shared.clips, shared.present, responsibility_NxC, labelled_N, shared.source_clips,
            shared.unlabelled_clips, shared.temperature,
        )  # fmt: skip
        return log_p, scorer

    n_features = len(shared.whitening.transform)
    none = LinearScorer(jnp.zeros((1, n_classes, n_features)), jnp.zeros((1, n_classes)))
    log_p_NxC, scorer = jax.lax.fori_loop(0, shared.rounds, fitted, (log_p_NxC, none))
    return balanced(log_p_NxC, groups_NxG, shared.proportions, shared.strength), scorer

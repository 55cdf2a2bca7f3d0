"""The transductive adaptations of a method's log-probabilities to the unlabelled clips of the target."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.models import discriminant
from siamese_jax.models.discriminant import Unlabelled, Whitening
from siamese_jax.protocols.transfer.balance import balanced
from siamese_jax.protocols.transfer.methods import Sources, source_moments
from siamese_jax.protocols.transfer.settings import SelfTrainingSettings


class Balance(NamedTuple):
    """Of `balance.balanced`: groups [N, G], 1 where a clip counts for a group; class proportions [C]; the strength."""

    groups: Array
    proportions: Array
    strength: Array | float


class TargetWhitening(NamedTuple):
    """Of `discriminant.target_whitening`, and the source's classes [C]."""

    whitening: Whitening
    clips: Unlabelled
    present: np.ndarray


def target_whitening(
    sources: Sources, x_NxF: np.ndarray, n_classes: int, settings: SelfTrainingSettings
) -> TargetWhitening:
    """Returns what all draws share, for the target's clips [N, F], standardised, labelled and unlabelled."""
    moments = source_moments(sources, n_classes)
    whitening, clips = discriminant.target_whitening(
        moments, x_NxF, settings.covariance_clips, settings.target_covariance_clips, settings.shrinkage
    )
    return TargetWhitening(whitening, clips, moments.present)


class SelfTrainingScalars(NamedTuple):
    """The settings that a trial takes as data; see `SelfTrainingSettings`."""

    rounds: np.int32
    source_clips: np.float32
    unlabelled_clips: np.float32
    temperature: np.float32


def scalars(settings: SelfTrainingSettings) -> SelfTrainingScalars:
    """Returns the settings as data, so that one program serves all values."""
    return SelfTrainingScalars(
        np.int32(settings.rounds), np.float32(settings.source_clips), np.float32(settings.unlabelled_clips),
        np.float32(settings.temperature),
    )  # fmt: skip


def balanced_trial(log_p_NxC: Array, rows_M: Array, balance: Balance) -> jax.Array:
    """Returns balanced log-probabilities [N, C]; labelled clips, at `rows_M`, count for no group and stay."""
    return balanced(log_p_NxC, _unlabelled(balance, rows_M), balance.proportions, balance.strength)


def self_trained_trial(
    log_p_NxC: Array, rows_M: Array, label_M: Array, balance: Balance, target: TargetWhitening,
    settings: SelfTrainingScalars,
) -> jax.Array:  # fmt: skip
    """Returns the log-probabilities [N, C] of the discriminant trained on balanced pseudo-labels, balanced.

    The first pseudo-labels are those of a method's log-probabilities; each round balances and fits again.
    """
    groups_NxG, (n_clips, n_classes) = _unlabelled(balance, rows_M), log_p_NxC.shape
    labelled_N = jnp.zeros(n_clips, log_p_NxC.dtype).at[rows_M].set(1)
    truth_NxC = jnp.zeros_like(log_p_NxC).at[rows_M].set(jax.nn.one_hot(label_M, n_classes, dtype=log_p_NxC.dtype))

    def fitted(_: int, log_p_NxC: jax.Array) -> jax.Array:
        balanced_NxC = balanced(log_p_NxC, groups_NxG, balance.proportions, balance.strength)
        responsibility_NxC = jnp.where(labelled_N[:, None] > 0, truth_NxC, jnp.exp(balanced_NxC))
        # The scorer of single clips, which nothing here needs, is dropped from the program.
        return discriminant.self_trained(
            target.whitening, target.clips, target.present, responsibility_NxC, labelled_N, settings.source_clips,
            settings.unlabelled_clips, settings.temperature,
        )[1]  # fmt: skip

    log_p_NxC = jax.lax.fori_loop(0, settings.rounds, fitted, jnp.asarray(log_p_NxC))
    return balanced(log_p_NxC, groups_NxG, balance.proportions, balance.strength)


def _unlabelled(balance: Balance, rows_M: Array) -> jax.Array:
    """Returns the groups without labelled clips."""
    return jnp.asarray(balance.groups).at[rows_M].set(0)

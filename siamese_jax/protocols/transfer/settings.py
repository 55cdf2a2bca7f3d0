"""The settings of the transfer methods."""

import dataclasses
from typing import NamedTuple


class DiscriminantSettings(NamedTuple):
    """Of `models.discriminant`.

    Fields:
      source_clips: target clips of a class that the source's mean counts for.
      covariance_clips: clips that the source's covariance counts for.
      shrinkage: share of the identity in the covariance, in (0, 1].
      temperature: factor of the scores.
    """

    source_clips: float
    covariance_clips: float
    shrinkage: float
    temperature: float


class BalanceSettings(NamedTuple):
    """Of `protocols.transfer.balance`: within "corpus" or "speaker"; the strength from 0 to 1."""

    within: str
    strength: float


class SelfTrainingSettings(NamedTuple):
    """Of `models.discriminant.self_trained`: as in `DiscriminantSettings`, and

    Fields:
      rounds: of pseudo-labels, each followed by a fit.
      unlabelled_clips: clips of a class that its pseudo-labelled ones count for.
      target_covariance_clips: clips that the target's covariance counts for.
    """

    rounds: int
    source_clips: float
    unlabelled_clips: float
    covariance_clips: float
    target_covariance_clips: float
    shrinkage: float
    temperature: float


@dataclasses.dataclass(frozen=True)
class TransferSettings:
    """Of all methods; `c` is scikit-learn's C of the logistic regressions."""

    c: float
    discriminant: DiscriminantSettings
    balance: BalanceSettings
    self_training: SelfTrainingSettings

"""The settings of the transfer methods."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.protocols.config import TransferConfig


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


def of_config(config: TransferConfig, within: str, strength: float, c: float) -> TransferSettings:
    """Returns the settings of a configuration for one balance and one C."""
    return TransferSettings(
        c=c,
        discriminant=DiscriminantSettings(
            config.source_clips, config.covariance_clips, config.shrinkage, config.temperature
        ),
        balance=BalanceSettings(within, strength),
        self_training=SelfTrainingSettings(
            config.rounds, config.own_source_clips, config.unlabelled_clips, config.own_covariance_clips,
            config.target_covariance_clips, config.own_shrinkage, config.own_temperature,
        ),
    )  # fmt: skip


def proportions_of(text: str, classes: Sequence[str], labelled_C: np.ndarray) -> np.ndarray:
    """Returns the class proportions [C] that `text` names: see `protocols.config.TransferConfig`.

    `labelled_C` are the numbers of labelled clips. Raises InputError for proportions that do not sum to 1, an unknown
    or missing class, or a share that is not above 0.
    """
    if text == "uniform":
        return np.full(len(classes), 1 / len(classes))
    if text == "labelled":
        return labelled_C / labelled_C.sum()
    where = f"config.transfer.proportions is {text!r}"
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        if name not in classes:
            raise InputError(
                f"{where}: {name!r} is no class; expected uniform, labelled or a share of each of "
                f"{', '.join(classes)}, such as {','.join(f'{c}={1 / len(classes):.3g}' for c in classes)}"
            )
        if name in shares:
            raise InputError(f"{where}: {name!r} is given twice")
        try:
            shares[name] = float(share)
        except ValueError:
            raise InputError(f"{where}: the share of {name!r} is {share!r}; expected a number such as 0.25") from None
        if not 0 < shares[name] < np.inf:
            raise InputError(f"{where}: the share of {name!r} is {share}; expected a number above 0")
    if missing := [name for name in classes if name not in shares]:
        raise InputError(f"{where}: no share of {missing[0]!r}; give one of each of {', '.join(classes)}")
    total = sum(shares.values())
    if abs(total - 1) > 1e-3:
        raise InputError(f"{where}: the shares add up to {total:g}; expected 1")
    return np.array([shares[name] for name in classes]) / total

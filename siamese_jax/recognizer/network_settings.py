"""The settings of the networks that are methods of a recogniser; a model's config.json records them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from siamese_jax.errors import InputError
from siamese_jax.models.siamese import SiameseSpec
from siamese_jax.protocols.config import MetricNetworkConfig
from siamese_jax.protocols.transfer import metric_network
from siamese_jax.runtime import config_dict
from siamese_jax.training.siamese import SECOND_UPDATES, TrainingSpec

LARGEST_SEED = config_dict.LARGEST_INT


@dataclasses.dataclass(frozen=True)
class SiameseSettings:
    """Of the paper's network.

    Fields:
      network, training, pooling: as in the protocols.
      batch_size: clips of a source batch, rounded down to a multiple of the classes (two a class at least).
      source_steps, fine_tuning_steps: Adam steps on the sources, then on the enrolled clips.
      loss: the update after each cross-entropy step of fine-tuning, of `SECOND_UPDATES`; "none" for none.
      seed: of the initial parameters and the batches.
    """

    network: SiameseSpec
    training: TrainingSpec
    pooling: str
    batch_size: int
    source_steps: int
    fine_tuning_steps: int
    loss: str
    seed: int


@dataclasses.dataclass(frozen=True)
class MetricSettings:
    """Of the protocols' metric network; its `source_batch` is rounded as `SiameseSettings.batch_size`."""

    network: MetricNetworkConfig
    seed: int


NetworkSettings = SiameseSettings | MetricSettings

SETTINGS: dict[str, NetworkSettings] = {
    "siamese": SiameseSettings(
        network=SiameseSpec(widths=(64, 32, 16), head="abs_difference", head_width=16),
        training=TrainingSpec(
            learning_rate=5e-4, second_learning_rate=5e-4, clip_norm=1.0, weighting="balanced", pairs_within="any"
        ),
        pooling="mean_log", batch_size=32, source_steps=1000, fine_tuning_steps=50, loss="none", seed=0,
    ),
    metric_network.NAME: MetricSettings(
        network=MetricNetworkConfig(
            components=64, component_shrinkage=1.0, layer_widths=(64,), dimensions=32, members=4,
            pretraining_steps=1000, joint_steps=100, source_batch=32, contrastive_rate=1e-3,
            contrastive_temperature=0.6, noise=0.7, dropout=0.3, prototype_source_clips=1.0, score_temperature=0.1,
        ),
        seed=0,
    ),
}  # fmt: skip
"""By method. The Siamese network's are the paper's, as in configs/reproduce.py. The metric network's were chosen
without RAVDESS as a target, as in configs/transfer.py."""


def of_method(method: str, loss: str, seed: int) -> NetworkSettings | None:
    """Returns the settings of a method; None for one that is no network.

    Raises InputError for an unknown loss, a loss for a method that has none, and a seed out of range.
    """
    if loss not in SECOND_UPDATES:
        raise InputError(f"loss {loss!r:.80}; expected one of {', '.join(SECOND_UPDATES)}")
    if method != "siamese" and loss != "none":
        raise InputError(f"loss {loss!r} is of the method siamese; give loss='none' for the method {method}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed is {seed!r:.40}; expected a whole number from 0 to {LARGEST_SEED}")
    settings = SETTINGS.get(method)
    if isinstance(settings, SiameseSettings):
        return dataclasses.replace(settings, loss=loss, seed=seed)
    return None if settings is None else dataclasses.replace(settings, seed=seed)


def of_record(method: str, values: Mapping[str, Any] | None) -> NetworkSettings | None:
    """Returns the settings that a config.json records. Raises InputError for settings of another kind."""
    kind = type(SETTINGS[method]) if method in SETTINGS else None
    if (kind is None) != (values is None):
        raise InputError(f"the settings of a network do not belong to the method {method!r:.80}")
    return None if kind is None or values is None else config_dict.record(kind, values, "network", "SETTINGS")


def rounded(batch_size: int, n_classes: int) -> int:
    """Returns the clips of a batch with equally many of each class, two at least."""
    return max(batch_size // n_classes, 2) * n_classes

"""An experiment's plan: its data, draws and keys."""

import dataclasses

import jax
import numpy as np

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import FewShotDraws, few_shot_draws
from siamese_jax.features.scaling import Scaling, identity, over_rows
from siamese_jax.models.siamese import SiameseSpec
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.trials import Clips, ProtocolSpec
from siamese_jax.training.siamese import TrainingSpec


@dataclasses.dataclass(frozen=True)
class Plan:
    """The data, draws and keys that all settings of an experiment share; made from the config alone.

    Draw i starts from source seed i modulo the number of seeds, or from `only_seed` if that is given; trainings start
    from `first_seed`.

    Keys: fold_in(key(seed), 0) for source training, 1 for in-domain training, 2 for the draws; each split per seed.
    """

    experiment: Experiment
    source: Dataset
    target: Dataset
    draws: FewShotDraws
    first_draw: int
    only_seed: int | None = None
    first_seed: int = 0

    @classmethod
    def make(cls, experiment: Experiment, source: Dataset, target: Dataset, first_draw: int = 0) -> "Plan":
        """The plan of n_draws draws from `first_draw` on; a draw is the same in every plan that holds it."""
        key = jax.random.fold_in(jax.random.key(experiment.protocol.seed), 2)
        n_classes = len(experiment.data.emotions)
        draws = few_shot_draws(key, target.label, target.speaker, n_classes, experiment.protocol.n_draws, first_draw)
        return cls(experiment, source, target, draws, first_draw)

    def keys(self, purpose: int, n_seeds: int) -> jax.Array:
        """One key a seed [n_seeds], from the first seed on; a seed's key does not depend on how many there are."""
        key = jax.random.fold_in(jax.random.key(self.experiment.protocol.seed), purpose)
        return jax.random.split(key, self.first_seed + n_seeds)[self.first_seed :]

    @property
    def seed_of_draw(self) -> np.ndarray:
        """The source seed [draws] that each draw starts from."""
        if self.only_seed is not None:
            return np.full(self.experiment.protocol.n_draws, self.only_seed)
        protocol = self.experiment.protocol
        return (self.first_draw + np.arange(protocol.n_draws)) % protocol.n_seeds

    @property
    def n_fine_tunings(self) -> int:
        """The fine-tuning trials on each number of speakers."""
        protocol = self.experiment.protocol
        return len(protocol.losses) * len(protocol.frozen) * protocol.n_draws

    def spec(self, head: str) -> ProtocolSpec:
        """The settings that the trials of one head share."""
        network, training, protocol = self.experiment.network, self.experiment.training, self.experiment.protocol
        return ProtocolSpec(
            network=SiameseSpec(network.encoder_widths, head, network.head_width),
            training=TrainingSpec(
                training.learning_rate, training.second_learning_rate, training.clip_norm, training.pair_weighting,
                training.pairs_within,
            ),
            n_classes=len(self.experiment.data.emotions), batch_size=training.batch_size, pooling=protocol.pooling,
        )  # fmt: skip

    def source_clips(self, scope: str) -> Clips:
        x = scaling_scopes.source_features(self.source, scope, self.experiment.data.scale_floor)
        return Clips(x, self.source.label, self.source.speaker)

    def target_clips(self, scope: str) -> Clips:
        x = scaling_scopes.target_features(self.source, self.target, scope, self.experiment.data.scale_floor)
        return Clips(x, self.target.label, self.target.speaker)

    def support_scaling(self, target: Clips, scope: str, n_speakers: int) -> Scaling:
        """The scaling of each draw's target clips [draws, F]: by its labelled clips, or none beyond the table's."""
        support = self.draws.support(n_speakers)
        if scope == "support":
            return over_rows(target.x, list(support), self.experiment.data.scale_floor)
        return identity(len(support), target.x.shape[1])

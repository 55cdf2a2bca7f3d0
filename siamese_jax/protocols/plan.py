"""An experiment's plan: its data, draws and keys."""

import dataclasses
import functools

import jax
import numpy as np

from siamese_jax.datasets import class_draws, scaling_scopes
from siamese_jax.datasets.class_draws import SpeakerSets
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import FewShotDraws, few_shot_draws
from siamese_jax.datasets.shared_recordings import ALLOWED_BY, shared_recordings
from siamese_jax.features.scaling import Scaling, identity, over_rows
from siamese_jax.models.siamese import SiameseSpec
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.trials import Clips, ProtocolSpec
from siamese_jax.training.siamese import TrainingSpec


@dataclasses.dataclass(frozen=True)
class Plan:
    """The data, draws and keys that all settings of an experiment share; made from the config alone.

    Draw i starts from source seed i modulo the number of seeds, or from `only_seed` if that is given; trainings start
    from `first_seed`. `source_note` says how many recordings of the target the source holds, and which corpora of a
    mixture have more weight than others; "" for none.

    Keys: fold_in(key(seed), 0) for source training, 1 for in-domain training, 2 for the draws; each split per seed.
    """

    experiment: Experiment
    source: Dataset
    target: Dataset
    draws: FewShotDraws
    first_draw: int
    only_seed: int | None = None
    first_seed: int = 0
    source_note: str = ""

    @classmethod
    def make(cls, experiment: Experiment, source: Dataset, target: Dataset, first_draw: int = 0) -> "Plan":
        """The plan of n_draws draws from `first_draw` on; a draw is the same in every plan that holds it."""
        key, protocol = jax.random.fold_in(jax.random.key(experiment.protocol.seed), 2), experiment.protocol
        n_classes, most_drawn = len(experiment.data.emotions), max(protocol.n_speakers)
        has_SxC = class_draws.presence(target.label, target.speaker, len(target.speakers), n_classes)
        if class_draws.by_class(has_SxC, most_drawn):
            draws = class_draws.class_draws(
                key, target.label, target.speaker, has_SxC, protocol.n_draws, most_drawn, first_draw
            )
        else:
            draws = few_shot_draws(key, target.label, target.speaker, n_classes, protocol.n_draws, first_draw)
        notes = [_shared_note(source, target) if experiment.data.allow_shared_recordings else "", _weights_note(source)]
        return cls(experiment, source, target, draws, first_draw, source_note="; ".join(filter(None, notes)))

    @functools.cached_property
    def _has_SxC(self) -> np.ndarray:
        target = self.target
        n_classes = len(self.experiment.data.emotions)
        return class_draws.presence(target.label, target.speaker, len(target.speakers), n_classes)

    @property
    def draws_by_class(self) -> bool:
        """Whether each class is drawn from the speakers who have it, since too few have every class."""
        return class_draws.by_class(self._has_SxC, max(self.experiment.protocol.n_speakers))

    @functools.cached_property
    def speaker_sets(self) -> dict[int, SpeakerSets]:
        """The distinct sets of speakers that draws can take, by the number of speakers."""
        return {
            k: class_draws.speaker_sets(self._has_SxC, k, self.draws_by_class)
            for k in self.experiment.protocol.n_speakers
        }

    def draws_note(self, n_speakers: int) -> str:
        """What a reader must know of the draws of this many speakers; "" for draws of speakers with every class, of
        whom there are more sets than draws."""
        sets, n_draws, notes = self.speaker_sets[n_speakers], self.experiment.protocol.n_draws, []
        if self.draws_by_class:
            complete = int(self._has_SxC.all(axis=1).sum())
            notes.append(
                f"each class drawn from the speakers who have it ({complete} of {len(self._has_SxC)} have every class)"
            )
        if self.draws_by_class or n_draws > sets.number:
            bound = "" if sets.exact else "at most "
            notes.append(f"{n_draws} draws of {bound}{sets.number} distinct sets of speakers")
        return "; ".join(notes)

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

    def source_corpora(self, scope: str) -> list[Clips]:
        """The source's clips by corpus, in the order of `source.corpora` and `source.weights`, each scaled by itself.

        Speakers are indices into the whole source's.
        """
        clips, corpus_N = self.source_clips(scope), self.source.corpus[self.source.rows]
        return [Clips(*(field[corpus_N == k] for field in clips)) for k in range(len(self.source.corpora))]

    def target_clips(self, scope: str) -> Clips:
        x = scaling_scopes.target_features(self.source, self.target, scope, self.experiment.data.scale_floor)
        return Clips(x, self.target.label, self.target.speaker)

    def support_scaling(self, target: Clips, scope: str, n_speakers: int) -> Scaling:
        """The scaling of each draw's target clips [draws, F]: by its labelled clips, or none beyond the table's."""
        support = self.draws.support(n_speakers)
        if scope == "support":
            share = self.experiment.data.scale_floor
            least = scaling_scopes.least_support_deviation(self.source, self.target, share)
            return over_rows(target.x, list(support), least)
        return identity(len(support), target.x.shape[1])


def _shared_note(source: Dataset, target: Dataset) -> str:
    n_shared = len(shared_recordings(source.full_table, target.table))
    if not n_shared:
        return ""
    return f"the source holds {n_shared} of the target's {len(target)} recordings ({ALLOWED_BY})"


def _weights_note(source: Dataset) -> str:
    if len(set(source.weights)) == 1:
        return ""
    return "weights of the sources: " + ", ".join(f"{n} {w:.3g}" for n, w in zip(source.corpora, source.weights))

"""The transfer methods on all draws of a plan: each draw's log-probabilities of the target's clips."""

import functools
from typing import Any

import jax
import numpy as np
from chex import Array

from siamese_jax.datasets.dataset import layer_columns
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import Scaling
from siamese_jax.models.linear_scorer import log_probabilities, unscaled
from siamese_jax.protocols.config import MetricNetworkConfig
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import adaptations, metric_network
from siamese_jax.protocols.transfer.adaptations import Balance, TargetWhitening
from siamese_jax.protocols.transfer.methods import METHODS, Sources, check_classes, check_source_classes
from siamese_jax.protocols.transfer.settings import TransferSettings, proportions_of
from siamese_jax.protocols.trials import Clips
from siamese_jax.runtime.progress import OnDone
from siamese_jax.runtime.vectorize import TrialProgram, chunk_size

TRANSDUCTIVE_SCOPES = ("corpus", "speaker")
"""The scaling scopes that use unlabelled test clips, as the transductive adaptations do."""


def inductive_trial(fit: Any, rows_M: Array, shift_F: Array, scale_F: Array, target: Clips, shared: Any) -> jax.Array:
    """Returns log-probabilities [N, C] of the target's clips by a method fitted to those at `rows_M`."""
    x_MxF = (target.x[rows_M] - shift_F[None]) / scale_F[None]
    return log_probabilities(unscaled(fit(shared, x_MxF, target.label[rows_M]), shift_F, scale_F), target.x)


class TransferDraws:
    """The methods on the draws of a plan under a scaling scope.

    Args:
      kept: compiled programs and whitened targets; give the same to other settings and plans to make them once.
    """

    def __init__(self, plan: Plan, scope: str, settings: TransferSettings, kept: dict[Any, Any] | None = None):
        self.plan, self.scope, self.settings = plan, scope, settings
        self._emotions = plan.experiment.data.emotions
        self._target = plan.target_clips(scope)
        self._kept = {} if kept is None else kept

    @functools.cached_property
    def sources(self) -> Sources:
        """The source corpora."""
        names, source = self.plan.source.full_table.feature_names, self.plan.source
        corpora = tuple((clips.x, clips.label) for clips in self.plan.source_corpora(self.scope))
        return Sources(corpora, source.weights, len(names), layer_columns(names))

    def inductive(self, method: str, n_speakers: int, on_done: OnDone | None = None) -> np.ndarray:
        """Returns log-probabilities [draws, N, C] float32 of the target's clips, with `n_speakers` labelled ones."""
        rows, target = self.plan.draws.support(n_speakers), self._target
        scaling = self.plan.support_scaling(target, self.scope, n_speakers)
        check_classes(self.sources, target.label[rows[0]], self._emotions)
        if method == metric_network.NAME:
            return self._metric_network(rows, scaling, on_done)
        shared = METHODS[method].prepare(self.sources, len(self._emotions), rows.shape[1], self.settings)
        trial = functools.partial(inductive_trial, METHODS[method].fit)
        program = self._program((method,), trial, (0, 0, 0, None, None), rows, own_loops=True)
        return program(rows, scaling.shift, scaling.scale, target, shared, on_chunk=on_done)

    def _metric_network(self, rows_DxM: np.ndarray, scaling: Scaling, on_done: OnDone | None) -> np.ndarray:
        """The key fold_in(key(seed), 3) is folded with 0 for the source and with 1 and the draw's number for a draw."""
        own = self.plan.experiment.metric_network
        key = jax.random.fold_in(jax.random.key(self.plan.experiment.protocol.seed), 3)
        place = (metric_network.NAME, id(self.plan), self.scope)
        if place not in self._kept:
            self._kept[place] = self.plan, self._metric_source(own, jax.random.fold_in(key, 0))
        shared = self._kept[place][1]
        first = self.plan.first_draw
        keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, 1)))(
            first + np.arange(len(rows_DxM))
        )
        trial = functools.partial(metric_network.trial, own)
        floats = metric_network.floats(own, len(self._target.label), rows_DxM.shape[1], shared)
        name = (metric_network.NAME, own, shared.basis.shape)
        program = self._program(name, trial, (0, 0, 0, 0, None, None), rows_DxM, floats=floats)
        return program(keys, rows_DxM, scaling.shift, scaling.scale, self._target, shared, on_chunk=on_done)

    def _metric_source(self, own: MetricNetworkConfig, key: jax.Array) -> metric_network.Shared:
        check_source_classes(self.sources, self._emotions)
        components = metric_network.source_components(self.sources, own.components)
        clips = metric_network.source_clips(self.sources, len(self._emotions))
        return jax.device_get(jax.jit(functools.partial(metric_network.prepare, own))(components, clips, key))

    def adapted(
        self, adaptation: str, log_p_DxNxC: np.ndarray, n_speakers: int, proportions_C: np.ndarray,
        on_done: OnDone | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Returns adapted log-probabilities [draws, N, C] from a method's, with these class proportions.

        Raises InputError under a scope without unlabelled clips, and for fewer unlabelled clips than classes.
        """
        rows, target = self.plan.draws.support(n_speakers), self._target
        self._check_transductive(adaptation, len(target.label) - rows.shape[1])
        groups_NxG = self._groups(self.settings.balance.within)
        balance = Balance(groups_NxG, proportions_C.astype(np.float32), np.float32(self.settings.balance.strength))
        key = (adaptation, groups_NxG.shape)
        if adaptation == "balanced":
            program = self._program(key, adaptations.balanced_trial, (0, 0, None), rows)
            return program(log_p_DxNxC, rows, balance, on_chunk=on_done)
        own = self.settings.self_training
        program = self._program(key, adaptations.self_trained_trial, (0, 0, 0, None, None, None), rows)
        shared = self.target_whitening(), adaptations.scalars(own)
        return program(log_p_DxNxC, rows, target.label[rows], balance, *shared, on_chunk=on_done)

    def target_whitening(self) -> TargetWhitening:
        """Returns the target's clips for self-training, whitened."""
        own = self.settings.self_training
        key = ("whitening", id(self.plan), self.scope, own)
        if key not in self._kept:
            made = adaptations.target_whitening(self.sources, self._target.x, len(self._emotions), own)
            self._kept[key] = self.plan, made  # the plan stays, so that no other takes its id
        whitened: TargetWhitening = self._kept[key][1]
        return whitened

    def proportions(self, n_speakers: int) -> np.ndarray:
        """Returns the configuration's class proportions [C]; every draw labels as many clips of each class."""
        labelled = self._target.label[self.plan.draws.support(n_speakers)[0]]
        counts_C = np.bincount(labelled, minlength=len(self._emotions))
        return proportions_of(self.plan.experiment.transfer.proportions, self._emotions, counts_C)

    def _check_transductive(self, adaptation: str, n_unlabelled: int) -> None:
        if self.scope not in TRANSDUCTIVE_SCOPES:
            raise InputError(
                f"the adaptation {adaptation} uses the unlabelled test clips, which scaling by {self.scope!r} "
                f"excludes; give config.data.scalings of {', '.join(TRANSDUCTIVE_SCOPES)}, or "
                "config.transfer.adaptations=none"
            )
        if n_unlabelled < len(self._emotions):
            raise InputError(
                f"the target has {n_unlabelled} unlabelled clips beside the labelled ones; the adaptation {adaptation} "
                f"needs one a class ({len(self._emotions)}) or more"
            )

    def _groups(self, within: str) -> np.ndarray:
        """Returns [N, G] float32, 1 where a clip counts for the corpus (G is 1) or for a speaker."""
        target = self.plan.target
        if within == "corpus":
            return np.ones((len(target), 1), np.float32)
        return np.eye(len(target.speakers), dtype=np.float32)[target.speaker]

    def _program(
        self, key: tuple, trial: Any, in_axes: tuple[int | None, ...], rows_DxM: np.ndarray,
        own_loops: bool = False, floats: float | None = None,
    ) -> TrialProgram:  # fmt: skip
        """Returns the program of a trial for draws of this shape, compiled at its first call."""
        n_features, n_clips = self._target.x.shape[1], len(self._target.label)
        n_classes, n_labelled = len(self._emotions), rows_DxM.shape[1]
        if floats is None:
            floats = 4.0 * n_labelled * n_features + 12 * n_clips * n_classes + 20 * n_features * n_classes
        sizes = tuple(len(label) for _, label in self.sources.corpora)
        key = (*key, chunk_size(len(rows_DxM), floats), self._target.x.shape, n_labelled, sizes)
        if key not in self._kept:
            self._kept[key] = TrialProgram(trial, in_axes, chunk_size(len(rows_DxM), floats), own_loops)
        program: TrialProgram = self._kept[key]
        return program

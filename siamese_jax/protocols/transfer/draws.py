"""The transfer methods on all draws of a plan: each draw's log-probabilities of the target's clips."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from chex import Array

from siamese_jax.datasets.dataset import layer_columns
from siamese_jax.errors import InputError
from siamese_jax.models.linear_scorer import log_probabilities, unscaled
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import adaptations
from siamese_jax.protocols.transfer.methods import METHODS, Method, Sources, check_classes
from siamese_jax.protocols.transfer.settings import TransferSettings
from siamese_jax.protocols.trials import Clips
from siamese_jax.runtime.progress import OnDone
from siamese_jax.runtime.vectorize import TrialProgram, chunk_size

TRANSDUCTIVE_SCOPES = ("corpus", "speaker")
"""The scaling scopes that use unlabelled test clips, as the transductive adaptations do."""


def inductive_trial(fit: Any, rows_M: Array, shift_F: Array, scale_F: Array, target: Clips, shared: Any) -> jax.Array:
    """Returns log-probabilities [N, C] of the target's clips by a method fitted to those at `rows_M`."""
    x_MxF = (target.x[rows_M] - shift_F[None]) / scale_F[None]
    return log_probabilities(unscaled(fit(shared, x_MxF, target.label[rows_M]), shift_F, scale_F), target.x)


@dataclasses.dataclass(frozen=True)
class TransferDraws:
    """The methods on the draws of a plan under a scaling scope, with these settings."""

    plan: Plan
    scope: str
    settings: TransferSettings

    @property
    def emotions(self) -> tuple[str, ...]:
        return self.plan.experiment.data.emotions

    def sources(self) -> Sources:
        """Returns the source corpora."""
        layers = layer_columns(self.plan.source.full_table.feature_names)
        corpora = self.plan.source_corpora(self.scope)
        n_features = self.plan.source.full_table.features.shape[1]
        weights = self.plan.source.weights
        return Sources(tuple((clips.x, clips.label) for clips in corpora), weights, n_features, layers)

    def inductive(self, method: str, n_speakers: int, on_done: OnDone | None = None) -> np.ndarray:
        """Returns log-probabilities [draws, N, C] float32 of the target's clips, with `n_speakers` labelled ones."""
        rows, target = self.plan.draws.support(n_speakers), self.plan.target_clips(self.scope)
        scaling = self.plan.support_scaling(target, self.scope, n_speakers)
        sources = self.sources()
        check_classes(sources, target.label[rows[0]], self.emotions)
        own: Method = METHODS[method]
        shared = own.prepare(sources, len(self.emotions), rows.shape[1], self.settings)
        program = TrialProgram(
            functools.partial(inductive_trial, own.fit), (0, 0, 0, None, None),
            chunk_size(len(rows), self._floats(rows.shape[1])), own_loops=True,
        )  # fmt: skip
        return program(rows, scaling.shift, scaling.scale, target, shared, on_chunk=on_done)

    def adapted(
        self, adaptation: str, log_p_DxNxC: np.ndarray, n_speakers: int, proportions_C: np.ndarray,
        on_done: OnDone | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Returns adapted log-probabilities [draws, N, C] from a method's, with these class proportions.

        Raises InputError under a scope without unlabelled clips, and for fewer unlabelled clips than classes.
        """
        if self.scope not in TRANSDUCTIVE_SCOPES:
            raise InputError(
                f"the adaptation {adaptation} uses the unlabelled test clips, which scaling by {self.scope!r} "
                "excludes; "
                f"give config.data.scalings of {', '.join(TRANSDUCTIVE_SCOPES)}, or config.transfer.adaptations=none"
            )
        rows, target = self.plan.draws.support(n_speakers), self.plan.target_clips(self.scope)
        n_unlabelled = len(target.label) - rows.shape[1]
        if n_unlabelled < len(self.emotions):
            raise InputError(
                f"the target has {n_unlabelled} unlabelled clips beside the {rows.shape[1]} labelled ones; the "
                f"adaptation {adaptation} needs one a class ({len(self.emotions)}) or more"
            )
        shared = adaptations.prepare(self.sources(), target.x, self._groups(), proportions_C, self.settings)
        chunk = chunk_size(len(rows), self._floats(rows.shape[1]))
        if adaptation == "balanced":
            return TrialProgram(adaptations.balanced_trial, (0, 0, None), chunk)(
                log_p_DxNxC, rows, shared, on_chunk=on_done
            )
        program = TrialProgram(adaptations.self_trained_trial, (0, 0, 0, None), chunk)
        return program(log_p_DxNxC, rows, target.label[rows], shared, on_chunk=on_done)

    def _groups(self) -> np.ndarray:
        """Returns [N, G], 1 where a clip counts for the corpus (G is 1) or for a speaker."""
        speaker = self.plan.target.speaker
        if self.settings.balance.within == "corpus":
            return np.ones((len(speaker), 1), np.float32)
        return np.eye(len(self.plan.target.speakers), dtype=np.float32)[speaker]

    def _floats(self, n_labelled: int) -> float:
        n_features, n_clips = self.plan.target.full_table.features.shape[1], len(self.plan.target)
        n_classes = len(self.emotions)
        return 4.0 * n_labelled * n_features + 12 * n_clips * n_classes + 20 * n_features * n_classes

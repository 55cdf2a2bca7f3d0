"""Standardisation of features, by scope: whose clips the means and standard deviations come from.

The scope moves results by up to ten points, so every result names it. "corpus" and "speaker" see the unlabelled test
clips and are transductive; "support" and "source" are what a user with eight labelled clips can do.
"""

import numpy as np

from siamese_jax.datasets import Dataset
from siamese_jax.errors import InputError
from siamese_jax.protocols import Scaling

IN_DOMAIN_SCOPE = {"corpus": "corpus", "speaker": "speaker", "support": "train", "source": "train", "train": "train"}
"""The scope of in-domain training under each scope of an experiment: there is no source and no support set there."""


def out_of_domain_scope(source: Dataset, target: Dataset, scope: str) -> str:
    """The scope of out-of-domain training under an experiment's scope.

    There are no labelled target clips there, so "support" becomes "source", or "corpus" where a table came
    standardised over its corpus and the source's scale cannot be had.
    """
    if scope != "support":
        return scope
    return "corpus" if source.already_scaled or target.already_scaled else "source"


def moments(x_NxF: np.ndarray, least_F: np.ndarray) -> Scaling:
    """Mean and population standard deviation [F] of clips, the latter at least `least_F`; in float64 inside."""
    x = x_NxF.astype(np.float64)
    return Scaling(x.mean(axis=0).astype(np.float32), np.maximum(x.std(axis=0), least_F).astype(np.float32))


def _floor(x_NxF: np.ndarray, share: float) -> np.ndarray:
    """The least standard deviation [F]: a share of the corpus's own; 1 for a column that never changes."""
    std_F = x_NxF.astype(np.float64).std(axis=0)
    # Rounding leaves a constant column with a spread of its own size times the float32 step.
    constant_F = std_F <= 1e-6 * np.abs(x_NxF).max(axis=0)
    return np.where(constant_F, 1.0, share * std_F)


def by_corpus(dataset: Dataset, share: float) -> np.ndarray:
    """The experiment's clips [N, F], standardised over the whole corpus, whatever the emotion."""
    x = dataset.everything.features
    return moments(x, _floor(x, share))(x[dataset.rows])


def by_speaker(dataset: Dataset, share: float) -> np.ndarray:
    """The experiment's clips [N, F], each standardised over its speaker's clips, whatever their emotion."""
    x, least_F = dataset.everything.features, _floor(dataset.everything.features, share)
    scaled = np.empty_like(x)
    for speaker in np.unique(dataset.everything.speaker):
        rows = dataset.everything.speaker == speaker
        scaled[rows] = moments(x[rows], least_F)(x[rows])
    return scaled[dataset.rows]


def check_scope(source: Dataset, target: Dataset, scope: str) -> None:
    """Raises InputError for scope "source" where a table came standardised over its corpus."""
    for dataset in (source, target):
        if scope == "source" and dataset.already_scaled:
            raise InputError(
                f"scaling scope 'source' needs unscaled features, and the table of {dataset.name} came standardised "
                "over its corpus; use 'corpus', 'speaker' or 'support', or extract the features from the audio"
            )


def source_features(source: Dataset, scope: str, share: float) -> np.ndarray:
    """The source's clips [N, F] under an experiment's scope."""
    return by_speaker(source, share) if scope == "speaker" else by_corpus(source, share)


def target_features(source: Dataset, target: Dataset, scope: str, share: float) -> np.ndarray:
    """The target's clips [N, F] under a scope; for "support" and "train" the clips that each trial scales further."""
    if scope == "speaker":
        return by_speaker(target, share)
    if scope != "source":
        # Scaling by the support set or the training speakers undoes any affine map before it.
        return by_corpus(target, share)
    x = source.everything.features
    return moments(x, _floor(x, share))(target.table.features)


def identity(n_trials: int, n_features: int) -> Scaling:
    """Scalings [G, F] that change nothing."""
    return Scaling(np.zeros((n_trials, n_features), np.float32), np.ones((n_trials, n_features), np.float32))


def over_rows(x_NxF: np.ndarray, rows: list[np.ndarray], share: float) -> Scaling:
    """Scalings [G, F] by the clips at each of G sets of rows."""
    least_F = _floor(x_NxF, share)
    each = [moments(x_NxF[r], least_F) for r in rows]
    return Scaling(np.stack([s.shift for s in each]), np.stack([s.scale for s in each]))

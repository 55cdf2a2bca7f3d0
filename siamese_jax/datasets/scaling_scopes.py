"""Standardisation of features, by scope: the clips that give the means and standard deviations.

The scope moves results by up to ten points, so every result names it. "corpus" and "speaker" use the unlabelled test
clips and are transductive; "support" and "source" are open to a user with eight labelled clips.
"""

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import floor, moments

IN_DOMAIN_SCOPE = {"corpus": "corpus", "speaker": "speaker", "support": "train", "source": "train", "train": "train"}
"""The scope of in-domain training under each scope of an experiment: it has no source and no support set."""


def out_of_domain_scope(source: Dataset, target: Dataset, scope: str) -> str:
    """Returns the scope of out-of-domain training under an experiment's scope.

    It has no labelled target clips, so "support" becomes "source", or "corpus" where a table came standardised over
    its corpus and the source's scale is unavailable.
    """
    if scope != "support":
        return scope
    return "corpus" if source.already_scaled or target.already_scaled else "source"


def by_corpus(dataset: Dataset, share: float) -> np.ndarray:
    """Returns the experiment's clips [N, F], standardised over the whole corpus, with all emotions."""
    x = dataset.full_table.features
    return moments(x, floor(x, share))(x[dataset.rows])


def by_speaker(dataset: Dataset, share: float) -> np.ndarray:
    """Returns the experiment's clips [N, F], each standardised over its speaker's clips, with all emotions."""
    x, least_F = dataset.full_table.features, floor(dataset.full_table.features, share)
    scaled = np.empty_like(x)
    for speaker in np.unique(dataset.full_table.speaker):
        rows = dataset.full_table.speaker == speaker
        scaled[rows] = moments(x[rows], least_F)(x[rows])
    return scaled[dataset.rows]


def check_scope(source: Dataset, target: Dataset, scope: str) -> None:
    """Raises InputError for scope "source" where a table came standardised over its corpus."""
    for dataset in (source, target):
        if scope == "source" and dataset.already_scaled:
            raise InputError(
                "config.data.scalings holds 'source', which needs unscaled features, but the table of "
                f"{dataset.name} came standardised over its corpus; give 'corpus', 'speaker' or 'support', or extract "
                "the features from the audio"
            )


def source_features(source: Dataset, scope: str, share: float) -> np.ndarray:
    """Returns the source's clips [N, F] under an experiment's scope."""
    return by_speaker(source, share) if scope == "speaker" else by_corpus(source, share)


def target_features(source: Dataset, target: Dataset, scope: str, share: float) -> np.ndarray:
    """Returns the target's clips [N, F] under a scope; for "support" and "train" each trial scales them further."""
    if scope == "speaker":
        return by_speaker(target, share)
    if scope != "source":
        # Scaling by the support set or the training speakers undoes any affine map before it.
        return by_corpus(target, share)
    x = source.full_table.features
    return moments(x, floor(x, share))(target.table.features)

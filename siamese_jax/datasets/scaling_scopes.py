"""Standardisation of features, by scope: the clips that give the means and standard deviations.

The scope moves results by up to ten points, so every result names it. "corpus" and "speaker" use the unlabelled test
clips and are transductive; "support" and "source" are open to a user with eight labelled clips. Under all but
"corpus", no clip outside of the named set changes how another clip is scaled.
"""

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import floor, moments, over_rows

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


def by_speaker(dataset: Dataset) -> np.ndarray:
    """Returns the experiment's clips [N, F], each standardised over its speaker's clips, with all emotions."""
    x, scaled = dataset.full_table.features, np.empty_like(dataset.full_table.features)
    for speaker in np.unique(dataset.full_table.speaker):
        rows = np.flatnonzero(dataset.full_table.speaker == speaker)
        # No least deviation: each of n clips is itself in the set, so that none is beyond sqrt(n).
        by_clips = over_rows(x, [rows], 0)
        scaled[rows] = (x[rows] - by_clips.shift) / by_clips.scale
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
    return by_speaker(source) if scope == "speaker" else by_corpus(source, share)


def target_features(source: Dataset, target: Dataset, scope: str, share: float) -> np.ndarray:
    """Returns the target's clips [N, F] under a scope; for "support" and "train" each trial scales them further.

    For "support" they are in units of the source's standard deviations, for "train" as in the table.
    """
    if scope == "corpus":
        return by_corpus(target, share)
    if scope == "speaker":
        return by_speaker(target)
    if scope == "train":
        return target.table.features
    x = source.full_table.features
    return moments(x, floor(x, share))(target.table.features)


def least_support_deviation(source: Dataset, target: Dataset, share: float) -> float:
    """Returns the deviation, in units of `target_features`, up to which a support set says nothing of a column.

    The column is then scaled as the source's. It is 0 where one table alone came standardised over its corpus, since
    the units of the two differ.
    """
    return share if source.already_scaled == target.already_scaled else 0.0

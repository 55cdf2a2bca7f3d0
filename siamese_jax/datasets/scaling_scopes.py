"""Standardisation of features, by scope: the clips that give the means and standard deviations.

The scope moves results by up to ten points, so every result names it. "corpus" and "speaker" use the unlabelled test
clips and are transductive; "support" and "source" are open to a user with eight labelled clips. Under all but
"corpus", no clip outside of the named set changes how another clip is scaled.
"""

from collections.abc import Iterator

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import Scaling, floor, moments, over_rows

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


def _corpus_rows(dataset: Dataset) -> Iterator[np.ndarray]:
    """The rows of the full table of each corpus."""
    return (np.flatnonzero(dataset.corpus == k) for k in range(len(dataset.corpora)))


def _corpus_features(dataset: Dataset) -> Iterator[np.ndarray]:
    """The features of all clips of each corpus."""
    x = dataset.full_table.features
    # A table of one corpus keeps its layout in memory, which the rounding of a mean depends on.
    return (x if len(rows) == len(x) else x[rows] for rows in _corpus_rows(dataset))


def by_corpus(dataset: Dataset, share: float) -> np.ndarray:
    """Returns the experiment's clips [N, F], standardised over their whole corpus, with all emotions."""
    scaled = np.empty_like(dataset.full_table.features)
    for rows, x in zip(_corpus_rows(dataset), _corpus_features(dataset)):
        scaled[rows] = moments(x, floor(x, share))(x)
    return scaled[dataset.rows]


def by_speaker(dataset: Dataset) -> np.ndarray:
    """Returns the experiment's clips [N, F], each standardised over its speaker's clips, with all emotions."""
    x, scaled = dataset.full_table.features, np.empty_like(dataset.full_table.features)
    for corpus_rows in _corpus_rows(dataset):
        speaker = dataset.full_table.speaker[corpus_rows]
        for name in np.unique(speaker):
            rows = corpus_rows[speaker == name]
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
    # Of several corpora, the target takes the weighted mean of the scalings.
    scalings = [moments(x, floor(x, share)) for x in _corpus_features(source)]
    mean = (sum(np.float32(w) * part for w, part in zip(source.weights, parts)) for parts in zip(*scalings))
    return Scaling(*mean)(target.table.features)


def least_support_deviation(source: Dataset, target: Dataset, share: float) -> float:
    """Returns the deviation, in units of `target_features`, up to which a support set says nothing of a column.

    The column is then scaled as the source's. It is 0 where not all tables came standardised over their corpus, but
    some did, since their units differ.
    """
    return share if source.scaled == target.scaled else 0.0

"""Corpora with fewer clips of some classes: how a method fares where its class proportions are wrong."""

import dataclasses
import itertools

import numpy as np

from siamese_jax.datasets.dataset import Dataset


def minorities(n_classes: int) -> list[tuple[int, ...]]:
    """Returns every half of the classes, to be thinned in turn."""
    return list(itertools.combinations(range(n_classes), n_classes // 2))


def thinned(dataset: Dataset, minority: tuple[int, ...], ratio: float, seed: int) -> Dataset:
    """Returns the dataset with 1 / ratio of the clips of the classes of `minority`, drawn at random.

    One clip of each such class stays at least. Removed clips leave the full table too, so that no scaling sees them.
    """
    rng = np.random.default_rng([seed, *minority])
    kept = np.ones(len(dataset), bool)
    for c in minority:
        rows = rng.permutation(np.flatnonzero(dataset.label == c))
        kept[rows[max(1, round(len(rows) / ratio)) :]] = False
    in_table = np.ones(len(dataset.full_table.clip), bool)
    in_table[dataset.rows[~kept]] = False
    place = np.cumsum(in_table) - 1
    present, speaker = np.unique(dataset.speaker[kept], return_inverse=True)
    return dataclasses.replace(
        dataset, full_table=dataset.full_table.select(np.flatnonzero(in_table)), rows=place[dataset.rows[kept]],
        label=dataset.label[kept], speaker=speaker.astype(np.int32),
        speakers=tuple(dataset.speakers[s] for s in present), duplicate=dataset.duplicate[kept],
        corpus=dataset.corpus[in_table],
    )  # fmt: skip

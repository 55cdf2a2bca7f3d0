"""Parts of a corpus: half of its speakers, or fewer clips of some classes."""

import dataclasses
import itertools

import numpy as np

from siamese_jax.datasets.dataset import Dataset


def speaker_halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Returns the clips of every other speaker, and those of the others; clips of other emotions go along."""
    even_N = dataset.speaker % 2 == 0
    halves = []
    for kept_N in (even_N, ~even_N):
        names = [dataset.speakers[s] for s in np.unique(dataset.speaker[kept_N])]
        halves.append(_subset(dataset, kept_N, np.isin(dataset.full_table.speaker, names)))
    return halves[0], halves[1]


def minorities(n_classes: int) -> list[tuple[int, ...]]:
    """Returns every half of the classes, to be thinned in turn."""
    return list(itertools.combinations(range(n_classes), n_classes // 2))


def thinned(dataset: Dataset, minority: tuple[int, ...], ratio: float, seed: int) -> Dataset:
    """Returns the dataset with 1 / ratio of the clips of the classes of `minority`, drawn at random.

    One clip of each such class stays at least. Removed clips leave the full table too, so that no scaling sees them.
    """
    rng = np.random.default_rng([seed, *minority])
    kept_N = np.ones(len(dataset), bool)
    for c in minority:
        rows = rng.permutation(np.flatnonzero(dataset.label == c))
        kept_N[rows[max(1, round(len(rows) / ratio)) :]] = False
    in_table_M = np.ones(len(dataset.full_table.clip), bool)
    in_table_M[dataset.rows[~kept_N]] = False
    return _subset(dataset, kept_N, in_table_M)


def _subset(dataset: Dataset, kept_N: np.ndarray, in_table_M: np.ndarray) -> Dataset:
    """Returns the clips `kept_N` of the experiment, and the rows `in_table_M` of the full table, which hold them."""
    place_M = np.cumsum(in_table_M) - 1
    present, speaker = np.unique(dataset.speaker[kept_N], return_inverse=True)
    return dataclasses.replace(
        dataset, full_table=dataset.full_table.select(np.flatnonzero(in_table_M)), rows=place_M[dataset.rows[kept_N]],
        label=dataset.label[kept_N], speaker=speaker.astype(np.int32),
        speakers=tuple(dataset.speakers[s] for s in present), duplicate=dataset.duplicate[kept_N],
        corpus=dataset.corpus[in_table_M],
    )  # fmt: skip

"""Draws of clips: balanced batches, few-shot draws of labelled clips, and the clips left to test."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError


class ClassIndex(NamedTuple):
    """Rows of the clips of each class: `rows` [C, K] int, padded by repeating; `counts` [C] int, without padding."""

    rows: Array
    counts: Array


def class_index(label_N: np.ndarray, n_classes: int, use_N: np.ndarray, width: int | None = None) -> ClassIndex:
    """Returns the index of the clips with `use_N` by class (host side). No class may be empty: the protocols check.

    `width` fixes K, so that several indices can be stacked; by default the size of the largest class.
    """
    rows_of = [np.flatnonzero(use_N & (label_N == c)) for c in range(n_classes)]
    counts_C = np.array([len(rows) for rows in rows_of], np.int32)
    width = int(counts_C.max()) if width is None else width
    return ClassIndex(np.stack([np.resize(rows, width) for rows in rows_of]).astype(np.int32), counts_C)


class CorpusIndex(NamedTuple):
    """Rows of the clips of each class and corpus: `rows` [C, G, K] int, padded by repeating; `counts` [C, G] int,
    without padding; `weights` [G] of the corpora, of sum 1."""

    rows: Array
    counts: Array
    weights: Array


def source_index(source: Dataset, n_classes: int) -> ClassIndex | CorpusIndex:
    """Returns the index of all clips of a source by class, and of a mixture by corpus too (host side)."""
    return corpus_index(source.label, source.corpus[source.rows], source.weights, n_classes)


def corpus_index(
    label_N: np.ndarray, corpus_N: np.ndarray, weights: tuple[float, ...], n_classes: int
) -> ClassIndex | CorpusIndex:
    """Returns the index of clips by class, and by corpus too where there are several `weights` of corpora, of sum 1."""
    if len(weights) == 1:
        return class_index(label_N, n_classes, np.ones(len(label_N), bool))
    widest = int(np.unique(np.stack([corpus_N, label_N]), axis=1, return_counts=True)[1].max())
    indices = [class_index(label_N, n_classes, corpus_N == g, widest) for g in range(len(weights))]
    rows, counts = (np.stack(field, axis=1) for field in zip(*indices))
    return CorpusIndex(rows, counts, np.array(weights, np.float32))


def balanced_batch(key: jax.Array, index: ClassIndex | CorpusIndex, batch_size: int) -> jax.Array:
    """Returns rows [B] with equally many clips of each class, drawn with replacement; consumes `key`.

    Of a mixture, the clips of a class are shared out over the corpora by their weights, up to one clip that is drawn by
    lot.
    """
    n_classes = index.counts.shape[0]
    chex.assert_is_divisible(batch_size, n_classes)
    per_class = batch_size // n_classes
    if isinstance(index, ClassIndex):
        pick_CxK = jax.random.randint(key, (n_classes, per_class), 0, index.counts[:, None])
        return jnp.take_along_axis(index.rows, pick_CxK, axis=1).reshape(batch_size)
    corpus_key, clip_key = jax.random.split(key)
    # Systematic sampling: each corpus has its share of the places, rounded up or down.
    place_CxK = (jnp.arange(per_class)[None] + jax.random.uniform(corpus_key, (n_classes, 1))) / per_class
    corpus_CxK = jnp.searchsorted(jnp.cumsum(index.weights)[:-1], place_CxK, side="right")
    pick_CxK = jax.random.randint(clip_key, place_CxK.shape, 0, jnp.take_along_axis(index.counts, corpus_CxK, axis=1))
    return jnp.asarray(index.rows)[jnp.arange(n_classes)[:, None], corpus_CxK, pick_CxK].reshape(batch_size)


class FewShotDraws(NamedTuple):
    """Nested random draws of labelled target clips: with k speakers, the first k of each draw's order.

    `speakers` [draws, S] int is a random order of the eligible speakers; `clips` [draws, S, C] int are table rows, a
    random clip of each emotion for each speaker.
    """

    speakers: np.ndarray
    clips: np.ndarray

    def support(self, n_speakers: int) -> np.ndarray:
        """Returns rows of labelled clips [draws, n_speakers * C], speaker by speaker, in the order of the classes."""
        return self.clips[:, :n_speakers].reshape(len(self.clips), -1)


def few_shot_draws(
    key: jax.Array, label_N: np.ndarray, speaker_N: np.ndarray, n_classes: int, n_draws: int, first: int = 0
) -> FewShotDraws:
    """Draws speakers and a clip per emotion and speaker (paper, section 4.1); draw i consumes fold_in(key, i).

    Draws are nested in the number of speakers: the clips at 4 speakers include those at 2, so that differences along
    that axis are paired too. Only speakers with a clip of every emotion are eligible. `first` is the number of the
    first draw; draw i does not depend on it.
    """
    n_speakers = int(speaker_N.max()) + 1
    counts_SxC = np.zeros((n_speakers, n_classes), np.int32)
    np.add.at(counts_SxC, (speaker_N, label_N), 1)
    eligible_S = np.flatnonzero((counts_SxC > 0).all(axis=1))
    order = np.lexsort((np.arange(len(label_N)), label_N, speaker_N))
    start_SxC = np.concatenate([[0], np.cumsum(counts_SxC)[:-1]]).reshape(counts_SxC.shape)

    def draw(i: jax.Array) -> tuple[jax.Array, jax.Array]:
        speaker_key, clip_key = jax.random.split(jax.random.fold_in(key, i))
        speakers_S = jax.random.permutation(speaker_key, jnp.asarray(eligible_S))
        counts = jnp.asarray(counts_SxC)[speakers_S]
        pick_SxC = jax.random.randint(clip_key, counts.shape, 0, counts)
        return speakers_S, jnp.asarray(order)[jnp.asarray(start_SxC)[speakers_S] + pick_SxC]

    speakers, clips = jax.jit(lambda i: jax.lax.map(draw, i))(first + jnp.arange(n_draws))
    return FewShotDraws(np.asarray(speakers), np.asarray(clips))


def evaluation_masks(target: Dataset, support: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the clips that each draw is tested on, [draws, N] a split, without drawn clips and their duplicates.

    Raises InputError where a draw leaves a class without a test clip.
    """
    drawn = np.stack([np.isin(target.duplicate, target.duplicate[rows]) for rows in support])
    speakers = np.stack([np.isin(target.speaker, target.speaker[rows]) for rows in support])
    masks = {"paper": ~drawn, "speaker_disjoint": ~drawn & ~speakers}
    for split, mask in masks.items():
        for label in range(target.label.max() + 1):
            if not mask[:, target.label == label].any(axis=1).all():
                raise InputError(
                    f"{target.name}: a draw of {support.shape[1]} clips leaves no test clip of class {label} in the "
                    f"{split} split; lower config.protocol.n_speakers"
                )
    return masks

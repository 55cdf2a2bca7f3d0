"""Distances between emotions in the embedding (the future work of Feng & Chaspari 2020). Unbatched over trials."""

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.models import pairwise


def probe_rows(label_N: np.ndarray, speaker_N: np.ndarray) -> np.ndarray:
    """Rows of the first clip of each emotion and speaker: between which distances are measured (on the host)."""
    _, first = np.unique(np.stack([speaker_N, label_N], axis=1), axis=0, return_index=True)
    return first.astype(np.int32)


def emotion_distances(emb_KxD: jax.Array, label_K: jax.Array, use_K: jax.Array, n_classes: int) -> jax.Array:
    """Returns the mean Euclidean distance between the clips of every two emotions; within one, over its distinct pairs.

    `label_K` [K] int are classes below `n_classes` (C); `use_K` [K] bool selects clips. The result is [C, C],
    symmetric; NaN if two emotions have no pair of clips.
    """
    distance_KxK = pairwise.distances(emb_KxD)
    member_KxC = jax.nn.one_hot(label_K, n_classes, dtype=emb_KxD.dtype) * use_K[:, None].astype(emb_KxD.dtype)
    total_CxC = member_KxC.T @ distance_KxK @ member_KxC
    count_C = member_KxC.sum(axis=0)
    n_pairs_CxC = count_C[:, None] * count_C[None, :] - jnp.diag(count_C)
    return jnp.where(n_pairs_CxC > 0, total_CxC / jnp.maximum(n_pairs_CxC, 1), jnp.nan)

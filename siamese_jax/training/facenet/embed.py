"""Embeddings of many segments, a batch at a time."""

import numpy as np

from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.models.facenet import Variables
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import Programs


def embed_all(
    config: TrainConfig, variables: Variables, source: SegmentSource, rows: np.ndarray | None = None
) -> np.ndarray:
    """Embeddings [N, E] float32 of the segments at `rows`, all of them where None.

    Batches of `config.embed_batch`, the last one filled up with silence, so that one program serves; what comes out
    for a segment depends on that segment alone.
    """
    program = Programs(config)
    rows = np.arange(len(source)) if rows is None else np.asarray(rows)
    variables = program.place(variables)
    out_NxD = np.zeros((len(rows), config.network.embedding), np.float32)
    for start in range(0, len(rows), config.embed_batch):
        batch = rows[start : start + config.embed_batch]
        segments_BxL = np.zeros((config.embed_batch, source.index.length), np.float32)
        segments_BxL[: len(batch)] = source.segments(batch)
        out_NxD[start : start + len(batch)] = np.asarray(program.embed(variables, segments_BxL))[: len(batch)]
    return out_NxD

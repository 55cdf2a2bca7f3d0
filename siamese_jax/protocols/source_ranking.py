"""Which source suits a target: the pair distances between each source corpus and the labelled target clips.

The future work of Feng & Chaspari 2020: D_s is the mean distance of a source clip and a labelled target clip of the
same emotion, D_d of different emotions. The smaller D_s / D_d, the more the emotions of the two corpora agree. Of the
target, the labelled clips' emotions alone are used.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import Clips
from siamese_jax.runtime.progress import OnDone
from siamese_jax.runtime.vectorize import TrialProgram, chunk_size


class PairDistances(NamedTuple):
    """The mean distances [] of pairs of the same emotion and of different emotions, in units of the features."""

    same: jax.Array
    different: jax.Array


def pair_distances(
    x_NxF: Array, label_N: Array, other_MxF: Array, other_label_M: Array, n_classes: int
) -> PairDistances:
    """Returns the mean Euclidean distances between the clips of two corpora; every pair of emotions counts the same.

    Each corpus has clips of each of the C emotions; labels are int.
    """
    products_NxM = jnp.matmul(x_NxF, other_MxF.T, precision="highest")
    squares_N, squares_M = jnp.sum(jnp.square(x_NxF), axis=1), jnp.sum(jnp.square(other_MxF), axis=1)
    distance_NxM = jnp.sqrt(jnp.maximum(squares_N[:, None] + squares_M[None] - 2 * products_NxM, 0))
    member_NxC, member_MxC = (jax.nn.one_hot(label, n_classes, dtype=x_NxF.dtype) for label in (label_N, other_label_M))
    means_NxC, means_MxC = (member / member.sum(axis=0, keepdims=True) for member in (member_NxC, member_MxC))
    mean_CxC = means_NxC.T @ distance_NxM @ means_MxC
    same = jnp.trace(mean_CxC) / n_classes
    return PairDistances(same, (jnp.sum(mean_CxC) - jnp.trace(mean_CxC)) / (n_classes * (n_classes - 1)))


def ratio_trial(
    n_classes: int, rows_M: Array, shift_F: Array, scale_F: Array, target: Clips, sources: tuple[Clips, ...]
) -> jax.Array:
    """Returns D_s / D_d [K] of the source corpora and the target clips at `rows_M`; the smallest suits best."""
    x_MxF, label_M = (target.x[rows_M] - shift_F[None]) / scale_F[None], target.label[rows_M]
    found = [pair_distances(source.x, source.label, x_MxF, label_M, n_classes) for source in sources]
    return jnp.stack([distances.same / distances.different for distances in found])


def ratios(plan: Plan, scope: str, n_speakers: int, on_done: OnDone | None = None) -> np.ndarray:
    """Returns D_s / D_d [draws, K] of each source corpus, in the order of `plan.source.corpora`, on each draw."""
    rows, target = plan.draws.support(n_speakers), plan.target_clips(scope)
    scaling = plan.support_scaling(target, scope, n_speakers)
    sources = tuple(plan.source_corpora(scope))
    floats = 4.0 * len(plan.source) * rows.shape[1] + rows.size / len(rows) * target.x.shape[1]
    trial = functools.partial(ratio_trial, len(plan.experiment.data.emotions))
    program = TrialProgram(trial, (0, 0, 0, None, None), chunk_size(len(rows), floats))
    return np.asarray(program(rows, scaling.shift, scaling.scale, target, sources, on_chunk=on_done))

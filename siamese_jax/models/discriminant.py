"""Linear discriminants adapted from source to target, in closed form.

A class has a mean, and all classes share a within-class covariance; scores are linear. What a fit has of its own enters
as a change of low rank, so the whitening of the shared covariance is computed once on the host, for any number of fits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from chex import Array

from siamese_jax.models import small_systems
from siamese_jax.models.linear_scorer import LinearScorer


class SourceMoments(NamedTuple):
    """Of the source: class means [C, F], which classes it has [C] (1 or 0), the within-class covariance [F, F]."""

    means: np.ndarray
    present: np.ndarray
    within: np.ndarray


def source_moments(
    corpora: Sequence[tuple[np.ndarray, np.ndarray]], weights: Sequence[float], n_classes: int
) -> SourceMoments:
    """Returns the moments of source corpora, (features [N, F], labels [N]) each, averaged over corpora by weight.

    A class's mean is that of the corpora that have it; the mean of a class that none has is 0.
    """
    n_features = corpora[0][0].shape[1]
    sums, totals, within = np.zeros((n_classes, n_features)), np.zeros(n_classes), np.zeros((n_features, n_features))
    for (x_NxF, label_N), weight in zip(corpora, np.asarray(weights, np.float64) / np.sum(weights)):
        x_NxF = np.asarray(x_NxF, np.float64)
        means_CxF = np.zeros((n_classes, n_features))
        for c in np.unique(label_N):
            means_CxF[c] = x_NxF[label_N == c].mean(axis=0)
            sums[c] += weight * means_CxF[c]
            totals[c] += weight
        residuals_NxF = x_NxF - means_CxF[label_N]
        within += weight * (residuals_NxF.T @ residuals_NxF) / len(residuals_NxF)
    present = totals > 0
    means = sums / np.where(present, totals, 1)[:, None]
    return SourceMoments(means.astype(np.float32), present.astype(np.float32), within.astype(np.float32))


class Whitening(NamedTuple):
    """A matrix T [F, F] with T A T' = 1 for a covariance A, and `share`: the part of A's data that a fit may change."""

    transform: np.ndarray
    share: np.float32


def _whitening(shared_FxF: np.ndarray, variance: float, shrinkage: float, share: float) -> Whitening:
    """Returns the whitening of the shared part of a covariance, shrunk to a multiple of the identity.

    Args:
      variance: of the identity's part, the mean over features.
      shrinkage: share of the identity, in (0, 1].
      share: the share of the unshrunk covariance that data of a fit have; it is multiplied by 1 - shrinkage.
    """
    a_FxF = (1 - shrinkage) * np.asarray(shared_FxF, np.float64)
    a_FxF[np.diag_indices_from(a_FxF)] += shrinkage * max(variance, float(np.finfo(np.float32).tiny))
    lower_FxF = np.linalg.cholesky(a_FxF)
    transform_FxF = scipy.linalg.solve_triangular(lower_FxF, np.eye(len(lower_FxF)), lower=True)
    return Whitening(transform_FxF.astype(np.float32), np.float32((1 - shrinkage) * share))


def adapted_whitening(source: SourceMoments, covariance_clips: float, n_own: int, shrinkage: float) -> Whitening:
    """Returns the whitening for `adapted` on n_own labelled target clips: the source's part of the covariance."""
    total = covariance_clips + n_own
    variance = float(np.trace(source.within)) / len(source.within)
    return _whitening(source.within * (covariance_clips / total), variance, shrinkage, n_own / total)


def adapted(
    means_CxF: Array, present_C: Array, whitening: Whitening, x_MxF: Array, label_M: Array, source_clips: Array | float,
    temperature: Array | float,
) -> LinearScorer:  # fmt: skip
    """Returns the discriminant of the source, adapted to labelled target clips.

    A class's mean is that of its target clips and of `source_clips` clips at the source's mean. The covariance is the
    source's and that of the target clips about these means (`adapted_whitening`). Scores are multiplied by
    `temperature`, since they are too sure of themselves with many features.
    """
    one_hot_MxC = jax.nn.one_hot(label_M, len(means_CxF), dtype=x_MxF.dtype)
    prior_C = source_clips * present_C
    sums_CxF = prior_C[:, None] * means_CxF + _product(one_hot_MxC.T, x_MxF)
    own_CxF = sums_CxF / (prior_C + jnp.sum(one_hot_MxC, axis=0))[:, None]
    residuals_MxF = _product(x_MxF - own_CxF[label_M], whitening.transform.T)
    white_CxF = _product(own_CxF, whitening.transform.T)
    gram_MxM = _product(residuals_MxF, residuals_MxF.T) + jnp.eye(len(x_MxF)) * (len(x_MxF) / whitening.share)
    solved_CxM = small_systems.solve_positive(gram_MxM, _product(white_CxF, residuals_MxF.T))
    return _scorer(white_CxF - _product(solved_CxM, residuals_MxF), white_CxF, whitening, temperature)


class Unlabelled(NamedTuple):
    """The target's clips, whitened by `target_whitening` [N, F]; the whitened means of the source [C, F]."""

    white: np.ndarray
    source_means: np.ndarray


def target_whitening(
    source: SourceMoments, x_NxF: np.ndarray, source_weight: float, target_weight: float, shrinkage: float
) -> tuple[Whitening, Unlabelled]:
    """Returns the whitening for `self_trained`: the source's covariance within classes and the target's about 0.

    The target's features must be standardised. Weights are numbers of clips that each part counts for.
    """
    x_NxF = x_NxF.astype(np.float64)
    total = source_weight + target_weight
    second_FxF = (source_weight * source.within + target_weight * (x_NxF.T @ x_NxF) / len(x_NxF)) / total
    shared = _whitening(second_FxF, float(np.trace(second_FxF)) / len(second_FxF), shrinkage, target_weight / total)
    transform = shared.transform.astype(np.float64)
    return shared, Unlabelled((x_NxF @ transform.T).astype(np.float32), (source.means @ transform.T).astype(np.float32))


def self_trained(
    shared: Whitening, clips: Unlabelled, present_C: Array, responsibility_NxC: Array, labelled_N: Array,
    source_clips: Array | float, unlabelled_clips: Array | float, temperature: Array | float,
) -> tuple[LinearScorer, jax.Array]:  # fmt: skip
    """Returns the discriminant trained on pseudo-labels of the target's clips, and its log-probabilities [N, C].

    A class's mean is that of `source_clips` clips at the source's mean, of its labelled clips, and of
    `unlabelled_clips` clips at the mean of the pseudo-labelled ones. The covariance within the target's classes is
    that about 0, without the part between classes.

    Args:
      responsibility_NxC: the share of each class in a clip; rows of labelled clips are one-hot.
      labelled_N: 1 for labelled clips, else 0.
    """
    white_NxF = clips.white
    own_NxC = responsibility_NxC * labelled_N[:, None]
    pseudo_NxC = responsibility_NxC - own_NxC
    mass_C, own_C, pseudo_C = (jnp.sum(a, axis=0) for a in (responsibility_NxC, own_NxC, pseudo_NxC))
    own_CxF, pseudo_CxF = _product(own_NxC.T, white_NxF), _product(pseudo_NxC.T, white_NxF)
    centre_CxF = (own_CxF + pseudo_CxF) / jnp.maximum(mass_C, EMPTY)[:, None]
    prior_C, pseudo_weight_C = source_clips * present_C, unlabelled_clips * (pseudo_C > EMPTY)
    sums_CxF = prior_C[:, None] * clips.source_means + own_CxF
    sums_CxF += (pseudo_weight_C / jnp.maximum(pseudo_C, EMPTY))[:, None] * pseudo_CxF
    white_CxF = sums_CxF / jnp.maximum(prior_C + own_C + pseudo_weight_C, EMPTY)[:, None]
    part_C = jnp.maximum(shared.share * mass_C / jnp.sum(mass_C), EMPTY)
    # (1 - M' D M)^-1 = 1 + M' (D^-1 - M M')^-1 M for the class means M and their shares D of the covariance.
    system_CxC = jnp.diag(1 / part_C) - _product(centre_CxF, centre_CxF.T)
    solved_CxC = small_systems.solve_positive(system_CxC, _product(white_CxF, centre_CxF.T))
    weights_CxF = white_CxF + _product(solved_CxC, centre_CxF)
    intercept_C = -jnp.sum(weights_CxF * white_CxF, axis=1) / 2
    logits_NxC = _product(white_NxF, weights_CxF.T) + intercept_C[None]
    return _scorer(weights_CxF, white_CxF, shared, temperature), jax.nn.log_softmax(temperature * logits_NxC)


EMPTY = 1e-6
"""Clips; a class with less of the target's clips counts as empty."""


def _scorer(
    weights_CxF: jax.Array, white_CxF: jax.Array, whitening: Whitening, temperature: Array | float
) -> LinearScorer:
    """Returns the scorer of original features from weights and means of whitened ones."""
    intercept_C = -jnp.sum(weights_CxF * white_CxF, axis=1) / 2
    return LinearScorer(temperature * _product(weights_CxF, whitening.transform)[None], temperature * intercept_C[None])


def _product(a: Array, b: Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")

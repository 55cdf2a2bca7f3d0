"""Which clips of a target to label: typical, representative and different ones, without any label of the target.

With a source, one typical clip of each class comes first: a central one of those that the source's classifier is most
sure of. The others follow transductive experimental design (Yu, Bi & Tresp 2006): the clips that, once labelled, leave
a ridge regression on the features the least variance over all clips of the target. They are chosen one by one, so that
the first eight of sixteen are the choice of eight.
"""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg
from scipy.spatial.distance import cdist

from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.balance import balanced


class ChoiceSettings(NamedTuple):
    """Settings of the choice.

    Fields:
      components: principal components of the clips that are used.
      ridge: penalty of the regression, in units of a clip's mean squared length.
      sure: share of a predicted class's clips, the surest, whose central clip is typical.
    """

    components: int
    ridge: float
    sure: float


class Choice(NamedTuple):
    """The chosen clips, the typical ones first.

    Fields:
      rows: [n] int, distinct.
      predicted: [n] int, the class that the source predicts, its proportions uniform; -1 without a source.
      stands_for: [n] int, the clips of which a chosen clip is the nearest chosen one; they add up to all clips.
    """

    rows: np.ndarray
    predicted: np.ndarray
    stands_for: np.ndarray


def choose(x_NxF: np.ndarray, log_p_NxC: np.ndarray | None, n: int, settings: ChoiceSettings) -> Choice:
    """Returns n clips to label. The order of the clips does not matter; of clips with equal features one is chosen.

    Args:
      x_NxF: features, standardised over the corpus or by speaker.
      log_p_NxC: log-probabilities of the source's classifier; None without a source.

    Raises InputError for n below 1, and for fewer different clips than n.
    """
    if n < 1:
        raise InputError(f"n is {n}; expected the number of clips to label, 1 or more")
    order = _distinct(x_NxF)
    if n > len(order):
        raise InputError(f"{n} clips to label, and there are {len(order)} different ones; give a smaller n")
    z_NxP = principal_components(x_NxF[order], settings.components)
    predicted_N, first = np.full(len(order), -1), np.zeros(0, int)
    if log_p_NxC is not None:
        log_p_NxC = _balanced(log_p_NxC[order])
        predicted_N, first = np.argmax(log_p_NxC, axis=1), typical(z_NxP, log_p_NxC, settings.sure)
    rows = design(z_NxP, n, settings.ridge, first[:n])
    nearest_N = np.argmin(cdist(z_NxP, z_NxP[rows]), axis=1)
    return Choice(order[rows], predicted_N[rows], np.bincount(nearest_N, minlength=n))


def typical(z_NxP: np.ndarray, log_p_NxC: np.ndarray, sure: float) -> np.ndarray:
    """Returns a row of each class that is predicted, the largest class first.

    It is the nearest to the mean of the surest clips of the class, a share `sure` of them.
    """
    predicted_N = np.argmax(log_p_NxC, axis=1)
    counts_C = np.bincount(predicted_N, minlength=log_p_NxC.shape[1])
    rows = []
    for c in np.argsort(-counts_C, kind="stable")[: np.count_nonzero(counts_C)]:
        of_class = np.flatnonzero(predicted_N == c)
        surest = of_class[np.argsort(-log_p_NxC[of_class, c], kind="stable")][: max(1, round(sure * len(of_class)))]
        distances = np.linalg.norm(z_NxP[surest] - z_NxP[surest].mean(axis=0), axis=1)
        rows.append(surest[np.argmin(distances)])
    return np.array(rows, int)


def _balanced(log_p_NxC: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities with uniform proportions of the classes over all clips."""
    n_clips, n_classes = log_p_NxC.shape
    everything, even = np.ones((n_clips, 1), np.float32), np.full(n_classes, 1 / n_classes, np.float32)
    return np.asarray(jax.jit(balanced)(log_p_NxC.astype(np.float32), everything, even, 1.0))


def design(z_NxP: np.ndarray, n: int, ridge: float, first: np.ndarray) -> np.ndarray:
    """Returns the rows [n] of clips that leave a ridge regression the least variance over all clips, greedily.

    It begins with the rows `first`, at most n.

    The covariance of the coefficients, up to a factor, is the identity before a clip is labelled, and loses
    M z z' M / (z' M z + ridge) by a label of clip z.
    """
    gram_PxP, covariance_PxP = z_NxP.T @ z_NxP, np.eye(z_NxP.shape[1])
    rows = np.zeros(n, int)
    for i in range(n):
        mz_NxP = z_NxP @ covariance_PxP
        removed_N = np.einsum("np,pq,nq->n", mz_NxP, gram_PxP, mz_NxP, optimize=True)
        removed_N /= np.sum(mz_NxP * z_NxP, axis=1) + ridge
        removed_N[rows[:i]] = -np.inf
        rows[i] = first[i] if i < len(first) else np.argmax(removed_N)
        mz_P = mz_NxP[rows[i]]
        covariance_PxP -= np.outer(mz_P, mz_P) / (mz_P @ z_NxP[rows[i]] + ridge)
    return rows


def principal_components(x_NxF: np.ndarray, n_components: int) -> np.ndarray:
    """Returns the first principal components [N, P] float64, their mean squared length 1."""
    x = x_NxF.astype(np.float64)
    x -= x.mean(axis=0)
    wide = x.shape[1] > x.shape[0]
    gram = x @ x.T if wide else x.T @ x
    n_all = len(gram)
    last = (max(n_all - n_components, 0), n_all - 1)
    squares_P, vectors = scipy.linalg.eigh(gram, subset_by_index=last)
    z_NxP = vectors * np.sqrt(np.maximum(squares_P, 0)) if wide else x @ vectors
    length = np.sqrt(np.mean(np.sum(np.square(z_NxP), axis=1)))
    return z_NxP / (length or 1.0)


def _distinct(x_NxF: np.ndarray) -> np.ndarray:
    """Returns the first row of each set of equal features, in an order that the features alone give."""
    rows = np.ascontiguousarray(x_NxF)
    content = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return np.unique(content, return_index=True)[1]

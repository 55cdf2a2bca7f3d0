"""Ensembles of linear classifiers: the form in which every method but the networks leaves its fit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array


class LinearScorer(NamedTuple):
    """E linear classifiers on F features: weights [E, C, F], 0 in columns that a member does not use, and intercepts
    [E, C]."""

    weights: Array
    intercepts: Array


def log_probabilities(scorer: LinearScorer, x_QxF: Array) -> jax.Array:
    """Returns log-probabilities [Q, C]: the members' log-probabilities averaged, and normalised again."""
    members, classes, features = scorer.weights.shape
    logits_QxEC = jnp.matmul(x_QxF, scorer.weights.reshape(members * classes, features).T, precision="highest")
    logits_QxExC = logits_QxEC.reshape(-1, members, classes) + scorer.intercepts[None]
    return jax.nn.log_softmax(jnp.mean(jax.nn.log_softmax(logits_QxExC), axis=1))


def unscaled(scorer: LinearScorer, shift_F: Array, scale_F: Array) -> LinearScorer:
    """Returns the scorer of original features x from that of (x - shift) / scale."""
    weights_ExCxF = scorer.weights / scale_F[None, None]
    return LinearScorer(weights_ExCxF, scorer.intercepts - jnp.sum(weights_ExCxF * shift_F[None, None], axis=-1))

"""Class proportions of unlabelled clips: log-probabilities balanced over the clips of a corpus or of each speaker.

Kin: PT-MAP (Hu et al. 2021) balances by Sinkhorn's iterations; alpha-TIM (Veilleux et al. 2021) shows that few-shot
sets are rarely balanced, hence the strength.
"""

import jax
import jax.numpy as jnp
from chex import Array

ITERATIONS = 50
STEP = 0.7  # of each iteration; full steps oscillate where a group has few clips
LEAST = 1e-6  # the least share of a class that is told apart from none


def balanced(log_p_QxC: Array, group_QxG: Array, proportions_C: Array, strength: Array | float) -> jax.Array:
    """Returns log-probabilities [Q, C] whose means over each group are pulled to class proportions.

    Each group adds a bias a class to the log-probabilities of its clips. At strength 1 the mean probabilities of every
    group are the proportions (Sinkhorn's iterations, rows last). At a strength s below 1 the biases are s / (1 - s)
    times the log-ratios of proportions and means: the minimum of the clips' Kullback-Leibler divergences from the
    given probabilities, plus that much for the group's from the proportions. At 0 nothing changes.

    Args:
      group_QxG: 1 where a clip counts for a group, else 0. Clips of no group keep their values.
    """
    clips_Gx1 = jnp.maximum(jnp.sum(group_QxG, axis=0), LEAST)[:, None]
    target_C = jnp.log(proportions_C)

    def iterate(_: int, bias_GxC: jax.Array) -> jax.Array:
        p_QxC = jax.nn.softmax(log_p_QxC + _product(group_QxG, bias_GxC))
        mean_GxC = _product(group_QxG.T, p_QxC) / clips_Gx1
        gap_GxC = target_C[None] - jnp.log(jnp.maximum(mean_GxC, LEAST))
        return bias_GxC + STEP * (strength * gap_GxC - (1 - strength) * bias_GxC)

    zeros_GxC = jnp.zeros((group_QxG.shape[1], len(target_C)), log_p_QxC.dtype)
    bias_GxC = jax.lax.fori_loop(0, ITERATIONS, iterate, zeros_GxC)
    return jax.nn.log_softmax(log_p_QxC + _product(group_QxG, bias_GxC))


def _product(a: Array, b: Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")

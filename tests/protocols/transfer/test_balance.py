"""Balanced class proportions."""

import jax
import numpy as np
import pytest

from siamese_jax.protocols.transfer.balance import balanced

balance = jax.jit(balanced)


def log_probabilities(n, seed=0):
    return np.log(np.random.default_rng(seed).dirichlet([0.5, 1, 2], size=n)).astype(np.float32)


@pytest.mark.parametrize("proportions", [(1 / 3, 1 / 3, 1 / 3), (0.6, 0.3, 0.1)])
def test_at_strength_1_every_group_has_the_proportions(proportions):
    log_p, group = log_probabilities(60), np.eye(2, dtype=np.float32)[np.arange(60) % 2]
    p = np.exp(balance(log_p, group, np.float32(proportions), 1.0))
    for g in range(2):
        np.testing.assert_allclose(p[group[:, g] > 0].mean(axis=0), proportions, atol=2e-3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_at_strength_0_nothing_changes_and_between_the_means_come_nearer():
    log_p, group = log_probabilities(50), np.ones((50, 1), np.float32)
    even = np.full(3, 1 / 3, np.float32)
    gaps = [np.abs(np.exp(balance(log_p, group, even, s)).mean(axis=0) - even).max() for s in (0.0, 0.3, 0.6, 1.0)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3
    np.testing.assert_allclose(balance(log_p, group, even, 0.0), log_p, atol=1e-5)


def test_a_soft_balance_is_the_minimum_of_its_divergences():
    """No small change of the biases lowers the sum of Kullback-Leibler divergences."""
    log_p, strength, even = log_probabilities(40).astype(np.float64), 0.5, np.full(3, 1 / 3)
    reached = np.asarray(balance(log_p.astype(np.float32), np.ones((40, 1), np.float32), even, strength), np.float64)

    def divergences(q):
        mean = q.mean(axis=0)
        return np.sum(q * (np.log(q) - log_p)) + 40 * strength / (1 - strength) * np.sum(mean * np.log(mean / even))

    least = divergences(np.exp(reached))
    for change in 0.02 * np.random.default_rng(0).normal(size=(20, 3)):
        q = np.exp(reached + change)
        assert divergences(q / q.sum(axis=1, keepdims=True)) > least - 1e-4


def test_clips_of_no_group_keep_their_values_and_change_nothing():
    log_p, group = log_probabilities(30), np.ones((30, 1), np.float32)
    group[:5] = 0
    even = np.full(3, 1 / 3, np.float32)
    out = balance(log_p, group, even, 1.0)
    np.testing.assert_allclose(out[:5], log_p[:5], atol=1e-5)
    poisoned = log_p.copy()
    poisoned[:5] = log_probabilities(5, seed=1)
    np.testing.assert_array_equal(balance(poisoned, group, even, 1.0)[5:], out[5:])

"""Chances and numbers of draws against the normal theory that they replace."""

import jax
import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import power


def _key() -> jax.Array:
    """A fresh copy of one key, since every function consumes its own."""
    return jax.random.key(11)


def _reruns(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Two methods with standard deviation 0.05, correlated 0.5 over draws."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.05 * np.sqrt(0.5), n)
    own = rng.normal(0, 0.05 * np.sqrt(0.5), (2, n))
    return 0.42 + shared + own[0], 0.40 + shared + own[1]


@pytest.mark.parametrize(("paired", "spread"), [(True, 0.05), (False, 0.05 * np.sqrt(2))])
def test_chance_of_gain_agrees_with_normal_theory(paired: bool, spread: float) -> None:
    method, baseline = _reruns(0)
    chance = power.chance_of_gain(
        method, baseline, n_draws=10, gain=0.02, paired=paired, key=_key(), n_experiments=20_000
    )
    expected = scipy.stats.norm.sf(0.02, scale=spread / np.sqrt(10))
    np.testing.assert_allclose(chance.probability, expected, atol=0.015)
    np.testing.assert_allclose(chance.standard_error, np.sqrt(expected * (1 - expected) / 20_000), rtol=0.1)
    assert chance.n_reruns == 4000


def test_the_best_cells_of_two_equal_grids_win_half_the_time() -> None:
    rng = np.random.default_rng(1)
    method = 0.4 + 0.01 * np.arange(30)[:, None] + rng.normal(0, 0.05, (30, 1000))
    baseline = method[:, ::-1]  # the same cells, so that the grids are equal in truth
    best = power.chance_of_best_cell_gain(
        method, baseline, n_draws=10, gain=0.0, paired=False, key=_key(), n_experiments=4000
    )
    assert abs(best.probability - 0.5) < 0.05
    one = power.chance_of_gain(
        method[0], baseline[0], n_draws=10, gain=0.0, paired=False, key=_key(), n_experiments=4000
    )
    assert abs(one.probability - 0.5) < 0.05


def test_one_cell_is_the_plain_chance() -> None:
    method, baseline = _reruns(2, 500)
    options = {"n_draws": 10, "gain": 0.01, "paired": True, "n_experiments": 2000}
    plain = power.chance_of_gain(method, baseline, key=_key(), **options)
    best = power.chance_of_best_cell_gain(method[None], baseline[None], key=_key(), **options)
    assert plain.probability == best.probability


def test_draws_needed_agree_with_the_t_tests_power() -> None:
    differences = np.random.default_rng(3).normal(0.0, 0.05, 20_000)
    needed = power.draws_needed(differences, gain=0.02, power=0.8, level=0.9, n_max=120, key=_key(), n_experiments=6000)

    def power_of(n: int) -> float:
        shift = 0.02 / (differences.std(ddof=1) / np.sqrt(n))
        return float(scipy.stats.nct.sf(scipy.stats.t.ppf(0.95, n - 1), n - 1, shift))

    expected = next(n for n in range(2, 200) if power_of(n) >= 0.8)
    assert needed.n_draws is not None
    assert abs(needed.n_draws - expected) <= 3
    before, at = needed.power_by_n[needed.n_draws - 2 : needed.n_draws]
    assert before < 0.8 <= at
    for n in (5, 20, 50, 100):
        np.testing.assert_allclose(needed.power_by_n[n - 1], power_of(n), atol=0.025)
    assert np.isnan(needed.power_by_n[0])


def test_too_small_a_gain_is_said_to_need_more_draws() -> None:
    differences = np.random.default_rng(4).normal(0.0, 0.05, 500)
    needed = power.draws_needed(differences, gain=0.001, power=0.8, level=0.95, n_max=20, key=_key(), n_experiments=500)
    assert needed.n_draws is None
    assert needed.note == "more than 20 draws are needed for a power of 0.8"


def test_a_shift_of_all_differences_changes_nothing() -> None:
    differences = np.random.default_rng(5).normal(0.0, 0.05, 300)
    options = {"gain": 0.03, "power": 0.8, "level": 0.95, "n_max": 60, "n_experiments": 1000}
    plain = power.draws_needed(differences, key=_key(), **options)
    shifted = power.draws_needed(differences + 0.25, key=_key(), **options)
    assert plain.n_draws == shifted.n_draws


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": np.ones(1), "baseline": np.ones(1)}, "at least two draws"),
        ({"method": np.array([0.1, np.nan, 0.2])}, "method: holds NaN"),
        ({"method": np.array([0.1, 0.2])}, "expected equal shapes"),
        ({"method": np.array([0.2, 0.3, 0.5])}, "method - baseline: all draws are equal"),
        ({"n_draws": 0}, "n_draws: too small"),
    ],
)
def test_bad_reruns_are_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "method": np.array([0.1, 0.5, 0.2]), "baseline": np.array([0.1, 0.2, 0.4]), "n_draws": 3,
        "gain": 0.1, "paired": True, "key": _key(), "n_experiments": 10,
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        power.chance_of_gain(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain": 0.0}, "gain: expected a gain above 0"),
        ({"power": 80}, "power: expected a share"),
        ({"n_max": 1}, "n_max: too small"),
        ({"differences": np.ones(5)}, "all draws are equal"),
    ],
)
def test_bad_plans_are_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "differences": np.array([0.1, 0.5, 0.2]), "gain": 0.1, "power": 0.8, "level": 0.95,
        "n_max": 10, "key": _key(), "n_experiments": 10,
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        power.draws_needed(**(arguments | change))

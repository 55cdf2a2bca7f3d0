"""Components, contrasts and the trade-off on arrays whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import intervals
from siamese_jax.stats.variance_components import (
    _components,
    _effects,
    contrasts,
    spread_difference,
    variance_components,
)

FACTORS = ("frozen", "speakers", "draw", "seed")


def _crossed(rng: np.random.Generator, shape: tuple[int, ...], spreads: dict[tuple[int, ...], float]) -> np.ndarray:
    """Random effects with the given standard deviations, by the axes they vary over."""
    values = np.zeros(shape)
    for axes, spread in spreads.items():
        values = values + rng.normal(0, spread, [n if i in axes else 1 for i, n in enumerate(shape)])
    return values


def test_components_of_two_factors_match_the_textbook() -> None:
    values = np.random.default_rng(0).normal(size=(4, 7)) + np.arange(4)[:, None]
    got = variance_components(values, ("seed", "draw"))
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = ((values - rows[:, None] - columns + values.mean()) ** 2).sum() / (3 * 6)
    expected = [7 * rows.var(ddof=1), 4 * columns.var(ddof=1), rest]
    np.testing.assert_allclose(got.mean_squares, expected, rtol=1e-4)
    np.testing.assert_allclose(
        got.components, [(expected[0] - rest) / 7, (expected[1] - rest) / 4, rest], rtol=1e-3, atol=1e-5
    )
    assert got.effects == (("seed",), ("draw",), ("seed", "draw"))
    assert got.df.tolist() == [3, 6, 18]


def test_components_are_unbiased_over_four_crossed_factors() -> None:
    rng = np.random.default_rng(1)
    spreads = {(0,): 0.5, (1,): 1.0, (3,): 0.4, (1, 2): 0.7, (0, 1, 2, 3): 0.6}
    values = np.stack([_crossed(rng, (3, 4, 5, 6), spreads) for _ in range(600)])
    _, components = jax.vmap(_components)(jnp.asarray(values))
    effects = _effects(4)
    expected = np.array([spreads.get(effect, 0.0) ** 2 for effect in effects])
    error = np.asarray(components).std(axis=0) / np.sqrt(600)
    assert np.all(abs(np.asarray(components).mean(axis=0) - expected) < 4 * error + 1e-3)


def test_mean_squares_and_df_add_up_to_the_total() -> None:
    values = np.random.default_rng(2).normal(size=(2, 3, 4, 5))
    got = variance_components(values, FACTORS)
    assert got.df.sum() == values.size - 1
    np.testing.assert_allclose((got.mean_squares * got.df).sum(), ((values - values.mean()) ** 2).sum(), rtol=1e-4)
    np.testing.assert_allclose(got.shares.sum(), 1.0, rtol=1e-5)
    assert (got.shares >= 0).all()


def test_draws_that_mean_nothing_across_speakers_stand_in_the_interaction() -> None:
    rng = np.random.default_rng(3)
    values = _crossed(rng, (3, 5, 40, 4), {(1, 2): 1.0, (0, 1, 2, 3): 0.1})
    got = variance_components(values, FACTORS)
    assert got.shares[got.effects.index(("speakers", "draw"))] > 0.9
    assert abs(got.components[got.effects.index(("draw",))]) < 0.1


def test_nothing_varies() -> None:
    got = variance_components(np.full((2, 3, 4), 0.4), FACTORS[:3])
    assert np.isnan(got.shares).all()
    assert "no variance" in got.note


@pytest.mark.parametrize(
    ("values", "factors", "message"),
    [
        (np.ones((2, 3)), ("a",), "expected 2 different names"),
        (np.ones((2, 3)), ("a", "a"), "expected 2 different names"),
        (np.ones((2, 1)), ("a", "b"), "factor b: has one level"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), ("a", "b"), "NaN or infinite cells"),
    ],
)
def test_bad_crossings_are_refused(values: np.ndarray, factors: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        variance_components(values, factors)


def test_contrasts_are_paired_t_intervals() -> None:
    values = np.random.default_rng(4).normal(size=(3, 12)) + np.arange(3)[:, None]
    got = contrasts(values, ("emodb", "crema_d", "enterface"), 0.9, over="draws")
    assert list(got) == [("emodb", "crema_d"), ("emodb", "enterface"), ("crema_d", "enterface")]
    reference = scipy.stats.ttest_rel(values[0], values[2]).confidence_interval(0.9)
    interval = got["emodb", "enterface"]
    np.testing.assert_allclose([interval.low, interval.high], reference, rtol=1e-4)
    with pytest.raises(InputError, match="names: expected one for each level"):
        contrasts(values, ("a", "b"), over="draws")


def test_spread_difference_finds_the_factor_that_matters() -> None:
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 0.05, 24)
    source = np.array([0.35, 0.42, 0.40])[:, None] + shared + rng.normal(0, 0.01, (3, 24))
    frozen = np.array([0.39, 0.40, 0.395])[:, None] + shared + rng.normal(0, 0.01, (3, 24))
    interval = spread_difference(source, frozen, 0.99, over="speakers")
    half = scipy.stats.t.ppf(0.995, 23) * float(interval.standard_error)
    np.testing.assert_allclose(interval.high - interval.estimate, half, rtol=1e-4)
    truth = np.var([0.35, 0.42, 0.40], ddof=1) - np.var([0.39, 0.40, 0.395], ddof=1)
    assert 0 < interval.low < truth < interval.high
    back = spread_difference(frozen, source, 0.99, over="speakers")
    np.testing.assert_allclose(back.low, -interval.high, rtol=1e-4)


def test_spread_difference_frees_either_factor_of_its_scatter() -> None:
    def one(key: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, (2, 3, 24))
        # Equal levels, unequal scatter: without the correction a would seem to matter more.
        interval = spread_difference(noise[0], 0.1 * noise[1], over="draws")
        return interval.estimate

    estimates = jax.vmap(one)(jax.random.split(jax.random.key(0), 500))
    assert abs(float(estimates.mean())) < 4 * float(estimates.std()) / np.sqrt(500)


def test_spread_difference_refuses() -> None:
    assert "fewer than two" in spread_difference(np.ones((2, 2)), np.eye(2), over="draws").note
    assert "no variance" in spread_difference(np.ones((2, 5)), np.ones((2, 5)), over="draws").note
    for a, b in ((np.ones((3, 5)), np.ones((3, 4))), (np.ones((1, 5)), np.ones((3, 5)))):
        with pytest.raises(InputError, match="on the same n units"):
            spread_difference(a, b, over="draws")


def test_gain_per_speaker_divides_by_the_speakers_added() -> None:
    values = np.random.default_rng(6).normal(0, 0.05, (3, 20)) + np.array([0.38, 0.40, 0.46])[:, None]
    paired = intervals.gain_per_speaker(values, (2, 4, 8), 0.9, paired=True, over="draws")
    for i, added in enumerate((2, 4)):
        reference = scipy.stats.ttest_rel(values[i + 1], values[i]).confidence_interval(0.9)
        np.testing.assert_allclose([paired.low[i], paired.high[i]], np.array(reference) / added, rtol=1e-3, atol=1e-6)
    anew = intervals.gain_per_speaker(values, (2, 4, 8), 0.9, paired=False, over="draws")
    reference = scipy.stats.ttest_ind(values[2], values[1], equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose([anew.low[1], anew.high[1]], np.array(reference) / 4, rtol=1e-3)
    assert anew.label == "90 % Welch t over draws"


@pytest.mark.parametrize("n_speakers", [(2, 4), (4, 2, 8), (2, 2, 4), (2,)])
def test_numbers_of_speakers_that_do_not_fit_are_refused(n_speakers: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="n_speakers: expected"):
        intervals.gain_per_speaker(np.ones((3, 5)), n_speakers, paired=True, over="draws")

"""The clustered and crossed bootstrap against scipy, closed forms and float64 loops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from siamese_jax.errors import InputError
from siamese_jax.stats import bootstrap, estimands, metrics, two_way


def _key() -> jax.Array:
    """A fresh copy of one key, since every function consumes its own."""
    return jax.random.key(7)


def _counts(seed: int, *lead: int) -> np.ndarray:
    """[..., 4, 4] counts with about half on the diagonal."""
    rng = np.random.default_rng(seed)
    return rng.poisson(1.0, (*lead, 4, 4)) + np.eye(4, dtype=int) * rng.poisson(4.0, (*lead, 1, 4)) + 1


def test_weights_draw_as_many_units_as_are_present() -> None:
    present = jnp.array([True, False, True, True, False])
    weights = np.asarray(bootstrap.resample_weights(_key(), 2000, present))
    assert (weights.sum(axis=1) == 3).all()
    assert (weights[:, [1, 4]] == 0).all()
    np.testing.assert_allclose(weights[:, [0, 2, 3]].mean(axis=0), 1.0, atol=0.1)
    np.testing.assert_allclose(weights[:, 0].var(), 2 / 3, atol=0.1)  # multinomial: n p (1 - p)


@pytest.mark.parametrize("n", [5, 200])  # on either side of the switch from comparing to scattering
def test_more_resamples_leave_the_first_ones_alone(n: int) -> None:
    few = bootstrap.resample_weights(_key(), 5, jnp.ones(n, bool))
    many = bootstrap.resample_weights(_key(), 600, jnp.ones(n, bool))
    np.testing.assert_array_equal(few, many[:5])
    np.testing.assert_array_equal(many.sum(axis=1), n)


def test_resampled_values_are_the_statistic_of_weighted_counts() -> None:
    counts = _counts(0, 12)
    resampled = bootstrap.clustered_bootstrap(_key(), counts, estimands.uar, 300, over="speakers")
    weights = np.asarray(bootstrap.resample_weights(_key(), 300, jnp.ones(12, bool)), float)
    totals = np.einsum("rs,sij->rij", weights, counts)
    expected = np.mean(np.diagonal(totals, axis1=1, axis2=2) / totals.sum(axis=2), axis=1)
    np.testing.assert_allclose(resampled.values, expected, rtol=1e-5)


def test_per_clip_predictions_and_counts_resample_alike() -> None:
    rng = np.random.default_rng(2)
    labels, groups = np.arange(192) % 4, np.repeat(np.arange(12), 16)
    predictions = np.where(rng.random(192) < 0.5, labels, rng.integers(0, 4, 192))
    counts = metrics.confusion_by_group(predictions, labels, np.ones(192, bool), groups, 12, 4)
    resampled = bootstrap.clustered_bootstrap(_key(), counts, estimands.uar, 300, over="speakers")
    weights = np.asarray(bootstrap.resample_weights(_key(), 300, jnp.ones(12, bool)), int)
    for value, weight in zip(np.asarray(resampled.values[:20]), weights[:20]):
        clips = np.concatenate([np.flatnonzero(groups == s) for s in np.repeat(np.arange(12), weight)])
        recalls = [np.mean(predictions[clips][labels[clips] == c] == c) for c in range(4)]
        np.testing.assert_allclose(value, np.mean(recalls), rtol=1e-5)


@pytest.mark.parametrize("n", [10, 24])
def test_percentile_and_bca_agree_with_scipy_on_the_same_resamples(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    resampled = bootstrap.clustered_bootstrap(
        _key(), estimands.unit_sums(values), estimands.mean, 2000, over="speakers"
    )
    first = scipy.stats.bootstrap((values,), np.mean, n_resamples=2, method="percentile", rng=0)
    same = dataclasses.replace(first, bootstrap_distribution=np.asarray(resampled.values, float))
    for method, interval in (
        ("percentile", bootstrap.percentile_interval(resampled, 0.9)),
        ("BCa", bootstrap.bca_interval(resampled, 0.9)),
    ):
        theirs = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=0, confidence_level=0.9, method=method, bootstrap_result=same
        ).confidence_interval
        np.testing.assert_allclose([interval.low, interval.high], theirs, rtol=2e-3, err_msg=method)


def test_percentile_agrees_with_scipys_own_resamples() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.05, 24)
    resampled = bootstrap.clustered_bootstrap(
        _key(), estimands.unit_sums(values), estimands.mean, 10_000, over="speakers"
    )
    ours = bootstrap.percentile_interval(resampled)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=1
    ).confidence_interval
    # Either side's simulation error: a standard error is 1 % of the width, so four of them.
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.04 * (theirs.high - theirs.low))


def test_clustered_percentile_agrees_with_the_package_confidence_intervals() -> None:
    package = pytest.importorskip("confidence_intervals")
    counts = _counts(1, 24)

    def uar(drawn: np.ndarray) -> float:
        total = counts[drawn].sum(axis=0)
        return float(np.mean(np.diag(total) / total.sum(axis=1)))

    _, theirs = package.evaluate_with_conf_int(np.arange(24), uar, num_bootstraps=5000, alpha=5)
    resampled = bootstrap.clustered_bootstrap(_key(), counts, estimands.uar, 5000, over="speakers")
    ours = bootstrap.percentile_interval(resampled)
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.06 * (theirs[1] - theirs[0]))


def test_studentised_interval_agrees_with_a_float64_loop() -> None:
    values = np.random.default_rng(4).exponential(size=10)
    resampled = bootstrap.clustered_bootstrap(
        _key(), estimands.unit_sums(values), estimands.mean, 2000, over="speakers"
    )
    weights = np.asarray(bootstrap.resample_weights(_key(), 2000, jnp.ones(10, bool)), int)
    samples = np.stack([np.repeat(values, weight) for weight in weights])
    errors = samples.std(axis=1, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(resampled.standard_errors, errors, rtol=1e-3)
    t = (samples.mean(axis=1) - values.mean()) / errors
    error = values.std(ddof=1) / np.sqrt(10)
    expected = values.mean() - np.quantile(t, [0.95, 0.05]) * error
    interval = bootstrap.studentised_interval(resampled, 0.9)
    np.testing.assert_allclose([interval.low, interval.high], expected, rtol=1e-2)


def test_paired_difference_is_narrower_than_the_methods_apart() -> None:
    shared = _counts(5, 12)
    better = shared + np.eye(4, dtype=int)
    both = np.stack([better, shared], axis=1)
    paired = bootstrap.percentile_interval(
        bootstrap.clustered_bootstrap(_key(), both, estimands.uar_difference, 300, over="speakers")
    )
    alone = bootstrap.percentile_interval(
        bootstrap.clustered_bootstrap(_key(), shared, estimands.uar, 300, over="speakers")
    )
    assert paired.low > 0
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_crossed_bootstrap_weighs_every_cell_by_both_axes() -> None:
    counts = _counts(6, 3, 12)
    resampled = bootstrap.crossed_bootstrap(_key(), counts, estimands.uar, 200)
    key_seeds, key_speakers = jax.random.split(_key())
    seeds = np.asarray(bootstrap.resample_weights(key_seeds, 200, jnp.ones(3, bool)), float)
    speakers = np.asarray(bootstrap.resample_weights(key_speakers, 200, jnp.ones(12, bool)), float)
    totals = np.einsum("rj,rs,jsab->rab", seeds, speakers, counts)
    expected = np.mean(np.diagonal(totals, axis1=1, axis2=2) / totals.sum(axis=2), axis=1)
    np.testing.assert_allclose(resampled.values, expected, rtol=1e-5)
    assert bootstrap.percentile_interval(resampled).label == "95 % crossed percentile over speakers+seeds"


@pytest.mark.parametrize(("seed", "shape", "apart"), [(8, (6, 9), 1.0), (11, (3, 4), 0.0), (17, (3, 4), 0.0)])
def test_crossed_interval_of_a_mean_is_the_random_effects_interval(seed, shape, apart) -> None:
    n_rows, n_columns = shape
    values = np.random.default_rng(seed).normal(size=shape) + apart * np.arange(n_columns)
    interval = two_way.crossed_interval(estimands.unit_sums(values), estimands.mean, 0.9)
    assert int(interval.n_units) == min(shape)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns[None, :] + values.mean()
    df_rows, df_columns = n_rows - 1, n_columns - 1
    a, b = rows.var(ddof=1) / n_rows, columns.var(ddof=1) / n_columns
    c = (rest**2).sum() / (df_rows * df_columns) / values.size
    variance = max(a + b - c, a, b)
    spread = a**2 / df_rows + b**2 / df_columns + c**2 / (df_rows * df_columns)
    df = variance**2 / spread
    if not apart:
        # The rest counts in the degrees of freedom, and is as large as an axis alone, which the variance must not be
        # below.
        assert c**2 / (df_rows * df_columns) > 0.05 * spread
        assert a + b - c < max(a, b)
    np.testing.assert_allclose(interval.standard_error, np.sqrt(variance), rtol=1e-3)
    np.testing.assert_allclose(interval.df, df, rtol=1e-3)
    half = scipy.stats.t.ppf(0.95, df) * np.sqrt(variance)
    np.testing.assert_allclose(interval.high - interval.estimate, half, rtol=2e-3)
    test = two_way.t_test(interval, null=values.mean() + 1)
    np.testing.assert_allclose(test.p_value, 2 * scipy.stats.t.sf(1 / np.sqrt(variance), df), rtol=1e-2)


def test_many_draws_of_the_same_people_do_not_narrow_a_claim() -> None:
    counts = _counts(9, 3, 12)
    once = two_way.crossed_interval(counts, estimands.uar)
    often = two_way.crossed_interval(1000 * counts, estimands.uar)
    np.testing.assert_allclose([once.low, once.high], [often.low, often.high], rtol=1e-3)


def test_what_cannot_be_computed_is_nan_with_a_note() -> None:
    lacking = _counts(0, 12)
    lacking[1:, 2] = 0
    cases = {
        "without some of the units": lacking,
        "fewer than two": _counts(0, 1),
        "no variance": np.repeat(_counts(0, 1), 12, axis=0),
        "NaN or infinite": np.where(np.arange(12)[:, None, None] == 2, np.nan, _counts(0, 12)),
    }
    for words, counts in cases.items():
        resampled = bootstrap.clustered_bootstrap(_key(), counts, estimands.uar, 300, over="speakers")
        for make in (bootstrap.percentile_interval, bootstrap.bca_interval, bootstrap.studentised_interval):
            interval = make(resampled)
            assert np.isnan(interval.low), words
            assert words in interval.note
    crossed_cases = {
        "fewer than two": _counts(0, 1, 12),
        "no variance": np.broadcast_to(_counts(0, 1, 1), (3, 12, 4, 4)),
        "without some of the units": np.broadcast_to(lacking, (3, 12, 4, 4)),
    }
    for words, counts in crossed_cases.items():
        interval = two_way.crossed_interval(counts, estimands.uar)
        assert np.isnan(interval.low), words
        assert words in interval.note
        assert np.isnan(two_way.t_test(interval).p_value)
        by_resampling = bootstrap.percentile_interval(bootstrap.crossed_bootstrap(_key(), counts, estimands.uar, 200))
        assert words in by_resampling.note


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="n_resamples: expected at least 1"):
        bootstrap.clustered_bootstrap(_key(), _counts(0, 5), estimands.uar, 0, over="speakers")
    with pytest.raises(InputError, match="over: expected one of"):
        bootstrap.clustered_bootstrap(_key(), _counts(0, 5), estimands.uar, 5, over="people")
    crossed = bootstrap.crossed_bootstrap(_key(), _counts(0, 3, 12), estimands.uar, 200)
    for make in (bootstrap.bca_interval, bootstrap.studentised_interval):
        with pytest.raises(InputError, match="not defined for crossed resamples"):
            make(crossed)

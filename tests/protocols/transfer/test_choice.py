"""The choice of clips to label: distinct, representative, and by the clips alone, whatever their order."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.choice import ChoiceSettings, choose, design, principal_components, typical

SETTINGS = ChoiceSettings(components=6, ridge=0.1, sure=0.5)


def clouds(n=96, n_features=12, seed=0):
    """Clips in eight well separated clouds, and the cloud of each."""
    rng = np.random.default_rng(seed)
    cloud = np.arange(n) % 8
    x = 0.3 * rng.normal(size=(n, n_features)) + 6 * rng.normal(size=(8, n_features))[cloud]
    return x.astype(np.float32), cloud


@pytest.mark.parametrize("n", [1, 8, 40, 96])
def test_as_many_distinct_clips_as_asked_for(n):
    choice = choose(clouds()[0], None, n, SETTINGS)
    assert len(set(choice.rows.tolist())) == len(choice.stands_for) == n
    assert choice.stands_for.sum() == 96


def test_few_clips_are_of_different_clouds():
    x, cloud = clouds()
    assert len(set(cloud[choose(x, None, 6, SETTINGS).rows])) == 6


def test_a_longer_choice_begins_with_the_shorter_one():
    x, _ = clouds()
    assert choose(x, None, 20, SETTINGS).rows[:8].tolist() == choose(x, None, 8, SETTINGS).rows.tolist()


def guesses(cloud, seed=2):
    """A source's log-probabilities of four classes of two clouds each, biased to the first class."""
    rng = np.random.default_rng(seed)
    p = 0.2 + np.eye(4)[cloud % 4] * rng.uniform(0.3, 1, size=(len(cloud), 1)) + np.array([1.5, 0, 0, 0])
    return np.log(p / p.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("n_features", [12, 200])  # fewer and more than clips
@pytest.mark.parametrize("with_source", [False, True])
def test_the_order_of_the_clips_does_not_matter(n_features, with_source):
    x, cloud = clouds(n_features=n_features)
    order = np.random.default_rng(1).permutation(len(x))
    log_p = guesses(cloud) if with_source else None
    permuted = choose(x[order], log_p[order] if with_source else None, 8, SETTINGS)
    assert order[permuted.rows].tolist() == choose(x, log_p, 8, SETTINGS).rows.tolist()


def test_a_typical_clip_of_each_class_comes_first_though_the_source_prefers_one_class():
    x, cloud = clouds()
    choice = choose(x, guesses(cloud), 8, SETTINGS)
    assert sorted(cloud[choice.rows[:4]] % 4) == [0, 1, 2, 3]
    assert choice.predicted.tolist() == (cloud[choice.rows] % 4).tolist()
    assert choose(x, guesses(cloud), 2, SETTINGS).rows.tolist() == choice.rows[:2].tolist()


def test_a_typical_clip_is_sure_and_central():
    z = np.array([[0.0], [1.0], [2.0], [50.0], [-9.0], [-8.0]])
    log_p = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    assert typical(z, log_p, 0.75).tolist() == [1, 4]
    assert typical(z, log_p[:, :1] * 0, 1.0).tolist() == [2]


def test_of_equal_clips_one_is_chosen():
    x, _ = clouds(16)
    doubled = np.repeat(np.arange(16), 5)
    choice = choose(x[doubled], None, 16, SETTINGS)
    assert len(set(doubled[choice.rows])) == 16


def test_clips_that_are_all_alike_but_for_rounding_can_be_chosen():
    x = np.ones((5, 3), np.float32)
    x[:, 0] += np.arange(5, dtype=np.float32) * np.finfo(np.float32).eps
    assert len(set(choose(x, None, 3, SETTINGS).rows.tolist())) == 3


@pytest.mark.parametrize(("n", "message"), [(0, "n is 0"), (-1, "n is -1"), (17, "17 clips to label, .* 16 different")])
def test_a_number_that_cannot_be_chosen_is_refused(n, message):
    x, _ = clouds(16)
    with pytest.raises(InputError, match=message):
        choose(np.repeat(x, 2, axis=0), None, n, SETTINGS)


def test_each_clip_is_the_one_that_lowers_the_variance_most():
    """The variance of a ridge regression's predictions over all clips, by its closed form, for each next clip."""
    z = np.random.default_rng(0).normal(size=(30, 4))

    def variance(rows):
        inverse = np.linalg.inv(np.eye(4) + z[rows].T @ z[rows] / 0.5)
        return np.einsum("np,pq,nq->", z, inverse, z)

    rows = design(z, 5, 0.5, np.zeros(0, int))
    for i in range(5):
        left = [row for row in range(30) if row not in rows[:i]]
        best = min(left, key=lambda row: variance([*rows[:i], row]))
        assert rows[i] == best


def test_components_keep_the_distances_of_the_clips():
    x, _ = clouds(n_features=5)
    z = principal_components(x, 5)
    np.testing.assert_allclose(np.mean(np.sum(z**2, axis=1)), 1)
    between = [np.linalg.norm(a[:, None] - a[None], axis=2) for a in (x, z)]
    np.testing.assert_allclose(between[0] / between[0].max(), between[1] / between[1].max(), atol=1e-5)


def test_labels_of_the_choice_serve_a_regression_better_than_those_of_as_many_clips_by_lot():
    x, cloud = clouds(400, 30)
    z, target = principal_components(x, 6), np.eye(8)[cloud]

    def error(rows):
        return np.mean((Ridge(alpha=0.1, fit_intercept=False).fit(z[rows], target[rows]).predict(z) - target) ** 2)

    by_lot = [error(np.random.default_rng(i).choice(400, 6, replace=False)) for i in range(100)]
    assert error(choose(x, None, 6, SETTINGS).rows) < np.quantile(by_lot, 0.1)

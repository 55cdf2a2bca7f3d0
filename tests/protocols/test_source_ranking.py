"""Pair distances between a source and the labelled target clips, and which source they choose."""

import dataclasses

import jax
import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table
from tiny_plan import PLAN

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.datasets.mixture import mixture
from siamese_jax.protocols import config, source_ranking
from siamese_jax.protocols.plan import Plan

pair_distances = jax.jit(source_ranking.pair_distances, static_argnums=4)


def clips(seed, n=20, n_features=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)).astype(np.float32), np.arange(n) % 4


def test_distances_are_means_over_pairs_of_emotions():
    (x, label), (y, other) = clips(0), clips(1, n=12)
    label[:7] = 2  # unequal numbers of clips
    found = pair_distances(x, label, y, other, 4)
    distance = np.linalg.norm(x[:, None].astype(np.float64) - y[None], axis=2)
    mean = np.array([[distance[np.ix_(label == a, other == b)].mean() for b in range(4)] for a in range(4)])
    np.testing.assert_allclose(found.same, np.trace(mean) / 4, rtol=1e-5)
    np.testing.assert_allclose(found.different, mean[~np.eye(4, dtype=bool)].mean(), rtol=1e-5)


def test_clips_that_are_doubled_change_nothing():
    (x, label), (y, other) = clips(0), clips(1)
    once = pair_distances(x, label, y, other, 4)
    again = np.flatnonzero(label == 1)
    twice = pair_distances(np.concatenate([x, x[again]]), np.concatenate([label, label[again]]), y, other, 4)
    np.testing.assert_allclose(once, twice, rtol=1e-5)


@pytest.mark.parametrize("scope", ["speaker", "support"])
def test_a_draw_ranks_the_sources_by_its_own_clips_in_its_scaling(scope, monkeypatch):
    """The ratio of a draw is replaced by the sums of its clips and of each source's."""
    tables = {name: make_table(name, 5, seed=seed) for seed, name in enumerate("abc", 1)}
    a, b, target = (dataset.from_table(table, EMOTIONS, name) for name, table in tables.items())
    source = mixture([a, b], ["a", "b"], ())
    plan = dataclasses.replace(PLAN, source=source, target=target)

    def trial(n_classes, rows, shift, scale, target, sources):
        x = (target.x[rows] - shift[None]) / scale[None]
        return np.stack([np.abs(x).sum() + 1000 * np.abs(of.x).sum() for of in sources])

    def program(trial, axes, chunk):
        return lambda rows, *rest, on_chunk: [
            trial(*(x[i] if axis == 0 else x for x, axis in zip((rows, *rest), axes))) for i in range(len(rows))
        ]

    monkeypatch.setattr(source_ranking, "ratio_trial", trial)
    monkeypatch.setattr(source_ranking, "TrialProgram", program)
    found = source_ranking.ratios(plan, scope, 2)
    clips, scaling = plan.target_clips(scope), plan.support_scaling(plan.target_clips(scope), scope, 2)
    for draw, rows in enumerate(plan.draws.support(2)):
        own = np.abs((clips.x[rows] - scaling.shift[draw]) / scaling.scale[draw]).sum()
        expected = [own + 1000 * np.abs(of.x).sum() for of in plan.source_corpora(scope)]
        np.testing.assert_allclose(found[draw], expected, rtol=1e-6)


@pytest.mark.long
def test_the_source_with_the_targets_emotions_is_nearest_and_unlabelled_clips_do_not_matter():
    tables = {name: make_table(name, 5, seed=seed, n_features=8) for seed, name in enumerate("abc", 1)}
    # The emotions of "b" are permuted: its anger is the target's happiness.
    shifted = np.array([EMOTIONS[(EMOTIONS.index(e) + 1) % 4] if e in EMOTIONS else e for e in tables["b"].emotion])
    tables["b"] = dataclasses.replace(tables["b"], emotion=shifted)
    a, b, target = (dataset.from_table(table, EMOTIONS, name) for name, table in tables.items())
    given = smoke.get_config()
    given.protocol.update({"n_speakers": (2,), "n_draws": 5})
    given.report.fixed_n_speakers = 2
    plan = Plan.make(config.resolve(given), mixture([b, a], ["b", "a"], ()), target)
    ratio = source_ranking.ratios(plan, "corpus", 2)
    assert ratio.shape == (5, 2)
    assert (ratio.argmin(axis=1) == 0).all()
    assert (ratio[:, 0] < 1).all()
    label = (target.label + 1) % 4
    label[plan.draws.support(2)] = target.label[plan.draws.support(2)]
    poisoned = dataclasses.replace(plan, target=dataclasses.replace(target, label=label))
    np.testing.assert_array_equal(ratio, source_ranking.ratios(poisoned, "corpus", 2))

"""The baseline logistic regression in JAX: the classes of scikit-learn's minimum, and no label that it must not see."""

import dataclasses
import functools
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.protocols import baselines, config, logistic
from siamese_jax.protocols.plan import Plan

long = pytest.mark.long


def plan_of(solver, c=1.0, poisoned=(), n_features=70):
    """Three draws of two of seven speakers; the labels of the target clips at `poisoned` are wrong."""
    given = smoke.get_config()
    given.protocol.update({"n_speakers": (2,), "logistic_solver": solver, "logistic_c": c})
    given.protocol.update({"baselines": ("logistic_regression",)})
    given.report.fixed_n_speakers = 2
    experiment = config.resolve(given)
    source, target = (
        dataset.from_table(make_table(name, n_speakers=7, seed=seed, apart=0.4, n_features=n_features), EMOTIONS, name)
        for name, seed in (("source", 1), ("target", 2))
    )
    plan = Plan.make(experiment, source, target)
    label = target.label.copy()
    label[list(poisoned)] = (label[list(poisoned)] + 1) % 4
    return dataclasses.replace(plan, target=dataclasses.replace(target, label=label))


def run(plan, scope, parts=baselines.PARTS):
    return baselines.run(plan, scope, parts, lambda _: None, 1)


@functools.cache
def clean():
    return run(plan_of("jax"), "corpus")


@pytest.mark.parametrize(
    "scope",
    ["corpus", "support", *(pytest.param(scope, marks=long) for scope in ("speaker", "source", "train"))],
)
def test_the_classes_are_those_of_scikit_learns_minimum(scope, monkeypatch):
    exact = {"logistic_regression": lambda c: LogisticRegression(C=c, tol=1e-8, max_iter=20000)}
    monkeypatch.setattr(baselines, "CLASSIFIERS", exact)
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-7)
    ours, theirs = (run(plan_of(solver), scope) for solver in ("jax", "scikit-learn"))
    assert set(ours.data_vars) == set(theirs.data_vars)
    for part in set(ours.data_vars) - {"fit_seconds"}:
        assert ours[part].dims == theirs[part].dims
        assert (ours[part].values == theirs[part].values).mean() > 0.99, part


@pytest.mark.long
def test_fewer_features_than_clips():
    ours, theirs = (run(plan_of(solver, n_features=5), "support") for solver in ("jax", "scikit-learn"))
    assert (ours.few_shot.values == theirs.few_shot.values).mean() > 0.98
    assert (ours.loso.values == theirs.loso.values).mean() > 0.98


def test_labels_that_must_not_be_seen_change_nothing():
    """Few-shot fits see the labels of a draw's clips alone; source only none of the target's."""
    plan = plan_of("jax")
    drawn = set(plan.draws.support(2)[0].tolist())
    poisoned = run(plan_of("jax", poisoned=[i for i in range(len(plan.target)) if i not in drawn]), "corpus")
    np.testing.assert_array_equal(clean().source_only, poisoned.source_only)
    np.testing.assert_array_equal(clean().few_shot[..., 0, :], poisoned.few_shot[..., 0, :])
    assert (clean().few_shot[..., 1, :] != poisoned.few_shot[..., 1, :]).any()
    assert (clean().loso != poisoned.loso).any()


def test_a_speaker_is_tested_by_a_fit_without_its_labels():
    plan = plan_of("jax")
    own = np.flatnonzero(plan.target.speaker == 0)
    poisoned = run(plan_of("jax", poisoned=own), "corpus", ("loso",)).loso.values[0]
    np.testing.assert_array_equal(clean().loso.values[0][own], poisoned[own])


def test_a_fit_ends_near_its_minimum(monkeypatch):
    plan = plan_of("jax")
    found = logistic.source_fit(plan, "corpus").coefficients
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-7)
    exact = logistic.source_fit(plan, "corpus").coefficients
    assert np.linalg.norm(found - exact) < 0.005 * np.linalg.norm(exact)


@pytest.mark.parametrize("solver", config.LOGISTIC_SOLVERS)
def test_c_is_used(solver):
    strong, weak = (run(plan_of(solver, c=c), "corpus", ("few_shot",)).few_shot.values for c in (1e-4, 10.0))
    assert (strong != weak).any()

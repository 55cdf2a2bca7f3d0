"""The metric network on draws: its key, its draws, its source components, and the classes that it needs."""

import dataclasses
import functools

import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.errors import InputError
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import metric_network, settings
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.protocols.transfer.methods import Sources


def make_plan(n_draws=3, first_draw=0, seed=0, **changes):
    given = smoke.get_config()
    given.protocol.update({"n_speakers": (2,), "n_draws": n_draws, "seed": seed})
    given.report.fixed_n_speakers = 2
    given.metric_network.update({"layer_widths": (16,), "dimensions": 4, "members": 2, "source_batch": 8})
    given.metric_network.update({"pretraining_steps": 60, "joint_steps": 60, "contrastive_rate": 0.01, **changes})
    source, target = (
        dataset.from_table(make_table(name, 5, seed=s, apart=2.0, n_features=7), EMOTIONS, name)
        for name, s in (("source", 1), ("target", 2))
    )
    return Plan.make(config.resolve(given), source, target, first_draw)


@functools.cache
def log_probabilities(**changes):
    plan = make_plan(**changes)
    own = settings.of_config(plan.experiment.transfer, "corpus", 1.0, 1.0)
    return TransferDraws(plan, "corpus", own).inductive(metric_network.NAME, 2)


@pytest.mark.long
def test_it_learns_and_gives_log_probabilities():
    log_p = log_probabilities()
    np.testing.assert_allclose(np.exp(log_p).sum(axis=-1), 1, rtol=1e-4)
    assert (log_p.argmax(axis=-1) == make_plan().target.label).mean() > 0.7


@pytest.mark.long
def test_a_draw_depends_on_the_seed_and_its_number_alone():
    log_p = log_probabilities()
    own = settings.of_config(make_plan().experiment.transfer, "corpus", 1.0, 1.0)
    again = TransferDraws(make_plan(), "corpus", own).inductive(metric_network.NAME, 2)
    np.testing.assert_array_equal(again, log_p)
    np.testing.assert_allclose(log_probabilities(n_draws=2, first_draw=1), log_p[1:], rtol=1e-3, atol=1e-3)
    plan = make_plan(seed=1)
    same_draws = dataclasses.replace(plan, draws=make_plan().draws)
    other = TransferDraws(same_draws, "corpus", own).inductive(metric_network.NAME, 2)
    assert np.abs(other - log_p).max() > 0.01


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"joint_steps": 0}, {"pretraining_steps": 0}, {"noise": 0.0}, {"dropout": 0.0}, {"members": 1},
        {"prototype_source_clips": 0.1}, {"component_shrinkage": 0.2}, {"components": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_every_setting_changes_the_result(changes):
    assert np.abs(log_probabilities(**changes) - log_probabilities()).max() > 1e-3


def test_components_are_the_sources_and_their_variances_those_within_classes():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 200).astype(np.int32)
    x = (rng.normal(size=(400, 3)) * [1.0, 3.0, 0.0] + np.outer(label, [20.0, 0.0, 0.0])).astype(np.float32)
    found = metric_network.source_components(Sources(((x, label),), (1.0,), 3), 8)
    np.testing.assert_allclose(np.abs(found.directions), [[1, 0], [0, 1], [0, 0]], atol=0.05)
    np.testing.assert_allclose(found.variances, [1, 9], rtol=0.2)
    assert metric_network.source_components(Sources(((x, label),), (1.0,), 3), 1).directions.shape == (3, 1)


def test_a_source_without_a_class_is_refused():
    plan = make_plan()
    rows = np.flatnonzero(plan.source.label != 2)
    source = dataclasses.replace(
        plan.source, rows=plan.source.rows[rows], label=plan.source.label[rows], speaker=plan.source.speaker[rows]
    )
    own = settings.of_config(plan.experiment.transfer, "corpus", 1.0, 1.0)
    draws = TransferDraws(dataclasses.replace(plan, source=source), "corpus", own)
    with pytest.raises(InputError, match=r"no clip of .sadness.; the method metric_network"):
        draws.inductive(metric_network.NAME, 2)

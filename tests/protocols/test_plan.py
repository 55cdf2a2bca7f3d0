"""A plan passes every setting on under its own name, scales each role by its scope, and numbers draws and seeds."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_plan import PLAN, SOURCE, TARGET, scaled, settings

from siamese_jax.models.siamese import HEADS, SiameseSpec
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import ProtocolSpec
from siamese_jax.training.siamese import TrainingSpec


@pytest.mark.parametrize("head", HEADS)
def test_every_setting_of_a_trial_has_its_own_value(head):
    plan = dataclasses.replace(PLAN, experiment=settings(pairs_within="speaker", head_width=4))
    assert plan.spec(head) == ProtocolSpec(
        SiameseSpec((7, 6, 5), head, 4), TrainingSpec(0.02, 0.007, 0.03, "uniform", "speaker"), 4, 12,
        "mean_probability",
    )  # fmt: skip


@pytest.mark.parametrize("scope", ["corpus", "speaker", "source", "support"])
def test_source_and_target_are_scaled_by_their_scope(scope):
    clips = PLAN.source_clips(scope)
    np.testing.assert_allclose(clips.x, scaled(SOURCE, "speaker" if scope == "speaker" else "corpus"), atol=1e-4)
    np.testing.assert_array_equal(clips.label, SOURCE.label)
    target = PLAN.target_clips(scope)
    scalings = PLAN.support_scaling(target, scope, 2)
    assert len(scalings.shift) == 3
    for draw, rows in enumerate(PLAN.draws.support(2)):
        x = (target.x - scalings.shift[draw]) / scalings.scale[draw]
        np.testing.assert_allclose(x, scaled(TARGET, scope, rows), atol=2e-3)


def test_the_least_deviation_is_that_of_the_configuration():
    """Beyond any deviation within a corpus, so that it is the scale of every column."""
    plan = dataclasses.replace(PLAN, experiment=settings(scale_floor=1.5))
    for clips, data, scope in (
        (plan.source_clips("corpus"), SOURCE, "corpus"),
        (plan.target_clips("corpus"), TARGET, "corpus"),
        (plan.target_clips("source"), TARGET, "source"),
    ):
        np.testing.assert_allclose(1.5 * clips.x, scaled(data, scope), atol=2e-3)
    target = plan.target_clips("support")
    for rows, scale in zip(plan.draws.support(2), plan.support_scaling(target, "support", 2).scale, strict=True):
        deviation = target.x[rows].std(axis=0)
        assert (deviation < 1.5).any()
        np.testing.assert_allclose(scale, np.where(deviation <= 1.5, 1, deviation), rtol=1e-5)


def test_a_fold_takes_the_target_as_it_is():
    np.testing.assert_array_equal(PLAN.target_clips("train").x, TARGET.table.features)


def test_keys_come_from_the_seed_and_the_purpose():
    expected = jax.random.split(jax.random.fold_in(jax.random.key(5), 1), 4)
    np.testing.assert_array_equal(jax.random.key_data(PLAN.keys(1, 4)), jax.random.key_data(expected))
    later = dataclasses.replace(PLAN, first_seed=2)
    np.testing.assert_array_equal(jax.random.key_data(later.keys(1, 2)), jax.random.key_data(expected[2:]))


def test_another_seed_draws_other_clips():
    other = Plan.make(settings(seed=6), SOURCE, TARGET)
    assert (other.draws.support(2) != PLAN.draws.support(2)).any()


def test_the_order_of_draws_and_seeds():
    """Draw i starts from seed i modulo the seeds, counted from the plan's first draw."""
    later = Plan.make(settings(), SOURCE, TARGET, first_draw=1)
    np.testing.assert_array_equal(later.draws.support(2)[:2], PLAN.draws.support(2)[1:])
    assert PLAN.seed_of_draw.tolist() == [0, 1, 0]
    assert later.seed_of_draw.tolist() == [1, 0, 1]
    assert dataclasses.replace(PLAN, only_seed=1).seed_of_draw.tolist() == [1, 1, 1]

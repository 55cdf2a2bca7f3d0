"""The crossing: every draw from every seed, and its shares of variance."""

import dataclasses

import numpy as np
import pytest

from configs import rerun as rerun_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import crossed, run_context
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import results


@pytest.fixture(scope="module")
def settings():
    given = rerun_config.get_config()
    given.protocol.update({"n_draws": 3, "n_seeds": 2, "n_speakers": (2, 3), "frozen": (0, 2)})
    given.report.update({"fixed_n_speakers": 2})
    given.protocol.update({"steps": (0, 4), "losses": ("none",), "pad_speakers": 4})
    given.report.update({"fixed_steps": 4})
    given.training.update({"source_steps": 20})
    return config.resolve(given)


def test_shares_cover_every_effect_and_add_up(settings, tmp_path):
    found = crossed.run(settings, tmp_path / "run")
    assert [(one["loss"], one["steps"]) for one in found] == [("none", 0), ("none", 4)]
    for one in found:
        assert len(one["shares"]) == 15
        np.testing.assert_allclose(sum(one["shares"].values()), 100, rtol=1e-4)
    # Before the first step freezing can make no difference.
    assert found[0]["components"]["frozen"] <= 1e-6
    text = results.write(tmp_path / "run")
    assert text == (tmp_path / "run" / "crossed.md").read_text()
    assert "3 draws x 2 source seeds" in text
    assert crossed.run(settings, tmp_path / "run") == found


def test_every_draw_of_a_seeds_plan_starts_from_that_seed(settings):
    source, target = run_context.load(settings)
    plan = Plan.make(settings, source, target)
    np.testing.assert_array_equal(plan.seed_of_draw, [0, 1, 0])
    np.testing.assert_array_equal(dataclasses.replace(plan, only_seed=1).seed_of_draw, [1, 1, 1])


@pytest.mark.parametrize("change", [{"frozen": (0,)}, {"n_speakers": (2,)}, {"n_draws": 1}, {"n_seeds": 1}])
def test_a_factor_of_one_level_is_refused(settings, change, tmp_path):
    with pytest.raises(InputError, match="at least two"):
        crossed.run(settings.replace(**change), tmp_path / "x")

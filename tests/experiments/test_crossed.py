"""The crossing: every draw from every seed, and its shares of variance."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
import xarray as xr
from tiny_plan import PLAN, TARGET
from tiny_plan import settings as tiny

from configs import rerun as rerun_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import crossed, run_context
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import results
from siamese_jax.stats.variance_components import Decomposition


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


@pytest.mark.parametrize(
    "change", [{"frozen": (0,)}, {"n_speakers": (2,)}, {"n_draws": 1}, {"n_seeds": 1}, {"scalings": ("train",)}]
)
def test_a_factor_of_one_level_and_a_scope_without_draws_are_refused(settings, change, tmp_path):
    with pytest.raises(InputError, match="at least two"):
        crossed.run(settings.replace(**change), tmp_path / "x")


CROSSED = dataclasses.replace(PLAN, experiment=tiny(n_speakers=(2, 3)))


def test_a_cell_is_the_uar_of_its_draw_and_seed_on_other_speakers_clips():
    """Every number of speakers, draw and seed has predictions of its own."""
    losses, frozen, steps = (getattr(CROSSED.experiment.protocol, name) for name in ("losses", "frozen", "steps"))
    shape = (len(losses), len(frozen), 3, len(steps))  # and draws
    right = {
        cell: np.random.default_rng(cell).random((*shape, len(TARGET))) < 0.5
        for cell in itertools.product((2, 3), (0, 1))
    }

    class Tuning:
        def run(self, plan, n_speakers, scope, params, on_done):
            predictions = np.where(right[n_speakers, plan.only_seed], TARGET.label, (TARGET.label + 1) % 4)
            dims = ("loss", "frozen", "draw", "step")
            log = dict.fromkeys(("cross_entropy", "d_same", "d_different"), (dims, np.ones(shape)))
            return xr.Dataset({"predictions": ((*dims, "clip"), predictions), **log})

    class Run:
        bars = types.SimpleNamespace(start=lambda *_: None)

        def source_training(self, plan, head, scope):
            return xr.Dataset()

        def arrays(self, plan, name, make):
            return make()

    uar, lost = crossed._scores(Run(), CROSSED, Tuning(), "abs_difference", "corpus")
    assert uar.shape == (len(losses), len(steps), len(frozen), 2, 3, 2)
    assert not lost.any()
    for k, draw, seed in np.ndindex(2, 3, 2):
        tested = ~np.isin(TARGET.speaker, TARGET.speaker[CROSSED.draws.support(2 + k)[draw]])
        of_cell = right[2 + k, seed][:, :, draw]
        expected = np.mean([of_cell[..., tested & (TARGET.label == c)].mean(axis=-1) for c in range(4)], axis=0)
        np.testing.assert_allclose(uar[:, :, :, k, draw, seed], 100 * expected.swapaxes(1, 2), rtol=1e-5)


def test_shares_are_of_their_loss_and_step_and_have_the_name_of_their_axis(monkeypatch):
    losses, steps = CROSSED.experiment.protocol.losses, CROSSED.experiment.protocol.steps
    uar = np.random.default_rng(0).uniform(20, 80, (len(losses), len(steps), 3, 2, 3, 2))
    sizes = {"frozen": 3, "speakers": 2, "draw": 3, "seed": 2}

    def components(values, factors):
        rest = [tuple(j for j in range(4) if j != i) for i in range(4)]
        main = np.array([values.mean(axis=axes).var() for axes in rest])
        return Decomposition(tuple((f,) for f in factors), main, main, main, main / main.sum(), "")

    monkeypatch.setattr(crossed, "variance_components", components)
    lost = np.zeros((len(losses), 3, len(steps), 3, 4), bool)
    lost[1, 0, 2, 0, 0] = True
    records = crossed._shares(CROSSED, "abs_difference", "corpus", uar, lost)
    cells = list(itertools.product(range(len(losses)), range(len(steps))))
    for record, (m, r) in zip(records, cells, strict=True):
        assert (record["loss"], record["steps"]) == (losses[m], steps[r])
        assert record["levels"] == sizes
        of_cell = dict(zip(sizes, components(uar[m, r], sizes).components))
        assert record["components"] == of_cell
        assert ("1 of 36 trainings diverged" in record["remarks"]) == ((m, r) == (1, 2))
        assert sum(record["shares"].values()) == pytest.approx(100)
    by_seed = uar[0, 0].mean(axis=(0, 1, 2)).var()
    assert records[0]["components"]["seed"] == pytest.approx(by_seed)

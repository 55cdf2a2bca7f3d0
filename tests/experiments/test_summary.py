"""Rows of an experiment from given scores: which cell is the best, and whose differences are whose."""

import dataclasses
import types

import numpy as np
import pytest
import xarray as xr
from tiny_plan import PLAN, TARGET

from siamese_jax.experiments import summary
from siamese_jax.experiments.summary import Grid
from siamese_jax.stats.scoring import Scored

LOSSES = PLAN.experiment.protocol.losses


@pytest.fixture
def no_intervals(monkeypatch):
    """Means without intervals, which take seconds to compile."""

    def fields(*index, scored):
        uar, nothing = scored.uar[index], dict.fromkeys(("uar_sd", "ci_low", "ci_high", "wa_mean"))
        return {"uar_mean": float(uar.mean()), "interval": "", **nothing}

    monkeypatch.setattr(summary, "over_runs", lambda scored, *_: lambda *index: fields(*index, scored=scored))


def grid(seed=0):
    """Scores of every cell [speakers, loss, frozen, step, draw] on both splits."""
    shape = (1, len(LOSSES), 3, 3, 3)
    rng = np.random.default_rng(seed)
    scored = {split: Scored(*(uar, uar)) for split in summary.SPLITS for uar in [rng.uniform(20, 80, shape)]}
    return Grid(scored, np.zeros(shape, bool), np.ones(1))


def test_the_best_cell_of_a_loss_and_step_has_the_largest_mean(no_intervals):
    given = grid()
    rows = list(summary.grid_rows(PLAN, "abs_difference", "corpus", given))
    for split, scored in given.scored.items():
        means = scored.uar.mean(axis=-1)
        for m, loss in enumerate(LOSSES):
            for r, steps in enumerate((0, 2, 4)):
                of_cell = [row for row in rows if (row.split, row.loss, row.steps) == (split, loss, steps)]
                cells = [row for row in of_cell if row.selection not in ("best", "fixed")]
                found = {row.frozen: row.uar_mean for row in cells}
                assert found == pytest.approx(dict(zip((0, 1, 3), means[0, m, :, r])))
                (best,) = (row for row in of_cell if row.selection == "best")
                assert best.uar_mean == pytest.approx(max(found.values()))


def test_a_difference_is_of_the_first_name_minus_the_second(no_intervals):
    given = grid()
    predictions = np.random.default_rng(1).integers(0, 4, (1, 3, len(TARGET))).astype(np.int8)
    rows = list(summary.differences(PLAN, "abs_difference", "corpus", given, {"svm": predictions}))
    svm = summary.score_few_shot(PLAN, predictions)
    pairs = {(row.method, row.minus) for row in rows}
    assert pairs == {*summary.COMPARISONS, *((loss, "svm") for loss in LOSSES)}
    for row in rows:
        uar = given.scored[row.split].uar
        f, r = (0, 1, 3).index(row.frozen), (0, 2, 4).index(row.steps)
        minus = svm[row.split].uar[0] if row.minus == "svm" else uar[0, LOSSES.index(row.minus), f, r]
        expected = uar[0, LOSSES.index(row.method), f, r] - minus
        assert row.uar_difference == pytest.approx(expected.mean(), abs=1e-6)


def test_a_cell_chosen_on_other_draws_is_not_chosen_by_its_own():
    cells = np.array([[40.0, 90, 10], [51, 51, 51]])
    (found,) = summary.chosen_on_other_draws(cells)
    # The first cell is better than the second without the third draw alone: 65 to 51.
    assert found == {"n_draws": 3, "best": 51.0, "best_chosen_on_other_draws": pytest.approx((51 + 51 + 10) / 3)}


def test_in_domain_scores_count_tested_clips_alone(no_intervals):
    tested = TARGET.speaker != 2
    predictions = np.where(tested, TARGET.label, (TARGET.label + 1) % 4)[None]
    arrays = xr.Dataset(
        {"predictions": (("seed", "clip"), predictions), "tested": ("clip", tested), "diverged": ("seed", [False])},
        attrs={"seconds": 1.0},
    )
    rows = list(summary.siamese_rows(PLAN, "abs_difference", "corpus", None, arrays, None))
    assert [(row.method, row.split, row.uar_mean) for row in rows] == [
        ("idt", split, 100.0) for split in summary.SPLITS
    ]


def test_the_classifiers_data_keep_their_names_and_their_own_best_cells(no_intervals):
    """On target clips all classes are right, on source and target clips none."""
    right = np.stack([TARGET.label, (TARGET.label + 1) % 4])[:, None, None]
    predictions = np.broadcast_to(right, (2, 1, 3, len(TARGET))).astype(np.int8)
    scored = summary.score_few_shot(PLAN, predictions)
    rows = list(summary.few_shot_rows(PLAN, "corpus", "svm", scored, 1.0))
    assert {(row.data, row.uar_mean) for row in rows} == {("target", 100.0), ("source+target", 0.0)}
    dims = ("method", "data", "n_speakers", "draw", "clip")
    arrays = xr.Dataset({"few_shot": (dims, np.stack([predictions] * 2))})
    found = summary.baseline_optimism(PLAN, "corpus", arrays)
    assert {(row["data"], row["best"]) for row in found} == {("target", 100.0), ("source+target", 0.0)}


def test_classifiers_that_draw_nothing_name_their_scope_and_have_an_interval_over_speakers(monkeypatch):
    asked = []

    def interval(counts_SxCxC, level):
        asked.append((counts_SxCxC.sum(), level))
        return types.SimpleNamespace(low=0.1, high=0.2, label="jackknife")

    monkeypatch.setattr(summary.intervals, "jackknife_t_interval", interval)
    monkeypatch.setattr(summary, "within", lambda interval, *possible: interval)
    tested = TARGET.speaker != 2
    right, wrong = (((TARGET.label + shift) % 4)[None] for shift in (0, 1))
    arrays = xr.Dataset({"loso": (("method", "clip"), right), "source_only": (("method", "clip"), wrong)})
    arrays = arrays.assign(tested=("clip", tested), fit_seconds=("method", [1.0]))
    plan = dataclasses.replace(PLAN, experiment=PLAN.experiment.replace(baselines=("svm",)))
    rows = list(summary.baseline_rows(plan, "support", arrays))
    assert [(row.data, row.scaling, row.split, row.uar_mean) for row in rows] == [
        (data, scaling, split, uar)
        for data, scaling, uar in (("loso", "train", 100.0), ("source", "source", 0.0)) for split in summary.SPLITS
    ]  # fmt: skip
    assert {(row.ci_low, row.ci_high, row.interval) for row in rows} == {(10.0, 20.0, "jackknife")}
    assert asked == [(tested.sum(), 0.9), (len(TARGET), 0.9)]

"""The experiment on transfer methods: its rows against the predictions it stored, and the choice of its settings."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.experiments import run_context, transfer, tune
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import transfer as report

long = pytest.mark.long


def experiment_of(folder, **changes):
    given = smoke.get_config()
    for role, seed in (("source", 1), ("target", 2)):
        path = folder / f"{role}.npz"
        if not path.exists():
            write_table(path, make_table(role, n_speakers=7, seed=seed, apart=0.6))
        given.data[role] = str(path)
    given.protocol.update({"n_speakers": (2,), "n_draws": 6})
    given.report.fixed_n_speakers = 2
    given.data.scalings = ("corpus", "support")
    given.transfer.balance_strength = (0.5, 1.0)
    for name, value in changes.items():
        given.transfer[name] = value
    return config.resolve(given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with a thinned target beside the target as it is."""
    folder = tmp_path_factory.mktemp("transfer")
    experiment = experiment_of(folder, thinned=(1.0, 2.0))
    return experiment, folder / "work", transfer.run(experiment, folder / "work")


@long
def test_rows_name_mode_and_settings_and_inductive_scopes_have_no_transductive_row(finished):
    _, _, rows = finished
    assert {row.mode for row in rows if row.scaling == "support"} == {"inductive"}
    modes = {(row.adaptation, row.mode) for row in rows}
    assert modes == {("none", "inductive"), ("balanced", "transductive"), ("self_trained", "transductive")}
    assert all((row.within, row.strength) == ("", 0.0) for row in rows if row.mode == "inductive")
    assert {row.strength for row in rows if row.mode == "transductive"} == {0.5, 1.0}
    names = [(report.name_of(row), row.scaling, row.thinned) for row in rows]
    assert len(set(names)) == len(names)


@long
def test_rows_are_the_scores_of_the_stored_predictions(finished):
    experiment, work, rows = finished
    source, target = run_context.load(experiment)
    plan = Plan.make(experiment, source, target)
    stored = xr.load_dataset(work / "arrays/transfer/corpus_02_1_0.nc")
    of_cell = [row for row in rows if (row.scaling, row.thinned) == ("corpus", 1.0)]
    assert len(of_cell) == stored.sizes["setting"]
    for row, predictions in zip(of_cell, stored.predictions.values):
        uar = []
        for classes, rows_M in zip(predictions, plan.draws.support(2)):
            tested = ~np.isin(target.speaker, target.speaker[rows_M])
            uar.append(np.mean([np.mean(classes[tested & (target.label == c)] == c) for c in range(4)]))
        np.testing.assert_allclose(row.uar_mean, 100 * np.mean(uar), rtol=1e-6)
    best = max((row for row in of_cell if row.method == transfer.BASELINE and row.mode == "inductive"),
               key=lambda row: row.uar_mean)  # fmt: skip
    assert [row.gain is None for row in of_cell] == [row is best for row in of_cell]
    for row in of_cell:
        if row is not best:
            np.testing.assert_allclose(row.gain, row.uar_mean - best.uar_mean, atol=1e-6)
            assert row.baseline_c == best.c
            assert row.p_holm >= row.p_value


@long
def test_a_thinned_target_has_a_draw_for_every_half_of_the_classes(finished):
    experiment, _, rows = finished
    assert {row.n_draws for row in rows if row.thinned == 2.0} == {6 * experiment.protocol.n_draws}


@long
def test_a_second_run_computes_nothing_and_gives_the_same_rows(finished, monkeypatch):
    experiment, work, rows = finished
    monkeypatch.setattr(transfer, "_classes", None)
    again = transfer.run(experiment, work)
    assert [dataclasses.replace(row, seconds=0.0) for row in again] == [
        dataclasses.replace(row, seconds=0.0) for row in rows
    ]


@long
def test_the_page_holds_every_row_and_escapes_names(finished):
    _, work, rows = finished
    page = report.write(work)
    assert page == (work / "transfer.md").read_text()
    for row in rows:
        assert report.name_of(row) in page
        assert f"{row.uar_mean:.1f}" in page
    hostile = report.markdown([dataclasses.replace(rows[0], source="a|b<script>")])
    assert "<script>" not in hostile


def test_a_page_of_another_kind_of_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no config\.json"):
        report.write(tmp_path)


def test_scaling_by_training_speakers_is_refused(tmp_path):
    experiment = experiment_of(tmp_path).replace(scalings=("train",))
    with pytest.raises(InputError, match="'train', which draws no clips"):
        transfer.run(experiment, tmp_path / "work")


def test_the_layer_ensemble_of_features_without_layers_is_refused(tmp_path):
    experiment = experiment_of(tmp_path, methods=("layer_ensemble",))
    with pytest.raises(InputError, match="needs the features of a speech encoder"):
        transfer.run(experiment, tmp_path / "work")


def datasets_of(*seeds):
    return [
        dataset.from_table(make_table(f"corpus{seed}", n_speakers=8, seed=seed, apart=0.6), EMOTIONS, "x")
        for seed in seeds
    ]


def test_no_validation_transfer_has_the_target_as_its_target(tmp_path):
    experiment, (source, other, target) = experiment_of(tmp_path), datasets_of(1, 2, 3)
    single = tune.validation_transfers(experiment.replace(n_speakers=(1,), fixed_n_speakers=1), [source], target)
    assert [(t.plan.source.name, t.plan.target.name) for t in single] == [
        ("corpus1", "corpus1"), ("corpus1", "corpus1"), ("corpus3", "corpus1"),
    ]  # fmt: skip
    assert not set(single[0].plan.source.speakers) & set(single[0].plan.target.speakers)
    several = tune.validation_transfers(experiment, [source, other], target)
    assert [(t.plan.source.name, t.plan.target.name) for t in several] == [
        ("corpus2", "corpus1"), ("corpus1", "corpus2"),
    ]  # fmt: skip


@long
def test_settings_are_chosen_by_the_best_mean_and_labels_of_the_target_change_nothing(tmp_path, monkeypatch):
    """With several sources the target is not read at all; each step's choice is the best of the values tried."""
    steps = (
        tune.Step("shrinkage", (0.3, 0.9), tune.BOTH[1:], "none"),
        tune.Step("balance_strength", (0.0, 0.5), tune.BOTH, "balanced", (1.0, 2.0)),
        tune.Step("rounds", (1, 2), tune.BOTH, "self_trained"),
    )
    monkeypatch.setattr(tune, "STEPS", steps)
    experiment, (source, other, target) = experiment_of(tmp_path), datasets_of(1, 2, 3)
    poisoned = dataclasses.replace(target, label=(target.label + 1) % 4)
    results = [
        tune.tune(experiment, tune.validation_transfers(experiment, [source, other], of_target), lambda _: None)
        for of_target in (target, poisoned)
    ]
    assert results[0] == results[1]
    for step in results[0]["steps"]:
        assert step["chosen"] == step["values"][int(np.argmax(step["uar"]))]
        assert results[0]["chosen"][step["field"]] == step["chosen"]
    assert len({round(uar, 3) for step in results[0]["steps"] for uar in step["uar"]}) > 3
    assert "config.transfer.rounds = " in tune.text({"source": "a", "target": "b", "features": "f", **results[0]})


def test_a_source_of_too_few_speakers_to_choose_on_is_refused(tmp_path):
    (source, target) = datasets_of(1, 2)
    with pytest.raises(InputError, match="to choose settings on"):
        tune.validation_transfers(experiment_of(tmp_path), [source], target)

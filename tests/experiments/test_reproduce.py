"""The whole thing on the tables that ship: one short run, looked at from every side."""

import csv
import dataclasses
import json
import shutil
import types

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import balanced_accuracy_score
from tiny_plan import PLAN, TARGET
from tiny_plan import settings as tiny

from configs import smoke
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.errors import InputError
from siamese_jax.experiments import records, reproduce, run_context, source_effect
from siamese_jax.experiments import summary as experiment_summary
from siamese_jax.protocols import config, stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import figure2, results, table1
from siamese_jax.report.render import terminal
from siamese_jax.stats.scoring import score


@pytest.fixture(scope="module")
def settings():
    given = smoke.get_config()
    given.training.update({"source_steps": 20, "in_domain_steps": 10})
    given.protocol.update({"steps": (0, 4)})
    given.report.update({"fixed_steps": 4})
    return config.resolve(given)


@pytest.fixture(scope="module")
def folder(settings, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "run"
    reproduce.run(settings, path)
    results.write(path)
    return path


@pytest.fixture(scope="module")
def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_every_promised_file_is_there(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "provenance.json", "summary.json", "differences.json", "optimism.json"} <= names
    assert {"table1.md", "differences.md", "figure2.png", "figure2.pdf", "arrays"} <= names
    made = json.loads((folder / "provenance.json").read_text())
    assert {"revision", "packages", "devices", "machine", "command", "seconds"} <= set(made)
    assert (folder / "figure2.png").stat().st_size > 10_000


def test_the_best_cell_is_also_chosen_on_the_other_draws_for_networks_and_classifiers(folder, settings, summary):
    found = json.loads((folder / "optimism.json").read_text())
    assert {row["method"] for row in found} == {"fine_tuning", *settings.protocol.baselines}
    for row in found:
        assert row["best_chosen_on_other_draws"] <= row["best"] + 1e-9
        keys = ("method", "data", "scaling", "split", "loss", "steps")
        same = [r for r in summary if r["selection"] == "best" and all(r[k] == row.get(k) for k in keys)]
        assert [r["uar_mean"] for r in same] == pytest.approx([row["best"]])
    table = (folder / "table1.md").read_text().splitlines()
    best = [line.split("|") for line in table if "best: " in line]
    assert len(best) == len(settings.protocol.losses) + 2 * len(settings.protocol.baselines)
    assert all(float(cells[6]) > 0 for cells in best)


def test_a_draw_does_not_choose_the_cell_that_it_is_scored_in():
    cells = np.array([[90.0, 10.0, 10.0], [40.0, 50.0, 41.0]])  # by the other draws: the second cell, the first twice
    (row,) = experiment_summary.chosen_on_other_draws(cells)
    assert row == pytest.approx({"n_draws": 3, "best": 131 / 3, "best_chosen_on_other_draws": (40 + 10 + 10) / 3})
    assert experiment_summary.chosen_on_other_draws(cells[:, :1]) == []


def test_training_scalars_are_tensorboard_events(folder):
    events = sorted((folder / "tensorboard" / "abs_difference" / "corpus").rglob("events.out.tfevents.*"))
    assert len(events) == 1 + 2 * 3 * 2  # source; speakers x losses x frozen
    assert b"cross_entropy" in events[0].read_bytes()


def test_rows_carry_every_field_and_cover_the_grid(settings, summary):
    fields = {field.name for field in dataclasses.fields(records.Row)}
    assert all(set(row) == fields for row in summary)
    cells = [r for r in summary if r["method"] == "fine_tuning" and r["selection"] == "cell"]
    assert len(cells) == 3 * 2 * 2 * 2 * 2  # losses, frozen, speakers, evaluation steps, splits
    assert {r["method"] for r in summary} == {"oodt", "idt", "fine_tuning", "logistic_regression", "svm"}
    assert {(r["data"], r["loss"]) for r in summary if r["method"] == "svm"} == {
        ("source", None), ("target", None), ("source+target", None), ("loso", None)
    }  # fmt: skip
    for row in summary:
        assert 0 <= row["uar_mean"] <= 100
        assert "over" in row["interval"]
        if row["ci_low"] is not None:
            assert row["ci_low"] <= row["uar_mean"] <= row["ci_high"]


def test_best_is_the_largest_cell_and_fixed_is_the_named_one(settings, summary):
    for loss in settings.protocol.losses:
        mine = [
            r for r in summary if (r["loss"], r["method"], r["split"], r["steps"]) == (loss, "fine_tuning", "paper", 4)
        ]
        best = [r for r in mine if r["selection"] == "best"]
        fixed = [r for r in mine if r["selection"] == "fixed"]
        assert len(best) == len(fixed) == 1
        assert best[0]["uar_mean"] == max(r["uar_mean"] for r in mine)
        assert (fixed[0]["frozen"], fixed[0]["n_speakers"]) == (0, 4)


def test_scores_can_be_computed_again_from_the_labelled_arrays(folder, settings, summary):
    with xr.open_dataset(folder / "arrays" / "abs_difference" / "corpus" / "fine_tuning_04.nc") as arrays:
        emotions = list(arrays.attrs["emotions"])
        truth = np.array([emotions.index(e) for e in arrays.emotion.values])
        speaker, support = arrays.speaker.values, arrays.support.values
        chosen = arrays.predictions.sel(loss="ratio", frozen=1, step=4)
        scores = {"paper": [], "speaker_disjoint": []}
        for draw in range(settings.protocol.n_draws):
            drawn = np.isin(np.arange(len(truth)), support[draw])
            tested = {"paper": ~drawn, "speaker_disjoint": ~np.isin(speaker, speaker[support[draw]])}
            for split, mask in tested.items():
                predicted = chosen.sel(draw=draw).values
                scores[split].append(100 * balanced_accuracy_score(truth[mask], predicted[mask]))
    for split, found in scores.items():
        keys = ("loss", "frozen", "n_speakers", "steps", "split", "selection")
        row = next(r for r in summary if tuple(r[key] for key in keys) == ("ratio", 1, 4, 4, split, "cell"))
        # A duplicate of a drawn clip is left out of our test set too, which moves the score by less than one clip.
        np.testing.assert_allclose(row["uar_mean"], np.mean(found), atol=0.2)
        np.testing.assert_allclose(row["uar_sd"], np.std(found, ddof=1), atol=0.2)


def test_labelled_scores_are_those_of_the_rows(folder, settings, summary, tmp_path):
    scores = reproduce.scores(settings, folder, "abs_difference", "corpus")
    assert dict(scores.sizes) == {"split": 2, "n_speakers": 2, "loss": 3, "frozen": 2, "step": 2, "draw": 3}
    for row in summary:
        if row["method"] == "fine_tuning" and row["selection"] == "cell":
            cell = {key: row[key] for key in ("split", "n_speakers", "loss", "frozen")} | {"step": row["steps"]}
            np.testing.assert_allclose(scores.uar.sel(cell).mean(), row["uar_mean"])
            np.testing.assert_allclose(scores.wa.sel(cell).mean(), row["wa_mean"])
    with pytest.raises(InputError, match=r"holds no config\.json"):
        reproduce.scores(settings, tmp_path / "nowhere", "abs_difference", "corpus")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(InputError, match=r"holds no arrays/extra_layer/corpus/fine_tuning_02\.nc"):
        reproduce.scores(settings, folder, "extra_layer", "corpus")


def test_figure_2_has_a_panel_for_each_depth(settings, summary):
    figure = figure2.draw(settings, [records.Row(**row) for row in summary])
    assert [axis.get_title() for axis in figure.axes] == ["0 frozen layers", "1 frozen layer"]
    assert figure2.draw(settings.replace(scalings=("train",)), []) is None


def test_before_the_first_step_every_loss_and_depth_is_the_same(folder):
    with xr.open_dataset(folder / "arrays" / "abs_difference" / "corpus" / "fine_tuning_02.nc") as arrays:
        first = arrays.predictions.sel(step=0).values
    np.testing.assert_array_equal(first, np.broadcast_to(first[:1, :1], first.shape))


def test_differences_are_paired(folder, settings):
    found = json.loads((folder / "differences.json").read_text())
    pairs = {(d["method"], d["minus"]) for d in found}
    assert {("ratio", "none"), ("ratio", "cross_entropy_twice"), ("ratio", "logistic_regression")} <= pairs
    with xr.open_dataset(folder / "arrays" / "abs_difference" / "corpus" / "fine_tuning_02.nc") as arrays:
        predictions = arrays.predictions.sel(frozen=0, step=4)
        plan_target = run_context.load(settings)[1]
        masks = evaluation_masks(plan_target, arrays.support.values)["paper"]
        uar = {
            loss: score(predictions.sel(loss=loss).values, plan_target.label, masks).uar for loss in ("ratio", "none")
        }
    keys = ("method", "minus", "frozen", "n_speakers", "steps", "split")
    one = next(d for d in found if tuple(d[key] for key in keys) == ("ratio", "none", 0, 2, 4, "paper"))
    np.testing.assert_allclose(one["uar_difference"], (uar["ratio"] - uar["none"]).mean(), atol=1e-4)


def test_a_second_run_gives_the_same_bits_and_an_interrupted_run_resumes(settings, folder, tmp_path):
    again = tmp_path / "again"
    reproduce.run(settings, again)
    stage = "arrays/abs_difference/corpus/fine_tuning_04.nc"
    with xr.open_dataset(folder / stage) as a, xr.open_dataset(again / stage) as b:
        for name in a.data_vars:
            np.testing.assert_array_equal(a[name].values, b[name].values)
    kept = (again / "arrays/abs_difference/corpus/source.nc").stat().st_mtime_ns
    (again / stage).unlink()
    (again / "summary.json").unlink()
    reproduce.run(settings, again)
    assert (again / "arrays/abs_difference/corpus/source.nc").stat().st_mtime_ns == kept
    with xr.open_dataset(folder / stage) as a, xr.open_dataset(again / stage) as b:
        np.testing.assert_array_equal(a.predictions.values, b.predictions.values)

    def without_times(path):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(path.read_text())]

    assert without_times(again / "summary.json") == without_times(folder / "summary.json")


def test_another_configuration_or_a_strange_folder_is_refused(settings, folder, tmp_path):
    with pytest.raises(InputError, match=r"another configuration \(protocol\.n_draws: 3 there, 2 now\)"):
        reproduce.run(settings.replace(n_draws=2), folder)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds files but no config\.json"):
        reproduce.run(settings, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        reproduce.run(settings, tmp_path / "notes.txt")


def test_a_damaged_stage_is_named(settings, folder):
    stage = folder / "arrays/abs_difference/corpus/out_of_domain.nc"
    good = stage.read_bytes()
    stage.write_bytes(good[: len(good) // 2])
    try:
        with pytest.raises(InputError, match=r"out_of_domain\.nc: changed since it was written .*remove this file"):
            reproduce.run(settings, folder)
    finally:
        stage.write_bytes(good)


def test_the_paper_stands_only_under_its_own_source(folder, settings):
    lines = [line for line in (folder / "table1.md").read_text().splitlines() if line.startswith("| ")]
    assert "the paper |" not in lines[0]
    assert "not in the paper" not in (folder / "table1.md").read_text()
    fitted = terminal.fit((folder / "table1.md").read_text()).splitlines()
    assert max(map(len, fitted)) <= 120
    for row in lines[1:]:
        score = row.split("|")[4].strip()
        assert any(score in line for line in fitted), score  # no number is broken
    found = json.loads((folder / "summary.json").read_text())
    theirs = [records.Row(**{**row, "source": "cremad"}) for row in found]
    text = table1.markdown(settings, theirs, [])
    assert text.startswith("# cremad to ravdess")
    assert "the paper |" in text
    assert max(map(len, terminal.fit(text).splitlines())) <= 120
    for value in ("29.3", "37.8", "43.4"):
        assert f"| {value} |\n" in text


def test_too_many_speakers_is_an_error_before_anything_is_computed(settings, tmp_path):
    with pytest.raises(InputError, match=r"at most 23 can be drawn with a test clip .* asks for 24"):
        reproduce.run(settings.replace(n_speakers=(4, 24)), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.long
def test_a_table_of_ones_own_runs_with_every_scaling_and_both_heads(tmp_path):
    """Other features, other corpora, few speakers: CSV tables, as a user would bring them."""
    from tables_for_tests import make_table

    given = smoke.get_config()
    for role, seed in (("source", 1), ("target", 2)):
        table = make_table(role, seed=seed, n_speakers=5)
        with (tmp_path / f"{role}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clip", *table.feature_names])
            writer.writerows([clip, *row] for clip, row in zip(table.clip, table.features.tolist()))
        with (tmp_path / f"{role}_labels.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clip", "emotion", "speaker", "corpus"])
            writer.writerows(zip(table.clip, table.emotion, table.speaker, table.corpus))
        given.data[role], given.data[f"{role}_companion"] = (
            str(tmp_path / f"{role}.csv"),
            str(tmp_path / f"{role}_labels.csv"),
        )
    given.protocol.update({"n_speakers": (2,), "frozen": (0,), "steps": (3,)})
    given.report.update({"fixed_steps": 3, "fixed_n_speakers": 2})
    given.data.update({"scalings": ("speaker", "support", "source")})
    given.network.update({"heads": ("abs_difference", "extra_layer")})
    given.training.update({"source_steps": 5, "in_domain_steps": 5})
    given.network.update({"encoder_widths": (8, 6, 4)})
    given.protocol.update({"n_draws": 2, "pooling": "sum_log", "losses": ("none", "ratio")})
    found = reproduce.run(config.resolve(given), tmp_path / "run")
    tuned = {(r.head, r.scaling) for r in found.rows if r.method == "fine_tuning"}
    assert tuned == {(head, scope) for head in given.network.heads for scope in given.data.scalings}
    assert {r.scaling for r in found.rows if r.method == "idt"} == {"speaker", "train"}
    assert {r.scaling for r in found.rows if r.method == "oodt"} == {"speaker", "source"}
    # Without a source and a support set, either scope means the training speakers, in deed as in name.
    e = config.resolve(given)
    plan = Plan.make(e, *run_context.load(e))
    splits = leave_one_speaker_out(plan.target)
    by_train = stages.in_domain(plan, "abs_difference", "train", splits, lambda _: None).predictions.values
    for scope in ("support", "source"):
        kept = xr.load_dataset(tmp_path / "run" / "arrays" / "abs_difference" / scope / "in_domain.nc")
        np.testing.assert_array_equal(kept.predictions.values, by_train)


def test_leave_one_speaker_out_never_tests_a_duplicate_of_a_training_clip():
    from tables_for_tests import EMOTIONS, make_table

    from siamese_jax.datasets import dataset

    table = make_table()
    x = table.features.copy()
    x[-8] = x[0]  # the same samples under two speakers' names
    data = dataset.from_table(dataclasses.replace(table, features=x), EMOTIONS, "toy")
    assert data.duplicate[0] == data.duplicate[np.flatnonzero(data.rows == len(x) - 8)[0]]
    for train, test in leave_one_speaker_out(data):
        assert not set(data.duplicate[train]) & set(data.duplicate[test])
        assert not set(data.speaker[train]) & set(data.speaker[test])


def test_sources_are_compared_over_the_speakers_they_share(folder):
    one = source_effect.read(folder, "run", "abs_difference", "corpus", "ratio", 4)
    assert one.uar.shape == (2, 2, 24)
    assert one.name.startswith("emodb (")
    other = dataclasses.replace(
        one, name="better", uar=one.uar + 5 + np.random.default_rng(0).normal(size=one.uar.shape)
    )
    found = source_effect.compare([one, other], 0.95)
    contrast = found["source_contrasts"][0]
    assert abs(contrast["estimate"] + 5) < 1
    assert contrast["low"] < contrast["estimate"] < contrast["high"] < 0
    assert found["speakers"] == np.isfinite(one.uar).all(axis=(0, 1)).sum()
    # Five points between two sources are more than this short training's frozen layers make.
    assert found["source_variance_minus_frozen_variance"]["estimate"] > 0
    with pytest.raises(InputError, match="at least two"):
        source_effect.compare([one], 0.95)
    with pytest.raises(InputError, match=r"the same config\.protocol\.frozen"):
        source_effect.compare([one, dataclasses.replace(other, frozen=(0, 2))], 0.95)
    with pytest.raises(InputError, match="not 'ratio' at 7"):
        source_effect.read(folder, "run", "abs_difference", "corpus", "ratio", 7)
    with pytest.raises(InputError, match=r"run siamese-jax reproduce there"):
        source_effect.read(folder, "run", "extra_layer", "corpus", "ratio", 4)


def test_sources_of_one_folder_name_are_told_apart_and_a_folder_given_twice_is_refused(folder, tmp_path):
    for parent in ("A", "B"):
        shutil.copytree(folder, tmp_path / parent / "run")
    places, settings = [tmp_path / "A" / "run", tmp_path / "B" / "run"], ("abs_difference", "corpus", "ratio", 4)
    scores = source_effect.read_all(places, *settings)
    assert [score.name for score in scores] == ["emodb (A/run)", "emodb (B/run)"]
    assert set(source_effect.compare(scores, 0.95)["source_means"]) == {"emodb (A/run)", "emodb (B/run)"}
    (tmp_path / "link").symlink_to(places[0])
    for again in (places[0], tmp_path / "A" / ".." / "A" / "run", tmp_path / "link"):
        with pytest.raises(InputError, match="given twice; name each work directory once"):
            source_effect.read_all([places[0], again], *settings)
    with pytest.raises(InputError, match="several experiments are called emodb"):
        source_effect.compare([scores[0], scores[0]], 0.95)


def test_a_setting_gives_each_stage_its_speakers_and_each_difference_its_classifier(monkeypatch):
    """Every stage answers with what it was asked; nothing is trained."""
    experiment = tiny(n_speakers=(2, 3), baselines=("logistic_regression", "svm"), scalings=("support",))
    plan = dataclasses.replace(PLAN, experiment=experiment)
    axes = (2, 2, 2, 3)  # classifier, data, number of speakers, draw
    classes = np.arange(24).reshape(axes)[..., None] * np.ones(len(TARGET), int)
    few_shot = xr.Dataset({"few_shot": (("method", "data", "n_speakers", "draw", "clip"), classes)})
    asked, seen = {}, {}

    class Tuning:
        def run(self, plan, n_speakers, scope, params, on_done):
            return n_speakers, scope, params

    class Run:
        work = types.SimpleNamespace(path=None)

        def stage(self, plan, name, head, scope, total, make):
            return asked.setdefault(name, make(None))

        def source_training(self, plan, head, scope):
            return "trained"

        def baselines(self, plan, scope, parts):
            return few_shot

    monkeypatch.setattr(stages, "params_from_arrays", lambda trained: f"parameters, {trained}")
    monkeypatch.setattr(stages, "in_domain", lambda plan, head, scope, splits, on_done: (scope, len(splits)))
    monkeypatch.setattr(stages, "out_of_domain", lambda plan, head, scope, trained, on_done: (scope, trained))
    monkeypatch.setattr(reproduce.tensorboard, "write", lambda *_: None)
    monkeypatch.setattr(experiment_summary, "score_grid", lambda plan, tuned: tuned)
    monkeypatch.setattr(experiment_summary, "siamese_rows", lambda plan, head, scope, *stages: [(scope, *stages)])
    monkeypatch.setattr(experiment_summary, "optimism", lambda *_: [])
    monkeypatch.setattr(experiment_summary, "differences", lambda *given: seen.update(given[4]) or [])
    found = reproduce.Results()
    reproduce._run_setting(Run(), plan, "abs_difference", "support", Tuning(), found)
    tuned = {k: (k, "support", "parameters, trained") for k in (2, 3)}
    ood, idt = ("source", "trained"), ("support", len(TARGET.speakers))
    assert asked == {"in_domain": idt, "out_of_domain": ood} | {f"fine_tuning_{k:02d}": tuned[k] for k in tuned}
    assert found.rows == [("support", ood, idt, tuned)]
    for name, of_classifier in zip(experiment.protocol.baselines, classes[:, 1], strict=True):
        np.testing.assert_array_equal(seen[name], of_classifier)

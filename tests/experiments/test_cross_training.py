"""The protocol whole, on two tiny corpora of synthesised tones: what is trained on what, results, resuming."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
import xarray as xr
from corpora_for_tests import FIRST, SECOND, small, write_corpus
from tiny_config import CONFIG

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training import run
from siamese_jax.experiments.cross_training.plan import PARTS
from siamese_jax.models import facenet_weights
from siamese_jax.report import page
from siamese_jax.report.cross_training import page as cross_training_page
from siamese_jax.training.facenet.step import Programs

pytestmark = pytest.mark.long


CELLS = (
    f"none to {FIRST}/waveform",
    f"{SECOND}/spectrogram to {FIRST}/waveform",
    f"{FIRST}/spectrogram to {FIRST}/waveform",
    f"{FIRST}/waveform to {SECOND}/spectrogram",
)


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return {FIRST: write_corpus(folder, FIRST, range(6)), SECOND: write_corpus(folder, SECOND, range(50, 56))}


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def seen():
    """What each training saw: view, a digest of where it started, training speakers, validation speakers."""
    return []


@pytest.fixture(scope="session")
def finished(places, tmp_path_factory, seen, cache):
    workdir = tmp_path_factory.mktemp("crosstraining") / "run"
    real = run.train

    def watched(config, start, train, validation, *rest):
        people = [sorted(set(part.speaker.tolist())) for part in (train, validation)]
        begin = float(sum(np.abs(np.asarray(leaf)).sum() for leaf in jax.tree.leaves(start)))
        seen.append((config.view, begin, *people))
        return real(config, start, train, validation, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "train", watched)
        run.run(small(places, cells=CELLS), workdir, cache, cross_training_page.write)
    return workdir


def fold(workdir, before, after, number):
    with xr.open_dataset(workdir / "arrays" / "cells" / before / after / f"fold_{number}.nc") as kept:
        return kept.load()


def test_every_clip_is_tested_once_in_each_cell_and_by_nobody_who_trained_on_its_speaker(finished):
    for before, after in (("none", "first-waveform"), ("first-waveform", "second-spectrogram")):
        folds = [fold(finished, before, after, i) for i in range(3)]
        tested = np.sum([f.part.values == PARTS.index("test") for f in folds], axis=0)
        np.testing.assert_array_equal(tested, 1)
        for one in folds:
            people = [set(one.speaker.values[one.part.values == p].tolist()) for p in range(3)]
            assert all(people[a].isdisjoint(people[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
            np.testing.assert_array_equal(one.predictions.values, one.scores.values.argmax(axis=2))


def test_pretraining_on_another_corpus_is_done_once_and_on_the_same_one_without_held_out_speakers(finished, seen):
    kept = finished / "arrays" / "pretraining"
    assert sorted(p.relative_to(kept).as_posix() for p in kept.rglob("*.nc")) == [
        "first-spectrogram/fold_0.nc", "first-spectrogram/fold_1.nc", "first-spectrogram/fold_2.nc",
        "first-waveform/all.nc", "second-spectrogram/all.nc",
    ]  # fmt: skip
    own = [one for one in seen if one[0] == "spectrogram" and one[2][0].startswith("first")]
    tuned = [fold(finished, "first-spectrogram", "first-waveform", i) for i in range(3)]
    assert len(own) == 3
    for (_, _, train, validation), one in zip(own, tuned):
        held_out = set(one.speaker.values[one.part.values == PARTS.index("test")].tolist())
        assert held_out.isdisjoint({*train, *validation})
        assert set(train).isdisjoint(validation)
    other = next(one for one in seen if one[0] == "spectrogram" and one[2][0].startswith("second"))
    assert len(other[2]) == 4
    assert len(other[3]) == 2


def test_networks_of_a_fold_differ_in_their_start_alone(finished, seen):
    waveform = [one for one in seen if one[0] == "waveform" and len(one[2]) == 2 and one[2][0].startswith("first")]
    bare, across, own = waveform[:3], waveform[3:6], waveform[6:9]
    for i in range(3):
        assert bare[i][2:] == across[i][2:] == own[i][2:]
    assert len({one[1] for one in across}) == 1  # one pre-training, three folds
    assert len({one[1] for one in (*bare, *own)}) == 6


def test_results_name_split_folds_units_and_cost(finished):
    rows = json.loads((finished / "summary.json").read_text())
    mine = [row for row in rows if row["system"] == "facenet"]
    assert len(mine) == 4 * 3
    assert {row["decision"] for row in mine} == {"centroid", "neighbours", "linear"}
    for row in rows:
        assert (row["split"], row["n_folds"], row["n_speakers"], row["n_clips"]) == ("speakers", 3, 6, 48)
        assert np.sum(row["confusion"]) == row["n_runs"] * 48
        recalls = np.diag(row["confusion"]) / np.sum(row["confusion"], axis=1)
        assert row["uar"] == pytest.approx(100 * recalls.mean(), abs=1e-3)
        assert row["wa"] == pytest.approx(100 * np.trace(row["confusion"]) / np.sum(row["confusion"]), abs=1e-3)
        assert row["uar_low"] is None or row["uar_low"] < row["uar"] < row["uar_high"]
        assert row["training_seconds"] >= 0
        assert row["ms_per_clip"] > 0
        assert row["parameters"] > 0
    # Systems on features: in domain and from the other corpus, on both corpora.
    others = {(row["corpus"], row["system"], row["trained_on"]) for row in rows if row["system"] != "facenet"}
    assert len(others) == 2 * 3 * 2


def test_differences_are_paired_by_fold_and_corpus(finished):
    found = json.loads((finished / "differences.json").read_text())
    rows = json.loads((finished / "summary.json").read_text())
    uar = {(r["corpus"], r["name"]): r["uar"] for r in rows if r["decision"] in (None, "centroid")}
    pretraining = [d for d in found if d["family"] == "pre-training"]
    assert {(d["corpus"], d["name"]) for d in pretraining} == {
        (FIRST, "FaceNet on the waveform, pre-trained on second/spectrogram"),
        (FIRST, "FaceNet on the waveform, pre-trained on first/spectrogram"),
    }
    for one in found:
        gap = uar[one["corpus"], one["name"]] - uar[one["corpus"], one["minus"]]
        assert one["difference"] == pytest.approx(gap, abs=1e-3)
        assert one["n_speakers"] == 6


def test_the_systems_on_features_are_tested_on_the_same_clips(finished):
    mine = [fold(finished, "none", "first-waveform", i) for i in range(3)]
    tested = np.any([f.part.values == PARTS.index("test") for f in mine], axis=0)
    files = list((finished / "arrays" / "systems" / FIRST).rglob("*.nc"))
    assert len(files) == 6
    for file in files:
        with xr.open_dataset(file) as kept:
            np.testing.assert_array_equal(kept.tested.values, tested)
            np.testing.assert_array_equal(kept["clip"].values, mine[0]["clip"].values)


def test_the_report_says_what_was_run(finished, tmp_path):
    text = (finished / "facenet.md").read_text()
    assert "speaker-independent folds" in text
    assert "not run yet" in text
    assert "RANDOM" not in text
    linked = [line.split("](figures/")[1].rstrip(")") for line in text.splitlines() if "](figures/" in line]
    assert len(linked) > 10
    assert all((finished / "figures" / name).stat().st_size > 1000 for name in linked)
    document = page.write([finished], tmp_path / "report.html", ["siamese-jax", "report", str(finished)])
    assert [s.title for s in document.sections][:3] == [
        "FaceNet in short", "Both systems on the same clips", "The cross-training matrix"
    ]  # fmt: skip
    # In the matrix each cell stands under its own corpus.
    matrix = document.sections[2].blocks[0]
    row = dict(zip(matrix.header, next(r for r in matrix.rows if r[0] == "none")))
    assert row["first/waveform"] != "not run yet"
    assert row["second/waveform"] == "not run yet"


def test_a_second_run_trains_nothing_and_more_cells_join_what_is_there(finished, places, monkeypatch, cache):
    before = {p: p.stat().st_mtime_ns for p in (finished / "arrays").rglob("*.nc")}

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "train", refuse)
    run.run(small(places, cells=CELLS[:1], level=0.9), finished, cache, cross_training_page.write)
    assert {p: p.stat().st_mtime_ns for p in (finished / "arrays").rglob("*.nc")} == before
    rows = json.loads((finished / "summary.json").read_text())
    assert len([row for row in rows if row["system"] == "facenet"]) == 4 * 3
    assert all(row["interval"].startswith("90 %") for row in rows)


def test_a_run_that_was_stopped_in_a_cell_resumes_with_its_next_fold(places, tmp_path, finished, monkeypatch, cache):
    real, started = run.train, []

    def stopping(*arguments):
        if len(started) == 1:
            raise KeyboardInterrupt
        started.append(arguments)
        return real(*arguments)

    settings = small(places, cells=CELLS[:1])
    monkeypatch.setattr(run, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        run.run(settings, tmp_path / "run", cache, cross_training_page.write)
    kept = list((tmp_path / "run" / "arrays" / "cells").rglob("*.nc"))
    assert [p.name for p in kept] == ["fold_0.nc"]
    monkeypatch.setattr(run, "train", lambda *a: started.append(a) or real(*a))
    run.run(settings, tmp_path / "run", cache, cross_training_page.write)
    assert len(started) == 3
    for i in range(3):
        one, other = (fold(d, "none", "first-waveform", i) for d in (tmp_path / "run", finished))
        np.testing.assert_array_equal(one.scores.values, other.scores.values)


def test_a_run_that_died_at_a_training_s_end_trains_no_step_of_it_again(places, tmp_path, finished, monkeypatch, cache):
    real, settings = run.labelled, small(places, cells=CELLS[:1])

    def dying(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "labelled", dying)
    with pytest.raises(KeyboardInterrupt):
        run.run(settings, tmp_path / "run", cache, cross_training_page.write)
    assert len(list((tmp_path / "run" / "training").iterdir())) == 1
    monkeypatch.setattr(run, "labelled", real)
    stepped = Programs.step
    steps = []
    monkeypatch.setattr(Programs, "step", lambda *a: steps.append(1) or stepped(*a))
    run.run(settings, tmp_path / "run", cache, cross_training_page.write)
    one, other = (fold(d, "none", "first-waveform", 0) for d in (tmp_path / "run", finished))
    np.testing.assert_array_equal(one.scores.values, other.scores.values)
    every = [fold(tmp_path / "run", "none", "first-waveform", i) for i in range(3)]
    assert len(steps) == sum(-(-int(kept.attrs["training_segments"]) // CONFIG.batch) for kept in every[1:])
    # Nobody knows how long the step took of which none was made.
    assert np.isnan(every[0].attrs["training_seconds"])
    row = next(r for r in json.loads((tmp_path / "run" / "summary.json").read_text()) if r["system"] == "facenet")
    assert row["training_seconds"] is None
    assert row["images_per_second"] > 0
    assert "not timed" in (tmp_path / "run" / "facenet.md").read_text()
    assert not list((tmp_path / "run" / "training").iterdir())


@pytest.mark.parametrize("damage", ["lost", "cut", "another network's"])
def test_a_pretraining_whose_weights_are_unusable_is_made_again(
    places, tmp_path, finished, monkeypatch, cache, caplog, damage
):
    shutil.copytree(finished, tmp_path / "run")
    name = f"pretraining/{SECOND}-spectrogram/all.npz"
    file, cell = tmp_path / "run" / "weights" / name, fold(finished, f"{SECOND}-spectrogram", f"{FIRST}-waveform", 2)
    (tmp_path / "run" / "arrays" / "cells" / f"{SECOND}-spectrogram" / f"{FIRST}-waveform" / "fold_2.nc").unlink()
    if damage == "lost":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        shutil.copy(next((tmp_path / "run" / "weights" / "cells").rglob("*.npz")), file)
    run.run(small(places, cells=CELLS), tmp_path / "run", cache, cross_training_page.write)
    assert "The training runs again" in caplog.text
    again = fold(tmp_path / "run", f"{SECOND}-spectrogram", f"{FIRST}-waveform", 2)
    np.testing.assert_array_equal(again.scores.values, cell.scores.values)
    assert facenet_weights.digest(facenet_weights.load_weights(file, CONFIG.network))


def test_a_work_directory_of_other_material_is_refused(finished, places, tmp_path, cache):
    with pytest.raises(InputError, match="holds the results of another configuration"):
        run.run(small(places, cells=CELLS[:1], seed=1), finished, cache, cross_training_page.write)
    changed = dict(places, **{SECOND: write_corpus(tmp_path, SECOND, range(50, 56), takes=3)})
    with pytest.raises(InputError, match=r"another configuration \(tables"):
        run.run(small(changed, cells=CELLS[:1]), finished, cache, cross_training_page.write)


def test_a_random_split_is_named_everywhere(places, tmp_path, cache):
    settings = small({FIRST: places[FIRST]}, cells=(CELLS[0],), split="random")
    run.run(settings, tmp_path / "run", cache, cross_training_page.write)
    rows = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {row["split"] for row in rows} == {"random"}
    text = (tmp_path / "run" / "facenet.md").read_text()
    assert text.count("RANDOM split (people who are tested were trained on") > 3
    assert "speaker-independent" not in text


def test_settings_are_a_plain_record(places):
    assert json.loads(json.dumps(dataclasses.asdict(small(places))))["target"] == FIRST

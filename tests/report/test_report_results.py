"""Reading work directories back: what is wrong is said, with the file and what to do."""

import dataclasses
import json
import shutil

import pytest
from indexed_for_tests import change, rewrite

from siamese_jax.errors import InputError
from siamese_jax.report import page
from siamese_jax.report.loading import kinds, reproduction
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.render.document import Alert, Fold, Heading, Paragraph
from siamese_jax.report.sections import compare
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.runtime.labels import labels
from siamese_jax.runtime.provenance import VERSION


@pytest.fixture
def copy(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_finished_folder_is_read_whole(workdir):
    run = reproduction.load(workdir, "run")
    assert run.missing == run.missing_source == ""
    assert run.notes == ()
    assert run.experiment.protocol.n_draws == 4
    assert reproduction.settings(run.experiment) == [reproduction.Setting("abs_difference", "corpus")]
    with run.fine_tuning("abs_difference", "corpus", 4) as arrays:
        first = arrays.predictions.values
    with run.fine_tuning("abs_difference", "corpus", 4) as arrays:
        assert (arrays.predictions.values == first).all()


def test_folders_that_are_none(tmp_path, workdir):
    for paths, message in (
        ([tmp_path / "nowhere"], "nowhere: no such folder"),
        ([workdir / "config.json"], "no such folder"),
        ([tmp_path], "holds no config.json, so it is no work directory"),
        ([workdir, workdir], "given twice"),
        ([], "no work directory"),
    ):
        with pytest.raises(InputError, match=message):
            kinds.load_all(paths)


@pytest.mark.parametrize("lost", ["summary.json", "optimism.json", "provenance.json"])
def test_an_unfinished_run_is_named(copy, lost):
    (copy / lost).unlink()
    with pytest.raises(InputError, match=rf"{lost}: not there; the run has not finished"):
        reproduction.load(copy, "copy")


def test_a_lost_or_damaged_stage_is_named(copy, tmp_path):
    stage = copy / "arrays/abs_difference/corpus/fine_tuning_04.nc"
    stage.write_bytes(stage.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"fine_tuning_04\.nc: changed since it was written .*remove this file"):
        page.write([copy], tmp_path / "report.html", [])
    stage.unlink()
    with pytest.raises(InputError, match=r"fine_tuning_04\.nc: not there; the run has not finished"):
        page.write([copy], tmp_path / "report.html", [])
    assert not (tmp_path / "report.html").exists()


def test_files_that_are_not_what_they_should_be(copy):
    good = (copy / "summary.json").read_text()
    for text, message in (
        ("{not json", "not readable as JSON"),
        ("{}", "holds a dict, expected a list"),
        ("[]", "holds no result"),
        ('[{"method": "oodt"}]', "row 0 does not fit this version"),
        ("[3]", "row 0 does not fit this version"),
    ):
        rewrite(copy / "summary.json", text)
        with pytest.raises(InputError, match=message):
            reproduction.load(copy, "copy")
    rewrite(copy / "summary.json", good)
    protocol = json.loads((copy / "config.json").read_text())["protocol"]
    change(copy / "config.json", protocol={**protocol, "n_draws": "many"})
    with pytest.raises(InputError, match=r"config\.json: config\.protocol\.n_draws holds 'many'"):
        reproduction.load(copy, "copy")
    change(copy / "config.json", protocol=protocol, colour="red")
    with pytest.raises(InputError, match=r"holds colour, unknown to siamese_jax"):
        reproduction.load(copy, "copy")


def test_another_kind_of_run_is_refused(copy):
    change(copy / "config.json", kind="rerun")
    with pytest.raises(InputError, match="holds a run of the kind 'rerun'"):
        reproduction.load(copy, "copy")


@pytest.mark.parametrize("version", ["0.1.0", "9.0.0", None])
def test_the_work_directory_of_another_version_is_refused_by_its_version(copy, version):
    change(copy / "config.json", version=version)
    with pytest.raises(InputError, match=rf"made by siamese_jax {version}, .* run the experiment again"):
        reproduction.load(copy, "copy")


PATCHED = ".".join([*VERSION.split(".")[:2], "99"])
"""A version that lays out its files as this one does."""


def test_mixed_versions_are_flagged(copy, workdir):
    change(copy / "config.json", version=PATCHED)
    assert "results of two versions are mixed" in reproduction.load(copy, "copy").notes[0]
    change(copy / "provenance.json", siamese_jax=PATCHED, packages={"jax": "0.1"}, revision="another")
    other = reproduction.load(copy, "copy")
    assert f"reported by {VERSION}" in other.notes[0]
    alerts = [block.text for block in compare.warnings([reproduction.load(workdir, "run"), other])]
    assert any("Mixed versions (siamese_jax)" in text and f"copy: {PATCHED}" in text for text in alerts)
    assert any("Mixed versions (jax): " in text for text in alerts)
    assert any("Mixed versions (code revisions)" in text and "copy: another" in text for text in alerts)
    assert list(compare.warnings([other, other])) == []


def test_without_its_tables_a_report_leaves_out_what_needs_them_and_says_so(copy, tmp_path):
    kept = json.loads((copy / "config.json").read_text())["tables"]
    change(copy / "config.json", tables={**kept, "source": "0"})
    run = reproduction.load(copy, "copy")
    assert run.missing == ""
    assert "source.npz is not the one that the run read" in run.missing_source
    change(copy / "config.json", tables={"source": "0", "target": "0"})
    assert "target.npz is not the one that the run read" in reproduction.load(copy, "copy").missing
    data = json.loads((copy / "config.json").read_text())["data"]
    change(copy / "config.json", data={**data, "target": str(tmp_path / "gone.npz")})
    document = page.write([copy], tmp_path / "report.html", [])
    assert "cannot be read any more" in reproduction.load(copy, "copy").missing
    alerts = [b.text for section in document.sections for b in section.blocks if isinstance(b, Alert)]
    for what in ("no tests", "no confusion matrices", "nothing by speaker", "no embeddings", "left out"):
        assert any(what in text for text in alerts), what
    assert any(picture.name.startswith("figure2") for picture in document.pictures())


def test_the_paper_stands_beside_its_own_corpora_only(workdir):
    run = reproduction.load(workdir, "run")
    rows = [dataclasses.replace(row, source="cremad", target="ravdess") for row in run.rows]
    theirs = dataclasses.replace(run, rows=rows, label="theirs")
    (table,) = _scores_of([run, theirs])
    assert table.header[3:] == ("the paper, cremad to ravdess",)
    paper = {row[0]: row[3] for row in table.rows}
    assert paper["OODT, Siamese, source"] == "29.3"
    assert paper["Siamese fine-tuning + ratio loss, source + target clips, best"] == "43.4"
    assert "the paper" not in " ".join(_scores_of([run, run])[0].header)


def _scores_of(runs):
    return [b for b in compare.section(runs).blocks if getattr(b, "caption", "").startswith("UAR %, paper's split")]


def test_labels_tell_folders_of_one_name_apart(copy, workdir, tmp_path):
    (tmp_path / "other").mkdir()
    copy.rename(tmp_path / "other" / "run")
    shown = [run.label for run in kinds.load_all([workdir, tmp_path / "other" / "run"])]
    assert shown == [f"{workdir.parent.name}/run", "other/run"]


def test_labels_are_as_long_as_it_takes_to_tell_folders_apart(tmp_path):
    places = [tmp_path / "1" / "x" / "run", tmp_path / "2" / "x" / "run", tmp_path / "else", "/"]
    assert labels(places) == ["1/x/run", "2/x/run", "else", "/"]


def test_the_header_of_a_mixture_names_every_folder(workdir, monkeypatch):
    matrix = Matrix(workdir, "mixed/facenet", {}, (), {"ravdess": {}, "emodb": {}}, [], [], {}, ())
    monkeypatch.setattr(page.cross_training, "sections", lambda *_, **__: [])
    monkeypatch.setattr(page, "_reproduced", lambda runs: [])
    document = page.build([reproduction.load(workdir, "run"), matrix], [])
    assert "Work directories: run, mixed/facenet." in document.subtitle
    assert "ravdess and emodb" in document.title
    assert "Liu et al. 2021" in document.subtitle


def test_every_setting_is_shown_the_first_one_in_the_open(workdir):
    run = reproduction.load(workdir, "run")
    two = dataclasses.replace(
        run, experiment=run.experiment.replace(heads=("abs_difference", "extra_layer")), label="two"
    )
    shown = []

    def blocks(run, setting, number):
        shown.append((run.label, setting.head, number))
        return [Paragraph(setting.head)]

    found = each_setting([run, two], blocks, lambda run: "" if run.label == "two" else "its table is lost")
    assert found[1] == Alert("run: its table is lost.")
    assert found[2:4] == [Heading(f"two: {two.corpora}"), Paragraph("abs_difference")]
    assert found[4] == Fold("The same, head extra_layer, features scaled by corpus", [Paragraph("extra_layer")])
    assert shown == [("two", "abs_difference", "1"), ("two", "extra_layer", "1_1")]

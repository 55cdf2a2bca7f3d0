"""Reruns, repeated trainings, crossings and several sources on one page."""

import json
import shutil

import pytest
from conftest import settings_for
from indexed_for_tests import rewrite
from report_blocks import tables_of

from siamese_jax.errors import InputError
from siamese_jax.experiments import crossed, reproduce, rerun, retrain
from siamese_jax.report import page
from siamese_jax.report.loading import kinds
from siamese_jax.report.paper import claims
from siamese_jax.report.sections import reruns

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folders(table_folder):
    """One folder of each kind, small."""
    e = settings_for(table_folder, n_draws=4, n_seeds=2, baselines=("logistic_regression",))
    kept = table_folder / "reruns"
    rerun.run(e, kept / "draws", 8, 4)
    crossed.run(e, kept / "crossed")
    for protocol in retrain.PROTOCOLS:
        retrain.run(e.replace(n_draws=2), kept / protocol, protocol, 2)
    return [kept / name for name in ("draws", "crossed", *retrain.PROTOCOLS)]


@pytest.fixture(scope="module")
def written(folders, workdir, tmp_path_factory):
    output = tmp_path_factory.mktemp("reruns") / "report.html"
    return output, page.write([workdir, *folders], output, ["siamese-jax", "report"])


def test_every_kind_stands_beside_a_reproduction(written, folders):
    output, document = written
    titles = [section.title for section in document.sections]
    assert titles[0] == "In short"
    assert titles[-2:] == ["Tests of the paper's claims", "Provenance"]
    text = output.with_suffix(".md").read_text()
    assert "Variance components of UAR" in text
    assert "leave one speaker out" in text
    assert "network minus logistic_regression" in text
    names = [picture.name for picture in document.pictures()]
    assert len(names) == len(set(names))
    # Folders of reruns are numbered among themselves.
    assert {"claims_0_0", "crossing_1_0"} <= set(names)
    # Names from the tables are text and nothing else.
    assert "<script>alert" not in output.read_text()


def test_the_page_shows_what_the_folder_holds(written, folders):
    claimed = json.loads((folders[0] / "claims.json").read_text())[0]
    gain = claimed["gains"][0]
    table = next(t for t in tables_of(written[1]) if t.caption.startswith("The ratio loss and its control"))
    assert table.rows[0][1] == claims.estimate(gain["over_draws"])
    assert f"(n = {gain['over_draws']['n_units']})" in table.caption
    # Two seeds hold no claim over seeds.
    assert table.rows[0][3] == "not offered at 2 units"


def test_a_damaged_or_unfinished_rerun_is_named(folders, tmp_path):
    for change, message in (
        (lambda f: (f / "claims.json").unlink(), r"claims\.json: not there; the run has not finished"),
        (lambda f: rewrite(f / "claims.json", "[]"), "holds no result"),
        (lambda f: rewrite(f / "claims.json", "[{}]"), "does not fit this version"),
        (lambda f: rewrite(f / "claims.json", "{"), "not readable as JSON"),
        (lambda f: (f / "claims.json").write_text("{"), "changed since it was written"),
        (lambda f: (f / "provenance.json").unlink(), "not there"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(folders[0], copy)
        change(copy)
        with pytest.raises(InputError, match=message):
            kinds.load_all([copy])
        shutil.rmtree(copy)
    config = json.loads((folders[0] / "config.json").read_text())
    shutil.copytree(folders[0], tmp_path / "other")
    rewrite(tmp_path / "other" / "config.json", json.dumps({**config, "kind": "something else"}))
    with pytest.raises(InputError, match="'something else'; expected one of facenet, reproduce, rerun"):
        kinds.load_all([tmp_path / "other"])
    with pytest.raises(InputError, match="expected one of rerun"):
        reruns.load(tmp_path / "other", "other")


def test_two_sources_are_compared_with_the_frozen_layers(workdir, table_folder, tmp_path):
    e = settings_for(table_folder, n_draws=4, n_seeds=2)
    # The target serves as a second source: what counts here is that the tables differ.
    other = e.replace(source=e.data.target, allow_shared_recordings=True)
    reproduce.run(other, table_folder / "second_source")
    document = page.write([workdir, table_folder / "second_source"], tmp_path / "both.html", [])
    section = next(s for s in document.sections if s.title.startswith("The source, or"))
    tables = [t for t in tables_of(document) if t in section.blocks]
    captions = [t.caption for t in tables]
    # The contrast is that of the means above it, its sign included.
    means = {name: float(value) for name, value in tables[0].rows}
    first, second = (f"source {name}" for name in tables[1].rows[0][0].split(" minus "))
    contrast = float(tables[1].rows[0][1].split(" [")[0])
    assert abs(means[first] - means[second] - contrast) < 0.11
    assert any("Contrasts between sources" in caption for caption in captions)
    assert any("minus that between the depths" in caption for caption in captions)

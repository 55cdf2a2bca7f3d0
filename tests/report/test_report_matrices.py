"""Reading a cross-training back: what is wrong is said, with the file and what to do; no file outside is touched."""

import json
import shutil

import pytest
from indexed_for_tests import rewrite

from siamese_jax.errors import InputError
from siamese_jax.report import page
from siamese_jax.report.loading import cross_training

pytestmark = pytest.mark.long


@pytest.fixture
def copy(crosstraining_workdir, tmp_path):
    shutil.copytree(crosstraining_workdir, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("name", ["../../outside", "<script>", "a-b", ""])
def test_a_corpus_name_that_is_no_part_of_a_file_name_is_refused(copy, name):
    found = json.loads((copy / "corpora.json").read_text())
    found["corpora"][name] = found["corpora"].pop("first")
    rewrite(copy / "corpora.json", json.dumps(found))
    with pytest.raises(InputError, match=r"corpora\.json: holds a corpus called .* letters, digits and underscores"):
        cross_training.load(copy, "copy")


def test_rows_of_another_version_and_none_are_named(copy):
    for text, message in (
        ("[]", r"summary\.json: holds no result; the run has not finished"),
        ('[{"name": "FaceNet"}]', r"summary\.json: row 0 does not fit this version"),
    ):
        rewrite(copy / "summary.json", text)
        with pytest.raises(InputError, match=message):
            cross_training.load(copy, "copy")


def test_a_lost_or_damaged_fold_is_named(copy, tmp_path):
    fold = copy / "arrays/cells/none/first-waveform/fold_1.nc"
    fold.write_bytes(fold.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"fold_1\.nc: changed since it was written .*remove this file"):
        page.write([copy], tmp_path / "report.html", [])
    fold.unlink()
    with pytest.raises(InputError, match=r"fold_1\.nc: not there; the run has not finished"):
        page.write([copy], tmp_path / "report.html", [])


def test_cells_that_have_not_run_are_said_to_be_missing(crosstraining):
    text = crosstraining[0].with_suffix(".md").read_text()
    brief = text[text.index("## FaceNet in short") : text.index("## Both systems")]
    # The comparison of the first corpus ran, that of the second did not.
    assert brief.count("not run yet") == 2
    assert "Spectrogram pre-training, paired" in brief

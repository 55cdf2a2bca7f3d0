import csv
import dataclasses
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predictions_for_tests import CLASSES, predicted

from siamese_jax.errors import InputError
from siamese_jax.recognizer import prediction_files
from siamese_jax.recognizer.predictions import Prediction


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_times_label_and_a_probability_of_every_class(tmp_path):
    made = predicted(["a.wav", "sub/b.wav"])
    assert prediction_files.write(tmp_path / "labels.csv", made, CLASSES) == 2
    rows = rows_of(tmp_path / "labels.csv")
    assert [row["file"] for row in rows] == ["a.wav", "sub/b.wav"]
    for row, prediction in zip(rows, made, strict=True):
        assert (float(row["start"]), float(row["end"])) == (0.0, 3.0)
        assert (row["label"], row["unsure"], row["mode"]) == (
            prediction.label, "yes" if prediction.unsure else "no", "folder",
        )  # fmt: skip
        shown = {name: float(row[f"p_{name}"]) for name in CLASSES}
        assert shown == pytest.approx(dict(prediction.probabilities), abs=1e-6)


def test_json_lines_hold_every_name_as_it_is(tmp_path):
    # Not UTF-8, a line break, an escape sequence of a terminal.
    made = predicted(["caf\udce9.wav", "a\nb.wav", "\x1b[2J.wav", "高兴.wav"])
    prediction_files.write(tmp_path / "labels.jsonl", made, CLASSES)
    text = (tmp_path / "labels.jsonl").read_bytes()
    assert text.isascii()
    assert b"\x1b" not in text
    read = [json.loads(line) for line in text.splitlines()]
    assert [row["file"] for row in read] == [prediction.file for prediction in made]
    assert [row["unsure"] for row in read] == [prediction.unsure for prediction in made]


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_no_cell_of_text_begins_as_a_formula_whatever_a_file_is_called(name, word):
    file = io.StringIO(newline="")
    made = [Prediction(name, 0.0, 1.0, word, {word: 1.0}, True, name, "clip", name)]
    list(prediction_files.writer(Path("labels.csv"))(file, made, [word]))
    (row,) = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    for column in ("file", "label", "reason", "mode_reason"):
        assert not row[column].lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r"))
        assert row[column].isprintable()


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "  =1", "＝1"])
def test_a_formula_is_quoted(name):
    assert prediction_files.spreadsheet_cell(name) == f"'{name}"
    assert prediction_files.spreadsheet_cell("a=1") == "a=1"


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match=r"labels\.xlsx: expected a name that ends in \.csv or \.jsonl"):
        prediction_files.write(tmp_path / "labels.xlsx", predicted(["a.wav"]), CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_probabilities_of_other_classes_are_refused_and_the_former_file_is_kept(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("before")
    good, bad = predicted(["a.wav", "b.wav"])
    bad = dataclasses.replace(bad, probabilities={"anger": 1.0})
    with pytest.raises(InputError, match=r"b\.wav: probabilities of anger; expected anger, happiness"):
        prediction_files.write(path, [good, bad], CLASSES)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_are_written_as_they_come_in_bounded_memory(tmp_path):
    (one,) = predicted(["a.wav"])
    tracemalloc.start()
    try:
        assert prediction_files.write(tmp_path / "labels.csv", (one for _ in range(3000)), CLASSES) == 3000
        assert tracemalloc.get_traced_memory()[1] < 250_000
    finally:
        tracemalloc.stop()

"""Labels, ids and file names as people spell them: one person stays one, a common fault is one line with a count."""

import dataclasses
import logging
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from corpus_trees import write_sound

from siamese_jax.corpora.check import check_manifest, format_report
from siamese_jax.corpora.manifest import COMMON_ALIASES, PAPER_EMOTIONS, read_manifest, read_rows, write_manifest
from siamese_jax.corpora.spelling import similar
from siamese_jax.datasets import dataset, table_files
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def labelled_table(speakers: list[str], emotions: list[str]) -> FeatureTable:
    clip, n = np.array([f"{i}" for i in range(len(speakers))]), len(speakers)
    same = {"corpus": np.array(["c"] * n), "sex": np.array([""] * n), "audio_hash": np.array([""] * n)}
    x = np.arange(n, dtype=np.float32)[:, None]
    return FeatureTable(x, ("x",), clip, np.array(emotions), np.array(speakers), made={}, **same)


def manifest_of(folder: Path, rows: list[tuple[str, str, str]], header: str = "file,emotion,speaker") -> Path:
    path = folder / "m.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def report_of(path: Path) -> str:
    manifest, problems = read_rows(path)
    return format_report(check_manifest(manifest, PAPER_EMOTIONS, workers=1, problems=problems), shown=20)


def test_one_person_in_two_unicode_forms_is_one_speaker(tmp_path: Path) -> None:
    rows = [(f"{i}.wav", "anger", nfd("Zoé") if i % 2 else "Zoé") for i in range(4)]
    assert {clip.speaker for clip in read_manifest(manifest_of(tmp_path, rows))} == {"m_Zoé"}


def test_a_manifest_in_nfc_finds_a_file_in_nfd_and_the_other_way_round(tmp_path: Path) -> None:
    write_sound(tmp_path / nfd("Zoé") / nfd("né.wav"))
    write_sound(tmp_path / "Zoë" / "né.wav")
    for form in (nfd, str):
        rows = [(form("Zoé/né.wav"), "anger", "a"), (form("Zoë/né.wav"), "fear", "a")]
        absolute = [(f"{tmp_path}/{file}", *labels) for file, *labels in rows]
        for given in (rows, absolute):
            manifest = read_manifest(manifest_of(tmp_path, given), root=None if given is rows else "elsewhere")
            assert all(manifest.path(clip).is_file() for clip in manifest)
        manifest = read_manifest(manifest_of(tmp_path, rows))
        assert [clip.name for clip in manifest] == ["Zoé/né", "Zoë/né"]


def test_one_file_in_two_unicode_forms_is_listed_twice(tmp_path: Path) -> None:
    path = manifest_of(tmp_path, [("é.wav", "anger", "a"), (nfd("é.wav"), "fear", "a")])
    with pytest.raises(InputError, match=r"row 3, file: 'é\.wav' is already in row 2"):
        read_manifest(path)


@pytest.mark.parametrize(
    "names",
    [("Anna", "anna", "ANNA"), ("01", "1", "1.0"), ("s07", "s7"), ("Ⅷ", "VIII"), ("a  b", "a b"), ("spk_01", "SPK_1")],
)
def test_speakers_that_differ_by_case_form_or_leading_zeros_are_one_warning(
    tmp_path: Path, names: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(f"{i}.wav", "anger", names[i % len(names)]) for i in range(2 * len(names))]
    read_manifest(manifest_of(tmp_path, [*rows, ("x.wav", "fear", "other")]))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert all(f"'m_{name}' (2 clips)" in record.getMessage() for name in names)
    assert "other" not in record.getMessage()
    assert "warning: spelling (1)" in report_of(tmp_path / "m.csv")


def test_different_ids_are_no_warning() -> None:
    assert similar(["a1", "a10", "a01b", "a2", "José", "Jose", "1.05", "1.5", "100", "10"]) == []


def test_speakers_of_two_corpora_whose_ids_join_to_one_stay_two(tmp_path: Path) -> None:
    rows = [("1.wav", "anger", "b_c", "a"), ("2.wav", "anger", "c", "a_b"), ("3.wav", "fear", "d", "a")]
    manifest = read_manifest(manifest_of(tmp_path, rows, "file,emotion,speaker,corpus"))  # type: ignore[arg-type]
    speakers = [clip.speaker for clip in manifest]
    assert speakers == ["a_b_c (a)", "a_b_c (a_b)", "a_d"]
    table = labelled_table(["a_b_c"] * 4, ["anger", "fear"] * 2)
    table = dataclasses.replace(table, corpus=np.array(["a", "a", "a_b", "a_b"]))
    table_files.write_table(tmp_path / "t.npz", table)
    data = dataset.from_table(dataset.read(str(tmp_path / "t.npz"), "", "", "is09", ()), ("anger", "fear"), "table")
    assert (data.speakers, data.speaker.tolist()) == (("a_b_c (a)", "a_b_c (a_b)"), [0, 0, 1, 1])


def test_a_trailing_blank_in_a_table_is_no_second_speaker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = labelled_table(["c_Zoé", nfd("c_Zoé"), "c_Zoé ", "c_zoé"], ["anger", "fear", "anger", "fear"])
    table_files.write_table(tmp_path / "t.npz", table)
    data = dataset.from_table(dataset.read(str(tmp_path / "t.npz"), "", "", "is09", ()), ("anger", "fear"), "table")
    assert data.speakers == ("c_Zoé", "c_zoé")
    assert "'c_Zoé' (3 clips), 'c_zoé' (1 clips)" in caplog.text


@pytest.mark.parametrize(("word", "noun"), [("angry", "anger"), ("ANGER", "anger"), ("Sad", "sadness")])
def test_a_hundred_common_words_are_one_line_with_a_count_and_the_remedy(tmp_path: Path, word: str, noun: str) -> None:
    path = manifest_of(tmp_path, [(f"{i}.wav", word, "anna") for i in range(100)])
    text = report_of(path)
    assert f"100 x '{word}': did you mean {noun}? --aliases maps these (emotion, first in row 2)" in text
    assert "0 of 100 rows usable" in text
    assert len(text.splitlines()) < 20
    with pytest.raises(InputError, match=f"100 bad fields: 100 x '{word}': did you mean {noun}"):
        read_manifest(path)
    assert {clip.emotion for clip in read_manifest(path, aliases=COMMON_ALIASES)} == {noun}


@pytest.mark.parametrize("word", ["tristeza", "enojo", "x"])
def test_words_of_another_language_get_the_list_of_nouns_once(tmp_path: Path, word: str) -> None:
    write_sound(tmp_path / "good.wav")
    rows = [(f"{i}.wav", word, "anna") for i in range(300)]
    text = report_of(manifest_of(tmp_path, [*rows, ("good.wav", "anger", "anna")]))
    assert f"300 x '{word}': " in text
    assert "1 of 301 rows usable" in text
    assert text.count("boredom") <= 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"0,5"', "a decimal comma; expected seconds with a decimal point"),
        ("soon", "expected seconds, 0 or more"),
        ("1_0", "expected seconds"),
        ("9" * 500, "expected seconds"),
        ("9" * 9 + " days 00:00:01", "expected seconds"),
        ("nan", "expected seconds"),
        ("-0:00:01", "expected seconds"),
    ],
)
def test_no_good_row_because_of_times_is_said(tmp_path: Path, text: str, told: str) -> None:
    rows = [(f"{i}.wav", "anger", "anna", text.replace("0", str(i))) for i in range(40)]
    report = report_of(manifest_of(tmp_path, rows, "file,emotion,speaker,start"))  # type: ignore[arg-type]
    assert told in report
    assert "40 rows (2, 3, 4 and 37 more), start" in report


def test_times_of_audformat_are_seconds(tmp_path: Path) -> None:
    rows = [("a.wav", "anger", "x", "0 days 00:00:01.200000", "0 days 00:01:02.5"), ("b.wav", "fear", "x", "", "NaT")]
    first, second = read_manifest(manifest_of(tmp_path, rows, "file,emotion,speaker,start,end"))  # type: ignore[arg-type]
    assert (first.start, first.end, second.end) == (1.2, 62.5, None)


@pytest.mark.parametrize("file", [".", "/", "..", "a/..", "a\0.wav"])
def test_a_file_that_is_a_folder_is_a_bad_row(tmp_path: Path, file: str) -> None:
    _, (problem,) = read_rows(manifest_of(tmp_path, [(file, "anger", "anna")]))
    assert (problem.row, problem.field) == (2, "file")


def test_a_clip_without_an_emotion_is_unlabelled_and_left_out_of_the_protocols(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(f"{i}.wav", emotion, "anna") for i, emotion in enumerate(["anger", "", "fear", ""])]
    for file, _, _ in rows:
        write_sound(tmp_path / file)
    path = manifest_of(tmp_path, rows)
    text = report_of(path)
    assert "4 of 4 clips usable" in text
    assert "2 of these are unlabelled: usable for prediction, left out of the protocols" in text
    write_manifest(path, read_manifest(path))
    assert len(read_manifest(path)) == 4
    assert len(read_manifest(path).labelled()) == 2
    caplog.clear()
    table = labelled_table(["m_anna"] * 4, ["anger", "", "fear", ""])
    data = dataset.from_table(table, ("anger", "fear"), "t.npz")
    assert (len(data), len(data.full_table)) == (2, 2)
    assert [record.getMessage() for record in caplog.records] == ["t.npz: 2 of 4 clips are unlabelled and left out"]


def test_complex_features_are_refused(tmp_path: Path) -> None:
    table = labelled_table(["c_1"], ["anger"])
    np.savez(tmp_path / "t.npz", X=table.features.astype(np.complex64), names=table.clip)
    with pytest.raises(InputError, match="expected real"):
        table_files.read_table(tmp_path / "t.npz", "emodb")


def test_invisible_characters_in_a_speaker_are_a_warning() -> None:
    assert similar(["x", "x\u200b", "y"]) == [("x", "x\u200b")]


@pytest.mark.parametrize("field", ["speaker", "name", "corpus"])
def test_a_nul_in_a_name_is_named_by_row_and_field(tmp_path: Path, field: str) -> None:
    row = {"file": "a.wav", "emotion": "fear", "speaker": "s", "name": "n", "corpus": "c"}
    row[field] = "x\0y"
    text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"{field}.*holds a NUL character"):
        read_manifest(tmp_path / "m.csv")

"""Tables of other programs: CSV and npz, with labels from ids, columns or a companion."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables_for_tests import ALL_384, RAVDESS_IDS, raw, write_csv

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets.table_files import duplicates, read_table
from siamese_jax.errors import InputError
from siamese_jax.features.is09 import FEATURE_NAMES


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_opensmile_csv_of_384_gives_the_64(tmp_path: Path, separator: str) -> None:
    values = raw(12, 384)
    order = np.random.default_rng(1).permutation(384)  # by name, never by position
    rows = [[f"'{clip}.wav'", "0.000", *values[row, order]] for row, clip in enumerate(RAVDESS_IDS)]
    header = ["name", "frameTime", *(ALL_384[column] for column in order)]
    table = read_table(write_csv(tmp_path / "t.csv", header, rows, separator), corpus="ravdess")
    assert table.feature_names == FEATURE_NAMES
    expected = values[:, [ALL_384.index(name) for name in FEATURE_NAMES]]
    np.testing.assert_allclose(table.features, expected, rtol=1e-6)
    assert table.clip.tolist() == RAVDESS_IDS
    assert table.emotion[:4].tolist() == ["happiness", "sadness", "anger", "fear"]
    assert table.speaker[::4].tolist() == ["ravdess_01", "ravdess_02", "ravdess_03"]
    assert table.sex[::4].tolist() == ["male", "female", "male"]
    assert table.made["format"] == "opensmile_csv"
    assert table.made["scaled"] == "none"


def test_python_opensmile_csv_with_paths(tmp_path: Path) -> None:
    """The columns of a pandas frame's to_csv; eNTERFACE'05 takes its subject from the folder."""
    files = [
        "/data/subject 11/anger/sentence 1/s12_an_1.avi",
        "/data/subject 12/anger/sentence 1/s12_an_1.avi",
    ]
    rows = [[file, "0 days", "0 days 00:00:01.5", *raw(1, 384, seed)[0]] for seed, file in enumerate(files)]
    path = write_csv(tmp_path / "t.csv", ["file", "start", "end", *ALL_384], rows)
    table = read_table(path, corpus="enterface05")
    assert table.clip.tolist() == ["s11_an_1", "s12_an_1"]
    assert table.speaker.tolist() == ["enterface05_11", "enterface05_12"]


def authors_table(path: Path, values: np.ndarray, ids: list[str]) -> Path:
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    return write_csv(path, ["id", *FEATURE_NAMES], [[clip, *row] for clip, row in zip(ids, scaled)])


def test_authors_csv_is_flagged_as_scaled(tmp_path: Path) -> None:
    ids = ["s1_an_1", "s1_ha_1", "s6_an", "s6_fe", "s16_su_3avi", "s12_sa_2"]
    table = read_table(authors_table(tmp_path / "t.csv", raw(6, 64), ids), corpus="enterface05")
    assert table.made["format"] == "authors_csv"
    assert table.made["scaled"] == "corpus"
    assert table.clip.tolist() == ["s1_an_1", "s1_ha_1", "s6_an", "s6_fe", "s16_su_3", "s12_sa_2"]
    assert table.emotion.tolist() == ["anger", "happiness", "anger", "fear", "surprise", "sadness"]
    assert table.speaker.tolist()[2:] == ["enterface05_06", "enterface05_06", "enterface05_16", "enterface05_12"]


def test_a_part_of_a_scaled_table_is_flagged_too(tmp_path: Path) -> None:
    whole = authors_table(tmp_path / "t.csv", raw(12, 64), RAVDESS_IDS)
    lines = whole.read_text().splitlines(keepends=True)
    part = tmp_path / "part.csv"
    part.write_text("".join(lines[:8]))
    assert read_table(part, corpus="ravdess").made["scaled"] == "corpus"


def test_columns_are_sorted_into_opensmiles_order(tmp_path: Path) -> None:
    values = raw(4, 64)
    backwards = list(reversed(FEATURE_NAMES))
    rows = [[clip, *row[::-1]] for clip, row in zip(RAVDESS_IDS, values)]
    table = read_table(write_csv(tmp_path / "t.csv", ["clip", *backwards], rows), corpus="ravdess")
    assert table.feature_names == FEATURE_NAMES
    np.testing.assert_allclose(table.features, values, rtol=1e-6)


def test_other_features_are_taken_as_they_stand(tmp_path: Path) -> None:
    header = ["", "file", "loudness", "Loudness", "end"]
    rows = [[row, f"{clip}.wav", row, 2 * row, 9] for row, clip in enumerate(RAVDESS_IDS)]
    table = read_table(write_csv(tmp_path / "t.csv", header, rows), corpus="ravdess")
    assert table.feature_names == ("loudness", "Loudness")
    np.testing.assert_array_equal(table.features[:, 1], 2 * np.arange(12))
    assert table.made["format"] == "opensmile_csv"


def test_npz_of_several_corpora_is_cut_to_one(tmp_path: Path) -> None:
    names = np.asarray(["03-01-05-02-01-01-01", "1001_DFA_ANG_XX", "OAF_back_ps", "1002_IEO_HAP_HI"])
    values = raw(4, 5)
    np.savez(tmp_path / "t.npz", names=names, X=values)
    table = read_table(tmp_path / "t.npz", corpus="cremad")
    assert table.clip.tolist() == ["1001_DFA_ANG_XX", "1002_IEO_HAP_HI"]
    assert table.emotion.tolist() == ["anger", "happiness"]
    np.testing.assert_allclose(table.features, values[[1, 3]], rtol=1e-6)
    assert table.feature_names == tuple(f"feature_00{column}" for column in range(5))
    assert table.made["rows_in_file"] == 4
    with pytest.raises(InputError, match="no clip ids of emodb"):
        read_table(tmp_path / "t.npz", corpus="emodb")


def test_a_name_of_no_corpus_is_an_error(tmp_path: Path) -> None:
    rows = [[clip, 1.0] for clip in (RAVDESS_IDS[0], "03-01-05-02-01-01")]
    path = write_csv(tmp_path / "t.csv", ["id", "a"], rows)
    with pytest.raises(InputError, match=r"ids that are no clip names of ravdess .*row 3: '03-01-05-02-01-01'"):
        read_table(path, corpus="ravdess")


def test_labels_in_the_table_itself(tmp_path: Path) -> None:
    header = ["clip", "emotion", "speaker", "sex", "a", "b"]
    path = write_csv(tmp_path / "lab.csv", header, [["x", "anger", "1", "f", 1, 2], ["y", "calm", "lab_2", "", 3, 4]])
    table = read_table(path)
    assert (table.emotion.tolist(), table.speaker.tolist()) == (["anger", "calm"], ["lab_1", "lab_2"])
    assert (table.corpus.tolist(), table.sex.tolist()) == (["lab", "lab"], ["female", ""])
    assert table.feature_names == ("a", "b")
    bad = write_csv(tmp_path / "bad.csv", header, [["x", "angry", "1", "f", 1, 2]])
    with pytest.raises(InputError, match=r"bad\.csv, row 2, emotion: unknown label 'angry'.*did you mean 'anger'"):
        read_table(bad)


@pytest.mark.parametrize("written", ["x/one.wav", "one", "one.wav"])
def test_companion_finds_clips_however_written(tmp_path: Path, written: str) -> None:
    table_path = write_csv(tmp_path / "t.csv", ["file", "a"], [["/far/x/two.wav", 2], [written, 1]])
    companion = write_csv(
        tmp_path / "lab.csv",
        ["file", "emotion", "speaker", "corpus"],
        [["x/one.wav", "anger", "1", "field"], ["x/two.wav", "fear", "2", "field"], ["x/three.wav", "fear", "2", "f"]],
    )
    table = read_table(table_path, companion=companion)
    assert table.emotion.tolist() == ["fear", "anger"]
    assert table.clip.tolist() == ["x/two", "x/one"]
    assert table.speaker.tolist() == ["field_2", "field_1"]
    assert table.made["labels_from"] == "companion"


def test_companion_must_name_every_clip_once(tmp_path: Path) -> None:
    table_path = write_csv(tmp_path / "t.csv", ["clip", "a"], [["one", 2], ["two", 1]])
    companion = write_csv(tmp_path / "lab.csv", ["clip", "emotion", "speaker"], [["one", "anger", "1"]])
    with pytest.raises(InputError, match=r"lab\.csv: no row for 1 clips of t\.csv: two"):
        read_table(table_path, companion=companion)
    rows = [["one", "anger", "1"], ["a/two", "anger", "1"], ["b/two", "fear", "1"]]
    write_csv(companion, ["clip", "emotion", "speaker"], rows)
    with pytest.raises(InputError, match=r"lab\.csv, rows 3, 4: all match clip 'two'"):
        read_table(table_path, companion=companion)
    write_csv(companion, ["clip", "emotion", "speaker"], [["one", "anger", ""], ["two", "fear", "1"]])
    with pytest.raises(InputError, match=r"lab\.csv, row 2, speaker: is empty"):
        read_table(table_path, companion=companion)


def test_ids_alone_need_a_corpus_or_a_companion(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ["id", "a"], [[RAVDESS_IDS[0], 1]])
    with pytest.raises(
        InputError, match=r"name the corpus \(ravdess, cremad,.*config\.data\.source_corpus.*give a companion CSV"
    ):
        read_table(path)
    with pytest.raises(InputError, match="unknown corpus 'ravdes'"):
        read_table(path, corpus="ravdes")


def edited(header: list[str], rows: list[list[Any]], edit: str) -> tuple[list[str], list[list[Any]]]:
    """A good table of the 64 features with one thing spoilt."""
    if edit == "missing column":
        return header[:5] + header[6:], [row[:5] + row[6:] for row in rows]
    if edit == "doubled column":
        return [*header, header[5]], [[*row, row[5]] for row in rows]
    if edit == "doubled row":
        return header, [*rows, rows[1]]
    if edit == "two clip columns":
        return ["file", *header], [[row[0], *row] for row in rows]
    if edit == "no clip column":
        return header[1:], [row[1:] for row in rows]
    cell = {"word": "loud", "nan": "nan", "infinite": "-inf", "empty": "", "too large": "1e300"}[edit]
    return header, [rows[0], [*rows[1][:5], cell, *rows[1][6:]], *rows[2:]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            "missing column",
            f"missing columns {FEATURE_NAMES[4]}; expected all 64".replace("[", r"\[").replace("]", r"\]"),
        ),
        ("doubled column", r"row 1: doubled columns .*\[2\]_amean"),
        ("doubled row", f"doubled rows: {RAVDESS_IDS[1]}"),
        ("two clip columns", "2 columns for the clip"),
        ("no clip column", "0 columns for the clip"),
        ("word", r"no numbers: row 3, column pcm_fftMag_mfcc_sma\[2\]_amean: 'loud'"),
        ("empty", r"no numbers: row 3, column pcm_fftMag_mfcc_sma\[2\]_amean: ''"),
        ("nan", rf"not finite: row 3 \({RAVDESS_IDS[1]}\), column pcm_fftMag_mfcc_sma\[2\]_amean: nan"),
        ("infinite", r"not finite: row 3 .*: -inf"),
        ("too large", r"not finite: row 3 .*1e\+300"),
    ],
)
def test_spoilt_tables_name_row_and_column(tmp_path: Path, edit: str, message: str) -> None:
    rows = [[clip, *row] for clip, row in zip(RAVDESS_IDS, raw(12, 64).tolist())]
    path = write_csv(tmp_path / "t.csv", *edited(["id", *FEATURE_NAMES], rows, edit))
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, corpus="ravdess")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x,1,2", "", " ,", "y,1,loud"], "no numbers: row 5, column b: 'loud'"),
        (["", "x,1,2", "y,1"], "row 4: 2 cells, the header has 3; expected as many"),
        (["x,1,2", "y,1,2,3"], "row 3: 4 cells, the header has 3; expected as many"),
        (['"x,1,2'], r"row 2: a quote \(\"\) is opened and not closed"),
    ],
)
def test_rows_are_counted_as_in_the_file(tmp_path: Path, lines: list[str], message: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["id,a,b", *lines]))
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.csv", corpus="ravdess")


def test_blank_rows_spaces_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    text = f"\ufeffid, a , b\r\n\r\n {RAVDESS_IDS[0]} , 1 ,2\r\n,,\r\n{RAVDESS_IDS[1]},3,4\r\n\r\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    table = read_table(tmp_path / "t.csv", corpus="ravdess")
    assert table.clip.tolist() == RAVDESS_IDS[:2]
    assert (table.feature_names, table.features.tolist()) == (("a", "b"), [[1.0, 2.0], [3.0, 4.0]])


def test_tables_without_rows_or_features(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows below the header"):
        read_table(write_csv(tmp_path / "a.csv", ["id", "a"], []), corpus="ravdess")
    with pytest.raises(InputError, match="no feature columns"):
        read_table(write_csv(tmp_path / "b.csv", ["id"], [["x"]]), corpus="ravdess")
    np.savez(tmp_path / "c.npz", names=np.asarray(["a"]), X=np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"features \(2, 3\) float64 and names \(1,\)"):
        read_table(tmp_path / "c.npz", corpus="ravdess")
    np.savez(tmp_path / "d.npz", names=np.asarray(["a"]), Y=np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"no array X or features \(found: names, Y\)"):
        read_table(tmp_path / "d.npz", corpus="ravdess")


@pytest.mark.parametrize("written", ["b'{}'", "C:\\audio\\Actor_01\\{}.wav"], ids=["printed bytes", "backslashes"])
def test_csv_ids_of_bytes_and_with_backslashes_are_read(tmp_path: Path, written: str) -> None:
    rows = [[written.format(clip), 1.5] for clip in RAVDESS_IDS]
    table = read_table(write_csv(tmp_path / "t.csv", ["id", "a"], rows), corpus="ravdess")
    assert table.clip.tolist() == RAVDESS_IDS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip;emotion;speaker;a\nx;anger;p;1,5\n", "row 2, column a: '1,5'; write decimal points in place of commas"),
        ("clip,emotion,speaker,a\nx,anger,p,1_5\n", "row 2, column a: '1_5'"),
        ("clip,emotion,speaker,a\nx,anger,p,1+2j\n", r"row 2, column a: '1\+2j'"),
        ("clip,emotion,speaker,a\nx,anger,p\0q,1\n", "speaker, row 0: holds the code 0x0"),
        ("clip" + ",a" * 20_000, "row 1: 20,001 columns; expected at most 20,000"),
        ("\n\nclip,emotion,speaker,a\nx,anger,p,loud\n", "row 4, column a: 'loud'"),
    ],
)
def test_cells_that_are_no_numbers_and_tables_that_are_too_wide(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_an_id_that_names_no_clip(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(f"clip,emotion,speaker,a\n{name},anger,p,1\n")
    with pytest.raises(InputError, match=rf"row 2, id: '{name}' names no clip"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text(f"clip,a\n{name},1\n")
    with pytest.raises(InputError, match="row 2: "):
        read_table(tmp_path / "t.csv", corpus="ravdess")


def test_quotes_after_blanks_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('clip, "emotion", "speaker", "a"\nx, "anger", "p,q", 1\n')
    assert read_table(tmp_path / "t.csv").speaker.tolist() == ["t_p,q"]


def test_opensmile_package_csv(tmp_path: Path) -> None:
    opensmile = pytest.importorskip("opensmile")
    import soundfile
    from corpus_trees import noise

    for clip in RAVDESS_IDS[:2]:
        soundfile.write(tmp_path / f"{clip}.wav", noise(clip, 16000), 16000)
    smile = opensmile.Smile(opensmile.FeatureSet.IS09)
    frame = smile.process_files([str(tmp_path / f"{clip}.wav") for clip in RAVDESS_IDS[:2]])
    frame.to_csv(tmp_path / "t.csv")
    table = read_table(tmp_path / "t.csv", corpus="ravdess")
    assert table.clip.tolist() == RAVDESS_IDS[:2]
    np.testing.assert_allclose(table.features, frame[list(FEATURE_NAMES)].to_numpy(), rtol=1e-6)


@pytest.mark.data
def test_authors_tables(data_folder: Path) -> None:
    enterface = read_table(data_folder / "tables/authors_is09_enterface05.csv", corpus="enterface05")
    assert len(enterface) == 1263
    assert len(set(enterface.speaker)) == 43
    assert np.isin(enterface.emotion, PAPER_EMOTIONS).sum() == 841  # with subject 6's unsegmented clips
    ravdess = read_table(data_folder / "tables/authors_is09_ravdess.csv", corpus="ravdess")
    assert len(ravdess) == 1440
    assert np.isin(ravdess.emotion, PAPER_EMOTIONS).sum() == 768
    groups = duplicates(ravdess)
    (doubled,) = np.flatnonzero(np.bincount(groups) > 1)
    assert ravdess.clip[groups == doubled].tolist() == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    for table in (enterface, ravdess):
        assert table.feature_names == FEATURE_NAMES
        assert (table.made["format"], table.made["scaled"]) == ("authors_csv", "corpus")


@pytest.mark.data
def test_pooled_log_mel_table(data_folder: Path) -> None:
    path = data_folder / "tables/logmel_stats_cremad_ravdess_tess.npz"
    sizes = {corpus: len(read_table(path, corpus=corpus)) for corpus in ("cremad", "ravdess", "tess")}
    assert sizes == {"cremad": 7441, "ravdess": 1439, "tess": 2402}
    cremad = read_table(path, corpus="cremad")
    assert cremad.features.shape[1] == 52
    assert len(set(cremad.speaker)) == 91
    assert np.isin(cremad.emotion, PAPER_EMOTIONS).sum() == 5083  # 5084 without the silent clip
    assert cremad.made["scaled"] == "none"


@pytest.mark.parametrize("number", ["", "Unnamed: 0", "index", "level_0"])
def test_the_row_number_of_pandas_is_no_feature(tmp_path: Path, number: str) -> None:
    (tmp_path / "t.csv").write_text(f"{number},id,emotion,speaker,f1\n0,a,anger,s,1\n1,b,fear,s,2\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv").feature_names == ("f1",)


def test_label_columns_that_differ_by_letter_case_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,emotion,Emotion,speaker,f1\na,anger,fear,s,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 1: doubled columns emotion"):
        read_table(tmp_path / "t.csv")

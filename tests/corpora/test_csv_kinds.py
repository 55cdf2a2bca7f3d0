"""CSV files as spreadsheets and scripts write them: read, or named for what they are."""

from pathlib import Path

import pytest

from siamese_jax.corpora.csv_files import read_cells
from siamese_jax.corpora.manifest import read_manifest, read_rows
from siamese_jax.errors import InputError

PLAIN = "file,emotion,speaker,text\na.wav,anger,anna,yes\nb.wav,fear,bert,no\n"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "m.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\n  \n" + PLAIN,
        "sep=,\n" + PLAIN,
        "\nsep=;\r\n" + PLAIN.replace(",", ";"),
        "sep=|\n" + PLAIN.replace(",", "|"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", "\t"),
        '"file", "emotion", "speaker", "text"\n"a.wav", "anger", "anna", "yes, sir"\n"b.wav" , "fear" ,"bert","no"\n',
        PLAIN.replace("yes", 'a 5" nail').replace("no", '""'),
        PLAIN.replace("yes", '"two\nlines, and ""more"""'),
        PLAIN.replace("yes", "\u2028\x85\x0c"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_dialects_and_encodings_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    if encoding in ("utf-16-le", "utf-16-be") and text.startswith("\n  \n"):
        return  # no Latin letter tells it
    clips = list(read_manifest(write(tmp_path, text, encoding)))
    assert [(clip.file, clip.emotion, clip.speaker) for clip in clips] == [
        ("a.wav", "anger", "m_anna"),
        ("b.wav", "fear", "m_bert"),
    ]


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        ('a.wav,anger,anna,"yes\nb.wav,fear,bert,no\n', 2),
        ('a.wav,anger,anna,yes\nb.wav,fear,bert,"no\n' + "c.wav,fear,bert,no\n" * 20000, 3),
        ('a.wav,anger,anna,"yes\nb.wav,fear,bert,no\nc.wav,fear,bert,"no"\n', 2),
        ('a.wav,anger,"anna,yes\nb.wav,fear,bert,no\nc.wav,fear,"bert",no\n', 2),
    ],
)
def test_an_unclosed_quote_is_named_by_the_row_where_it_opens(tmp_path: Path, rows: str, row: int) -> None:
    path = write(tmp_path, "file,emotion,speaker,text\n" + rows)
    with pytest.raises(InputError, match=rf"m.csv, row {row}: a quote \(\"\) is opened and not closed"):
        read_rows(path)


def test_rows_are_numbered_by_their_first_line_from_the_top_of_the_file(tmp_path: Path) -> None:
    text = 'sep=,\n\nfile,emotion,speaker\na.wav,anger,"an\nna"\n\nb.wav,nothing,anna\n'
    _, (problem,) = read_rows(write(tmp_path, text))
    assert problem.row == 7
    with pytest.raises(InputError, match="row 3: no column speaker"):
        read_manifest(write(tmp_path, "sep=;\n\nfile;emotion\na.wav;anger\n"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04 xl/workbook.xml", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0 old", "an Excel workbook"),
        (b"\x1f\x8b\x08 zipped", "compressed by gzip; unpack it"),
        (b"PAR1 columns", "a Parquet file"),
        (b"% a comment\n@RELATION emotions\n@ATTRIBUTE file STRING\n", "an ARFF file of Weka; save it as CSV"),
        (b"@relation emotions\n", "an ARFF file of Weka"),
        (b'{"file": "a.wav"}\n', "JSON, XML or HTML"),
        (b"<html>not found</html>\n", "JSON, XML or HTML"),
        ("file,emotion,speaker\nmüller.wav,anger,1\n".encode("latin-1"), "not a CSV in UTF-8"),
        (b"file,emotion,speaker,start\na.wav,anger,anna,0,5\n", "row 2: 5 cells, the header has 4.*points as decimal"),
        (b"", r"no column file, emotion, speaker \(found: nothing\)"),
        (b"\n\n \n", r"no column file, emotion, speaker \(found: nothing\)"),
        (b"sep=;\n", "no column file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_manifest(path)


def test_a_decimal_comma_is_told_with_the_number_to_write(tmp_path: Path) -> None:
    path = write(tmp_path, "file;emotion;speaker;start\na.wav;anger;anna;0,5\n")
    with pytest.raises(InputError, match=r"row 2, start: '0,5', a decimal comma; expected seconds with a"):
        read_manifest(path)


def test_quotes_can_be_plain_characters(tmp_path: Path) -> None:
    path = write(tmp_path, 'a\tb\n"open\tx\n')
    assert read_cells(path, quotes=False).rows == [(2, ['"open', "x"])]


@pytest.mark.parametrize("name", ["a\0b.csv", "x" * 300, "m.csv/inside.csv"])
def test_a_path_that_can_be_no_file(tmp_path: Path, name: str) -> None:
    write(tmp_path, PLAIN)
    with pytest.raises(InputError, match=r"cannot be read|no such file"):
        read_manifest(tmp_path / name)


def test_a_huge_cell_without_a_quote_is_said_to_be_long(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"file,emotion,speaker,notes\na.wav,fear,s,{'y' * 200_000}\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2: a cell of more than 131072 characters"):
        read_manifest(tmp_path / "m.csv")

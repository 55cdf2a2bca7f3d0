from pathlib import Path

import pytest
from corpus_trees import write_sound
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.corpora.manifest import (
    COMMON_ALIASES,
    EMOTIONS,
    Clip,
    Manifest,
    read_manifest,
    read_rows,
    unknown_label,
    write_manifest,
)
from siamese_jax.corpora.spelling import nfc
from siamese_jax.errors import InputError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_three_columns_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", "file,emotion,speaker\nanna/001.wav,anger,anna\n\nbert/001.wav,fear,bert\n")
    manifest = read_manifest(path)
    assert manifest.root == tmp_path
    assert list(manifest) == [
        Clip("anna/001.wav", "anna/001", "anger", "mine_anna", "mine"),
        Clip("bert/001.wav", "bert/001", "fear", "mine_bert", "mine"),
    ]
    assert manifest.path(manifest.clips[0]) == tmp_path / "anna" / "001.wav"


def test_all_columns_in_another_order_and_dialect(tmp_path: Path) -> None:
    text = (
        "Speaker;Sex;File;transcript;Emotion;Corpus;start;end;name\r\n"
        "lab_7;F;a\\long.flac;hello;calm;lab;1.5;2.25;first\r\n"
        "8;;a\\long.flac;;boredom;lab;;4;\r\n"
    )
    manifest = read_manifest(write(tmp_path / "m.csv", text, "utf-8-sig"), root=tmp_path / "sounds")
    assert manifest.root == tmp_path / "sounds"
    assert list(manifest) == [
        Clip("a/long.flac", "first", "calm", "lab_7", "lab", "female", 1.5, 2.25),
        Clip("a/long.flac", "a/long#-4", "boredom", "lab_8", "lab", "", None, 4.0),
    ]


def test_round_trip_to_another_folder(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for file in ("a/1, loud.wav", "b/1.wav"):
        write_sound(root / file)
    clips = (
        Clip("a/1, loud.wav", "x", "anger", "lab_a", "lab", "male", 0.1, 1 / 3),
        Clip("b/1.wav", "y", "fear", "lab_b", "lab"),
    )
    written = Manifest(root, clips, (("c.wav", "silent"),))
    path = tmp_path / "elsewhere" / "m.csv"
    write_manifest(path, written)
    read = read_manifest(path)
    assert [read.path(clip).resolve() for clip in read] == [written.path(clip).resolve() for clip in written]
    for old, new in zip(written, read):
        assert (old.name, old.emotion, old.speaker, old.corpus, old.sex, old.start, old.end) == (
            new.name, new.emotion, new.speaker, new.corpus, new.sex, new.start, new.end,
        )  # fmt: skip


def test_a_manifest_written_through_a_linked_folder_leads_to_its_files(tmp_path: Path) -> None:
    write_sound(tmp_path / "corpus" / "a.wav")
    (tmp_path / "far" / "deep" / "real").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/deep/real")
    (tmp_path / "other").symlink_to("corpus")
    clips = (Clip("a.wav", "a", "anger", "c_1", "c"),)
    for root in ("corpus", "other"):
        for folder in ("link", "far/deep/real"):
            write_manifest(tmp_path / folder / "m.csv", Manifest(tmp_path / root, clips))
            for reader in ("link", "far/deep/real"):
                manifest = read_manifest(tmp_path / reader / "m.csv")
                assert manifest.path(manifest.clips[0]).is_file()


def test_the_remedy_is_an_option_that_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", "file,emotion,speaker\na.wav,happy,anna\nb.wav,happy,anna\n")
    for aliases, told in ((None, True), ({}, False), ({"glad": "happiness"}, False)):
        with pytest.raises(InputError, match="2 x 'happy': did you mean happiness") as caught:
            read_manifest(path, aliases=aliases)
        assert ("--aliases maps these" in str(caught.value)) == told


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1
            ).map(nfc),
            st.sampled_from(EMOTIONS),
            st.sampled_from(["female", "male", ""]),
            st.one_of(st.none(), st.floats(0, 1e6)),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    )
)
def test_any_clip_survives_writing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, float | None]]
) -> None:
    root = tmp_path_factory.mktemp("any")
    clips = tuple(Clip(f"f/{i}.wav", name, e, f"c_{name}", "c", s, t) for i, (name, e, s, t) in enumerate(rows))
    write_manifest(root / "m.csv", Manifest(root, clips))
    assert read_manifest(root / "m.csv").clips == clips


def test_every_bad_field_is_named_with_its_row(tmp_path: Path) -> None:
    text = (
        "file,emotion,speaker,sex,start,end\n"
        "a.wav,happy,anna,female,,\n"
        "b.wav,anger,,female,,\n"
        "c.wav,anger,anna,woman,,\n"
        "d.wav,anger,anna,f,soon,\n"
        "e.wav,anger,anna,f,2,1\n"
        "f.wav,anger,anna,f,nan,\n"
        "g.wav,fear,anna,m,,\n"
    )
    path = write(tmp_path / "m.csv", text)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: 6 bad fields: ")
    for expected in (
        "row 2, emotion: unknown label 'happy', expected one of anger, happiness,",
        "did you mean 'happiness'?",
        "row 3, speaker: is empty",
        "row 4, sex: 'woman', expected female, male or nothing",
        "row 5, start: 'soon', expected seconds",
        "row 6, end: 1 s does not lie after the start, 2 s",
        "row 7, start: 'nan', expected seconds",
    ):
        assert expected in message
    manifest, problems = read_rows(path)
    assert [clip.file for clip in manifest] == ["g.wav"]
    assert [problem.row for problem in problems] == [2, 3, 4, 5, 6, 7]


def test_aliases_are_a_choice(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", "file,emotion,speaker\na.wav,happy,anna\nb.wav,anger,anna\n")
    with pytest.raises(InputError, match="unknown label 'happy'"):
        read_manifest(path)
    assert [clip.emotion for clip in read_manifest(path, aliases=COMMON_ALIASES)] == ["happiness", "anger"]
    assert set(COMMON_ALIASES.values()) <= set(EMOTIONS)
    assert not set(COMMON_ALIASES) & set(EMOTIONS)


@pytest.mark.parametrize(
    ("label", "nearest"), [("Anger", "anger"), ("angry", "anger"), ("suprise", "surprise"), ("HAPPY", "happiness")]
)
def test_unknown_labels_get_the_nearest(label: str, nearest: str) -> None:
    assert f"did you mean '{nearest}'?" in unknown_label(label)
    assert all(noun in unknown_label(label) for noun in EMOTIONS)


def test_a_label_near_to_nothing_gets_no_hint() -> None:
    assert "did you mean" not in unknown_label("xyzzy")


def test_clips_listed_twice(tmp_path: Path) -> None:
    text = "file,emotion,speaker,name,start\na.wav,anger,anna,,\na.wav,fear,anna,other,\nb.wav,fear,anna,a,\n"
    with pytest.raises(InputError) as caught:
        read_manifest(write(tmp_path / "m.csv", text))
    assert "row 3, file: 'a.wav' is already in row 2" in str(caught.value)
    assert "row 4, name: 'a' is already in row 2" in str(caught.value)
    segments = "file,emotion,speaker,start,end\na.wav,anger,anna,,1\na.wav,fear,anna,1,2\na.wav,fear,anna,2,\n"
    names = [clip.name for clip in read_manifest(write(tmp_path / "s.csv", segments))]
    assert names == ["a#-1", "a#1-2", "a#2-"]


def test_a_hundred_clips_listed_twice_are_one_line(tmp_path: Path) -> None:
    text = "file,emotion,speaker,start,end\n" + "".join(f"{i % 100}.wav,anger,anna,,\n" for i in range(200))
    text += "".join(f"x{i}.wav,anger,anna,{i + 1},{i}\n" for i in range(100))
    with pytest.raises(InputError) as caught:
        read_manifest(write(tmp_path / "m.csv", text))
    for told in ("100 rows (102, 103, 104 and 97 more), name: is already in an earlier row; list each clip once",
                 "100 rows (202, 203, 204 and 97 more), end: does not lie after the start",
                 "100 of 300 rows usable"):  # fmt: skip
        assert told in str(caught.value)


def test_names_are_unique_within_a_corpus(tmp_path: Path) -> None:
    clip = Clip("a.wav", "a", "anger", "c_1", "c")
    other = Clip("b.wav", "a", "anger", "d_1", "d")
    assert len(Manifest(tmp_path, (clip, other))) == 2
    with pytest.raises(InputError, match="clip names occur twice in one corpus: c/a"):
        Manifest(tmp_path, (clip, clip))


def test_only_some_emotions(tmp_path: Path) -> None:
    clips = tuple(Clip(f"{e}.wav", e, e, "c_1", "c") for e in ("anger", "calm", "fear"))
    manifest = Manifest(tmp_path, clips).only(("fear", "anger"))
    assert [clip.emotion for clip in manifest] == ["anger", "fear"]
    assert manifest.left_out == (("calm.wav", "emotion not asked for: calm"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"row 1: no column file, emotion, speaker \(found: nothing\)"),
        ("file,emotion\na.wav,anger\n", r"row 1: no column speaker \(found: file, emotion\)"),
        ("file,file,emotion,speaker\n", "row 1: doubled column file"),
        ("file,emotion,speaker\na.wav,anger\n", "row 2: 2 cells, the header has 3"),
        ("file,emotion,speaker\n", "no rows below the header"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
    ],
)
def test_files_that_are_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_manifest(write(tmp_path / "m.csv", text))


def test_no_such_file_and_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes("file,emotion,speaker\nmüller.wav,anger,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="not a CSV in UTF-8"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(InputError, match="not a CSV in UTF-8"):
        read_manifest(tmp_path)

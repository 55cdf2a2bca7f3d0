"""What each corpus has of its own: takes to leave out, tables beside the sounds, odd names; and the real corpora."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from corpus_trees import LFS_POINTER, MakeTree

from siamese_jax.corpora import adapters
from siamese_jax.errors import InputError


def test_ravdess_keeps_audio_only_speech(make_tree: MakeTree) -> None:
    root = make_tree(
        [
            "Actor_01/03-01-05-02-01-01-01.wav",
            "Actor_01/03-02-05-02-01-01-01.wav",  # song
            "Actor_01/01-01-05-02-01-01-01.mp4",  # the same take, audio and video
            "Actor_01/02-01-05-02-01-01-01.mp4",  # video only
            "Actor_01/03-01-09-02-01-01-01.wav",  # no such emotion
            "Actor_25/03-01-05-02-01-01-25.wav",  # no such actor
        ]
    )
    manifest = adapters.scan("ravdess", root)
    assert [clip.name for clip in manifest] == ["03-01-05-02-01-01-01"]
    assert [reason for _, reason in manifest.left_out] == [
        "audio and video, not audio alone",
        "video without sound",
        "not named like a clip of RAVDESS",
        "song, not speech",
        "not named like a clip of RAVDESS",
    ]


def test_ravdess_songs_alone_are_not_enough(make_tree: MakeTree) -> None:
    with pytest.raises(InputError, match=r"none of 1 sound files can be used \(1 song, not speech"):
        adapters.scan("ravdess", make_tree(["Actor_01/03-02-05-02-01-01-01.wav"]))


def test_cremad_silent_clip_other_formats_and_sex(make_tree: MakeTree) -> None:
    root = make_tree(
        [
            "AudioWAV/1076_MTI_SAD_XX.wav",
            "AudioWAV/1076_MTI_ANG_XX.wav",
            "AudioMP3/1076_MTI_ANG_XX.mp3",
            "VideoFlash/1076_MTI_ANG_XX.flv",
            "VideoFlash/1077_MTI_ANG_XX.flv",
            "AudioWAV/1092_MTI_ANG_XX.wav",
        ]
    )
    (root / "VideoDemographics.csv").write_text(
        "ActorID,Age,Sex,Race,Ethnicity\n1076,25,Female,Caucasian,Not Hispanic\n1077,30,Male,Asian,Not Hispanic\n"
    )
    manifest = adapters.scan("cremad", root)
    assert {(clip.file, clip.sex) for clip in manifest} == {
        ("AudioWAV/1076_MTI_ANG_XX.wav", "female"),
        ("VideoFlash/1077_MTI_ANG_XX.flv", "male"),
    }
    assert dict(manifest.left_out) == {
        "AudioWAV/1076_MTI_SAD_XX.wav": "holds no sound",
        "AudioWAV/1092_MTI_ANG_XX.wav": "not named like a clip of CREMA-D",
        "AudioMP3/1076_MTI_ANG_XX.mp3": "the same take in another format: AudioWAV/1076_MTI_ANG_XX.wav",
        "VideoFlash/1076_MTI_ANG_XX.flv": "the same take in another format: AudioWAV/1076_MTI_ANG_XX.wav",
    }
    # The demographics are found from the clips' own folder and from above the clone, too.
    assert {clip.sex for clip in adapters.scan("cremad", root / "AudioWAV")} == {"female"}
    assert {clip.sex for clip in adapters.scan("cremad", root.parent)} == {"female", "male"}


def test_cremad_demographics_with_a_bad_row(make_tree: MakeTree) -> None:
    root = make_tree(["AudioWAV/1076_MTI_ANG_XX.wav"])
    (root / "VideoDemographics.csv").write_text("ActorID,Age,Sex,Race,Ethnicity\n1076,25,,Caucasian,x\n")
    with pytest.raises(InputError, match=r"VideoDemographics\.csv, row 2, Sex: '', expected Female or Male"):
        adapters.scan("cremad", root)


def test_enterface_unsegmented_subject(make_tree: MakeTree) -> None:
    files = ["subject 5/anger/sentence 1/s5_an_1.avi", "subject 6/anger/s6_an.avi"]
    root = make_tree(files)
    manifest = adapters.scan("enterface05", root)
    assert [clip.name for clip in manifest] == ["s5_an_1"]
    assert manifest.left_out == (("subject 6/anger/s6_an.avi", "not cut into sentences"),)
    kept = adapters.scan("enterface05", root, unsegmented=True)
    assert [(clip.name, clip.speaker) for clip in kept] == [
        ("s5_an_1", "enterface05_05"),
        ("s6_an", "enterface05_06"),
    ]


def test_casia_neutral_under_both_names(make_tree: MakeTree) -> None:
    """Folders neutral and normal of one speaker are other recordings, not copies."""
    manifest = adapters.scan("casia", make_tree(["wangzhe/neutral/201.wav", "wangzhe/normal/201.wav"]))
    assert [clip.emotion for clip in manifest] == ["neutral", "neutral"]


def iemocap_tree(make_tree: MakeTree) -> Path:
    root = make_tree(
        [
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav",
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M002.wav",
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M009.wav",
            "Session5/sentences/wav/Ses05M_script01_1/Ses05M_script01_1_FXX0.wav",
        ]
    )
    first = root / "Session1/dialog/EmoEvaluation"
    first.mkdir(parents=True)
    (first / "Ses01F_impro01.txt").write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tAnger;\t(curious)\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
        "[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[4.0000, 3.0000, 3.0000]\nC-E2:\tExcited;\t()\n"
        "[12.0100 - 13.3925]\tSes01F_impro01_M002\txxx\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
    )
    (first / "Categorical").mkdir()
    (first / "Categorical" / "Ses01F_impro01_e2_cat.txt").write_text("Ses01F_impro01_F000 :Neutral state; ()\n")
    (first / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07")
    fifth = root / "Session5/dialog/EmoEvaluation"
    fifth.mkdir(parents=True)
    (fifth / "Ses05M_script01_1.txt").write_text("[1.0 - 2.0]\tSes05M_script01_1_FXX0\tang\t[1.5, 4.0, 4.5]\r\n")
    return root


def test_iemocap_speakers_and_explicit_merge(make_tree: MakeTree) -> None:
    root = iemocap_tree(make_tree)
    manifest = adapters.scan("iemocap", root)
    assert [(clip.name, clip.emotion, clip.speaker, clip.sex) for clip in manifest] == [
        ("Ses01F_impro01_F000", "neutral", "iemocap_1F", "female"),
        ("Ses05M_script01_1_FXX0", "anger", "iemocap_5F", "female"),
    ]
    folder = "Session1/sentences/wav/Ses01F_impro01"
    assert dict(manifest.left_out) == {
        f"{folder}/Ses01F_impro01_M001.wav": "excitement",
        f"{folder}/Ses01F_impro01_M002.wav": "raters do not agree",
        f"{folder}/Ses01F_impro01_M009.wav": "no evaluation",
    }
    merged = adapters.scan("iemocap", root, merge_excitement=True)
    assert Counter(clip.emotion for clip in merged) == {"neutral": 1, "happiness": 1, "anger": 1}
    assert {clip.speaker for clip in merged} == {"iemocap_1F", "iemocap_1M", "iemocap_5F"}
    assert all(merged.path(clip).is_file() for clip in merged)
    assert len(adapters.scan("iemocap", root.parent)) == 2
    with pytest.raises(InputError, match="lies inside IEMOCAP; give the folder above"):
        adapters.scan("iemocap", root / "Session1" / "sentences")


def test_iemocap_two_copies_bad_lines_and_pointers(make_tree: MakeTree) -> None:
    root = iemocap_tree(make_tree)
    shutil.copytree(root, root.parent / "copy")
    with pytest.raises(InputError, match="two copies of IEMOCAP"):
        adapters.scan("iemocap", root.parent)
    text = root / "Session5/dialog/EmoEvaluation/Ses05M_script01_1.txt"
    text.write_text("[1.0 - 2.0]\tSes05M_script01_1_F001\tboredom\t[1.5, 4.0, 4.5]\n")
    with pytest.raises(InputError, match=r"Ses05M_script01_1\.txt, row 1: emotion code 'boredom', expected one of neu"):
        adapters.scan("iemocap", root)
    text.write_text("% header\n[1.0 - 2.0] Ses05M_script01_1_F001 ang\n")
    with pytest.raises(InputError, match=r"row 2: .*expected \[start - end\]<tab>TURN"):
        adapters.scan("iemocap", root)
    text.unlink()
    for sound in root.glob("Session*/sentences/wav/*/*.wav"):
        sound.write_bytes(LFS_POINTER)
    with pytest.raises(InputError, match="git-lfs pointers"):
        adapters.scan("iemocap", root)
    shutil.rmtree(root / "Session1/dialog")
    with pytest.raises(InputError, match="no turns in dialog/EmoEvaluation"):
        adapters.scan("iemocap", root)


@pytest.mark.data
def test_real_ravdess(data_folder: Path) -> None:
    manifest = adapters.scan("ravdess", data_folder / "audio" / "ravdess")
    assert len(manifest) == 1440
    assert len({clip.speaker for clip in manifest}) == 24
    counts = Counter(clip.emotion for clip in manifest)
    assert counts.pop("neutral") == 96
    assert set(counts.values()) == {192}
    assert len(counts) == 7
    assert manifest.left_out == ()


@pytest.mark.data
def test_real_emodb(data_folder: Path) -> None:
    manifest = adapters.scan("emodb", data_folder / "audio" / "emodb")
    assert len(manifest) == 535
    assert len({clip.speaker for clip in manifest}) == 10
    counts = Counter(clip.emotion for clip in manifest)
    assert [counts[e] for e in ("anger", "happiness", "sadness", "fear")] == [127, 71, 62, 69]
    assert {clip.speaker[-2:] for clip in manifest if clip.sex == "male"} == {"03", "10", "11", "12", "15"}


def test_nemo_takes_the_sex_from_its_table(make_tree: MakeTree) -> None:
    root = make_tree(["samples/SM0_happiness_2.wav", "samples/JG1_surprised_90.wav"])
    rows = 'file_id\temotion\traw_text\tspeaker_id\t{}\tage\nSM0_happiness_2\thappiness\t"Tak!\tSM0\t{}\t25\n'
    for column, text, sex in (("sex", "male", "male"), ("gender", "F", "female"), ("sex", "", "")):
        (root / "data.tsv").write_text(rows.format(column, text), encoding="utf-8")
        for given in (root, root.parent, root / "samples"):
            sexes = {clip.speaker: clip.sex for clip in adapters.scan("nemo", given)}
            assert sexes == {"nemo_SM0": sex, "nemo_JG1": ""}
    (root / "data.tsv").write_text(rows.format("sex", "x"), encoding="utf-8")
    with pytest.raises(InputError, match=r"data\.tsv, row 2, sex: 'x', expected female or male"):
        adapters.scan("nemo", root)


def test_savee_with_flat_names(make_tree: MakeTree) -> None:
    files = ["DC_a01.wav", "JE_sa02.wav", "KL_su15.WAV", "JK_n30.wav"]
    manifest = adapters.scan("savee", make_tree(files))
    assert [(clip.name, clip.emotion, clip.speaker) for clip in manifest] == [
        ("DC_a01", "anger", "savee_DC"),
        ("JE_sa02", "sadness", "savee_JE"),
        ("JK_n30", "neutral", "savee_JK"),
        ("KL_su15", "surprise", "savee_KL"),
    ]

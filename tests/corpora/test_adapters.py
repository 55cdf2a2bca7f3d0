"""Each adapter on trees with the real corpora's names, and on the real corpora where they are at hand."""

import shutil
from pathlib import Path

import pytest
from corpus_trees import LFS_POINTER, MakeTree, write_sound

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import EMOTIONS
from siamese_jax.errors import InputError

# corpus, files of a small tree, and per file (name, emotion, speaker, sex)
TREES: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "ravdess": {
        "Actor_01/03-01-05-02-01-01-01.wav": ("03-01-05-02-01-01-01", "anger", "ravdess_01", "male"),
        "Actor_02/03-01-02-01-02-02-02.wav": ("03-01-02-01-02-02-02", "calm", "ravdess_02", "female"),
        "Actor_24/03-01-08-01-01-01-24.wav": ("03-01-08-01-01-01-24", "surprise", "ravdess_24", "female"),
    },
    "cremad": {
        "AudioWAV/1001_DFA_ANG_XX.wav": ("1001_DFA_ANG_XX", "anger", "cremad_1001", ""),
        "AudioWAV/1091_WSI_NEU_XX.wav": ("1091_WSI_NEU_XX", "neutral", "cremad_1091", ""),
        "AudioWAV/1040_ITH_SAD_X.wav": ("1040_ITH_SAD_X", "sadness", "cremad_1040", ""),
        "AudioWAV/1002_IEO_HAP_HI.wav": ("1002_IEO_HAP_HI", "happiness", "cremad_1002", ""),
    },
    "enterface05": {
        "subject 1/anger/sentence 1/s1_an_1.avi": ("s1_an_1", "anger", "enterface05_01", ""),
        "subject 3/fear/sentence 2/s_3_fe_2.avi": ("s3_fe_2", "fear", "enterface05_03", ""),
        "subject 11/sadness/sentence 5/s12_sa_5.avi": ("s11_sa_5", "sadness", "enterface05_11", ""),
        "subject 12/sadness/sentence 5/s12_sa_5.avi": ("s12_sa_5", "sadness", "enterface05_12", ""),
        "subject 16/surprise/sentence 3/s16_su_3avi.avi": ("s16_su_3", "surprise", "enterface05_16", ""),
        "subject 17/happiness/sentence 4/s17_ha_4/s17_ha_4.avi": ("s17_ha_4", "happiness", "enterface05_17", ""),
    },
    "emodb": {
        "wav/03a01Fa.wav": ("03a01Fa", "happiness", "emodb_03", "male"),
        "wav/16b10Wb.wav": ("16b10Wb", "anger", "emodb_16", "female"),
        "wav/08a07La.wav": ("08a07La", "boredom", "emodb_08", "female"),
        "wav/15a02Ac.wav": ("15a02Ac", "fear", "emodb_15", "male"),
    },
    "savee": {
        "DC/a01.wav": ("DC_a01", "anger", "savee_DC", "male"),
        "KL/sa15.wav": ("KL_sa15", "sadness", "savee_KL", "male"),
        "JK/su02.wav": ("JK_su02", "surprise", "savee_JK", "male"),
        "ALL/JE_n30.wav": ("JE_n30", "neutral", "savee_JE", "male"),
    },
    "emovo": {
        "f1/rab-f1-b1.wav": ("rab-f1-b1", "anger", "emovo_f1", "female"),
        "m3/gio-m3-l4.wav": ("gio-m3-l4", "happiness", "emovo_m3", "male"),
    },
    "nemo": {
        "samples/SM0_happiness_2.wav": ("SM0_happiness_2", "happiness", "nemo_SM0", ""),
        "samples/JG1_surprised_90.wav": ("JG1_surprised_90", "surprise", "nemo_JG1", ""),
    },
    "tess": {
        "OAF_Fear/OAF_back_fear.wav": ("OAF_back_fear", "fear", "tess_OAF", "female"),
        "YAF_pleasant_surprised/YAF_youth_ps.wav": ("YAF_youth_ps", "surprise", "tess_YAF", "female"),
        "OAF_neutral/OA_bite_neutral.wav": ("OAF_bite_neutral", "neutral", "tess_OAF", "female"),
    },
    "casia": {
        "liuchanhg/angry/201.wav": ("liuchanhg_angry_201", "anger", "casia_liuchanhg", ""),
        "ZhaoZuoxiang/normal/201.wav": ("zhaozuoxiang_normal_201", "neutral", "casia_zhaozuoxiang", ""),
        "wangzhe/neutral/201.wav": ("wangzhe_neutral_201", "neutral", "casia_wangzhe", ""),
    },
}  # fmt: skip


@pytest.mark.parametrize("corpus", TREES)
def test_names_are_read(make_tree: MakeTree, corpus: str) -> None:
    manifest = adapters.scan(corpus, make_tree(TREES[corpus]))
    labels = {clip.file: (clip.name, clip.emotion, clip.speaker, clip.sex) for clip in manifest}
    assert labels == TREES[corpus]
    assert {clip.corpus for clip in manifest} == {corpus}
    assert manifest.left_out == ()
    assert all(manifest.path(clip).is_file() for clip in manifest)


@pytest.mark.parametrize("corpus", TREES)
def test_clip_ids_read_back_as_themselves(make_tree: MakeTree, corpus: str) -> None:
    """A table that holds nothing but clip ids can be labelled."""
    parse = adapters.name_parser(corpus)
    for clip in adapters.scan(corpus, make_tree(TREES[corpus])):
        label = parse(clip.name)
        assert label is not None
        assert (label.name, label.emotion, label.speaker) == (clip.name, clip.emotion, clip.speaker)
        assert label.emotion in EMOTIONS


@pytest.mark.parametrize("corpus", TREES)
def test_ids_belong_to_one_corpus(make_tree: MakeTree, corpus: str) -> None:
    for clip in adapters.scan(corpus, make_tree(TREES[corpus])):
        assert [name for name, parse in adapters.NAME_PARSERS.items() if parse(clip.name)] == [corpus]


@pytest.mark.parametrize("corpus", TREES)
def test_a_root_one_level_too_high_is_fine(make_tree: MakeTree, corpus: str) -> None:
    root = make_tree(TREES[corpus])
    manifest = adapters.scan(corpus, root.parent)
    assert {clip.name for clip in manifest} == {name for name, *_ in TREES[corpus].values()}
    assert all(manifest.path(clip).is_file() for clip in manifest)


@pytest.mark.parametrize(
    ("corpus", "inner"),
    [
        ("ravdess", "Actor_01"),
        ("enterface05", "subject 3"),
        ("enterface05", "subject 3/fear"),
        ("enterface05", "subject 3/fear/sentence 2"),
        ("savee", "DC"),
        ("emovo", "f1"),
        ("tess", "OAF_Fear"),
        ("casia", "wangzhe"),
        ("casia", "wangzhe/neutral"),
    ],
)
def test_a_root_too_low_names_the_right_one(make_tree: MakeTree, corpus: str, inner: str) -> None:
    root = make_tree(TREES[corpus])
    with pytest.raises(InputError, match="lies inside") as caught:
        adapters.scan(corpus, root / inner)
    assert f"give the folder above, {root.resolve()} (" in str(caught.value)


@pytest.mark.parametrize(("corpus", "inner"), [("cremad", "AudioWAV"), ("emodb", "wav"), ("nemo", "samples")])
def test_the_folder_of_all_clips_is_a_root_too(make_tree: MakeTree, corpus: str, inner: str) -> None:
    manifest = adapters.scan(corpus, make_tree(TREES[corpus]) / inner)
    assert len(manifest) == len(TREES[corpus])


@pytest.mark.parametrize("corpus", adapters.CORPORA)
def test_no_folder_an_empty_one_and_an_archive(tmp_path: Path, corpus: str) -> None:
    with pytest.raises(InputError, match="no such folder; expected"):
        adapters.scan(corpus, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"expected (a|the) folder"):
        adapters.scan(corpus, tmp_path)
    (tmp_path / "corpus.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="is a file; unpack it"):
        adapters.scan(corpus, tmp_path / "corpus.zip")


@pytest.mark.parametrize("corpus", TREES)
def test_another_corpus_is_said_to_be_none(make_tree: MakeTree, corpus: str) -> None:
    other = "emodb" if corpus != "emodb" else "ravdess"
    with pytest.raises(InputError, match=r"none of \d+ sound files can be used .*not named like a clip of"):
        adapters.scan(corpus, make_tree(TREES[other]))


@pytest.mark.parametrize("corpus", TREES)
def test_git_lfs_pointers_are_named(make_tree: MakeTree, corpus: str) -> None:
    root = make_tree(TREES[corpus])
    first, *others = TREES[corpus]
    for file in others:
        (root / file).write_bytes(LFS_POINTER)
    assert len(adapters.scan(corpus, root)) == len(TREES[corpus])  # single ones are reported clip by clip
    (root / first).write_bytes(LFS_POINTER)
    with pytest.raises(InputError, match=r"all \d clips .* are git-lfs pointers.*git lfs pull"):
        adapters.scan(corpus, root)


def test_strange_and_hidden_files(make_tree: MakeTree) -> None:
    root = make_tree(TREES["emodb"])
    for file in ("wav/notes.wav", "wav/._03a01Fa.wav", ".git/03a01Wa.wav", "__MACOSX/03a01Wa.wav"):
        write_sound(root / file)
    (root / "wav" / "03a01Fa.txt").write_text("labels")
    manifest = adapters.scan("emodb", root)
    assert len(manifest) == len(TREES["emodb"])
    assert manifest.left_out == (("wav/notes.wav", "not named like a clip of EMO-DB"),)


def test_linked_folders_are_followed_and_loops_end(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree(TREES["emodb"])
    elsewhere = tmp_path / "linked"
    elsewhere.mkdir()
    (elsewhere / "wav").symlink_to(root / "wav")
    (root / "wav" / "loop").symlink_to(root)
    assert len(adapters.scan("emodb", elsewhere)) == len(TREES["emodb"])


def test_an_identical_second_copy_is_left_out(make_tree: MakeTree) -> None:
    root = make_tree(TREES["tess"])
    shutil.copytree(root, root / "TESS Toronto emotional speech set data")
    manifest = adapters.scan("tess", root)
    assert {clip.file for clip in manifest} == set(TREES["tess"])
    nested = "TESS Toronto emotional speech set data/OAF_Fear/OAF_back_fear.wav"
    assert dict(manifest.left_out)[nested] == "a second copy: OAF_Fear/OAF_back_fear.wav"
    assert len(manifest.left_out) == 3


def test_two_copies_that_differ_are_ambiguous(make_tree: MakeTree) -> None:
    root = make_tree(["16k/Actor_01/03-01-05-02-01-01-01.wav"])
    write_sound(root / "48k/Actor_01/03-01-05-02-01-01-01.wav", n_samples=4800)
    with pytest.raises(InputError, match=r"two copies of RAVDESS that differ: .*16k.*48k.*give the folder of one"):
        adapters.scan("ravdess", root)
    assert len(adapters.scan("ravdess", root / "48k")) == 1


def test_unknown_corpus_and_option(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"unknown corpus 'RAVDES' \(did you mean ravdess\?\), expected one of ravdess"
    ):
        adapters.scan("RAVDES", tmp_path)
    with pytest.raises(InputError, match="companion CSV"):
        adapters.name_parser("iemocap")
    with pytest.raises(InputError, match=r"corpus emodb: .*'unsegmented'"):
        adapters.scan("emodb", tmp_path, unsegmented=True)


@pytest.mark.parametrize(
    ("corpus", "outer"),
    [
        ("ravdess", "audio_speech_actors_01-24"),
        ("ravdess", "archive/Audio_Speech_Actors_01-24/Audio_Speech_Actors_01-24"),
        ("tess", "TESS Toronto emotional speech set data"),
        ("tess", "TESS/TESS Toronto emotional speech set data"),
    ],
)
def test_a_corpus_nested_twice_as_archives_unpack_it(make_tree: MakeTree, corpus: str, outer: str) -> None:
    tree = TREES[corpus]
    root = make_tree(f"{outer}/{file}" for file in tree)
    assert {clip.name for clip in adapters.scan(corpus, root)} == {name for name, *_ in tree.values()}
    make_tree(tree)
    manifest = adapters.scan(corpus, root)
    assert {clip.name for clip in manifest} == {name for name, *_ in tree.values()}
    assert len(manifest.left_out) == len(tree)
    assert all(reason.startswith("a second copy: ") for _, reason in manifest.left_out)


@pytest.mark.parametrize("corpus", TREES)
def test_upper_case_suffixes_and_apple_double_files(make_tree: MakeTree, corpus: str) -> None:
    tree = TREES[corpus]
    upper = {file: str(Path(file).with_suffix(Path(file).suffix.upper())) for file in tree}
    double = [str(Path(file).with_name(f"._{Path(file).name}")) for file in tree]
    manifest = adapters.scan(corpus, make_tree([*upper.values(), *double, *(f"__MACOSX/{file}" for file in double)]))
    labels = {clip.file: (clip.name, clip.emotion, clip.speaker, clip.sex) for clip in manifest}
    assert labels == {upper[file]: label for file, label in tree.items()}
    assert manifest.left_out == ()

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import LFS_POINTER, MakeTree, noise, write_sound

from siamese_jax.corpora import adapters
from siamese_jax.corpora.check import check_manifest, format_report
from siamese_jax.corpora.manifest import PAPER_EMOTIONS, Clip, Manifest, RowProblem, read_manifest

REPOSITORY = Path(__file__).parents[2]


def tidy_tree() -> list[str]:
    """Two speakers of EMO-DB with two clips of each of the four emotions."""
    return [f"wav/{s}{t}{e}a.wav" for s in ("03", "08") for t in ("a01", "b02") for e in "WFTA"]


def kinds(manifest: Manifest, problems: tuple[RowProblem, ...] = ()) -> list[tuple[str, str, str]]:
    report = check_manifest(manifest, PAPER_EMOTIONS, workers=2, problems=problems)
    return [(finding.severity, finding.kind, finding.where) for finding in report.findings]


def test_a_tidy_corpus_has_no_findings(make_tree: MakeTree) -> None:
    report = check_manifest(adapters.scan("emodb", make_tree(tidy_tree())), PAPER_EMOTIONS, workers=2)
    assert report.findings == ()
    assert report.emotions == PAPER_EMOTIONS
    assert report.speakers == ("emodb_03", "emodb_08")
    np.testing.assert_array_equal(report.counts, np.full((2, 4), 2))
    assert report.seconds == pytest.approx(16 * 0.1)


def test_every_kind_of_bad_clip_is_found(make_tree: MakeTree) -> None:
    root = make_tree(tidy_tree())
    wav = root / "wav"
    (wav / "03a01Wa.wav").write_bytes(LFS_POINTER)
    (wav / "03a01Fa.wav").write_bytes(b"")
    (wav / "03a01Ta.wav").write_bytes(b"words " * 500)
    soundfile.write(wav / "03a01Aa.wav", np.zeros(2000, np.int16), 16000)
    soundfile.write(wav / "08a01Wa.wav", noise("short", 500), 16000)
    soundfile.write(wav / "08a01Fa.wav", np.full(2000, np.nan), 16000, subtype="FLOAT")
    manifest = adapters.scan("emodb", root)
    (wav / "08a01Ta.wav").unlink()
    assert set(kinds(manifest)) == {
        ("error", "git-lfs pointer", "wav/03a01Wa.wav"),
        ("error", "empty", "wav/03a01Fa.wav"),
        ("error", "unreadable", "wav/03a01Ta.wav"),
        ("error", "silent", "wav/03a01Aa.wav"),
        ("error", "too short", "wav/08a01Wa.wav"),
        ("error", "not finite", "wav/08a01Fa.wav"),
        ("error", "missing", "wav/08a01Ta.wav"),
    }
    report = check_manifest(manifest, PAPER_EMOTIONS, workers=1)
    assert report.counts.sum() == 16 - 7
    assert len(report.errors) == 7


def test_duplicates_are_found_by_their_samples_not_their_bytes(make_tree: MakeTree) -> None:
    root = make_tree(tidy_tree())
    samples, rate = soundfile.read(root / "wav/03a01Wa.wav", dtype="int16")
    soundfile.write(root / "wav/03b02Wa.wav", np.stack([samples, samples], axis=1), rate)  # as stereo
    soundfile.write(root / "wav/08b02Fa.wav", samples, rate)
    report = check_manifest(adapters.scan("emodb", root), PAPER_EMOTIONS, workers=2)
    (finding,) = report.findings
    assert (finding.severity, finding.kind, finding.where) == ("warning", "duplicates", "wav/03a01Wa.wav")
    assert finding.message.startswith("the same samples as wav/03b02Wa.wav, wav/08b02Fa.wav")
    assert "under two speakers (emodb_03, emodb_08)" in finding.message
    assert "under two emotions (anger, happiness)" in finding.message
    assert report.errors == ()


def test_samples_that_are_cut_off_are_a_warning(make_tree: MakeTree) -> None:
    root = make_tree(tidy_tree())
    sound = noise("loud") / 32768
    sound[7] = 2.0
    soundfile.write(root / "wav/03a01Wa.wav", sound, 16000, subtype="FLOAT")
    assert kinds(adapters.scan("emodb", root)) == [("warning", "cut off", "wav/03a01Wa.wav")]


def test_classes_and_speakers(make_tree: MakeTree) -> None:
    files = ["wav/03a01Wa.wav", "wav/03a01Fa.wav", "wav/03a01Ta.wav", "wav/08a01Fa.wav", "wav/08a02Fa.wav"]
    assert kinds(adapters.scan("emodb", make_tree(files))) == [
        ("error", "absent class", "fear"),
        ("warning", "one class", "emodb_08"),
    ]


def test_a_class_whose_clips_are_all_bad_is_absent(make_tree: MakeTree) -> None:
    root = make_tree(tidy_tree())
    for file in (root / "wav").glob("*A?.wav"):
        file.write_bytes(b"")
    findings = kinds(adapters.scan("emodb", root))
    assert ("error", "absent class", "fear") in findings
    assert len(findings) == 5


def test_unknown_labels_and_bad_rows(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    manifest = Manifest(tmp_path, (Clip("a.wav", "a", "happy", "x_1", "x"),))
    findings = kinds(manifest, (RowProblem(3, "speaker", "is empty; fill it in"),))
    assert findings[:2] == [("error", "row", "row 3, speaker"), ("error", "unknown label", "a.wav")]


def test_segments_of_one_file_are_no_duplicates(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", 3200)
    clips = (
        Clip("a.wav", "a", "anger", "x_1", "x", start=0.0, end=0.1),
        Clip("a.wav", "b", "fear", "x_1", "x", start=0.1, end=0.2),
    )
    report = check_manifest(Manifest(tmp_path, clips), ("anger", "fear"), workers=1)
    assert report.findings == ()


def test_the_report_reads_well(make_tree: MakeTree) -> None:
    root = make_tree([*tidy_tree(), "wav/notes.wav", "wav/more.wav", "wav/03a01Ld.wav"])
    for name in ("03a01Wa", "03a01Fa", "03b02Fa"):
        (root / f"wav/{name}.wav").write_bytes(b"")
    text = format_report(check_manifest(adapters.scan("emodb", root), PAPER_EMOTIONS, workers=1), shown=2)
    assert text.splitlines() == [
        "speaker   anger  happiness  sadness   fear  boredom    all",
        "emodb_03      1          0        2      2        1      6",
        "emodb_08      2          2        2      2        0      8",
        "all           3          2        4      4        1     14",
        "",
        "14 of 17 clips usable, 1 s, 2 speakers",
        "left out: not named like a clip of EMO-DB (2)",
        "  wav/more.wav",
        "  wav/notes.wav",
        "error: empty (3)",
        "  wav/03a01Fa.wav: the file has 0 bytes; fetch it again",
        "  wav/03a01Wa.wav: the file has 0 bytes; fetch it again",
        "  and 1 more",
        "3 errors, 0 warnings",
    ]


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "launch.manifest", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_launcher(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree(tidy_tree())
    done = launch("--corpus=emodb", f"--root={root}", f"--output={tmp_path / 'm.csv'}")
    assert done.returncode == 0, done.stderr
    assert "16 of 16 clips usable" in done.stdout
    assert len(read_manifest(tmp_path / "m.csv")) == 16

    (root / "wav/03a01Wa.wav").unlink()
    done = launch(f"--manifest={tmp_path / 'm.csv'}")
    assert done.returncode == 1
    assert "error: missing (1)" in done.stdout


def test_the_launcher_says_what_it_needs(tmp_path: Path) -> None:
    done = launch("--corpus=emodb", f"--root={tmp_path}")
    assert done.returncode == 2
    assert "expected the folder wav with files like 03a01Fa.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert launch("--corpus=emodb").returncode == 1


@pytest.mark.data
def test_the_duplicates_of_ravdess(data_folder: Path) -> None:
    manifest = adapters.scan("ravdess", data_folder / "audio" / "ravdess")
    report = check_manifest(manifest, PAPER_EMOTIONS, workers=2)
    (finding,) = report.findings
    assert finding.where == "Actor_07/03-01-03-01-02-01-07.wav"
    assert "Actor_07/03-01-03-01-02-02-07.wav" in finding.message
    assert report.counts.sum() == 1440


@pytest.mark.data
def test_emodb_is_tidy(data_folder: Path) -> None:
    report = check_manifest(adapters.scan("emodb", data_folder / "audio" / "emodb"), PAPER_EMOTIONS, workers=2)
    assert report.findings == ()
    assert report.counts.sum() == 535

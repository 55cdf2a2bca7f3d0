"""Recordings to label: what the list holds, that it can be enrolled as it is, and what is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from siamese_jax.datasets import extraction
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError
from siamese_jax.protocols.transfer.choice import ChoiceSettings
from siamese_jax.recognizer import choose, recordings
from siamese_jax.recognizer.choose import Options

ROOT = Path(__file__).parents[2]
NAMES = tuple(f"f{i}" for i in range(8))


def spectrum(samples, _bucket):
    """Eight features of a clip that say where its energy is."""
    powers = [np.abs(np.fft.rfft(clip.astype(float), 1600))[:400].reshape(8, 50).sum(axis=1) for clip in samples]
    return np.log1p(np.array(powers)).astype(np.float32)


EXTRACTOR = Extractor("bands-1", NAMES, {"features": "bands"}, lambda _: 0, lambda _: 4, spectrum)
HOW = extraction.Options(1, False)


def run(manifest, n=4, **changes):
    options = Options(n, "none", (), 0.1, 1e-3, ChoiceSettings(6, 0.1, 0.5))
    return choose.choose(manifest, EXTRACTOR, dataclasses.replace(options, **changes), HOW)


def tone(path, hz, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.01, 8000)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * np.arange(8000) / 16000) + noise, 16000)


@pytest.fixture
def folder(tmp_path):
    """Four kinds of sounds in three takes each, one of them copied, and a file that is no sound."""
    for hz in (200, 900, 1700, 3000):
        for take in range(3):
            tone(tmp_path / "in" / f"take{take}" / f"{hz}.wav", hz + 10 * take, take)
    (tmp_path / "in" / "copy.wav").write_bytes((tmp_path / "in" / "take0" / "200.wav").read_bytes())
    (tmp_path / "in" / "broken.wav").write_bytes(b"no sound")
    return tmp_path / "in"


def test_the_list_can_be_enrolled_once_it_is_filled_in(folder, tmp_path):
    manifest = choose.read(folder, False)
    chosen = run(manifest)
    choose.write(tmp_path / "lists" / "l.csv", chosen, manifest.root)
    text = (tmp_path / "lists" / "l.csv").read_text()
    assert text.splitlines()[0] == "file,emotion,speaker,predicted,stands_for"
    (tmp_path / "lists" / "l.csv").write_text(text.replace(".wav,", ".wav,joy"))
    labelled = recordings.labelled(tmp_path / "lists" / "l.csv")
    assert [clip.emotion for clip in labelled] == ["joy"] * 4
    assert all(labelled.path(clip).is_file() for clip in labelled)
    assert len({labelled.path(clip) for clip in labelled}) == 4


def test_copies_and_broken_files_are_counted_and_left_out(folder, caplog):
    chosen = run(choose.read(folder, False), 12)
    files = {row.clip.file for row in chosen}
    assert len(files) == 12
    assert "broken.wav" not in files
    assert not {"copy.wav", "take0/200.wav"} <= files
    assert "1 of 13 recordings are copies" in caplog.text
    assert "broken.wav" in caplog.text


def test_the_names_of_the_files_do_not_matter(folder):
    before = run(choose.read(folder, False))
    content = {(folder / row.clip.file).read_bytes() for row in before}
    for i, path in enumerate(sorted(folder.glob("take*/*.wav"), reverse=True)):
        path.rename(folder / f"{i}.wav")
    after = run(choose.read(folder, False))
    assert {(folder / row.clip.file).read_bytes() for row in after} == content


@pytest.mark.parametrize(
    ("n", "message"),
    [(0, r"--n=0: expected the number"), (30, r"there are \d+ recordings"), (13, r"there are 12 different recordings")],
)
def test_a_number_that_cannot_be_chosen_is_refused(folder, n, message):
    with pytest.raises(InputError, match=message):
        run(choose.read(folder, False), n)


def test_a_folder_without_sound_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="no sound file here or in the folders below"):
        choose.read(tmp_path, False)
    with pytest.raises(InputError, match="no such file or folder"):
        choose.read(tmp_path / "nowhere", False)


def test_labels_that_were_filled_in_are_not_overwritten(folder, tmp_path):
    manifest = choose.read(folder, False)
    chosen = run(manifest)
    choose.write(tmp_path / "l.csv", chosen, manifest.root)
    choose.write(tmp_path / "l.csv", chosen, manifest.root)
    (tmp_path / "l.csv").write_text((tmp_path / "l.csv").read_text().replace(".wav,", ".wav,joy", 1))
    with pytest.raises(InputError, match="holds 1 labels, which would be lost"):
        choose.write(tmp_path / "l.csv", chosen, manifest.root)


def test_speakers_and_times_of_a_list_stay_and_no_cell_is_a_formula(tmp_path):
    rows = ["file,speaker,start,end"]
    for i, hz in enumerate((200, 900, 1700, 3000)):
        tone(tmp_path / f"={hz}.wav", hz)
        rows.append(f"={hz}.wav,=s{i % 2},0.1,0.4")
    (tmp_path / "r.csv").write_text("\n".join(rows) + "\n")
    manifest = choose.read(tmp_path / "r.csv", False)
    choose.write(tmp_path / "l.csv", run(manifest), manifest.root)
    text = (tmp_path / "l.csv").read_text()
    assert not any(cell.startswith("=") for line in text.splitlines() for cell in line.split(","))
    listed = recordings.read_list(tmp_path / "l.csv", ("file", "emotion"))
    assert {(clip.speaker, clip.start, clip.end) for clip in listed} == {("'=s0", 0.1, 0.4), ("'=s1", 0.1, 0.4)}
    assert all(listed.path(clip).is_file() for clip in listed)


def test_speakers_with_few_recordings_are_not_standardised_by_themselves(tmp_path):
    """Over one recording each, all features would be 0 and all recordings equal."""
    for hz in (200, 900, 1700, 3000):
        tone(tmp_path / f"{hz}.wav", hz)
    (tmp_path / "r.csv").write_text("file,speaker\n" + "".join(f"{hz}.wav,s{hz}\n" for hz in (200, 900, 1700, 3000)))
    assert len(run(choose.read(tmp_path / "r.csv", False))) == 4


@pytest.mark.parametrize(("speakers", "scale_floor"), [("ab", 1e-3), ("abcdef", 1e-3), ("ab", 2.0)])
def test_features_are_standardised_by_speakers_with_enough_recordings(folder, monkeypatch, speakers, scale_floor):
    """A deviation of twice the corpus's own at least halves all features."""
    files = sorted(str(path.relative_to(folder)) for path in folder.glob("take*/*.wav"))
    who = np.resize(list(speakers), 12)
    (folder / "r.csv").write_text("file,speaker\n" + "".join(f"{file},{name}\n" for file, name in zip(files, who)))
    given, table = [], []
    select = choose.choice.choose
    without_copies = choose._without_copies
    monkeypatch.setattr(choose, "_without_copies", lambda t: table.append(without_copies(t)) or table[-1])
    monkeypatch.setattr(choose.choice, "choose", lambda x, *rest: given.append(x) or select(x, *rest))
    run(choose.read(folder / "r.csv", False), scale_floor=scale_floor)
    ((x,), (found,)) = given, table
    of = found.speaker if len(speakers) == 2 else np.full(12, "all")
    for name in set(of):
        np.testing.assert_allclose(x[of == name].mean(axis=0), 0, atol=1e-4)
        own, whole = found.features[of == name].std(axis=0), found.features.std(axis=0)
        np.testing.assert_allclose(x[of == name].std(axis=0), own / np.maximum(own, scale_floor * whole), rtol=1e-3)


def test_labels_that_are_known_have_no_effect(folder):
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("[0-9]*.wav"))
    lists = {"unlabelled": [""] * 12, "labelled": ["joy"] * 6 + ["grief"] * 6, "poisoned": [f"={i}" for i in range(12)]}
    chosen = []
    for name, labels in lists.items():
        rows = "".join(f"{file},{label}\n" for file, label in zip(files, labels))
        (folder / f"{name}.csv").write_text("file,emotion\n" + rows)
        chosen.append([row.clip.file for row in run(choose.read(folder / f"{name}.csv", False))])
    assert chosen[0] == chosen[1] == chosen[2]


@pytest.fixture
def source(monkeypatch):
    """A source that knows low and high tones."""
    x = np.concatenate([4 * np.eye(8)[[0, 1] * 8], 4 * np.eye(8)[[3, 6] * 8]])
    x += 0.1 * np.random.default_rng(0).normal(size=x.shape)
    clips = choose.Clips(x.astype(np.float32), np.repeat([0, 1], 16), None)
    known = choose.Source("tones", "", ("high", "low"), clips._replace(label=1 - clips.label))
    monkeypatch.setattr(choose.sources, "read", lambda *_: (known,))


def test_with_a_source_a_typical_recording_of_each_emotion_comes_first(folder, source):
    chosen = run(choose.read(folder, False), emotions=("low", "high"))
    assert {row.predicted for row in chosen[:2]} == {"low", "high"}
    assert len({row.clip.file for row in chosen}) == 4
    tones = {"low": (200, 900), "high": (1700, 3000)}
    assert all(int(Path(row.clip.file).stem) in tones[row.predicted] for row in chosen if "copy" not in row.clip.file)


def test_the_sources_regression_has_its_c_and_knows_no_label_of_the_recordings(folder, source, monkeypatch):
    asked = []

    def joint(sources, enrolled, target, n_classes, recipe):
        asked.append((len(enrolled.x), set(target.label), recipe.method, recipe.settings.c, recipe.adaptation))
        return np.log(np.full((len(target.x), n_classes), 1 / n_classes))

    monkeypatch.setattr(choose, "joint_log_probabilities", joint)
    run(choose.read(folder, False), emotions=("low", "high"), c=0.37)
    assert asked == [(0, {choose.OTHER}, "logistic_regression", 0.37, "none")]


def test_an_emotion_that_the_source_lacks_is_refused(folder, source):
    with pytest.raises(InputError, match="--emotions: 'joy' is not in the source, which has high, low"):
        run(choose.read(folder, False), emotions=("low", "joy"))


@pytest.mark.long
def test_the_command_writes_a_list_that_enrol_takes_and_exits_with_2_for_bad_input(folder, tmp_path):
    def command(name, *arguments):
        line = [sys.executable, "-m", f"launch.{name}", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)

    output = tmp_path / "l.csv"
    done = command("choose", folder, "--n=4", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert "4 of 14 recordings" in done.stdout
    filled = output.read_text().replace(".wav,", ".wav,joy", 2).replace(".wav,,", ".wav,grief,")
    output.write_text(filled)
    done = command("enrol", output, f"--output={tmp_path / 'model'}", "--source=none")
    assert done.returncode == 0, done.stderr
    assert "2 labels (grief, joy)" in done.stdout
    for arguments, message in ((["--n=0"], "--n=0"), (["--n=50"], "there are"), ([f"--output={output}"], "4 labels")):
        done = command("choose", folder, "--n=4", *arguments)
        assert done.returncode == 2
        assert message in done.stderr

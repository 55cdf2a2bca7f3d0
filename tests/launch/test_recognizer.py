"""enrol, predict and evaluate from the command line, on synthesised sounds, with the encoder that ships."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from synthetic_audio import EMOTIONS, RATE, tone

from siamese_jax.recognizer.few_shot import FewShotEmotion

pytestmark = pytest.mark.long


def run(*arguments, python=sys.executable):
    command = [python, "-m", "launch.console", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"})


def write(folder, speakers, takes):
    for emotion in EMOTIONS:
        for speaker in speakers:
            for take in range(takes):
                path = folder / emotion / f"{speaker}_{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, tone(emotion, speaker, take), RATE, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("recognizer")
    write(base / "labelled", (1, 2), 2)
    write(base / "more", (3, 4), 3)
    (base / "more" / "fear" / "bad.wav").write_bytes(b"not a sound")
    done = run("enrol", base / "labelled", f"--output={base / 'model'}", "--c=1", "--source=none")
    assert done.returncode == 0, done.stderr
    assert "16 clips, 4 labels (anger, fear, happiness, sadness); source: none" in done.stdout
    return base


@pytest.mark.parametrize("mode", ["clip", "folder"])
def test_predict_writes_a_row_for_each_readable_recording_and_names_the_other(folders, mode):
    listing = folders / f"{mode}.csv"
    done = run("predict", folders / "more", f"--model={folders / 'model'}", f"--output={listing}", f"--mode={mode}")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(listing.open()))
    assert len(rows) == 24
    assert {row["mode"] for row in rows} == {mode}
    right = [row["file"].split("/")[0] == row["label"] for row in rows]
    assert np.mean(right) > 0.4
    assert "fear/bad.wav" in done.stderr
    assert "24 labels: " in done.stdout
    assert f"mode {mode} (asked for: statistics of " in done.stdout
    assert {row["mode_reason"] for row in rows} == {done.stdout.split(f"mode {mode} (")[1].split(")")[0]}
    assert "1 recordings could not be used" in done.stdout


def test_predict_with_strict_fails_on_an_unreadable_recording(folders):
    done = run("predict", folders / "more", f"--model={folders / 'model'}", "--strict")
    assert done.returncode == 2
    assert "bad.wav: unreadable" in done.stderr


def test_predict_where_nothing_can_be_read_exits_with_two(folders, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    done = run("predict", tmp_path, f"--model={folders / 'model'}")
    assert done.returncode == 2
    assert "none of 1 recordings can be used. a.wav: unreadable" in done.stderr


def test_predict_writes_a_page(folders):
    page = folders / "labels.html"
    done = run("predict", folders / "more", f"--model={folders / 'model'}", f"--page={page}", "--sound=none")
    assert done.returncode == 0, done.stderr
    assert str(folders) not in page.read_text()


def test_evaluate_prints_and_writes_the_scores(folders):
    scores = folders / "scores.json"
    done = run("evaluate", folders / "more", f"--model={folders / 'model'}", f"--output={scores}")
    assert done.returncode == 0, done.stderr
    assert "24 clips, speakers unknown, 1 left out\nmode clip (24 recordings, " in done.stdout
    found = json.loads(scores.read_text())
    assert found["n_clips"] == 24
    assert found["interval"] is None
    assert np.sum(found["confusion"]) == 24


def test_python_and_the_command_give_the_same_labels(folders):
    files = sorted((folders / "more" / "anger").iterdir())
    labels = FewShotEmotion.load(folders / "model").predict(files)
    listing = folders / "again.csv"
    run("predict", folders / "more" / "anger", f"--model={folders / 'model'}", f"--output={listing}")
    assert [row["label"] for row in csv.DictReader(listing.open())] == labels.tolist()


@pytest.mark.skipif("SIAMESE_JAX_OTHER_PYTHON" not in os.environ, reason="SIAMESE_JAX_OTHER_PYTHON names no Python")
@pytest.mark.parametrize("mode", ["clip", "folder"])
def test_a_model_that_another_python_saved_gives_its_labels_and_probabilities(folders, mode):
    other = os.environ["SIAMESE_JAX_OTHER_PYTHON"]
    model, tables = folders / "model_of_other", {}
    if not model.exists():
        done = run("enrol", folders / "labelled", f"--output={model}", python=other)
        assert done.returncode == 0, done.stderr
    for python in (other, sys.executable):
        output = folders / f"{mode}_{python == other}.csv"
        done = run(
            "predict", folders / "more", f"--model={model}", f"--output={output}", f"--mode={mode}", python=python
        )
        assert done.returncode == 0, done.stderr
        tables[python] = list(csv.DictReader(output.open()))
    here, there = tables[sys.executable], tables[other]
    assert len(here) == 24
    assert [row["label"] for row in here] == [row["label"] for row in there]
    probabilities = [[[float(row[f"p_{e}"]) for e in EMOTIONS] for row in rows] for rows in (here, there)]
    np.testing.assert_allclose(*probabilities, atol=2e-4)


def test_a_network_is_enrolled_and_predicts_in_both_modes(folders):
    model = folders / "network"
    done = run("enrol", folders / "labelled", f"--output={model}", "--method=siamese", "--loss=ratio", "--seed=1")
    assert done.returncode == 0, done.stderr
    recorded = json.loads((model / "config.json").read_text())
    assert (recorded["network"]["loss"], recorded["network"]["seed"], recorded["adaptation"]) == ("ratio", 1, "none")
    for mode in ("clip", "folder"):
        listing = folders / f"network_{mode}.csv"
        done = run("predict", folders / "more", f"--model={model}", f"--output={listing}", f"--mode={mode}")
        assert done.returncode == 0, done.stderr
        assert len(list(csv.DictReader(listing.open()))) == 24


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method=siamese", "--source=none"], "the method siamese is trained on a source first; give a source"),
        (["--method=siamese", "--adaptation=balanced"], "the method siamese has no adaptation 'balanced'"),
        (["--loss=ratio"], "loss 'ratio' is of the method siamese"),
    ],
)
def test_flags_of_networks_that_make_no_sense_exit_with_two(folders, tmp_path, flags, message):
    done = run("enrol", folders / "labelled", f"--output={tmp_path / 'm'}", *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "m").exists()

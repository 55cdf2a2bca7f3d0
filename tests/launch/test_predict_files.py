"""enrol and predict as commands: words for emotions, segments, lists and the page, and what is refused before work."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_audio import RATE, tone

ROOT = Path(__file__).parents[2]
WORDS = {"anger": "Wut", "sadness": "triste"}


def launched(command, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", f"launch.{command}", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled clips of two words, and recordings of which the first is long."""
    root = tmp_path_factory.mktemp("recognised")
    for emotion, word in WORDS.items():
        (root / "labelled" / word).mkdir(parents=True)
        for take in range(4):
            soundfile.write(root / "labelled" / word / f"{take}.wav", tone(emotion, 1, take), RATE)
    (root / "new").mkdir()
    pause = np.zeros(RATE, np.int16)
    parts = [part for take in range(6) for part in (tone("anger", 1, 9 + take), pause)]
    soundfile.write(root / "new" / "long.wav", np.concatenate(parts), RATE)
    soundfile.write(root / "new" / "=short.wav", tone("sadness", 1, 9), RATE)
    (root / "new" / "bad.wav").write_bytes(b"no sound")
    return root


@pytest.mark.long
def test_a_folder_becomes_a_list_and_a_page_by_a_model_enrolled_with_other_words(folder):
    code, text = launched("enrol", "labelled", "--output=model", "--aliases", cwd=folder)
    assert code == 0, text
    assert "triste -> sadness" in text
    code, text = launched(
        "predict", "new", "--model=model", "--output=labels.csv", "--page=page.html", "--sound=embed", cwd=folder
    )
    assert code == 0, text
    assert "This page holds the voices of 7 clips" in text
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=short.wav"] + 6 * ["long.wav"]
    assert {row["label"] for row in rows} <= {"anger", "sadness"}
    starts = [float(row["start"]) for row in rows[1:]]
    assert starts == sorted(set(starts))
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count('class="play"') == 7
    assert str(folder) not in page
    assert "bad.wav" in page
    (folder / "parts.csv").write_text("file,start,end\nlong.wav,0,2.5\nlong.wav,1,3\n")
    code, text = launched(
        "predict", "new", "--model=model", "--output=labels.jsonl", "--segments=parts.csv", cwd=folder
    )
    assert code == 0, text
    assert len((folder / "labels.jsonl").read_text().splitlines()) == 3


@pytest.mark.long
@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--page=page.txt", "page.txt: expected a name ending in .html"),
        ("--segments=late.csv", "row 2, end: 99 s lies after the end of the recording"),
        ("--sound=loud", "--sound"),
    ],
)
def test_a_bad_flag_ends_with_status_2_before_anything_is_computed(folder, flag, message):
    (folder / "late.csv").write_text("file,start,end\nlong.wav,0,99\n")
    code, text = launched("predict", "new", "--model=nowhere", flag, cwd=folder)
    assert code == 2
    assert message in text

"""A finished cross-training in which every name that data can bring in is an attack."""

import csv
import json
import sys
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "facenet"))

from corpora_for_tests import FIRST, SECOND, small, write_corpus
from indexed_for_tests import rewrite
from synthetic_audio import RATE, tone

from siamese_jax.experiments.cross_training import run

CORPUS = '<script>alert("corpus")</script>&$x_1$|*b*`c`'
SPEAKER = "'\"><img src=x onerror=alert(1)>"
EMOTION = '</td><script>alert("class")</script>&amp;'
SHORT_FILE = "<i onload='x'>short & \"bad\".wav"


def _attack(path):
    """Renames a manifest's speakers and corpus, and adds a clip that is too short and badly named."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    soundfile.write(path.with_name(SHORT_FILE), tone("fear", 0, 0)[:40], RATE, subtype="PCM_16")
    rows = [(name, emotion, f"{SPEAKER}{speaker}", sex, CORPUS) for name, emotion, speaker, sex in rows]
    rows.append((SHORT_FILE, "fear", rows[0][2], rows[0][3], CORPUS))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([(*header, "corpus"), *rows])
    return path


def _renamed(value):
    if isinstance(value, dict):
        return {_renamed(key): _renamed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    return EMOTION if value == "anger" else value


def make(folder):
    """The work directory. A run knows its emotions' names; only files that others have changed hold other ones."""
    places = {
        FIRST: _attack(write_corpus(folder / "a", FIRST, range(6))),
        SECOND: write_corpus(folder / "b", SECOND, range(50, 56)),
    }
    run.run(small(places, cells=("comparison",)), folder / "crosstraining", folder / "cache")
    for name in ("corpora.json", "config.json"):
        file = folder / "crosstraining" / name
        rewrite(file, json.dumps(_renamed(json.loads(file.read_text()))))
    return folder / "crosstraining"

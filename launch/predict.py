"""Labels recordings and says how sure each label is.

siamese-jax predict clip.wav --model=mymodel
siamese-jax predict FOLDER --model=mymodel --output=labels.csv
siamese-jax predict recordings.csv --model=mymodel --mode=folder

A CSV has the column file and, where they are known, speaker, start and end (seconds). --mode=clip labels each recording
on its own, by the statistics of the enrolled clips. --mode=folder uses the statistics of all recordings given, so that
a label may change with its neighbours.

Recordings that cannot be read are named, counted and left out. Exit status: 0, or 2 if none can be read.
"""

import csv

from absl import app, flags

from siamese_jax.recognizer import recordings
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.predictions import MODES, Prediction
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import atomic_path

from . import common

MODEL = common.define_path("model", None, "A model folder, as siamese-jax enrol writes it.", required=True)
OUTPUT = common.define_path("output", None, "A CSV to write.")
MODE = flags.DEFINE_enum("mode", "clip", MODES, "Whose statistics scale a recording: the model's, or the folder's.")
STRICT = flags.DEFINE_bool("strict", False, "Stop at the first recording that cannot be used.")
WORKERS = flags.DEFINE_integer("workers", available_cores(), "Threads that decode and compute.", lower_bound=1)


def main(paths: list[str]) -> None:
    if not paths:
        raise app.UsageError("give a sound file, a folder or a CSV")
    manifests = recordings.given(paths)
    model = FewShotEmotion.load(MODEL.value, WORKERS.value, STRICT.value)
    rows = [row for manifest in manifests for row in model.label(manifest, MODE.value)]
    for row in rows:
        common.show(_line(row))
    if OUTPUT.value:
        _write(OUTPUT.value, rows)


def _line(row: Prediction) -> str:
    shares = "  ".join(f"{name} {p:.2f}" for name, p in row.probabilities.items())
    return f"{row.file}  {row.label}  {shares}"


def _write(path: str, rows: list[Prediction]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "start", "end", "label", *rows[0].probabilities, "unsure", "reason", "mode"])
        for row in rows:
            shares = [f"{p:.4f}" for p in row.probabilities.values()]
            writer.writerow([row.file, row.start, row.end, row.label, *shares, row.unsure, row.reason, row.mode])


if __name__ == "__main__":
    common.run(main, folders=True)

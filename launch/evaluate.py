"""Tests a model on labelled recordings: recall, confusion, calibration, with intervals over speakers.

siamese-jax evaluate more_labelled.csv --model=mymodel
siamese-jax evaluate labelled/ --model=mymodel --mode=folder

A CSV has the columns file, emotion and, for intervals, speaker. Recordings that the model was enrolled on are left out.
Exit status: 0 with scores, 2 without.
"""

from absl import app, flags

from siamese_jax.recognizer import confidence, evaluation, recordings
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.predictions import MODES
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import write_json

from . import common

MODEL = common.define_path("model", None, "A model folder, as siamese-jax enrol writes it; by default the shipped one.")
OUTPUT = common.define_path("output", None, "A JSON file to write the scores to.")
MODE = flags.DEFINE_enum("mode", "clip", MODES, "Whose statistics scale a recording: the model's, or the folder's.")
STATED_ERROR = flags.DEFINE_float(
    "stated_error", confidence.STATED_ERROR, "Share of wrong labels that is accepted among those that are not unsure.",
    lower_bound=0.0, upper_bound=1.0,
)  # fmt: skip
ALIASES = flags.DEFINE_bool("aliases", False, "Map common words, such as happy or Wut, to the emotions' nouns.")
STRICT = flags.DEFINE_bool("strict", False, "Stop at the first recording that cannot be used.")
WORKERS = flags.DEFINE_integer("workers", available_cores(), "Threads that decode and compute.", lower_bound=1)


def main(paths: list[str]) -> None:
    if len(paths) != 1:
        raise app.UsageError("give one folder or CSV of labelled recordings")
    manifest = recordings.labelled(paths[0], ALIASES.value)
    model = FewShotEmotion.load(MODEL.value, WORKERS.value, STRICT.value)
    result = model.evaluate(manifest, MODE.value, STATED_ERROR.value)
    common.show(evaluation.as_text(result))
    if OUTPUT.value:
        write_json(OUTPUT.value, evaluation.as_json(result))


if __name__ == "__main__":
    common.run(main, folders=True)

"""Tests a model on labelled recordings: recall, confusion, calibration, with intervals over speakers.

siamese-jax evaluate more_labelled.csv --model=mymodel
siamese-jax evaluate labelled/ --model=mymodel --mode=folder

A CSV has the columns file, emotion and, for intervals, speaker. Recordings that the model was enrolled on are left out.
Exit status: 0 with scores, 2 without.
"""

from absl import app, flags

from siamese_jax.recognizer import evaluation, recordings
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.runtime.files import write_json

from . import common

MODEL, MODE, STATED_ERROR = common.define_recognizer()
OUTPUT = common.define_path("output", None, "A JSON file to write the scores to.")
ALIASES = flags.DEFINE_bool("aliases", False, "Map common words, such as happy or Wut, to the emotions' nouns.")
STRICT, WORKERS = common.define_extraction()


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

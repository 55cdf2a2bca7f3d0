"""Learns labels from a few labelled recordings and writes a model folder.

siamese-jax enrol labelled/ --output=mymodel
siamese-jax enrol labelled.csv --output=mymodel --source=emodb,ravdess

A folder holds a folder of sound files for each label (labelled/anger/*.wav). A CSV has the columns file, emotion and,
where it is known, speaker. Labels are any words. A model that uses RAVDESS as a source is for non-commercial use
(CC BY-NC-SA 4.0); its card, README.md in the model folder, names the sources and their licences.

--method=siamese and --method=metric_network train a network on the source, then on the recordings. The regression, the
default, is better on these features (docs/recognizer.md).

Recordings that cannot be read are named, counted and left out. Exit status: 0 with a model, 2 without.
"""

from absl import app, flags

from siamese_jax.recognizer import recordings
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.methods import ADAPTATIONS, METHODS
from siamese_jax.recognizer.network_settings import LARGEST_SEED
from siamese_jax.training.siamese import SECOND_UPDATES

from . import common

OUTPUT = common.define_path("output", None, "The model folder to write.", required=True)
SOURCE = flags.DEFINE_string(
    "source", "emodb", "Source corpora with commas: emodb, ravdess (non-commercial), tables (.npz); none for none."
)
METHOD = flags.DEFINE_enum("method", "logistic_regression", sorted(METHODS), "The transfer method.")
ADAPTATION = flags.DEFINE_enum(
    "adaptation", None, ADAPTATIONS,
    "How predict --mode=folder adapts to the folder's recordings; by default balanced, none for the method siamese.",
)  # fmt: skip
C = flags.DEFINE_float("c", 0.01, "C of the logistic regression.", lower_bound=1e-9)
LOSS = flags.DEFINE_enum(
    "loss", "none", SECOND_UPDATES, "Of the method siamese: the update after each cross-entropy step of fine-tuning."
)
SEED = flags.DEFINE_integer("seed", 0, "Of the networks' initial parameters and batches.", 0, LARGEST_SEED)
ALIASES = flags.DEFINE_bool("aliases", False, "Map common words, such as happy or Wut, to the emotions' nouns.")
STRICT, WORKERS = common.define_extraction()


def main(paths: list[str]) -> None:
    if len(paths) != 1:
        raise app.UsageError("give one folder or CSV of labelled recordings")
    manifest = recordings.labelled(paths[0], ALIASES.value)
    model = FewShotEmotion(
        SOURCE.value, METHOD.value, ADAPTATION.value, C.value, workers=WORKERS.value, strict=STRICT.value,
        loss=LOSS.value, seed=SEED.value,
    )  # fmt: skip
    model.fit_manifest(manifest).save(OUTPUT.value)
    fitted = model.model
    common.show(
        f"{OUTPUT.value}: {len(fitted.enrolled.x)} clips, {len(fitted.classes)} labels ({', '.join(fitted.classes)}); "
        f"source: {', '.join(source.name for source in fitted.sources) or 'none'}"
    )


if __name__ == "__main__":
    common.run(main, folders=True)

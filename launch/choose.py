"""Chooses which recordings to label first: representative and different ones, by their sound alone.

siamese-jax choose FOLDER --n=8 --output=to_label.csv
siamese-jax enrol to_label.csv --output=mymodel

FOLDER may also be a CSV with file and, where they are known, speaker, start and end (seconds). Recordings longer than
8 s are cut at their pauses, and segments are chosen. Fill in the column emotion of the list, then enrol it; rows
without an emotion are left out. The recording that says most comes first, and a longer list begins with the shorter
one. `stands_for` is the number of recordings that a chosen one is the nearest of. With --source=emodb a typical
recording of each emotion that the source predicts comes first, and `predicted` is its guess. Without --output the list
is printed.

Recordings that cannot be read are named, counted and left out; of copies one takes part. Exit status: 0 with a list,
2 without.
"""

from pathlib import Path

from absl import app, flags

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import extraction, speech_encoder
from siamese_jax.protocols.transfer.choice import ChoiceSettings
from siamese_jax.recognizer import choose

from . import common

N = flags.DEFINE_integer("n", 8, "How many recordings to choose.")
OUTPUT = common.define_path("output", None, "The CSV to write.")
SOURCE = flags.DEFINE_string(
    "source",
    "none",
    "Put a typical recording of each emotion first, by source corpora with commas: emodb, ravdess, tables (.npz).",
)
EMOTIONS = flags.DEFINE_list(
    "emotions", list(PAPER_EMOTIONS), "What the source predicts, in its words; empty for all emotions that it has."
)
C = flags.DEFINE_float("c", 0.1, "C of the source's logistic regression.", lower_bound=1e-9)
COMPONENTS = flags.DEFINE_integer("components", 20, "Principal components of the features.", lower_bound=1)
RIDGE = flags.DEFINE_float("ridge", 0.1, "Penalty of the regression for which the choice is best.", lower_bound=1e-6)
SURE = flags.DEFINE_float(
    "sure", 0.5, "Share of an emotion's recordings, the surest, whose central one is typical.", lower_bound=1e-6,
    upper_bound=1.0,
)  # fmt: skip
SCALE_FLOOR = flags.DEFINE_float(
    "scale_floor", 1e-3, "Least standard deviation of a feature, as a share of its own over all.", lower_bound=0
)
STRICT, WORKERS = common.define_extraction()


def main(paths: list[str]) -> None:
    if len(paths) != 1:
        raise app.UsageError("give one folder or CSV of recordings")
    if OUTPUT.value is not None:
        choose.check_output(OUTPUT.value)
    settings = ChoiceSettings(COMPONENTS.value, RIDGE.value, SURE.value)
    emotions = tuple(filter(None, map(str.strip, EMOTIONS.value)))
    options = choose.Options(N.value, SOURCE.value, emotions, C.value, SCALE_FLOOR.value, settings)
    manifest = choose.read(paths[0], STRICT.value)
    extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    chosen = choose.choose(manifest, extractor, options, extraction.Options(WORKERS.value, STRICT.value))
    if OUTPUT.value is None:
        print(choose.csv_text(chosen, manifest.root, Path()), end="")
        return
    choose.write(OUTPUT.value, chosen, manifest.root)
    common.show(
        f"{OUTPUT.value}: {len(chosen)} of {len(manifest)} recordings; fill in the column emotion, then run "
        f"siamese-jax enrol {OUTPUT.value} --output=MODEL"
    )


if __name__ == "__main__":
    common.run(main, folders=True)

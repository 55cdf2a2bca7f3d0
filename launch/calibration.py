"""Measures the calibration of few-shot probabilities, and the error of accepted labels, on two corpora.

siamese-jax calibration --output=results/calibration

Each corpus is the target once, with the other as source. The prior of the temperature comes from the other target.
Writes calibration.json (rows, reliability diagrams, risk against coverage), calibration.md (tables) and the figures.
"""

import math

from absl import flags

from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import calibration
from siamese_jax.experiments.calibration import Recipe
from siamese_jax.protocols import config
from siamese_jax.protocols.config import ADAPTATIONS
from siamese_jax.protocols.transfer import methods as transfer
from siamese_jax.report.paper import calibration as report

from . import common

OUTPUT = common.define_path("output", "results/calibration", "Folder for the results.")
CORPORA = flags.DEFINE_list("corpora", ["emodb", "ravdess"], "Two shipped tables or paths, each the other's target.")
METHODS = flags.DEFINE_list(
    "methods",
    ["logistic_regression/0.01/none/0", "logistic_regression/0.01/balanced/0.5", "logistic_regression/0.01/balanced/1"],
    "Transfer methods: METHOD/C/ADAPTATION/STRENGTH, the strength of the balance 0 for no adaptation; with /speaker "
    "the class proportions are balanced within each speaker.",
)  # fmt: skip
SPEAKERS = flags.DEFINE_list("speakers", ["2", "8", "20"], "Numbers of speakers drawn; fewer in small corpora.")
MOST = flags.DEFINE_list("most_speakers", ["8", "20"], "The most speakers drawn from each corpus, in their order.")
DRAWS = flags.DEFINE_integer("draws", 200, "Draws of each number of speakers.", lower_bound=2)
SCALINGS = flags.DEFINE_list("scalings", ["corpus", "speaker", "support"], "Scopes of the standardisation.")


def recipe_of(text: str) -> Recipe:
    """Returns the method that a text names. Raises InputError for a text that names none."""
    method, c, adaptation, strength, *within = (*text.split("/"), *4 * [""])[: max(4, text.count("/") + 1)]
    known = method in transfer.METHODS and adaptation in ADAPTATIONS and within in ([], ["speaker"])
    if not known or not 0 < _number(c) < math.inf or not 0 <= _number(strength) <= 1:
        raise InputError(
            f"--methods: {text!r:.80}; expected METHOD/C/ADAPTATION/STRENGTH, such as {METHODS.default[1]}, with a "
            f"method of {', '.join(transfer.METHODS)} and an adaptation of {', '.join(ADAPTATIONS)}"
        )
    return Recipe(method, float(c), adaptation, float(strength), *within)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def experiments() -> list[config.Experiment]:
    """Returns an experiment for each corpus as the target."""
    for name, values in (("corpora", CORPORA.value), ("most_speakers", MOST.value)):
        if len(values) != 2:
            raise InputError(f"--{name}: expected two values with a comma, got {len(values)}")
    for value in (*SPEAKERS.value, *MOST.value):
        if not value.isdecimal() or not int(value):
            raise InputError(f"--speakers, --most_speakers: {value!r:.40}; expected whole numbers above 0")
    found = []
    for source, target in (CORPORA.value, CORPORA.value[::-1]):
        given = load_config("transfer")
        given.data.update({"source": source, "target": target, "layers": (), "scalings": tuple(SCALINGS.value)})
        most = int(MOST.value[CORPORA.value.index(target)])
        n_speakers = tuple(k for k in map(int, SPEAKERS.value) if k <= most)
        if not n_speakers:
            raise InputError(f"--speakers: none is at most {most}, the most speakers of {target!r:.80}")
        given.protocol.update({"n_speakers": n_speakers, "n_draws": DRAWS.value})
        given.report.fixed_n_speakers = n_speakers[0]
        found.append(config.resolve(given))
    return found


def main() -> None:
    common.show(report.write(calibration.run(experiments(), [recipe_of(text) for text in METHODS.value]), OUTPUT.value))


if __name__ == "__main__":
    common.run(main)

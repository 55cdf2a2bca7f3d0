"""Measures the calibration of few-shot probabilities, and the error of accepted labels, on two corpora.

siamese-jax calibration --output=results/calibration

Each corpus is the target once, with the other as source. The prior of the temperature comes from the other target.
Writes calibration.json (rows, reliability diagrams, risk against coverage), calibration.md (tables) and the figures.
"""

from absl import flags

from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import calibration
from siamese_jax.protocols import config
from siamese_jax.protocols.config import ADAPTATIONS
from siamese_jax.protocols.transfer import methods as transfer
from siamese_jax.report.paper import calibration as report

from . import common

OUTPUT = common.define_path("output", "results/calibration", "Folder for the results.")
CORPORA = flags.DEFINE_list("corpora", ["emodb", "ravdess"], "Two shipped tables or paths, each the other's target.")
METHODS = flags.DEFINE_list(
    "methods", ["layer_ensemble/none/0.1", "layer_ensemble/balanced/0.1"], "Transfer methods: METHOD/ADAPTATION/C."
)
SPEAKERS = flags.DEFINE_list("speakers", ["2", "4", "8", "20"], "Numbers of speakers drawn; fewer in small corpora.")
MOST = flags.DEFINE_list("most_speakers", ["8", "20"], "The most speakers drawn from each corpus, in their order.")
DRAWS = flags.DEFINE_integer("draws", 200, "Draws of each number of speakers.", lower_bound=2)
SCALINGS = flags.DEFINE_list("scalings", ["corpus", "speaker", "support"], "Scopes of the standardisation.")


def recipes() -> list[calibration.Recipe]:
    """Returns the methods. Raises InputError for a text that is none."""
    found = []
    for text in METHODS.value:
        method, adaptation, c = (*text.split("/"), "", "")[:3]
        if method not in transfer.METHODS or adaptation not in ADAPTATIONS or not _is_positive(c):
            raise InputError(
                f"--methods: {text!r:.80}; expected METHOD/ADAPTATION/C, such as layer_ensemble/balanced/0.1, with a "
                f"method of {', '.join(transfer.METHODS)} and an adaptation of {', '.join(ADAPTATIONS)}"
            )
        found.append(calibration.Recipe(method, adaptation, float(c)))
    return found


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def experiments() -> list[config.Experiment]:
    """Returns an experiment for each corpus as the target."""
    found = []
    for source, target in (CORPORA.value, CORPORA.value[::-1]):
        given = load_config("transfer")
        given.data.update({"source": source, "target": target, "layers": (), "scalings": tuple(SCALINGS.value)})
        most = int(MOST.value[CORPORA.value.index(target)])
        n_speakers = tuple(k for k in map(int, SPEAKERS.value) if k <= most)
        given.protocol.update({"n_speakers": n_speakers, "n_draws": DRAWS.value})
        given.report.fixed_n_speakers = n_speakers[0]
        found.append(config.resolve(given))
    return found


def main() -> None:
    common.show(report.write(calibration.run(experiments(), recipes()), OUTPUT.value))


if __name__ == "__main__":
    common.run(main)

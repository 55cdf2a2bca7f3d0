"""Does the source matter more than the number of frozen layers? Compares finished reproductions on one target.

python -m launch.sources results/reproduce results/enterface05 --loss=none --steps=50
"""

import json

from absl import app, flags

from launch import common
from siamese_jax.experiments import source_effect

HEAD = flags.DEFINE_string("head", "abs_difference", "The head to compare under.")
SCALING = flags.DEFINE_string("scaling", "corpus", "The scaling scope to compare under.")
LOSS = flags.DEFINE_string("loss", "none", "The second update of the fine-tuning.")
STEPS = flags.DEFINE_integer("steps", 50, "The readout.")
LEVEL = flags.DEFINE_float("level", 0.95, "Of the intervals; contrasts share it out among themselves (Bonferroni).")


def main(argv: list[str]) -> None:
    with common.exit_codes():
        read = [source_effect.read(path, HEAD.value, SCALING.value, LOSS.value, STEPS.value) for path in argv[1:]]
        found = source_effect.compare(read, LEVEL.value)
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    app.run(main)

"""Compares finished reproductions on one target: does the source matter more than the number of frozen layers?

siamese-jax sources results/reproduce results/enterface05 --loss=none --steps=50
"""

import json

from absl import flags

from siamese_jax.experiments import source_effect

from . import common

HEAD = flags.DEFINE_string("head", "abs_difference", "The head of the network to compare.")
SCALING = flags.DEFINE_string("scaling", "corpus", "The scaling (config.data.scalings) to compare.")
LOSS = flags.DEFINE_string("loss", "none", "The second update of the fine-tuning (config.protocol.losses).")
STEPS = flags.DEFINE_integer("steps", 50, "The number of fine-tuning steps (config.protocol.steps).")
LEVEL = flags.DEFINE_float("level", 0.95, "Level of the intervals; Bonferroni corrects it for the contrasts.")


def main(workdirs: list[str]) -> None:
    results = source_effect.read_all(workdirs, HEAD.value, SCALING.value, LOSS.value, STEPS.value)
    common.show(json.dumps(source_effect.compare(results, LEVEL.value), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    common.run(main, folders=True)

"""Compares finished reproductions on one target: does the source matter more than the number of frozen layers?

siamese-jax sources results/reproduce results/enterface05 --loss=none --steps=50
"""

import json

from absl import flags

from siamese_jax.experiments import source_effect

from . import common

HEAD = flags.DEFINE_string("head", "abs_difference", "The head to compare under.")
SCALING = flags.DEFINE_string("scaling", "corpus", "The scaling scope to compare under.")
LOSS = flags.DEFINE_string("loss", "none", "The second update of the fine-tuning.")
STEPS = flags.DEFINE_integer("steps", 50, "The number of fine-tuning steps to compare at.")
LEVEL = flags.DEFINE_float("level", 0.95, "Of the intervals; divided among the contrasts (Bonferroni).")


def main(workdirs: list[str]) -> None:
    results = [source_effect.read(path, HEAD.value, SCALING.value, LOSS.value, STEPS.value) for path in workdirs]
    print(json.dumps(source_effect.compare(results, LEVEL.value), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    common.run(main, folders=True)

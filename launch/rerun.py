"""Runs a protocol with any number of draws and computes its statistics; a later run with more draws adds blocks.

siamese-jax rerun --workdir=results/rerun --draws=10000
siamese-jax rerun --workdir=results/rerun_oodt --protocol=out_of_domain --draws=1000 --config.protocol.n_draws=100
"""

from absl import flags

from siamese_jax.experiments import crossed, rerun, retrain
from siamese_jax.protocols import config
from siamese_jax.report.paper import results
from siamese_jax.report.render import terminal
from siamese_jax.runtime import distributed

from . import common

CONFIG = common.define_config("rerun", "The experiment; config.protocol.n_draws is the size of a block.")
WORKDIR = common.define_path("workdir", "results/rerun", "Where blocks and results go; a stopped run resumes there.")
PROTOCOL = flags.DEFINE_enum(
    "protocol", "fine_tuning", ["fine_tuning", *retrain.PROTOCOLS],
    "fine_tuning repeats fine-tuning on draws of labelled clips; the others repeat a training, each from another seed.",
)  # fmt: skip
DRAWS = flags.DEFINE_integer(
    "draws", 10_000, "Total number of draws (or trainings), finished ones included; rounded up to whole blocks."
)
BASELINE_DRAWS = flags.DEFINE_integer(
    "baseline_draws", 1000, "Number of draws, from the first on, that config.protocol.baselines run on too."
)
CROSSED = flags.DEFINE_bool(
    "crossed", False, "Run every draw of the configuration from every seed, for the variance components."
)
common.define_hosts()


def main() -> None:
    experiment = config.resolve(CONFIG.value)
    if CROSSED.value:
        crossed.run(experiment, WORKDIR.value)
    elif PROTOCOL.value in retrain.PROTOCOLS:
        retrain.run(experiment, WORKDIR.value, PROTOCOL.value, DRAWS.value)
    else:
        rerun.run(experiment, WORKDIR.value, DRAWS.value, BASELINE_DRAWS.value)
    if distributed.is_writer():
        common.show(terminal.fit(results.write(WORKDIR.value)))
        common.print_last(results.last_line(WORKDIR.value))


if __name__ == "__main__":
    common.run(main, joins=True)

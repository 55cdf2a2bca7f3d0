"""Any protocol at any number of draws, with its statistics; appends to what is already there.

python -m launch.rerun --workdir=results/rerun --draws=10000
python -m launch.rerun --workdir=results/rerun_oodt --protocol=out_of_domain --draws=1000 --config.n_draws=100
"""

from absl import app, flags
from ml_collections import config_flags

from launch import common
from siamese_jax.experiments import crossed, rerun, retrain
from siamese_jax.protocols import config
from siamese_jax.report.paper import results
from siamese_jax.runtime import distributed
from siamese_jax.runtime.devices import use_all_cores

CONFIG = config_flags.DEFINE_config_file("config", "configs/rerun.py", "The experiment; its n_draws is a block's size.")
WORKDIR = flags.DEFINE_string("workdir", "results/rerun", "Where blocks are, and where new ones go.")
PROTOCOL = flags.DEFINE_enum(
    "protocol", "fine_tuning", ["fine_tuning", *retrain.PROTOCOLS],
    "What is repeated: fine-tuning on draws of labelled clips, or a training, from another seed each time.",
)  # fmt: skip
DRAWS = flags.DEFINE_integer(
    "draws", 10_000, "Draws (or trainings) in all, those already there included; rounded up to whole blocks."
)
ALTERNATIVE_DRAWS = flags.DEFINE_integer(
    "alternative_draws", 1000, "Of these, how many the configuration's classifiers are run on too, from the first on."
)
CROSSED = flags.DEFINE_bool(
    "crossed", False, "Run every draw of the config from every seed, for the shares of variance."
)
common.define_hosts()


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores()
    with common.exit_codes():
        common.join_hosts()
        experiment = config.resolve(CONFIG.value)
        if CROSSED.value:
            crossed.run(experiment, WORKDIR.value)
        elif PROTOCOL.value in retrain.PROTOCOLS:
            retrain.run(experiment, WORKDIR.value, PROTOCOL.value, DRAWS.value)
        else:
            rerun.run(experiment, WORKDIR.value, DRAWS.value, ALTERNATIVE_DRAWS.value)
        if distributed.is_writer():
            print(results.write(WORKDIR.value))


if __name__ == "__main__":
    app.run(main)

"""Runs an experiment: Table 1 and Figure 2 of Feng & Chaspari 2020, on the tables that ship or on yours.

python -m launch.reproduce --workdir=results/reproduce

Exit status: 0 with results, 2 with a message where something given cannot be used, 143 or 130 where SIGTERM or SIGINT
stopped the run: the same command goes on from there. On several processes also 3, where another one was lost.
"""

from absl import app, flags
from ml_collections import config_flags

from launch import common
from siamese_jax.experiments import reproduce
from siamese_jax.protocols import config
from siamese_jax.report.paper import results
from siamese_jax.runtime import distributed
from siamese_jax.runtime.devices import use_all_cores

CONFIG = config_flags.DEFINE_config_file("config", "configs/reproduce.py", "The experiment.")
WORKDIR = flags.DEFINE_string("workdir", "results/reproduce", "Where results go; a run that was stopped goes on there.")
common.define_hosts()


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores()
    with common.exit_codes():
        common.join_hosts()
        reproduce.run(config.resolve(CONFIG.value), WORKDIR.value)
        if distributed.is_writer():
            print(results.write(WORKDIR.value))
            print(f"Results, figure and every repetition: {WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)

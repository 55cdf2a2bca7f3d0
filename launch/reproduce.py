"""Runs an experiment: Table 1 and Figure 2 of Feng & Chaspari 2020, on the tables that ship or on yours.

python -m launch.reproduce --workdir=results/reproduce

Exit status: 0 with results, 2 with a message where something given cannot be used, 143 or 130 where SIGTERM or SIGINT
stopped the run: the same command goes on from there. On several processes also 3, where another one was lost.
"""

from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from siamese_jax import config, experiment, hosts, launching, trials

CONFIG = config_flags.DEFINE_config_file("config", "configs/reproduce.py", "The experiment.")
WORKDIR = flags.DEFINE_string("workdir", "results/reproduce", "Where results go; a run that was stopped goes on there.")
launching.define_hosts()


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    trials.use_all_cores()
    with launching.exit_codes():
        launching.join_hosts()
        experiment.run(config.resolve(CONFIG.value), WORKDIR.value)
        if hosts.is_writer():
            print((Path(WORKDIR.value) / "table1.md").read_text(encoding="utf-8"))
            print(f"Results, figure and every repetition: {WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)

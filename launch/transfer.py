"""Compares transfer methods with the baselines on a few labelled clips of a new corpus.

siamese-jax transfer --workdir=results/transfer

The same command resumes a stopped run. Exit status: 0 with results, 2 with a message when an input cannot be used, 143
or 130 after SIGTERM or SIGINT, 3 when another process of the run was lost.
"""

from pathlib import Path

from siamese_jax.experiments import transfer
from siamese_jax.protocols import runs
from siamese_jax.report.paper import transfer as report
from siamese_jax.report.render import terminal
from siamese_jax.runtime import distributed

from . import common

CONFIG = common.define_config("transfer", "The experiment.")
WORKDIR = common.define_path("workdir", "results/transfer", "Where results go; a stopped run resumes there.")
common.define_hosts()


def main() -> None:
    for name, experiment in runs.resolve_each(CONFIG.value).items():
        folder = Path(WORKDIR.value) / name
        transfer.run(experiment, folder)
        if distributed.is_writer():
            common.show(terminal.fit(report.write(folder)))
    if distributed.is_writer():
        common.show(f"Results and every repetition: {WORKDIR.value}")


if __name__ == "__main__":
    common.run(main, joins=True)

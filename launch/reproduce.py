"""Runs an experiment: Table 1 and Figure 2 of Feng & Chaspari 2020, on the shipped tables or on other tables.

siamese-jax reproduce --workdir=results/reproduce

The same command resumes a stopped run. Exit status: 0 with results, 2 with a message when an input cannot be used, 143
or 130 after SIGTERM or SIGINT, 3 when another process of the run was lost.
"""

from pathlib import Path

from siamese_jax.experiments import reproduce, run_context
from siamese_jax.protocols import runs
from siamese_jax.report.paper import results
from siamese_jax.report.render import terminal
from siamese_jax.runtime import distributed

from . import common

CONFIG = common.define_config("reproduce", "The experiment.")
WORKDIR = common.define_path("workdir", "results/reproduce", "Where results go; a stopped run resumes there.")
common.define_hosts()


def main() -> None:
    experiments = runs.resolve_each(CONFIG.value)
    if len(experiments) > 1:
        # An input that cannot be used ends the command before the first experiment.
        for experiment in experiments.values():
            run_context.load(experiment)
    folders = {name: Path(WORKDIR.value) / name for name in experiments}
    for name, experiment in experiments.items():
        reproduce.run(experiment, folders[name])
    if distributed.is_writer():
        common.show("\n".join(terminal.fit(results.write(folder)) for folder in folders.values()))
        if len(folders) > 1:
            common.show(terminal.fit(results.write_side_by_side(WORKDIR.value, folders)))
        common.show(f"Results, figure and every repetition: {WORKDIR.value}")
        for folder in folders.values():
            common.print_last(results.last_line(folder))


if __name__ == "__main__":
    common.run(main, joins=True)

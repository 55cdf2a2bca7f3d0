"""Chooses the settings of the transfer methods without the target's own transfer: on other corpora or directions.

siamese-jax tune --config=transfer --workdir=results/tune

Prints the values to give to siamese-jax transfer. The target of the configuration is never a target here; with one
source it serves as the source of the reverse direction.
"""

from siamese_jax.experiments import tune
from siamese_jax.protocols import runs
from siamese_jax.runtime import distributed

from . import common

CONFIG = common.define_config("transfer", "The experiment.")
WORKDIR = common.define_path("workdir", "results/tune", "Where tune.json goes.")


def main() -> None:
    for name, experiment in runs.resolve_each(CONFIG.value).items():
        result = tune.run(experiment, f"{WORKDIR.value}/{name}".rstrip("/"))
        if distributed.is_writer():
            common.show(tune.text(result))


if __name__ == "__main__":
    common.run(main)

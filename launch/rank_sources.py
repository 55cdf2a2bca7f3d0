"""Measures several sources for one target: each alone, all together, and the one that pair distances choose.

siamese-jax rank_sources --config.data.source=emodb,mine.npz --config.data.target=ravdess --workdir=results/rank_sources

Runs the classifiers of config.protocol.baselines. The pair distances are those between a source's clips and the
labelled target clips: D_s of the same emotion, D_d of different emotions. Each draw takes the source with the smallest
D_s / D_d. Of the target, this uses the labelled clips' emotions alone.
"""

from siamese_jax.experiments import source_ranking
from siamese_jax.protocols import config
from siamese_jax.report.paper import several_sources
from siamese_jax.report.render import terminal
from siamese_jax.runtime import distributed

from . import common

CONFIG = common.define_config("several_sources", "The experiment; its source names several, separated by commas.")
WORKDIR = common.define_path("workdir", "results/rank_sources", "Where results go; a stopped run resumes there.")
common.define_hosts()


def main() -> None:
    source_ranking.run(config.resolve(CONFIG.value), WORKDIR.value)
    if distributed.is_writer():
        common.show(terminal.fit(several_sources.write(WORKDIR.value)))


if __name__ == "__main__":
    common.run(main, joins=True)

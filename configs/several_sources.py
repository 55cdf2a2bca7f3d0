"""Several sources for RAVDESS: logistic regression on EMO-DB, eNTERFACE'05 and both, at 8, 16, 32 and 80 clips.

    siamese-jax rank_sources --config=several_sources --workdir=results/several_sources \
        --config.data.source=emodb,PATH/authors_is09_enterface05.csv --config.data.target=PATH/authors_is09_ravdess.csv

EMO-DB is the shipped table. The other two are the paper's authors' tables (see configs/enterface05.py), which are
already standardised over each corpus; scaling by the source is refused.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment with two sources and 200 draws. The command line gives the tables' paths."""
    config = load_config("reproduce")
    config.data.update({"source": "emodb,authors_is09_enterface05.csv", "source_corpus": ",enterface05"})
    config.data.update({"target": "authors_is09_ravdess.csv", "target_corpus": "ravdess"})
    config.protocol.losses = ("none", "ratio")
    config.protocol.frozen = (0,)
    config.protocol.n_speakers = (2, 4, 8, 20)
    config.protocol.steps = (0, 50)
    config.protocol.n_draws = 200
    config.protocol.baselines = ("logistic_regression",)
    config.protocol.logistic_solver = "jax"
    return config

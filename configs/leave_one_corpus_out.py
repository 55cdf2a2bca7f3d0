"""Each corpus in turn is the target, and all others are its sources.

    siamese-jax reproduce --config=leave_one_corpus_out --workdir=results/leave_one_corpus_out \
        --config.data.source=emodb,mine.npz,other.npz --config.data.target=ravdess

The corpora are those of `config.data.source` and `config.data.target` together. Each target has a folder of its own,
and table1.md has a column for each. Without overrides the corpora are the shipped ones, EMO-DB and RAVDESS.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment on each corpus, at 2, 4 and 6 speakers: EMO-DB has ten."""
    config = load_config("reproduce")
    config.leave_one_corpus_out = True
    config.protocol.losses = ("none", "ratio")
    config.protocol.frozen = (0,)
    config.protocol.n_speakers = (2, 4, 6)
    config.protocol.steps = (0, 50)
    config.protocol.n_draws = 200
    config.protocol.logistic_solver = "jax"
    return config

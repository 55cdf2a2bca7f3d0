"""eNTERFACE'05 to RAVDESS, the paper's first column, from the tables that its authors published.

The tables accompany the authors' paper of 2021. They are in the public repository HUBBS-Lab/pytorch-MeL_S_ASPF, folder
`feature`. They are already standardised over each corpus, so scaling by the source is refused.

    siamese-jax reproduce --config=enterface05 --workdir=results/enterface05 \
        --config.data.source=PATH/authors_is09_enterface05.csv --config.data.target=PATH/authors_is09_ravdess.csv

To start from the audio instead, extract both corpora (see docs/usage.md) and give the two tables, with an empty
`--config.data.source_corpus` and `--config.data.target_corpus`.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment on the authors' tables. The command line gives their paths."""
    config = load_config("reproduce")
    config.data.update({"source": "authors_is09_enterface05.csv", "source_corpus": "enterface05"})
    config.data.update({"target": "authors_is09_ravdess.csv", "target_corpus": "ravdess"})
    return config

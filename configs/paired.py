"""Paired differences over 200 draws: does the ratio loss help, and does it help more than its control?

    siamese-jax reproduce --config=paired --workdir=results/paired

EMO-DB to RAVDESS, no frozen layers, every number of speakers, 100 source trainings. `differences.md` has the answer.
For the paper's first column give the paths of the authors' tables as in configs/enterface05.py, and add two flags:

    --config.data.source_corpus=enterface05 --config.data.target_corpus=ravdess
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment with 200 draws, a pool of 100 seeds, and no frozen layers."""
    config = load_config("reproduce")
    config.protocol.update({"n_draws": 200, "n_seeds": 100, "frozen": (0,), "baselines": ("logistic_regression",)})
    config.protocol.losses = ("none", "ratio", "ratio_bounded", "cross_entropy_twice")
    return config

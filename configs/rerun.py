"""Ten thousand fine-tuning draws on 8 speakers, 50 steps, three losses, a pool of 100 source seeds.

    siamese-jax rerun --config=rerun --workdir=results/rerun --draws=10000

`n_draws` is the size of a block; run again with more draws and only the new blocks are computed. 3 and 5 speakers
beside 2, 4 and 6 test the paper's trade-off: `--config.protocol.n_speakers="(2,3,4,5,6,8)"`. The other protocols
repeat a training instead of a draw, `--protocol=out_of_domain` or `--protocol=in_domain`; smaller blocks
(`--config.protocol.n_draws=50`) suit them.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """One cell of the grid, in blocks of 500 draws."""
    config = load_config("reproduce")
    config.protocol.update({"n_draws": 500, "n_seeds": 100, "frozen": (0,), "n_speakers": (8,), "steps": (0, 50)})
    config.protocol.update({"pad_speakers": 1, "baselines": ("logistic_regression",)})
    config.report.update({"fixed_n_speakers": 8, "fixed_steps": 50})
    return config

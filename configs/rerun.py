"""Ten thousand fine-tuning draws on 8 speakers, 50 steps, three losses, a pool of 100 source seeds.

    siamese-jax rerun --config=rerun --workdir=results/rerun --draws=10000

`config.protocol.n_draws` is the size of a block. A second run with more draws computes only the new blocks. To test the
paper's trade-off add 3 and 5 speakers: `--config.protocol.n_speakers="(2,3,4,5,6,8)"`. The other protocols,
`--protocol=out_of_domain` and `--protocol=in_domain`, repeat a training instead of a draw. Give them smaller blocks
(`--config.protocol.n_draws=50`).
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

"""The whole experiment in a small size, for tests and for a first run. It takes seconds; its numbers mean little.

siamese-jax reproduce --config=smoke --workdir=results/smoke
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """Two numbers of speakers, three draws, two seeds, short training."""
    config = load_config("reproduce")
    config.protocol.update({"n_speakers": (2, 4), "frozen": (0, 1), "steps": (0, 5, 10)})
    config.protocol.update({"n_draws": 3, "n_seeds": 2, "n_in_domain_seeds": 2})
    config.training.update({"source_steps": 60, "in_domain_steps": 40})
    config.report.fixed_steps = 10
    return config

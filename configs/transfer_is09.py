"""Transfer methods on the paper's 64 features: EMO-DB to RAVDESS, beside the baselines.

    siamese-jax transfer --config=transfer_is09 --workdir=results/transfer_is09

The settings of the methods were chosen without RAVDESS as a target, by `siamese-jax tune --config=transfer_is09`;
docs/records/tune_ravdess_is09.json holds the choice.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """200 draws of 8, 16, 32 and 80 labelled clips."""
    config = load_config("transfer")
    config.data.features = "is09"
    config.metric_network = load_config("reproduce").metric_network
    config.transfer.methods = ("siamese", "logistic_regression", "adapted_discriminant", "metric_network")
    config.transfer.balance_strength = (0.3, 1.0)  # chosen; and 1, for a target known to be balanced
    config.transfer.transfer_c = 0.03
    config.transfer.shrinkage = 0.1
    config.transfer.source_clips = 10.0
    config.transfer.covariance_clips = 100.0
    config.transfer.temperature = 0.3
    config.transfer.rounds = 5
    config.transfer.own_source_clips = 30.0
    config.transfer.unlabelled_clips = 300.0
    config.transfer.target_covariance_clips = 300.0
    config.transfer.own_shrinkage = 0.1
    config.transfer.own_temperature = 1.0
    return config

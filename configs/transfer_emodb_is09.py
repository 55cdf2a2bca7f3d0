"""Transfer methods on the paper's 64 features: RAVDESS to EMO-DB, beside the baselines.

    siamese-jax transfer --config=transfer_emodb_is09 --workdir=results/transfer_emodb_is09

The settings of the methods were chosen without EMO-DB as a target, by `siamese-jax tune --config=transfer_emodb_is09`;
docs/records/tune_emodb_is09.json holds the choice.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """200 draws of 8, 16 and 24 labelled clips."""
    config = load_config("transfer_is09")
    config.transfer.methods = ("siamese", "logistic_regression", "adapted_discriminant")
    config.data.source = "ravdess"
    config.data.target = "emodb"
    config.protocol.n_speakers = (2, 4, 6)
    config.transfer.balance_strength = (0.7, 1.0)  # chosen; and 1, for a target known to be balanced
    config.transfer.transfer_c = 0.1
    config.transfer.shrinkage = 0.5
    config.transfer.source_clips = 10.0
    config.transfer.covariance_clips = 30.0
    config.transfer.temperature = 0.1
    config.transfer.rounds = 2
    config.transfer.own_source_clips = 10.0
    config.transfer.unlabelled_clips = 30.0
    config.transfer.target_covariance_clips = 300.0
    config.transfer.own_shrinkage = 0.3
    config.transfer.own_temperature = 1.0
    return config

"""Transfer methods on a frozen speech encoder's features: RAVDESS to EMO-DB, beside the baselines.

    siamese-jax transfer --config=transfer_emodb --workdir=results/transfer_emodb

The settings of the methods were chosen without EMO-DB as a target, by `siamese-jax tune --config=transfer_emodb`;
docs/records/tune_emodb_whisper.json holds the choice.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """200 draws of 8, 16 and 24 labelled clips."""
    config = load_config("transfer")
    config.transfer.methods = ("siamese", "logistic_regression", "layer_ensemble", "adapted_discriminant")
    config.data.source = "ravdess"
    config.data.target = "emodb"
    config.protocol.n_speakers = (2, 4, 6)
    config.transfer.balance_strength = (0.7, 1.0)  # chosen; and 1, for a target known to be balanced
    config.transfer.transfer_c = 3.0
    config.transfer.shrinkage = 0.7
    config.transfer.source_clips = 30.0
    config.transfer.covariance_clips = 10.0
    config.transfer.temperature = 0.03
    config.transfer.rounds = 5
    config.transfer.own_source_clips = 10.0
    config.transfer.unlabelled_clips = 100.0
    config.transfer.target_covariance_clips = 30.0
    config.transfer.own_shrinkage = 0.5
    config.transfer.own_temperature = 0.1
    return config

"""Transfer methods on a frozen speech encoder's features: EMO-DB to RAVDESS, beside the baselines.

    siamese-jax transfer --config=transfer --workdir=results/transfer

The features are those of all layers that ship (1 to 3). The settings of the methods were chosen without RAVDESS as a
target, by `siamese-jax tune --config=transfer`; docs/records/tune_ravdess_whisper.json holds the choice.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """200 draws of 8, 16, 32 and 80 labelled clips."""
    config = load_config("speech_encoder")
    del config.feature_sets
    config.data.layers = ()
    config.transfer.methods = (
        "siamese", "logistic_regression", "layer_ensemble", "adapted_discriminant", "metric_network",
    )  # fmt: skip
    config.transfer.balance_within = ("corpus", "speaker")
    config.transfer.balance_strength = (0.3, 1.0)  # chosen; and 1, for a target known to be balanced
    config.transfer.transfer_c = 3.0
    config.transfer.shrinkage = 0.7
    config.transfer.source_clips = 30.0
    config.transfer.covariance_clips = 10.0
    config.transfer.temperature = 0.03
    config.transfer.rounds = 2
    config.transfer.own_source_clips = 10.0
    config.transfer.unlabelled_clips = 300.0
    config.transfer.target_covariance_clips = 100.0
    config.transfer.own_shrinkage = 0.7
    config.transfer.own_temperature = 0.03
    config.metric_network.update({"components": 64, "pretraining_steps": 1000, "joint_steps": 100})
    config.metric_network.update({"contrastive_rate": 1e-3, "contrastive_temperature": 0.6, "noise": 0.7})
    config.metric_network.update({"dropout": 0.3, "score_temperature": 0.1})
    return config

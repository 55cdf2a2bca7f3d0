"""Table 1 of Feng & Chaspari 2020 on the paper's 64 features and on a frozen speech encoder's, side by side.

    siamese-jax reproduce --config=speech_encoder --workdir=results/speech_encoder

EMO-DB to RAVDESS from the shipped tables, scaled by corpus and by speaker. The encoder's features are mean and
standard deviation over time of layer 2 of Whisper tiny.en. Layer 2 was seen to be good on RAVDESS, so these results
check the program. In use, do not choose layers by the target's results.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment on two feature sets; two losses and no frozen layers, 200 draws of labelled clips."""
    config = load_config("reproduce")
    config.feature_sets = (
        "is09",
        "whisper",
    )  # one run for each, in its own folder
    config.data.features = "whisper"
    config.data.layers = (2,)
    config.data.scalings = ("corpus", "speaker")
    config.protocol.losses = ("none", "ratio")
    config.protocol.frozen = (0,)
    config.protocol.n_speakers = (2, 4, 8, 20)
    config.protocol.steps = (0, 50)
    config.protocol.n_draws = 200
    config.protocol.logistic_solver = "jax"
    return config

"""CREMA-D to RAVDESS, the paper's second column, from the corpora's audio.

    siamese-jax extract --corpus=cremad --root=CREMA-D/AudioWAV --output=cremad.npz
    siamese-jax reproduce --config=cremad --workdir=results/cremad --config.data.source=cremad.npz

The target is the shipped table of RAVDESS. For the same resampling of both corpora extract RAVDESS too
(`--corpus=ravdess`) and give its table as `--config.data.target`.
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """The default experiment with CREMA-D as its source."""
    config = load_config("reproduce")
    config.data.source = "cremad.npz"
    return config

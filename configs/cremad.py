"""CREMA-D to RAVDESS, the paper's second column, from the corpora's audio.

    python -m launch.extract --corpus=cremad --root=CREMA-D/AudioWAV --output=cremad.npz
    python -m launch.reproduce --config=configs/cremad.py --workdir=results/cremad --config.data.source=cremad.npz

RAVDESS is the table that ships; extract your own (`--corpus=ravdess`) and give it as `--config.data.target` for
the same resampling on both sides.
"""

from ml_collections import ConfigDict

from configs import reproduce


def get_config() -> ConfigDict:
    """The default experiment with CREMA-D as its source."""
    config = reproduce.get_config()
    config.data.source = "cremad.npz"
    return config

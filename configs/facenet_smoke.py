"""The cross-training in a small size, for tests and a first run on your own audio. Its numbers mean little.

siamese-jax facenet --config=facenet_smoke --workdir=results/facenet_smoke --audio=mine=clips.csv
"""

from ml_collections import ConfigDict

from siamese_jax import load_config


def get_config() -> ConfigDict:
    """A sixteenth of the width, 32 x 32 images, two epochs, three folds, only the comparison."""
    config = load_config("facenet")
    for name in ("ravdess", "emodb"):
        config.corpora[name].folds = 3
    config.new_corpus.folds = 3
    config.cells = ("comparison",)
    config.images.update({"size": 32, "fft_size": 1024})
    config.network.update({"width": 0.0625, "depth": 0.1, "embedding": 16})
    for stage in (config.pretraining, config.fine_tuning):
        stage.update({"epochs": 2, "warmup": 0.5, "segments_per_class": 8, "embed_batch": 64})
    config.neighbours = 5
    config.features.protocol.update({"n_seeds": 2, "n_in_domain_seeds": 2})
    config.features.training.update({"source_steps": 30, "in_domain_steps": 30})
    return config

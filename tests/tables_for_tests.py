"""Small feature tables for tests: clips that a network can tell apart, with speakers of their own."""

import numpy as np

from siamese_jax.datasets.feature_table import FeatureTable

EMOTIONS = ("anger", "happiness", "sadness", "fear")


def make_table(corpus="toy", n_speakers=6, per_cell=2, extra=("neutral",), seed=0, n_features=5, shift=0.0, apart=2.0):
    """A table of [speakers x emotions x per_cell] clips; each emotion has a mean, each speaker an offset."""
    rng = np.random.default_rng(seed)
    emotions = [*EMOTIONS, *extra]
    rows = [(s, e) for s in range(n_speakers) for e in range(len(emotions)) for _ in range(per_cell)]
    centre = np.random.default_rng(99).normal(size=(len(emotions), n_features)) * apart
    offset = rng.normal(size=(n_speakers, n_features))
    x = np.stack([centre[e] + offset[s] + rng.normal(size=n_features) + shift for s, e in rows])
    n = len(rows)
    return FeatureTable(
        features=x.astype(np.float32),
        feature_names=tuple(f"feature_{i}" for i in range(n_features)),
        clip=np.array([f"{corpus}_{i:03d}" for i in range(n)]),
        emotion=np.array([emotions[e] for _, e in rows]),
        speaker=np.array([f"{corpus}_{s:02d}" for s, _ in rows]),
        corpus=np.array([corpus] * n),
        sex=np.array([""] * n),
        audio_hash=np.array([""] * n),
        made={},
    )

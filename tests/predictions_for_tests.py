"""Predictions without a model."""

import numpy as np

from siamese_jax.recognizer.predictions import Prediction

CLASSES = ("anger", "happiness", "sadness", "fear")
BELOW = "probability below the threshold"


def predicted(files, classes=CLASSES, seed=0, reason=BELOW, seconds=3.0):
    """A prediction for each file; of random probabilities those below 0.6 are unsure."""
    rng = np.random.default_rng(seed)
    made = []
    for file in files:
        p = rng.dirichlet([0.6] * len(classes))
        unsure = bool(p.max() < 0.6)
        label = classes[int(p.argmax())]
        made.append(
            Prediction(
                file,
                0.0,
                seconds,
                label,
                dict(zip(classes, p.tolist())),
                unsure,
                reason if unsure else "",
                "folder",
                "asked for",
            )
        )
    return made

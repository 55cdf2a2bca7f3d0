"""A small experiment whose settings are all distinct, and its features standardised in plain NumPy."""

from typing import Any

import numpy as np
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.protocols import config
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.training.siamese import SECOND_UPDATES

N_SPEAKERS, SOURCE_STEPS, FOLD_STEPS = 5, 6, 7


def settings(**changes: Any) -> Experiment:
    given = smoke.get_config()
    given.protocol.update({"n_speakers": (2,), "n_draws": 3, "n_seeds": 2, "n_in_domain_seeds": 2, "seed": 5})
    given.protocol.update({"frozen": (0, 1, 3), "steps": (0, 2, 4), "losses": SECOND_UPDATES, "pad_speakers": 3})
    given.protocol.pooling = "mean_probability"
    given.report.update({"fixed_n_speakers": 2, "fixed_steps": 4, "level": 0.9})
    given.network.encoder_widths = (7, 6, 5)
    given.training.update({"source_steps": SOURCE_STEPS, "in_domain_steps": FOLD_STEPS, "batch_size": 12})
    given.training.update({"learning_rate": 0.02, "second_learning_rate": 0.007, "clip_norm": 0.03})
    given.training.pair_weighting = "uniform"
    given.protocol.logistic_c = 0.3
    given.data.scale_floor = 2e-3
    return config.resolve(given).replace(**changes)


SOURCE, TARGET = (
    dataset.from_table(make_table(name, N_SPEAKERS, seed=seed, shift=shift, n_features=9), EMOTIONS, name)
    for name, seed, shift in (("source", 1, 0.0), ("target", 2, 3.0))
)
PLAN = Plan.make(settings(), SOURCE, TARGET)


def standardised(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    return ((x - by.mean(axis=0)) / by.std(axis=0)).astype(np.float32)


def scaled(data: Dataset, scope: str, rows: np.ndarray | None = None) -> np.ndarray:
    """The experiment's clips of a corpus under a scope, from its table; `rows` of the support set or the fold."""
    table, x = data.full_table, data.table.features
    if scope in ("support", "train") and rows is not None:
        return standardised(x, x[rows])
    if scope == "speaker":
        of = {name: table.features[table.speaker == name] for name in np.unique(table.speaker)}
        return np.concatenate([standardised(row[None], of[name]) for row, name in zip(x, data.table.speaker)])
    return standardised(x, (SOURCE if scope == "source" else data).full_table.features)

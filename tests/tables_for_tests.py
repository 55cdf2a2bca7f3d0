"""Small feature tables for tests: clips that a network can tell apart, with speakers of their own."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.features.is09 import FEATURE_NAMES

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


RAVDESS_IDS = [f"03-01-0{emotion}-01-01-01-{actor:02d}" for actor in (1, 2, 3) for emotion in (3, 4, 5, 6)]

# In openSMILE's order.
FUNCTIONALS = (
    "max", "min", "range", "maxPos", "minPos", "amean", "linregc1", "linregc2", "linregerrQ", "stddev", "skewness",
    "kurtosis",
)  # fmt: skip
ALL_384 = [
    f"{name.removesuffix('amean')}{functional}"
    for name in FEATURE_NAMES
    if name.endswith("amean")
    for functional in FUNCTIONALS
]


def table_of(rows: np.ndarray, **changes: Any) -> FeatureTable:
    n = len(rows)
    table = FeatureTable(
        features=rows.astype(np.float32),
        feature_names=tuple(f"f{column}" for column in range(rows.shape[1])),
        clip=np.asarray([f"clip_{row}" for row in range(n)]),
        emotion=np.asarray([PAPER_EMOTIONS[row % 4] for row in range(n)]),
        speaker=np.asarray([f"lab_{row % 3}" for row in range(n)]),
        corpus=np.full(n, "lab"),
        sex=np.full(n, ""),
        audio_hash=np.full(n, ""),
        made={"scaled": "none", "sampling_rate": 16000},
    )
    return dataclasses.replace(table, **changes)


def raw(n: int, f: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 3.0, (n, f))


def write_csv(path: Path, header: list[str], rows: list[list[Any]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator, quotechar="\x07").writerows([header, *rows])
    return path

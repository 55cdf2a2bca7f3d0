"""Measures the labels of degraded recordings: how many are wrong, and how many of those that are not unsure.

    python -m scripts.degraded_study --table=ravdess/noise=ravdess_noise.npz --record=degraded.json

Each draw enrols 8 clean clips of two speakers in the recogniser with its default settings, with the other corpus as
source, and labels all other speakers' clips of the clean shipped table and of each table of degraded copies
(`scripts/degrade_recordings.py`, then `siamese-jax extract --features=whisper`).
"""

import argparse
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.datasets.draws import few_shot_draws
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError
from siamese_jax.protocols import familiarity
from siamese_jax.recognizer import confidence, sources
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.model import Model, enrol
from siamese_jax.recognizer.predictions import MODES
from siamese_jax.runtime.files import write_json

CLASSES = tuple(sorted(PAPER_EMOTIONS))
N_SPEAKERS = 2
SCORES = ("wrong", "wrong_unchecked", "accepted_unchecked", "wrong_accepted", "accepted")
"""Shares: of wrong labels among all; of those that are not unsure and their share, without and with the check of the
features. NaN is a draw without such labels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", default=[], help="CORPUS/CONDITION=TABLE.npz of the degraded clips")
    parser.add_argument("--draws", type=int, default=20, help="draws of two speakers")
    parser.add_argument("--record", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given: dict[str, dict[str, FeatureTable]] = {name: {} for name in shipped.SHIPPED}
    for text in arguments.table:
        corpus, condition, path = re.split("[/=]", text, maxsplit=2)
        given[corpus][condition] = read_table(path)
    rows = [row for corpus, tables in given.items() for row in study(corpus, tables, arguments.draws)]
    write_json(Path(arguments.record), {"rows": rows})


def study(corpus: str, degraded: Mapping[str, FeatureTable], n_draws: int) -> list[dict[str, Any]]:
    """Returns a row for each condition and mode: the mean and standard deviation over draws of each of `SCORES`.

    Raises InputError for a table that lacks a clip of the shipped one.
    """
    clean = read_table(shipped.shipped(corpus, "whisper"))
    tables = {"clean": clean.features, **{name: _in_order(name, table, clean) for name, table in degraded.items()}}
    rows = np.flatnonzero(np.isin(clean.emotion, CLASSES))
    _, speaker = np.unique(clean.speaker[rows], return_inverse=True)
    label = np.searchsorted(CLASSES, clean.emotion[rows])
    source = next(name for name in shipped.SHIPPED if name != corpus)
    recipe, made = FewShotEmotion(source)._recipe, speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    read = sources.read([source], made.feature_names, made.made)
    found: dict[tuple[str, str], list[list[float]]] = {(name, mode): [] for name in tables for mode in MODES}
    for support in few_shot_draws(jax.random.key(0), label, speaker, len(CLASSES), n_draws).support(N_SPEAKERS):
        own = rows[support]
        names, speakers = clean.emotion[own].tolist(), clean.speaker[own].tolist()
        model = enrol(clean.features[own], names, speakers, read, recipe, made.made, made.feature_names)
        known = familiarity.reference(model.enrolled.x, [of.clips.x for of in read])
        others = rows[~np.isin(speaker, speaker[support])]
        right = np.array([model.classes.index(word) for word in clean.emotion[others]])
        for (name, mode), draws in found.items():
            draws.append(list(_scores(model, known, tables[name][others], right, mode)))
    return [
        {"corpus": corpus, "condition": name, "mode": mode, "n_draws": n_draws} | _over_draws(np.array(draws))
        for (name, mode), draws in found.items()
    ]


def _in_order(name: str, table: FeatureTable, clean: FeatureTable) -> np.ndarray:
    """The features [N, F] of a table in the order of the clean one's clips."""
    place = {clip: i for i, clip in enumerate(table.clip.tolist())}
    lacking = [clip for clip in clean.clip.tolist() if clip not in place]
    if lacking:
        raise InputError(
            f"table {name} lacks {len(lacking)} of {len(clean)} clips, such as {lacking[0]!r}; extract features of all"
        )
    return table.features[[place[clip] for clip in clean.clip.tolist()]]


def _scores(
    model: Model, known: familiarity.Reference | None, x_QxF: np.ndarray, right_Q: np.ndarray, mode: str
) -> Iterator[float]:
    """`SCORES` of clips, which a model labels in a mode; `known` are its enrolled clips and sources."""
    p = np.exp(model.log_probabilities(x_QxF, mode))
    unsure, _ = confidence.unsure(p.max(axis=1), mode, model.held_out, confidence.STATED_ERROR)
    far = familiarity.far(x_QxF, known, scaled_together=mode == "folder")
    wrong = p.argmax(axis=1) != right_Q
    yield float(wrong.mean())
    for accepted in (~unsure, ~unsure & ~far):
        yield float(wrong[accepted].mean()) if accepted.any() else np.nan
        yield float(accepted.mean())


def _over_draws(scores_DxS: np.ndarray) -> dict[str, float | int | None]:
    """The mean and standard deviation of each score, None where no draw has it."""
    of_draws: dict[str, float | int | None] = {"none_accepted": int((scores_DxS[:, -1] == 0).sum())}
    for name, values in zip(SCORES, scores_DxS.T):
        known = values[~np.isnan(values)]
        of_draws[name] = float(known.mean()) if len(known) else None
        of_draws[f"{name}_sd"] = float(known.std(ddof=1)) if len(known) > 1 else None
    return of_draws


if __name__ == "__main__":
    main()

"""A feature table as an experiment uses it: classes, speakers and duplicates as numbers, checked by name."""

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siamese_jax.corpora.spelling import similar_speakers
from siamese_jax.datasets import shipped, table_files
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError

log = logging.getLogger(__name__)

_LAYER = re.compile(r"\.layer(\d+)\.(?:mean|std)\.\d+$")  # in the columns of a speech encoder's features


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The clips of one corpus, `name` ("emodb"), or of a mixture of K corpora ("emodb+ravdess", see `mixture`).

    `full_table` holds clips of all emotions, which scaling by corpus and by speaker uses, without unlabelled clips.
    `rows` [N] int are its rows with the experiment's emotions; of each, `label` [N] int is an index into the emotions,
    `speaker` [N] int an index into `speakers` (S names, sorted), and `duplicate` [N] int is shared by clips with the
    same samples. `corpora` are the K names of the corpora, each of which is scaled by itself and has its share of
    `weights` (of sum 1); `corpus` [M] int is the corpus of each row of the full table. A table is one corpus here, even
    if it holds clips of several.
    """

    name: str
    full_table: FeatureTable
    rows: np.ndarray
    label: np.ndarray
    speaker: np.ndarray
    speakers: tuple[str, ...]
    duplicate: np.ndarray
    corpora: tuple[str, ...]
    corpus: np.ndarray
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> FeatureTable:
        """The clips of the experiment's emotions."""
        return self.full_table.select(self.rows)

    @property
    def clip_weight(self) -> np.ndarray:
        """The weight of each clip [N] float64: each corpus has its share of the sum, which is N."""
        corpus_N = self.corpus[self.rows]
        counts_K = np.bincount(corpus_N, minlength=len(self.corpora))
        return (np.array(self.weights) * len(self) / counts_K)[corpus_N]

    @property
    def clip_weight_in_class(self) -> np.ndarray:
        """As `clip_weight`, within each class: of a class's sum, which is its number of clips, each corpus its share.

        Each corpus has clips of every class.
        """
        corpus_N = self.corpus[self.rows]
        counts_KxC = np.zeros((len(self.corpora), int(self.label.max()) + 1))
        np.add.at(counts_KxC, (corpus_N, self.label), 1)
        shares_KxC = np.array(self.weights)[:, None] * counts_KxC.sum(axis=0)[None] / counts_KxC
        return shares_KxC[corpus_N, self.label]

    @property
    def scaled(self) -> str:
        """How the table came standardised: "none", or "corpus"; "in part" for some corpora of a mixture alone."""
        return self.full_table.made.get("scaled", "none")

    @property
    def already_scaled(self) -> bool:
        """Whether a table came standardised over its corpus, so that its original values are unavailable."""
        return self.scaled != "none"


def read(table: str, corpus: str, companion: str, features: str, layers: tuple[int, ...]) -> FeatureTable:
    """Returns a table, shipped (by name) or at a path; logs speakers whose ids differ by spelling alone.

    `features` is the feature set of a shipped table. Of a speech encoder's columns those of `layers` stay, all if ().

    Raises InputError where it cannot be read, or lacks a layer.
    """
    path = shipped.shipped(table, features) if table in shipped.SHIPPED else table
    full_table = table_files.read_table(path, corpus or None, companion or None)
    if warning := similar_speakers(full_table.speaker.tolist()):
        log.warning("%s: %s", path, warning)
    return of_layers(full_table, layers, str(path)) if layers else full_table


def layer_columns(feature_names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Returns the columns [K] int of each layer of a speech encoder, by layer; () for features without layers."""
    layer_of = [int(match[1]) if (match := _LAYER.search(name)) else -1 for name in feature_names]
    layers = sorted(set(layer_of))
    return () if -1 in layers else tuple(np.flatnonzero(np.array(layer_of) == layer) for layer in layers)


def of_layers(full_table: FeatureTable, layers: tuple[int, ...], where: str) -> FeatureTable:
    """Returns the table with the columns of these layers of a speech encoder. Raises InputError if it lacks one."""
    layer_of = [int(match[1]) if (match := _LAYER.search(name)) else None for name in full_table.feature_names]
    if missing := sorted(set(layers) - set(layer_of)):
        known = (
            ", ".join(map(str, sorted({layer for layer in layer_of if layer is not None}))) or "no columns of layers"
        )
        raise InputError(f"{where}: no columns of layer {missing[0]}; it holds {known}. Change config.data.layers")
    columns = [i for i, layer in enumerate(layer_of) if layer in layers]
    names = tuple(full_table.feature_names[i] for i in columns)
    made = full_table.made
    if isinstance(made.get("layers"), list) and made["layers"]:
        made = {**made, "layers": sorted(layers), "deepest_layer": max(made["layers"])}
    return dataclasses.replace(full_table, features=full_table.features[:, columns], feature_names=names, made=made)


def from_table(full_table: FeatureTable, emotions: tuple[str, ...], where: str) -> Dataset:
    """Returns the dataset of a table, named `where` in messages. Raises InputError where an emotion has no clip.

    Unlabelled clips (an empty emotion) are left out, and their number is logged.
    """
    labelled = full_table.emotion != ""
    if not labelled.all():
        log.warning("%s: %d of %d clips are unlabelled and left out", where, (~labelled).sum(), len(labelled))
        full_table = full_table.select(labelled)
    counts = Counter(full_table.emotion.tolist())
    for emotion in emotions:
        if not counts[emotion]:
            emotion_counts = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
            remedy = "Change config.data.emotions, or give another table"
            raise InputError(f"{where}: no clip of {emotion!r}; it holds {emotion_counts}. {remedy}")
    rows = np.flatnonzero(np.isin(full_table.emotion, emotions))
    speakers, speaker = np.unique(full_table.speaker[rows], return_inverse=True)
    name = "+".join(sorted(set(full_table.corpus[rows].tolist())))
    return Dataset(
        name=name,
        full_table=full_table,
        rows=rows,
        label=np.array([emotions.index(name) for name in full_table.emotion[rows]], np.int32),
        speaker=speaker.astype(np.int32),
        speakers=tuple(speakers.tolist()),
        duplicate=table_files.duplicates(full_table)[rows],
        corpora=(name,),
        corpus=np.zeros(len(full_table), np.int32),
        weights=(1.0,),
    )


RECORDED = {
    "features": "features", "speech_encoder": "speech encoder", "layers": "layers", "loudness": "loudness",
    "padding": "padding", "rate": "sampling rate", "extractor": "version of the features",
    "speech_encoder_digest": "digest of the speech encoder's weights",
}  # fmt: skip
"""Entries of `made` that two tables must share where both have them, and their names in messages."""


def check_same_features(source: Dataset, target: Dataset) -> None:
    """Raises InputError unless two tables have the same columns in the same order, computed in the same way."""
    a, b = source.full_table.feature_names, target.full_table.feature_names
    only_a, only_b = (sorted(set(mine) - set(other)) for mine, other in ((a, b), (b, a)))
    if differences := _differences(source, target):
        remedy = "Extract both with the same options"
    elif a == b:
        return
    elif only_a or only_b:
        differences = f"{source.name} alone has {only_a[:3]}, {target.name} alone has {only_b[:3]}"
        remedy = "Extract both with the same program"
    else:
        differences, remedy = "the order of the columns differs", "Extract both with the same program"
    raise InputError(
        f"the tables of {source.name} ({len(a)} features) and {target.name} ({len(b)}) do not match: {differences}. "
        f"{remedy}"
    )


def _deepest(made: Mapping[str, Any]) -> Any:
    return made.get("deepest_layer", max(made.get("layers") or [0]))


def _differences(source: Dataset, target: Dataset) -> str:
    """Returns how the features of two tables were made in different ways, or ""."""
    a, b = source.full_table.made, target.full_table.made
    differ = {key: name for key, name in RECORDED.items() if key in a and key in b and a[key] != b[key]}
    if "layers" in differ or _deepest(a) != _deepest(
        b
    ):  # the digest is that of the layers up to the last that was computed
        differ.pop("speech_encoder_digest", None)
    return ", ".join(
        f"{name} {a[key]!r:.80} of {source.name} and {b[key]!r:.80} of {target.name}" for key, name in differ.items()
    )

"""Source corpora of a model: shipped tables by name, or any feature tables; each corpus is a source of its own."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siamese_jax.datasets import dataset, shipped
from siamese_jax.datasets.dataset import RECORDED
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError
from siamese_jax.recognizer.transfer import OTHER, Clips


@dataclasses.dataclass(frozen=True)
class Source:
    """A corpus with labels: its `name`, and the shipped table's name it comes from, "" for a table of the user's.

    `clips` holds labels as indices into `emotions`, and speakers as texts
    where all are known.
    """

    name: str
    shipped: str
    emotions: tuple[str, ...]
    clips: Clips

    @property
    def digest(self) -> str:
        """SHA-256 of features, labels and speakers."""
        sha = hashlib.sha256(np.ascontiguousarray(self.clips.x, "<f4").tobytes())
        speakers = () if self.clips.speaker is None else self.clips.speaker
        sha.update("\n".join(map(str, (*self.emotions, *self.clips.label, *speakers))).encode())
        return sha.hexdigest()

    def for_classes(self, classes: Sequence[str]) -> Clips:
        """Returns the clips with labels as indices into `classes`; others have the label `OTHER`."""
        index = {name: i for i, name in enumerate(classes)}
        labels = np.array([index.get(name, OTHER) for name in self.emotions], int)
        return self.clips._replace(label=labels[self.clips.label])


def parse(text: str) -> tuple[str, ...]:
    """Returns the names and paths of a list with commas; "" or "none" for no source."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def read(names: Sequence[str], feature_names: Sequence[str], made: Mapping[str, Any]) -> tuple[Source, ...]:
    """Returns the sources by name or path, a source for each corpus of a table.

    Raises InputError where a table cannot be read, has other features than `feature_names` and `made` say, is
    standardised, or holds no labelled clip; and for a corpus that occurs twice.
    """
    sources: list[Source] = []
    for name in names:
        table = dataset.read(name, "", "", "whisper", ())
        check_features(name, table, feature_names, made)
        table = table.select(table.emotion != "")
        if not len(table):
            raise InputError(f"{name}: no labelled clip; expected a table with emotions")
        for corpus in dict.fromkeys(table.corpus.tolist()):
            if corpus in {source.name for source in sources}:
                raise InputError(f"source {name}: corpus {corpus!r} is there twice; give each corpus once")
            sources.append(_of_table(corpus, name, table.select(table.corpus == corpus)))
    return tuple(sources)


def _of_table(corpus: str, name: str, table: FeatureTable) -> Source:
    emotions, label = np.unique(table.emotion, return_inverse=True)
    speaker = np.asarray(table.speaker, object) if (table.speaker != "").all() else None
    clips = Clips(table.features, label.astype(int), speaker)
    return Source(corpus, name if name in shipped.SHIPPED else "", tuple(emotions.tolist()), clips)


def check_features(name: str, table: FeatureTable, feature_names: Sequence[str], made: Mapping[str, Any]) -> None:
    """Raises InputError unless the table holds the features that a model uses, as extracted."""
    differ = [
        f"{text} {table.made[key]!r:.60}, not {made[key]!r:.60}"
        for key, text in RECORDED.items()
        if key in table.made and key in made and table.made[key] != made[key]
    ]
    if not differ and tuple(table.feature_names) != tuple(feature_names):
        differ = [f"{len(table.feature_names)} columns, first {table.feature_names[0]!r:.60}"]
    if not differ and table.made.get("scaled", "none") != "none":
        differ = ["its columns came standardised"]
    if differ:
        raise InputError(f"{name}: its features are not those of the model: {'; '.join(differ)}; extract them again "
                         "with siamese-jax extract --features=whisper")  # fmt: skip

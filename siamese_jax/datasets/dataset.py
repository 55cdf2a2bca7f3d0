"""A feature table as an experiment sees it: its classes, speakers and duplicates as numbers, checked by name."""

import dataclasses
from collections import Counter

import numpy as np

from siamese_jax.datasets import shipped, table_files
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The clips of one corpus.

    Fields:
      name: of the corpus ("emodb").
      full_table: the whole table, whatever the emotion; scaling by corpus and by speaker sees it all.
      rows: [N] int, the clips of the experiment's emotions, rows of `full_table`.
      label: [N] int, class of each of them, an index into the emotions.
      speaker: [N] int, an index into `speakers`.
      speakers: S names, sorted.
      duplicate: [N] int, shared by clips with the same samples.
    """

    name: str
    full_table: FeatureTable
    rows: np.ndarray
    label: np.ndarray
    speaker: np.ndarray
    speakers: tuple[str, ...]
    duplicate: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> FeatureTable:
        """The clips of the experiment's emotions."""
        return self.full_table.select(self.rows)

    @property
    def already_scaled(self) -> bool:
        """Whether the table came standardised over its corpus, so that its original values cannot be had back."""
        return self.full_table.made.get("scaled", "none") != "none"


def load(table: str, corpus: str, companion: str, emotions: tuple[str, ...]) -> Dataset:
    """Reads a table, shipped (by name) or from a path, and keeps the clips of `emotions`.

    Raises:
      InputError: the table cannot be read, or an emotion has no clip in it.
    """
    path = shipped.shipped(table) if table in shipped.SHIPPED else table
    return from_table(table_files.read_table(path, corpus or None, companion or None), emotions, str(path))


def from_table(full_table: FeatureTable, emotions: tuple[str, ...], where: str) -> Dataset:
    """The dataset of a table; `where` names it in messages. Raises InputError where an emotion has no clip."""
    counts = Counter(full_table.emotion.tolist())
    for emotion in emotions:
        if not counts[emotion]:
            found = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items()))
            raise InputError(
                f"{where}: no clip of {emotion!r}; it holds {found}. Change config.data.emotions or the table"
            )
    rows = np.flatnonzero(np.isin(full_table.emotion, emotions))
    speakers = sorted(set(full_table.speaker[rows].tolist()))
    number_of = {name: i for i, name in enumerate(speakers)}
    names = sorted(set(full_table.corpus[rows].tolist()))
    return Dataset(
        name="+".join(names),
        full_table=full_table,
        rows=rows,
        label=np.array([emotions.index(e) for e in full_table.emotion[rows]], np.int32),
        speaker=np.array([number_of[s] for s in full_table.speaker[rows]], np.int32),
        speakers=tuple(speakers),
        duplicate=table_files.duplicates(full_table)[rows],
    )


def check_protocol(dataset: Dataset, emotions: tuple[str, ...], most_drawn: int, where: str) -> None:
    """Checks that a target can be drawn from and tested on.

    Raises:
      InputError: too few speakers hold a clip of every emotion for `most_drawn` to be drawn and one to be left for
        the speaker-disjoint test; or an emotion has a single speaker, so that leaving that one out leaves no clip to
        train on.
    """
    has_SxC = np.zeros((len(dataset.speakers), len(emotions)), bool)
    has_SxC[dataset.speaker, dataset.label] = True
    complete = int(has_SxC.all(axis=1).sum())
    if complete <= most_drawn:
        lacking = [s for s, row in zip(dataset.speakers, has_SxC) if not row.all()]
        raise InputError(
            f"{where}: {complete} of {len(dataset.speakers)} speakers have a clip of every emotion; drawing "
            f"{most_drawn} needs at least {most_drawn + 1}, one being left to test on. Lower config.protocol.n_speakers"
            + (f" or add clips for {', '.join(lacking[:5])}" if lacking else "")
        )
    for emotion, n_speakers in zip(emotions, has_SxC.sum(axis=0)):
        if n_speakers < 2:
            raise InputError(
                f"{where}: {emotion!r} has clips of {n_speakers} speaker only; leaving one speaker out needs at least 2"
            )


def check_same_features(source: Dataset, target: Dataset) -> None:
    """Checks that two tables describe their clips by the same columns in the same order; raises InputError."""
    a, b = source.full_table.feature_names, target.full_table.feature_names
    if a == b:
        return
    only_a, only_b = [n for n in a if n not in b], [n for n in b if n not in a]
    if only_a or only_b:
        what = f"{source.name} alone has {only_a[:3]}, {target.name} alone has {only_b[:3]}"
    else:
        what = "the order of the columns differs"
    raise InputError(
        f"the tables of {source.name} ({len(a)} features) and {target.name} ({len(b)}) do not match: {what}. "
        "Extract both with the same program"
    )

"""Several sources as one dataset: each corpus is scaled by itself and has its share of the weight."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from siamese_jax.corpora.csv_files import repeated, some
from siamese_jax.corpora.scanning import is_file
from siamese_jax.datasets import dataset as datasets
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.feature_table import COLUMNS, FeatureTable
from siamese_jax.datasets.shared_recordings import shared_recordings
from siamese_jax.errors import InputError
from siamese_jax.runtime.files import user_path


class SourceName(NamedTuple):
    """A source as the configuration names it.

    Fields:
      table: a shipped table's name, or a path. corpus: the table's corpus to take, or that of its clip names; or "".
      companion: a CSV with its labels, or "". label: the source's name in messages.
    """

    table: str
    corpus: str
    companion: str
    label: str


def source_names(source: str, corpus: str, companion: str) -> list[SourceName]:
    """Returns the sources that config.data.source, source_corpus and source_companion name, separated by commas.

    A path that holds a comma and is a file is one source. Raises InputError where a name is empty or doubled, or there
    are several sources and another number of corpora or companions.
    """
    tables = [source] if is_file(user_path(source)) else [part.strip() for part in source.split(",")]
    if len(tables) == 1:
        return [SourceName(tables[0], corpus, companion, tables[0])]
    if "" in tables:
        raise InputError(f"config.data.source is {source!r}: a name is empty; give names or paths separated by commas")
    columns = [tables]
    for field, text in (("source_corpus", corpus), ("source_companion", companion)):
        parts = [part.strip() for part in text.split(",")] if text else [""] * len(tables)
        if len(parts) != len(tables):
            raise InputError(
                f"config.data.{field} is {text!r}, {len(parts)} for {len(tables)} sources ({source}); give one for "
                f"each source in the same order, empty for none, such as {','.join([*[''] * (len(tables) - 1), 'x'])!r}"
            )
        columns.append(parts)
    named = [
        SourceName(table, corpus, companion, f"{table} ({corpus})" if corpus else table)
        for table, corpus, companion in zip(*columns)
    ]
    if doubled := repeated(name.label for name in named):
        raise InputError(f"config.data.source gives {some(doubled)} more than once; give each source once")
    return named


def mixture(sources: Sequence[Dataset], names: Sequence[str], weights: tuple[float, ...]) -> Dataset:
    """Returns the sources as one dataset, in the order of their corpora's names; a single source as it is.

    `names` are the sources' in messages. `weights` are the shares of the sources in their order, () for equal shares.

    Raises InputError for another number of weights, and where sources share a corpus or recordings, or their features
    differ.
    """
    if weights and len(weights) != len(sources):
        raise InputError(
            f"config.data.source_weights holds {len(weights)} for {len(sources)} sources ({', '.join(names)}); give "
            "one for each source in the same order, or () for equal weights"
        )
    if len(sources) == 1:
        return sources[0]
    _check_distinct(sources, names)
    shares = np.array(weights or [1.0] * len(sources)) / sum(weights or [1.0] * len(sources))
    order = sorted(range(len(sources)), key=lambda k: sources[k].name)
    sources, shares = [sources[k] for k in order], shares[order]
    table = _concatenated([source.full_table for source in sources])
    starts = np.cumsum([0, *(len(source.full_table) for source in sources)])
    # Speakers of two corpora are two people, whatever their ids.
    first_speaker = np.cumsum([0, *(len(source.speakers) for source in sources)])
    return Dataset(
        name="+".join(source.name for source in sources),
        full_table=table,
        rows=np.concatenate([source.rows + start for source, start in zip(sources, starts)]),
        label=np.concatenate([source.label for source in sources]),
        speaker=np.concatenate([s.speaker + n for s, n in zip(sources, first_speaker)]).astype(np.int32),
        speakers=tuple(speaker for source in sources for speaker in source.speakers),
        duplicate=np.concatenate([source.duplicate + start for source, start in zip(sources, starts)]),
        corpora=tuple(source.name for source in sources),
        corpus=np.repeat(np.arange(len(sources), dtype=np.int32), [len(source.full_table) for source in sources]),
        weights=tuple(shares.tolist()),
    )


def part(source: Dataset, k: int) -> Dataset:
    """Returns the corpus of number k of a mixture as a dataset of its own."""
    in_table, own = np.flatnonzero(source.corpus == k), source.corpus[source.rows] == k
    known, speaker = np.unique(source.speaker[own], return_inverse=True)
    return Dataset(
        name=source.corpora[k],
        full_table=source.full_table.select(in_table),
        rows=np.searchsorted(in_table, source.rows[own]),
        label=source.label[own],
        speaker=speaker.astype(np.int32),
        speakers=tuple(source.speakers[s] for s in known),
        duplicate=source.duplicate[own],
        corpora=(source.corpora[k],),
        corpus=np.zeros(len(in_table), np.int32),
        weights=(1.0,),
    )


def _check_distinct(sources: Sequence[Dataset], names: Sequence[str]) -> None:
    """Raises InputError where two sources have a corpus or recordings in common, or different features."""
    for i, (second, name) in enumerate(zip(sources, names)):
        for first, first_name in zip(sources[:i], names):
            corpora = sorted(set(first.full_table.corpus.tolist()) & set(second.full_table.corpus.tolist()))
            if corpora:
                raise InputError(
                    f"the sources {first_name} and {name} both hold clips of corpus {corpora[0]!r}; give each corpus "
                    "once, or name the corpora differently if they are not the same"
                )
            datasets.check_same_features(first, second)
            if shared := shared_recordings(first.full_table, second.full_table):
                clips = second.full_table.clip[shared.rows[0]], first.full_table.clip[shared.others[0]]
                raise InputError(
                    f"the source {name} holds {len(shared)} recordings of the source {first_name} (first: {clips[0]} "
                    f"and {clips[1]}, of equal {shared.reasons[0]}); give each recording once"
                )


def _concatenated(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Returns one table; `made` keeps what all tables say, and that some came scaled."""
    made: dict[str, Any] = {
        key: value for key, value in tables[0].made.items() if all(table.made.get(key) == value for table in tables)
    }
    scaled = {table.made.get("scaled", "none") for table in tables}
    return FeatureTable(
        features=np.concatenate([table.features for table in tables]),
        feature_names=tables[0].feature_names,
        made={**made, "scaled": scaled.pop() if len(scaled) == 1 else "in part"},
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS},
    )

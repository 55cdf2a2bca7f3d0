"""Emotion, speaker and corpus for the rows of a feature table that another program wrote."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from siamese_jax.corpora import adapters
from siamese_jax.corpora.csv_files import read_csv, some
from siamese_jax.corpora.manifest import EMOTIONS, SEXES, unknown_label, with_corpus
from siamese_jax.corpora.scanning import SUFFIXES
from siamese_jax.errors import InputError

LABEL_COLUMNS = ("emotion", "speaker", "corpus", "sex")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table: its line (or index), the clip's id, and the labels that the table itself holds."""

    number: int
    id: str
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RowLabel:
    """What is known of a row's clip; fields as in `feature_table.FeatureTable`."""

    name: str
    emotion: str
    speaker: str
    corpus: str
    sex: str


def label_rows(
    path: Path, rows: list[Row], corpus: str | None, companion: str | Path | None
) -> tuple[list[int], list[RowLabel], str]:
    """Labels for a table's rows: from the companion, else from the table's own columns, else from the clip ids.

    Returns:
      The indices of the kept rows, their labels, and where these come from. Rows are dropped only where the
      ids are read and belong to another known corpus.

    Raises:
      InputError: nothing says what the clips are; a row without a label; an unknown emotion; an id that is no name
        of any known corpus.
    """
    if not rows:
        raise InputError(f"{path}: no rows below the header; expected one row a clip")
    if companion is not None:
        return list(range(len(rows))), _from_companion(path, rows, corpus, Path(companion)), "companion"
    if {"emotion", "speaker"} <= rows[0].given.keys():
        labels = [_label(f"{path}, row {row.number}", _bare(row.id), row.given, corpus or path.stem) for row in rows]
        return list(range(len(rows))), labels, "columns"
    if corpus is None:
        raise InputError(
            f"{path}: holds clip ids (first: {rows[0].id}) but no emotion and speaker; name the corpus "
            f"({', '.join(adapters.NAME_PARSERS)}) or give a companion CSV with clip, emotion, speaker"
        )
    return *_from_ids(path, rows, corpus), "clip id"


def _from_ids(path: Path, rows: list[Row], corpus: str) -> tuple[list[int], list[RowLabel]]:
    parse = adapters.name_parser(corpus)
    kept, labels, strange = [], [], []
    for index, row in enumerate(rows):
        label = parse(row.id)
        if label is not None:
            kept.append(index)
            labels.append(RowLabel(corpus=corpus, **dataclasses.asdict(label)))
        elif not any(other(row.id) for other in adapters.NAME_PARSERS.values()):
            strange.append(f"row {row.number}: {row.id!r}")
    if strange:
        raise InputError(
            f"{path}: ids that are no clip names of {corpus} or any other known corpus: {some(strange)}; "
            "correct them or give a companion CSV with clip, emotion, speaker"
        )
    if not kept:
        raise InputError(f"{path}: no clip ids of {corpus} (first: {rows[0].id}); name the right corpus")
    return kept, labels


def _from_companion(path: Path, rows: list[Row], corpus: str | None, companion: Path) -> list[RowLabel]:
    entries = list(read_csv(companion, ("emotion", "speaker"), ("clip", "file", "corpus", "sex")))
    if not entries:
        raise InputError(f"{companion}: no rows below the header; expected one row a clip")
    field = next((name for name in ("clip", "file", "name") if name in entries[0][1]), None)
    if field is None:
        raise InputError(f"{companion}, row 1: no column clip or file; add one with the ids of {path.name}")
    by_key: dict[str, set[int]] = defaultdict(set)
    for index, (_, entry) in enumerate(entries):
        for key in _keys(entry[field]):
            by_key[key].add(index)
    labels, missing = [], []
    for row in rows:
        found = next((by_key[key] for key in _keys(row.id) if key in by_key), set())
        if len(found) > 1:
            numbers = ", ".join(str(entries[index][0]) for index in sorted(found))
            raise InputError(f"{companion}, rows {numbers}: all fit clip {row.id!r}; give each clip one row")
        if not found:
            missing.append(row.id)
            continue
        number, entry = entries[found.pop()]
        labels.append(_label(f"{companion}, row {number}", _bare(entry[field]), entry, corpus or companion.stem))
    if missing:
        raise InputError(f"{companion}: no row for {len(missing)} clips of {path.name}: {some(missing)}; add them")
    return labels


def _label(where: str, name: str, given: Mapping[str, str], corpus: str) -> RowLabel:
    emotion, speaker, sex = given["emotion"], given["speaker"], given.get("sex", "")
    if emotion not in EMOTIONS:
        raise InputError(f"{where}, emotion: {unknown_label(emotion)}")
    if not speaker:
        raise InputError(f"{where}, speaker: is empty; fill it in")
    if sex.lower() not in SEXES:
        raise InputError(f"{where}, sex: {sex!r}, expected female, male or nothing")
    corpus = given.get("corpus") or corpus
    return RowLabel(name, emotion, with_corpus(speaker, corpus), corpus, SEXES[sex.lower()])


def _keys(clip: str) -> list[str]:
    """Ways to write a clip, the exact one first: as it stands, without the suffix, without the folder."""
    return [clip, _bare(clip), PurePosixPath(_bare(clip)).name]


def _bare(clip: str) -> str:
    path = PurePosixPath(clip.replace("\\", "/"))
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else str(path)

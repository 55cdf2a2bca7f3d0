"""The labels of other programs' tables: from a companion CSV, the table's own columns, or its clip ids."""

import ast
import contextlib
import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

import pandas as pd

from siamese_jax.corpora import adapters, csv_files
from siamese_jax.corpora.csv_files import require_columns, some
from siamese_jax.corpora.manifest import EMOTIONS, SEXES, unknown_label, with_corpus
from siamese_jax.corpora.scanning import SUFFIXES
from siamese_jax.corpora.spelling import nfc
from siamese_jax.errors import InputError
from siamese_jax.runtime.files import user_path

LABEL_COLUMNS = ("emotion", "speaker", "corpus", "sex")

_MOST_COLUMNS = 20_000
"""More columns than any set of features has: openSMILE's largest has 6,373."""

_BYTES = re.compile(r"""b(['"]).*\1""", re.DOTALL)
"""A text as Python prints bytes: ids that were written as bytes hold it."""


def plain_text(text: str) -> str:
    r"""Returns a cell in composed form (NFC), and of "b'caf\xc3\xa9'", which Python prints for bytes, the text."""
    if _BYTES.fullmatch(text):
        with contextlib.suppress(SyntaxError, ValueError):  # it only looks like bytes
            text = ast.literal_eval(text).decode("utf-8")
    return nfc(text)


def read_cells(path: Path) -> pd.DataFrame:
    """Returns the stripped cells of a CSV, indexed by row number (the first line is row 1), without blank rows."""
    header, first, rows = csv_files.read_cells(path)
    if len(header) > _MOST_COLUMNS:
        raise InputError(f"{path}, row {first}: {len(header):,} columns; expected at most {_MOST_COLUMNS:,}")
    return pd.DataFrame([cells for _, cells in rows], [number for number, _ in rows], header, dtype=object)


def label_rows(
    path: Path, rows: pd.DataFrame, corpus: str | None, companion: str | Path | None
) -> tuple[pd.DataFrame, str]:
    """Returns clip, emotion, speaker, corpus and sex by row, and their origin: the companion, else the table's own
    columns, else the clip ids. Only with ids are rows dropped: those of another known corpus."""
    if rows.empty:
        raise InputError(f"{path}: no rows below the header; expected one row for each clip")
    if companion is not None:
        return _from_companion(path, rows, corpus, user_path(companion)), "companion"
    if {"emotion", "speaker"} <= set(rows):
        return _checked_labels(path, rows, "id", corpus or path.stem), "columns"
    if corpus is None:
        raise InputError(
            f"{path}: holds clip ids (first: {rows['id'].iloc[0]}) but no emotion and speaker; name the corpus "
            f"({', '.join(adapters.NAME_PARSERS)}; config.data.source_corpus or target_corpus), or give a companion "
            "CSV with clip, emotion, speaker (config.data.source_companion or target_companion)"
        )
    return _from_ids(path, rows["id"], corpus), "clip id"


def _from_ids(path: Path, ids: pd.Series, corpus: str) -> pd.DataFrame:
    parse, ids = adapters.name_parser(corpus), ids.str.replace("\\", "/")
    labels = {number: label for number, name in ids.items() if (label := parse(name)) is not None}
    unknown = [
        f"row {number}: {name!r}"
        for number, name in ids.items()
        if number not in labels and not any(other(name) for other in adapters.NAME_PARSERS.values())
    ]
    if unknown:
        raise InputError(
            f"{path}: ids that are no clip names of {corpus} or any other known corpus: {some(unknown)}; correct them, "
            "or give a companion CSV with clip, emotion, speaker (config.data.source_companion or target_companion)"
        )
    if not labels:
        raise InputError(
            f"{path}: no clip ids of {corpus} (first: {ids.iloc[0]}); name the right corpus "
            "(config.data.source_corpus or target_corpus)"
        )
    frame = pd.DataFrame(list(labels.values()), index=list(labels))
    return frame.rename(columns={"name": "clip"}).assign(corpus=corpus)


def _from_companion(path: Path, rows: pd.DataFrame, corpus: str | None, companion: Path) -> pd.DataFrame:
    entries = read_cells(companion).rename(columns=str.lower)
    require_columns(companion, list(entries), ("emotion", "speaker"), ("clip", "file", "corpus", "sex"))
    if entries.empty:
        raise InputError(f"{companion}: no rows below the header; expected one row for each clip")
    field = next((name for name in ("clip", "file", "name") if name in entries), None)
    if field is None:
        raise InputError(f"{companion}, row 1: no column clip or file; add one with the ids of {path.name}")
    texts = [name for name in (field, *LABEL_COLUMNS) if name in entries]
    entries[texts] = entries[texts].map(plain_text)
    numbers_of: dict[str, set[int]] = defaultdict(set)
    for number, clip in entries[field].items():
        for key in _spellings(clip):
            numbers_of[key].add(number)
    matched: list[int] = []
    missing: list[str] = []
    for name in rows["id"]:
        numbers = next((numbers_of[key] for key in _spellings(name) if key in numbers_of), set())
        if len(numbers) > 1:
            listed = ", ".join(map(str, sorted(numbers)))
            raise InputError(f"{companion}, rows {listed}: all match clip {name!r}; give each clip one row")
        matched += numbers
        missing += [] if numbers else [name]
    if missing:
        raise InputError(f"{companion}: no row for {len(missing)} clips of {path.name}: {some(missing)}; add them")
    return _checked_labels(companion, entries.loc[matched], field, corpus or companion.stem).set_axis(rows.index)


def _checked_labels(path: Path, rows: pd.DataFrame, id_column: str, corpus: str) -> pd.DataFrame:
    """Returns the labels of rows that hold emotion and speaker; `corpus` where the row names none."""
    labels = []
    for number, row in zip(rows.index, rows.to_dict("records")):
        sex = row.get("sex", "")
        if row["emotion"] not in ("", *EMOTIONS):  # a clip without emotion is unlabelled
            raise InputError(f"{path}, row {number}, emotion: {unknown_label(row['emotion'])}")
        if not row["speaker"]:
            raise InputError(f"{path}, row {number}, speaker: is empty; fill it in")
        if sex.lower() not in SEXES:
            raise InputError(f"{path}, row {number}, sex: {sex!r}, expected female, male or nothing")
        own = row.get("corpus") or corpus
        clip = _spellings(row[id_column])[1]
        if not PurePosixPath(clip).name:
            raise InputError(f"{path}, row {number}, {id_column}: {row[id_column]!r} names no clip; fill it in")
        labels.append((clip, row["emotion"], with_corpus(row["speaker"], own), own, SEXES[sex.lower()]))
    return pd.DataFrame(labels, columns=["clip", *LABEL_COLUMNS], index=rows.index)


def _spellings(clip: str) -> list[str]:
    """Returns the ways to write a clip, the exact one first: as given, without the suffix, without the folder."""
    path = PurePosixPath(clip.replace("\\", "/"))
    path = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return [clip, str(path), path.name]

"""Feature tables of other programs, CSV or npz, labelled by a companion CSV, their own columns or their clip ids."""

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from siamese_jax.corpora import adapters
from siamese_jax.corpora.csv_files import read_text, repeated, require_columns, separator, some
from siamese_jax.corpora.manifest import EMOTIONS, SEXES, unknown_label, with_corpus
from siamese_jax.corpora.scanning import SUFFIXES
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError
from siamese_jax.features.is09 import FEATURE_NAMES
from siamese_jax.runtime.files import user_path

_ID_COLUMNS = ("id", "clip", "name", "file", "filename")
_LABEL_COLUMNS = ("emotion", "speaker", "corpus", "sex")
_TIME_COLUMNS = ("frametime", "frameindex", "start", "end")
"""Columns of openSMILE's output that are no features."""

_FUNCTIONALS = (
    "max", "min", "range", "maxPos", "minPos", "amean", "linregc1", "linregc2", "linregerrQ", "stddev", "skewness",
    "kurtosis",
)  # fmt: skip
_STEMS = {name.rpartition("_")[0] for name in FEATURE_NAMES}
_IS09_ALL = frozenset(f"{stem}_{functional}" for stem in _STEMS for functional in _FUNCTIONALS)
"""The 384 columns of the INTERSPEECH 2009 set."""

_SCALED_TOLERANCE = 1e-3  # published tables are rounded; raw features are off by orders of magnitude more


def read_external(
    path: Path, arrays: dict[str, np.ndarray] | None, corpus: str | None, companion: str | Path | None
) -> FeatureTable:
    """Returns the table of a CSV, or of the arrays of an npz; see `siamese_jax.datasets.table_files.read_table`.

    Raises InputError for a file that is no CSV, no or several clip columns, a missing or doubled column or row, a cell
    that is no finite number, an array that is missing or of another shape, a row without labels, an unknown emotion.
    """
    style, features, rows = _csv_rows(path) if arrays is None else _npz_rows(path, arrays)
    values = features.to_numpy()
    bad = [
        f"row {rows.index[row]} ({rows['id'].iloc[row]}), column {features.columns[column]}: {values[row, column]}"
        for row, column in np.argwhere(~(np.abs(values) <= np.finfo(np.float32).max))
    ]
    if bad:
        raise InputError(f"{path}: not finite: {some(bad)}; leave such clips out or compute them again")
    if doubled := repeated(rows["id"]):
        raise InputError(
            f"{path}: doubled rows: {some(doubled)}; expected one row for each clip (the option -instname of "
            "SMILExtract names clips)"
        )
    labels, source = _label_rows(path, rows, corpus, companion)
    return FeatureTable(
        features=values[rows.index.get_indexer(labels.index)].astype(np.float32),
        feature_names=tuple(features),
        audio_hash=np.full(len(labels), ""),
        made={
            "format": style,
            "file": path.name,
            "scaled": scaled_by(tuple(features), values),
            "labels_from": source,
            "rows_in_file": len(rows),
        },
        **{name: labels[name].to_numpy(dtype=np.str_) for name in ("clip", *_LABEL_COLUMNS)},
    )


def scaled_by(columns: Sequence[str], features: np.ndarray) -> str:
    """Returns how features [N, F] were standardised before they were written: "corpus" or "none".

    Either every column has mean 0 and standard deviation 1 (or 0), or the table is part of such a table: then
    columns that hold standard deviations are negative in places.
    """
    spreads = [column for column, name in enumerate(columns) if name.endswith("_stddev")]
    if (features[:, spreads] < 0.0).any():
        return "corpus"
    means, deviations = features.mean(axis=0), features.std(axis=0)
    # The deviation may have been taken with N - 1.
    unit = np.abs(deviations - 1.0) < _SCALED_TOLERANCE + 1.0 / len(features)
    centred = np.abs(means) < _SCALED_TOLERANCE
    return "corpus" if centred.all() and unit.any() and (unit | (deviations == 0.0)).all() else "none"


def _npz_rows(path: Path, arrays: dict[str, np.ndarray]) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """As `_csv_rows`, of `X` (or `features`) [N, F], `names` (or `clip`) [N] and `feature_names` [F], if given."""
    names = [next((name for name in pair if name in arrays), "") for pair in (("X", "features"), ("names", "clip"))]
    for name, expected in zip(names, ("X or features", "names or clip")):
        if not name:
            raise InputError(f"{path}: no array {expected} (found: {', '.join(arrays)}); add it")
    features, ids = (arrays[name] for name in names)
    if features.ndim != 2 or ids.shape != features.shape[:1] or features.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: features {features.shape} {features.dtype} and names {ids.shape}; expected real [N, F], [N]"
        )
    unnamed = [f"feature_{column:03d}" for column in range(features.shape[1])]
    columns = [str(name) for name in arrays.get("feature_names", unnamed)]
    if len(columns) != features.shape[1]:
        raise InputError(f"{path}: {len(columns)} feature_names for {features.shape[1]} columns; expected as many")
    chosen = _choose_columns(path, columns)
    values = features[:, chosen].astype(np.float64)
    rows = pd.DataFrame({"id": [str(name) for name in ids]})
    return "npz", pd.DataFrame(values, columns=[columns[column] for column in chosen]), rows


def _csv_rows(path: Path) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Returns the table's style, features [N, F] float64, and rows: `id` and the label columns that the file has."""
    cells = _read_cells(path)
    if doubled := repeated(cells):
        raise InputError(f"{path}, row 1: doubled columns {some(doubled)}; keep one of each")
    names = {name.lower(): name for name in cells}
    ids = [name for name in _ID_COLUMNS if name in names]
    if len(ids) != 1:
        raise InputError(
            f"{path}, row 1: {len(ids)} columns for the clip; expected exactly one of {', '.join(_ID_COLUMNS)}"
        )
    # A nameless first column is the row number that pandas writes.
    others = {*_ID_COLUMNS, *_TIME_COLUMNS, *_LABEL_COLUMNS, ""}
    candidates = [name for name in cells if name.lower() not in others]
    columns = [candidates[column] for column in _choose_columns(path, candidates)]
    style = "opensmile_csv" if names.keys() & set(_TIME_COLUMNS) else "csv"
    if columns == list(FEATURE_NAMES) and ids[0] == "id":
        style = "authors_csv"
    features = pd.DataFrame(_numbers(path, cells[columns]), cells.index, columns)
    # SMILExtract puts names in single quotes.
    labels = {label: cells[names[label]] for label in _LABEL_COLUMNS if label in names}
    return style, features, pd.DataFrame({"id": cells[names[ids[0]]].str.strip("'\" ")} | labels)


def _choose_columns(path: Path, names: Sequence[str]) -> list[int]:
    """Returns the columns to take: of the INTERSPEECH 2009 set the 64 means and standard deviations, in openSMILE's
    order; of any other set, all. Raises InputError for no columns, or most but not all of the 64."""
    if not names:
        raise InputError(f"{path}: no feature columns; expected columns of numbers after the labels")
    missing = [name for name in FEATURE_NAMES if name not in names]
    if missing and len(missing) < len(FEATURE_NAMES) // 2:
        raise InputError(
            f"{path}: missing columns {some(missing)}; expected all 64 `_amean` and `_stddev` columns of the "
            "INTERSPEECH 2009 set, so compute the table again"
        )
    if missing or not set(names) <= _IS09_ALL:
        return list(range(len(names)))
    return [names.index(name) for name in FEATURE_NAMES]


def _read_cells(path: Path) -> pd.DataFrame:
    """Returns the stripped cells of a CSV, indexed by row number (the header is row 1), without blank rows."""
    text = read_text(path)
    # The Python engine tells short rows (NaN) from empty cells. With header=None doubled columns keep their names, and
    # no column becomes the index.
    how = {"header": None, "keep_default_na": False, "skip_blank_lines": False, "engine": "python"}
    try:
        cells = pd.read_csv(io.StringIO(text), sep=separator(text), dtype=str, **how)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"{path}: not a CSV with as many cells in each row as in the header ({error}); put quotes around cells "
            "that hold the separator"
        ) from error
    cells = cells.apply(lambda column: column.str.strip())
    cells.index += 1
    cells = cells.set_axis(cells.loc[1].to_list(), axis=1).drop(index=1)
    cells = cells[~(cells.fillna("") == "").all(axis=1)]
    lengths = cells.count(axis=1)
    short = lengths.index[lengths < cells.shape[1]]
    if len(short):
        raise InputError(
            f"{path}, row {short[0]}: {lengths[short[0]]} cells, the header has {cells.shape[1]}; expected as "
            "many, empty cells included"
        )
    return cells


def _numbers(path: Path, cells: pd.DataFrame) -> np.ndarray:
    """Returns the cells as float64 [N, F]. Raises InputError naming row and column of each cell that is no number."""
    try:
        return cells.to_numpy(dtype=object).astype(np.float64, order="C")
    except ValueError as error:
        texts = cells.stack().items()
        bad = [f"row {row}, column {name}: {text!r}" for (row, name), text in texts if not _is_number(text)]
        raise InputError(f"{path}: no numbers: {some(bad)}; remove the column or compute the table again") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _label_rows(
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
    parse = adapters.name_parser(corpus)
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
    entries = _read_cells(companion).rename(columns=str.lower)
    require_columns(companion, list(entries), ("emotion", "speaker"), ("clip", "file", "corpus", "sex"))
    if entries.empty:
        raise InputError(f"{companion}: no rows below the header; expected one row for each clip")
    field = next((name for name in ("clip", "file", "name") if name in entries), None)
    if field is None:
        raise InputError(f"{companion}, row 1: no column clip or file; add one with the ids of {path.name}")
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
        if row["emotion"] and row["emotion"] not in EMOTIONS:
            raise InputError(f"{path}, row {number}, emotion: {unknown_label(row['emotion'])}")
        if not row["speaker"]:
            raise InputError(f"{path}, row {number}, speaker: is empty; fill it in")
        if sex.lower() not in SEXES:
            raise InputError(f"{path}, row {number}, sex: {sex!r}, expected female, male or nothing")
        own = row.get("corpus") or corpus
        clip = _spellings(row[id_column])[1]
        labels.append((clip, row["emotion"], with_corpus(row["speaker"], own), own, SEXES[sex.lower()]))
    return pd.DataFrame(labels, columns=["clip", *_LABEL_COLUMNS], index=rows.index)


def _spellings(clip: str) -> list[str]:
    """Returns the ways to write a clip, the exact one first: as given, without the suffix, without the folder."""
    path = PurePosixPath(clip.replace("\\", "/"))
    path = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return [clip, str(path), path.name]

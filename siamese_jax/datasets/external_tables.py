"""Feature tables that other programs wrote."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamese_jax.corpora.csv_files import read_cells, some
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.row_labels import LABEL_COLUMNS, Row, label_rows
from siamese_jax.errors import InputError
from siamese_jax.features.is09 import FEATURE_NAMES

_ID_COLUMNS = ("id", "clip", "name", "file", "filename")
_TIME_COLUMNS = ("frametime", "frameindex", "start", "end")
"""Columns of openSMILE's output that are no features."""

_IS09_FUNCTIONALS = (
    "max", "min", "range", "maxPos", "minPos", "amean", "linregc1", "linregc2", "linregerrQ", "stddev", "skewness",
    "kurtosis",
)  # fmt: skip
_IS09_ALL = frozenset(
    name.removesuffix("amean") + functional
    for name in FEATURE_NAMES
    if name.endswith("amean")
    for functional in _IS09_FUNCTIONALS
)
"""The 384 columns of the INTERSPEECH 2009 set."""

_SCALED_TOLERANCE = 1e-3  # published tables are rounded; raw features are off by orders of magnitude more


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz, none of them unpickled.

    Raises:
      InputError: the file is cut short, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as npz ({error}); write it again, without Python objects") from error


def read_npz_table(
    path: Path, arrays: dict[str, np.ndarray], corpus: str | None, companion: str | Path | None
) -> FeatureTable:
    """A table of an npz with `X` (or `features`) [N, F] and `names` (or `clip`) [N]; `feature_names` [F] if there.

    Raises:
      InputError: an array is missing or of another shape; as `siamese_jax.datasets.row_labels.label_rows`.
    """
    features, ids = (_first_of(path, arrays, keys) for keys in (("X", "features"), ("names", "clip")))
    if features.ndim != 2 or ids.shape != features.shape[:1] or not np.issubdtype(features.dtype, np.number):
        raise InputError(
            f"{path}: features {features.shape} {features.dtype} and names {ids.shape}; expected numbers [N, F], [N]"
        )
    if "feature_names" in arrays:
        columns = [str(name) for name in arrays["feature_names"]]
    else:
        columns = [f"feature_{column:03d}" for column in range(features.shape[1])]
    if len(columns) != features.shape[1]:
        raise InputError(f"{path}: {len(columns)} feature_names for {features.shape[1]} columns; expected as many")
    chosen = choose_columns(path, columns)
    rows = [Row(number, str(name)) for number, name in enumerate(ids)]
    values = features[:, chosen].astype(np.float64)
    return _table(path, "npz", [columns[column] for column in chosen], values, rows, corpus, companion)


def read_csv_table(path: Path, corpus: str | None, companion: str | Path | None) -> FeatureTable:
    """A table of a CSV: see `siamese_jax.datasets.table_files.read_table`.

    Raises:
      InputError: not a CSV; no or several clip columns; a missing or doubled column; a cell that is no number; as
        `siamese_jax.datasets.row_labels.label_rows`.
    """
    header, body = read_cells(path)
    doubled = [name for name, count in Counter(header).items() if count > 1]
    if doubled:
        raise InputError(f"{path}, row 1: doubled columns {some(doubled)}; keep one of each")
    where = {name.lower(): column for column, name in enumerate(header)}
    ids = [name for name in _ID_COLUMNS if name in where]
    if len(ids) != 1:
        raise InputError(
            f"{path}, row 1: {len(ids)} columns for the clip; expected exactly one of {', '.join(_ID_COLUMNS)}"
        )
    # A nameless first column is the row number that pandas writes.
    other = {*_ID_COLUMNS, *_TIME_COLUMNS, *LABEL_COLUMNS, ""}
    features = [name for name in header if name.lower() not in other]
    chosen = [features[column] for column in choose_columns(path, features)]
    values = _numbers(
        path, chosen, [(number, [cells[header.index(name)] for name in chosen]) for number, cells in body]
    )
    labels = [name for name in LABEL_COLUMNS if name in where]
    rows = [
        # SMILExtract puts names in single quotes.
        Row(number, cells[where[ids[0]]].strip("'\" "), {name: cells[where[name]] for name in labels})
        for number, cells in body
    ]
    if chosen == list(FEATURE_NAMES) and ids[0] == "id":
        style = "authors_csv"
    else:
        style = "opensmile_csv" if where.keys() & set(_TIME_COLUMNS) else "csv"
    return _table(path, style, chosen, values, rows, corpus, companion)


def choose_columns(path: Path, names: Sequence[str]) -> list[int]:
    """Indices of the columns to take: of the INTERSPEECH 2009 set the 64 means and standard deviations, in
    openSMILE's order; of any other set, all.

    Raises:
      InputError: no columns, or most of the 64 are there but not all.
    """
    if not names:
        raise InputError(f"{path}: no feature columns")
    missing = [name for name in FEATURE_NAMES if name not in names]
    if missing and len(missing) < len(FEATURE_NAMES) // 2:
        raise InputError(
            f"{path}: missing columns {some(missing)}; expected all 64 `_amean` and `_stddev` columns of the "
            "INTERSPEECH 2009 set, so compute the table again"
        )
    if missing or not set(names) <= _IS09_ALL:
        return list(range(len(names)))
    return [names.index(name) for name in FEATURE_NAMES]


def scaled_by(columns: Sequence[str], features: np.ndarray) -> str:
    """Whether features [N, F] were standardised before they were written: "corpus" or "none".

    Either every column has mean 0 and standard deviation 1 (or 0), or the table is a part of one that had: then
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


def _table(
    path: Path,
    style: str,
    columns: Sequence[str],
    values: np.ndarray,
    rows: list[Row],
    corpus: str | None,
    companion: str | Path | None,
) -> FeatureTable:
    bad = [
        f"row {rows[row].number} ({rows[row].id}), column {columns[column]}: {values[row, column]}"
        for row, column in np.argwhere(~(np.abs(values) <= np.finfo(np.float32).max))
    ]
    if bad:
        raise InputError(f"{path}: not finite: {some(bad)}; leave such clips out or compute them again")
    doubled = [str(name) for name, count in Counter(row.id for row in rows).items() if count > 1]
    if doubled:
        raise InputError(
            f"{path}: doubled rows: {some(doubled)}; one row a clip is expected (SMILExtract names clips by -instname)"
        )
    kept, labels, source = label_rows(path, rows, corpus, companion)
    made = {
        "format": style,
        "file": path.name,
        "scaled": scaled_by(columns, values),
        "labels_from": source,
        "rows_in_file": len(rows),
    }

    def column(field: str) -> np.ndarray:
        return np.asarray([getattr(label, field) for label in labels], dtype=np.str_)

    return FeatureTable(
        features=values[kept].astype(np.float32),
        feature_names=tuple(columns),
        clip=column("name"),
        emotion=column("emotion"),
        speaker=column("speaker"),
        corpus=column("corpus"),
        sex=column("sex"),
        audio_hash=np.full(len(labels), "", dtype=np.str_),
        made=made,
    )


def _numbers(path: Path, columns: Sequence[str], body: list[tuple[int, list[str]]]) -> np.ndarray:
    """The cells as float64 [N, F]."""
    try:
        return np.asarray([cells for _, cells in body], dtype=np.float64)
    except ValueError:
        bad = [
            f"row {number}, column {column}: {cell!r}"
            for number, cells in body
            for column, cell in zip(columns, cells)
            if not _is_number(cell)
        ]
    raise InputError(f"{path}: no numbers: {some(bad)}; remove the column or compute the table again")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _first_of(path: Path, arrays: dict[str, np.ndarray], keys: tuple[str, ...]) -> np.ndarray:
    for key in keys:
        if key in arrays:
            return arrays[key]
    raise InputError(f"{path}: no array {' or '.join(keys)} (found: {', '.join(arrays)}); add it")

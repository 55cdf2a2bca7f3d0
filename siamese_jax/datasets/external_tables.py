"""Feature tables of other programs, CSV or npz, labelled by a companion CSV, their own columns or their clip ids."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from siamese_jax.corpora.csv_files import repeated, some
from siamese_jax.datasets.external_labels import LABEL_COLUMNS, label_rows, plain_text, read_cells
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.npz_files import as_texts
from siamese_jax.errors import InputError
from siamese_jax.features.is09 import FEATURE_NAMES

_ID_COLUMNS = ("id", "clip", "name", "file", "filename")
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
    labels, source = label_rows(path, rows, corpus, companion)
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
        **{name: labels[name].to_numpy(dtype=np.str_) for name in ("clip", *LABEL_COLUMNS)},
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
    if features.ndim != 2 or ids.shape != features.shape[:1] or features.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: features {features.shape} {features.dtype} and names {ids.shape}; expected real numbers [N, F], "
            "[N]"
        )
    unnamed = np.array([f"feature_{column:03d}" for column in range(features.shape[1])], np.str_)
    named = as_texts(f"{path}: feature_names", arrays.get("feature_names", unnamed))
    if named.shape != unnamed.shape:
        raise InputError(f"{path}: feature_names {named.shape} for {len(unnamed)} columns; expected one for each")
    columns = named.tolist()
    if doubled := repeated(columns):
        raise InputError(f"{path}: doubled columns {some(doubled)}; keep one of each")
    chosen = _choose_columns(path, columns)
    values = features[:, chosen].astype(np.float64)
    texts = [plain_text(text) for text in as_texts(f"{path}: {names[1]}", ids).tolist()]
    rows = pd.DataFrame({"id": texts}, dtype=object)
    return "npz", pd.DataFrame(values, columns=[columns[column] for column in chosen]), rows


_ROW_NUMBER = re.compile(r"|index|level_0|unnamed: \d+")  # the row number that pandas writes


def _csv_rows(path: Path) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Returns the table's style, features [N, F] float64, and rows: `id` and the label columns that the file has."""
    cells = read_cells(path)
    if doubled := repeated(cells):
        raise InputError(f"{path}, row 1: doubled columns {some(doubled)}; keep one of each")
    names = {name.lower(): name for name in cells}
    ids = [name for name in _ID_COLUMNS if name in names]
    if len(ids) != 1:
        raise InputError(
            f"{path}, row 1: {len(ids)} columns for the clip; expected exactly one of {', '.join(_ID_COLUMNS)}"
        )
    others = {*_ID_COLUMNS, *_TIME_COLUMNS, *LABEL_COLUMNS}
    if doubled := repeated([name.lower() for name in cells if name.lower() in others]):
        raise InputError(f"{path}, row 1: doubled columns {some(doubled)}, but for letter case; keep one of each")
    candidates = [name for name in cells if name.lower() not in others and not _ROW_NUMBER.fullmatch(name.lower())]
    columns = [candidates[column] for column in _choose_columns(path, candidates)]
    style = "opensmile_csv" if names.keys() & set(_TIME_COLUMNS) else "csv"
    if columns == list(FEATURE_NAMES) and ids[0] == "id":
        style = "authors_csv"
    features = pd.DataFrame(_numbers(path, cells[columns]), cells.index, columns)
    labels = {label: cells[names[label]].map(plain_text) for label in LABEL_COLUMNS if label in names}
    # SMILExtract puts names in single quotes.
    return style, features, pd.DataFrame({"id": cells[names[ids[0]]].map(plain_text).str.strip("'\" ")} | labels)


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


def _numbers(path: Path, cells: pd.DataFrame) -> np.ndarray:
    """Returns the cells as float64 [N, F]. Raises InputError naming row and column of each cell that is no number."""
    values = cells.to_numpy(dtype=object)
    try:
        if any("_" in text for text in values.flat):  # 1_5 is a number to Python alone
            raise ValueError("an underscore")
        return values.astype(np.float64, order="C")
    except ValueError as error:
        texts = cells.stack().items()
        bad = [f"row {row}, column {name}: {text!r}" for (row, name), text in texts if not _is_number(text)]
        commas = any(_is_number(text.replace(",", ".")) for text in values.flat if "," in text)
        remedy = "write decimal points in place of commas" if commas else "remove the column or compute the table again"
        raise InputError(f"{path}: no numbers: {some(bad)}; {remedy}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text

"""Feature tables: our npz, written and read, and the entry to the tables of other programs.

Our npz holds the fields of `feature_table.FeatureTable` under their own names: numbers, NumPy unicode strings, and
`made` as JSON text. Nothing in it is pickled, so a table from a stranger cannot run code.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.csv_files import repeated, some
from siamese_jax.corpora.spelling import distinct_speakers, nfc
from siamese_jax.datasets.feature_table import COLUMNS, FeatureTable
from siamese_jax.datasets.npz_files import as_texts, check_texts, read_arrays
from siamese_jax.errors import InputError, first_line
from siamese_jax.runtime.files import atomic_path, user_path

_FIELDS = ("features", "feature_names", *COLUMNS, "made")


def write_table(path: str | Path, table: FeatureTable) -> None:
    """Writes the table to `path` (.npz) atomically; the same table gives the same bytes.

    Raises InputError where the path does not end in .npz, or the table breaks a rule of `check_table`.
    """
    path = npz_path(path)
    check_table(table, str(path))
    arrays: dict[str, Any] = {name: np.asarray(getattr(table, name), np.str_) for name in ("feature_names", *COLUMNS)}
    stored = np.float16 if table.features.dtype == np.float16 else np.float32
    arrays["features"] = np.asarray(table.features, dtype=stored)
    arrays["made"] = np.asarray(json.dumps(table.made, allow_nan=False, sort_keys=True))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **{name: arrays[name] for name in _FIELDS})


def npz_path(path: str | Path) -> Path:
    """Returns the path of a table to write. Raises InputError unless it ends in .npz."""
    path = user_path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: feature tables are written as .npz; give the file that suffix")
    return path


def read_table(path: str | Path, corpus: str | None = None, companion: str | Path | None = None) -> FeatureTable:
    """Reads a feature table; its content tells the format.

    - Our own npz.
    - An npz of `X` [N, F] and `names` [N] (or `features` and `clip`), optionally with `feature_names` [F].
    - A CSV, separated by commas, semicolons or tabs, with one column for the clip (`id`, `clip`, `name`, `file`,
      `filename`): openSMILE's output, the tables of Feng and Chaspari, or any other. Columns are found by name: of the
      384 of INTERSPEECH 2009 the 64 `_amean` and `_stddev`, in openSMILE's order; of any other set, all.

    `made["scaled"]` is "corpus" where the columns came standardised over the corpus, as the authors' are, else "none".
    Their original values are unavailable, so scaling by the source is refused.

    Args:
      path: the table.
      corpus: cuts the table to this corpus; for tables of other programs, its names give emotion and speaker.
      companion: a CSV with `clip` (or `file`), `emotion`, `speaker`, optional `corpus` and `sex`, for other clip ids.

    Raises InputError, naming file, row and column of a value that is missing, doubled, not a number or not finite.
    """
    path = user_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a feature table, .npz or .csv")
    try:
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a table, .npz or .csv") from error
    arrays = read_arrays(path) if is_zip else None
    if arrays is not None and "made" in arrays:
        table = _own_table(path, arrays, corpus)
    else:
        from siamese_jax.datasets.external_tables import read_external  # brings pandas, which takes half a second

        table = _composed(read_external(path, arrays, corpus, companion))
        check_table(table, str(path))
    speakers = distinct_speakers(table.speaker.tolist(), table.corpus.tolist())
    return dataclasses.replace(table, speaker=np.asarray(speakers, np.str_))


def _composed(table: FeatureTable) -> FeatureTable:
    """Returns the table with its texts in composed form (NFC), without blanks around them."""
    texts = {name: np.asarray(getattr(table, name)) for name in COLUMNS}
    clean: dict[str, Any] = {
        name: np.asarray([nfc(text).strip() for text in column.tolist()], np.str_)
        for name, column in texts.items()
        if column.dtype.kind == "U" and column.ndim == 1
    }
    return dataclasses.replace(table, **clean)


def check_table(table: FeatureTable, where: str) -> None:
    """Raises InputError, naming `where`, row and column, if the table breaks a rule of `FeatureTable`."""
    features = np.asarray(table.features)
    if features.ndim != 2 or not features.size or features.dtype.kind not in "iuf":
        raise InputError(
            f"{where}: features have shape {features.shape} and are {features.dtype}; expected real numbers [N, F] "
            "with N and F > 0"
        )
    for name in COLUMNS:
        if np.shape(getattr(table, name)) != (len(features),):
            raise InputError(f"{where}: {name} has shape {np.shape(getattr(table, name))}, expected ({len(features)},)")
        check_texts(f"{where}: {name}", np.asarray(getattr(table, name), np.str_))
    check_texts(f"{where}: feature_names", np.asarray(table.feature_names, np.str_))
    n_names, n_columns = len(table.feature_names), features.shape[1]
    if n_names != n_columns:
        raise InputError(f"{where}: {n_names} feature names for {n_columns} columns; expected as many")
    clips = [f"{corpus}/{clip}" for corpus, clip in zip(table.corpus, table.clip)]
    for kind, names in (("columns", table.feature_names), ("clips", clips)):
        if doubled := repeated(names):
            raise InputError(f"{where}: doubled {kind}: {some(doubled)}; keep one of each")
    bad = [
        f"row {table.clip[row]!s}, column {table.feature_names[column]}: {features[row, column]}"
        for row, column in np.argwhere(~(np.abs(features) <= np.finfo(np.float32).max))
    ]
    if bad:
        raise InputError(f"{where}: not finite: {some(bad)}; leave such clips out or compute them again")


def duplicates(table: FeatureTable) -> np.ndarray:
    """Returns group ids [N] int, shared by clips of identical sound: a duplicate of a training clip is no test clip.

    Identical means an equal `audio_hash` where it is known, and otherwise an equal row of features. Groups are
    numbered in the order of their first clip.
    """
    group_of: dict[str | bytes, int] = {}
    rows = np.asarray(table.features, np.float32) + np.float32(0.0)  # -0.0 becomes 0.0: equal values, equal bytes
    keys = (str(digest) or row.tobytes() for digest, row in zip(table.audio_hash, rows))
    return np.asarray([group_of.setdefault(key, len(group_of)) for key in keys], dtype=np.int64)


def _own_table(path: Path, arrays: dict[str, np.ndarray], corpus: str | None) -> FeatureTable:
    missing = [name for name in _FIELDS if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {', '.join(missing)}; expected {', '.join(_FIELDS)}; extract it again")
    texts = {name: as_texts(f"{path}: {name}", arrays[name]) for name in _FIELDS if name != "features"}
    if texts["feature_names"].ndim != 1:
        raise InputError(f"{path}: feature_names have shape {texts['feature_names'].shape}, expected one axis")
    names, made = tuple(texts["feature_names"].tolist()), _made(path, texts["made"])
    table = _composed(FeatureTable(arrays["features"], names, made=made, **{name: texts[name] for name in COLUMNS}))
    check_table(table, str(path))
    table = dataclasses.replace(table, features=table.features.astype(np.float32, copy=False))
    if corpus is None:
        return table
    rows = table.corpus == corpus
    if not rows.any():
        corpora = ", ".join(sorted(set(table.corpus.tolist())))
        raise InputError(f"{path}: no rows of corpus {corpus!r}; the table holds {corpora}")
    return table.select(rows)


def _made(path: Path, text: np.ndarray) -> dict[str, Any]:
    """Returns the JSON object of `made`. Raises InputError where it is none, or its `scaled` is no text."""
    try:
        if text.shape:
            raise ValueError(f"an array {text.shape}")
        made = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: `made` is no JSON ({first_line(error)}); extract the table again") from error
    if not isinstance(made, dict) or not isinstance(made.get("scaled", ""), str):
        raise InputError(f"{path}: `made` is no JSON object with a text `scaled`; extract the table again")
    return made

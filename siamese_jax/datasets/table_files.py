"""Feature tables: written and read as npz, and read from the formats of other programs.

Our npz holds the fields of `feature_table.FeatureTable` under their own names: numbers, NumPy unicode strings,
and `made` as one JSON text. Nothing in it is pickled, so a table from a stranger cannot run code.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.csv_files import some
from siamese_jax.datasets import external_tables
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError
from siamese_jax.runtime.files import atomic_path

_COLUMNS = ("clip", "emotion", "speaker", "corpus", "sex", "audio_hash")
_FIELDS = ("features", "feature_names", *_COLUMNS, "made")


def write_table(path: str | Path, table: FeatureTable) -> None:
    """Writes the table to `path` (.npz) atomically; the same table gives the same bytes.

    Raises:
      InputError: the path does not end in .npz, or the table breaks a rule of `check_table`.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: feature tables are written as .npz; give the file that suffix")
    check_table(table, str(path))
    arrays: dict[str, Any] = {name: np.asarray(getattr(table, name), dtype=np.str_) for name in _COLUMNS}
    arrays["features"] = np.asarray(table.features, dtype=np.float32)
    arrays["feature_names"] = np.asarray(table.feature_names, dtype=np.str_)
    arrays["made"] = np.asarray(json.dumps(table.made, allow_nan=False, sort_keys=True))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **{name: arrays[name] for name in _FIELDS})


def read_table(path: str | Path, corpus: str | None = None, companion: str | Path | None = None) -> FeatureTable:
    """Reads a feature table, telling the format by its content.

    - Our own npz.
    - An npz of `X` [N, F] and `names` [N] (or `features` and `clip`), with `feature_names` [F] if it has any.
    - A CSV, separated by commas, semicolons or tabs, with one column for the clip (`id`, `clip`, `name`, `file`,
      `filename`): openSMILE's output, the tables of Feng and Chaspari, or any other. Columns are found by name.
      Out of the 384 of INTERSPEECH 2009 the 64 `_amean` and `_stddev` columns are taken, in openSMILE's order; any
      other set of numeric columns is taken as it stands.

    `made["scaled"]` is "corpus" where the file's columns are standardised already, as the authors' are over the
    corpus: what they were before cannot be had back, so scaling by the source is refused for such a table. It is
    "none" otherwise. (`siamese_jax.datasets.external_tables.scaled_by` tells.)

    Args:
      path: the table.
      corpus: for tables of other programs, the corpus whose names give emotion and speaker. A table of several
        corpora is cut to this one; for our own npz, the rows of this corpus are taken.
      companion: a CSV with `clip` (or `file`), `emotion`, `speaker` and, if wanted, `corpus` and `sex`, for
        tables whose clip ids say nothing.

    Raises:
      InputError: naming file, row and column of what is missing, doubled, not a number or not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a feature table, .npz or .csv")
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if not is_zip:
        table = external_tables.read_csv_table(path, corpus, companion)
    else:
        arrays = external_tables.load_npz(path)
        if "made" in arrays:
            table = _own_table(path, arrays, corpus)
        else:
            table = external_tables.read_npz_table(path, arrays, corpus, companion)
    check_table(table, str(path))
    return table


def check_table(table: FeatureTable, where: str) -> None:
    """Raises InputError, naming `where`, row and column, if the table breaks a rule of `FeatureTable`."""
    features = np.asarray(table.features)
    if features.ndim != 2 or not len(features) or not np.issubdtype(features.dtype, np.number):
        raise InputError(f"{where}: features have shape {features.shape}, expected numbers [N, F] with N > 0")
    for name in _COLUMNS:
        if np.shape(getattr(table, name)) != (len(features),):
            raise InputError(f"{where}: {name} has shape {np.shape(getattr(table, name))}, expected ({len(features)},)")
    if len(table.feature_names) != features.shape[1]:
        raise InputError(
            f"{where}: {len(table.feature_names)} feature names for {features.shape[1]} columns; expected as many"
        )
    for what, items in (
        ("columns", list(table.feature_names)),
        ("clips", [f"{corpus}/{clip}" for corpus, clip in zip(table.corpus, table.clip)]),
    ):
        doubled = [str(item) for item, count in Counter(items).items() if count > 1]
        if doubled:
            raise InputError(f"{where}: doubled {what}: {some(doubled)}; keep one of each")
    bad = [
        f"row {table.clip[row]!s}, column {table.feature_names[column]}: {features[row, column]}"
        for row, column in np.argwhere(~(np.abs(features) <= np.finfo(np.float32).max))
    ]
    if bad:
        raise InputError(f"{where}: not finite: {some(bad)}; leave such clips out or compute them again")


def duplicates(table: FeatureTable) -> np.ndarray:
    """Group ids [N] int, shared by clips of identical sound.

    Identical means an equal `audio_hash` where it is known, and otherwise an equal row of features. Groups are
    numbered in the order of their first clip. A duplicate of a training clip must never be a test clip.
    """
    first_seen: dict[str | bytes, int] = {}
    rows = np.asarray(table.features, np.float32) + np.float32(0.0)  # -0.0 becomes 0.0: equal values, equal bytes
    keys = (str(digest) or row.tobytes() for digest, row in zip(table.audio_hash, rows))
    return np.asarray([first_seen.setdefault(key, len(first_seen)) for key in keys], dtype=np.int64)


def _own_table(path: Path, arrays: dict[str, np.ndarray], corpus: str | None) -> FeatureTable:
    missing = [name for name in _FIELDS if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {', '.join(missing)}; expected {', '.join(_FIELDS)}; extract it again")
    try:
        made = json.loads(str(arrays["made"]))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: `made` is no JSON ({error}); extract the table again") from error
    table = FeatureTable(
        features=arrays["features"],
        feature_names=tuple(str(name) for name in arrays["feature_names"]),
        made=made,
        **{name: arrays[name] for name in _COLUMNS},
    )
    check_table(table, str(path))
    if corpus is None:
        return table
    rows = table.corpus == corpus
    if not rows.any():
        held = ", ".join(sorted(set(table.corpus.tolist())))
        raise InputError(f"{path}: no rows of corpus {corpus!r}; the table holds {held}")
    return table.select(rows)

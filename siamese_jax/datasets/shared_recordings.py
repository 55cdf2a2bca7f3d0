"""Recordings that two tables share: training on one table would use test clips of the other."""

import dataclasses
import re
from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError

ALLOWED_BY = "config.data.allow_shared_recordings"

BY_NAME = "corpus and clip names"

_SUFFIX = re.compile(r"\.(wav|flac|mp3|ogg|aiff?|au|sph|avi|mp4|flv)$", re.IGNORECASE)
_FEW_COLUMNS = 16
_TOLERANCE_OF_SPREAD, _TOLERANCE_OF_SIZE = 1e-4, 1e-5
"""Rows count as equal up to the rounding of a text file. The tolerances are shares of a column's standard deviation and
of its largest value. With fewer than 16 columns, where clips are close by chance, rows must be equal to the bit."""


@dataclasses.dataclass(frozen=True)
class Shared:
    """The clips of a second table that a first table contains too.

    `rows` [K] int are rows of the second table, `others` [K] int the matching rows of the first. `reasons` [K] name the
    property that is equal.
    """

    rows: np.ndarray
    others: np.ndarray
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def shared_recordings(first: FeatureTable, second: FeatureTable) -> Shared:
    """Returns the clips of the second table that the first table contains too.

    Two clips are the same recording if the digests of their sound are equal; if their features are equal in the same
    columns, to the bit where both digests are known; or if clip and corpus have equal names, with any features. (A
    recording that is a sample longer has another digest and the same frames.) Folders and a suffix in a clip's name do
    not matter if the speakers are equal.
    """
    by_digest = {str(digest).lower(): row for row, digest in enumerate(first.audio_hash) if digest}
    by_name = {name: row for row, names in enumerate(_names(first)) for name in names}
    by_features = _equal_rows(first, second)
    found: list[tuple[int, int, str]] = []
    # Rows that are equal to the bit tell a recording if the first table has each of them once.
    times = Counter(row.tobytes() for row in first.features) if len(first.feature_names) >= _FEW_COLUMNS else Counter()
    for row, (digest, names) in enumerate(zip(np.char.lower(second.audio_hash).tolist(), _names(second))):
        other, row_bytes = by_features.get(row), second.features[row].tobytes()
        if digest and digest in by_digest:
            found.append((row, by_digest[digest], "sound"))
        elif other is not None and (
            not (digest and first.audio_hash[other])
            or (times[row_bytes] == 1 and first.features[other].tobytes() == row_bytes)
        ):
            found.append((row, other, "features"))
        elif name := next((name for name in names if name in by_name), None):
            found.append((row, by_name[name], BY_NAME))
    rows, others = (np.array([entry[i] for entry in found], np.int64) for i in range(2))
    return Shared(rows, others, tuple(entry[2] for entry in found))


def check_not_shared(first: FeatureTable, second: FeatureTable, names: tuple[str, str], remedy: str) -> None:
    """Raises InputError, with the two tables' names and the remedy, if they share recordings."""
    shared = shared_recordings(first, second)
    if len(shared):
        if shared.reasons[0] == BY_NAME:
            remedy = f"If they are other recordings, give the corpora names that differ. {remedy}"
        clip, other = second.clip[shared.rows[0]], first.clip[shared.others[0]]
        raise InputError(
            f"{names[0]} holds {len(shared)} of the {len(second)} recordings of {names[1]} (first: {other} and {clip}, "
            f"of equal {shared.reasons[0]}), so training on it would use test clips. {remedy}"
        )


def _names(table: FeatureTable) -> list[list[tuple[str, ...]]]:
    """Returns two names of each clip: with its corpus; and without folders and suffix, with corpus and speaker."""
    columns = zip(np.char.lower(table.corpus).tolist(), table.clip.tolist(), table.speaker.tolist())
    return [
        [(corpus, clip), (corpus, _SUFFIX.sub("", PurePosixPath(clip).name), speaker)]
        for corpus, clip, speaker in columns
    ]


def _equal_rows(first: FeatureTable, second: FeatureTable) -> dict[int, int]:
    """Returns the rows of the second table whose features equal those of a row of the first, with that row."""
    if first.feature_names != second.feature_names:
        return {}
    a, b = (np.asarray(table.features, np.float32) + np.float32(0.0) for table in (first, second))
    if b.shape[1] < _FEW_COLUMNS:
        row_of = {row.tobytes(): i for i, row in enumerate(a)}
        return {i: row_of[row.tobytes()] for i, row in enumerate(b) if row.tobytes() in row_of}
    a, b = a.astype(np.float64), b.astype(np.float64)
    tolerance_F = _TOLERANCE_OF_SPREAD * b.std(axis=0) + _TOLERANCE_OF_SIZE * np.abs(b).max(axis=0)
    varied = int(np.argmax([len(np.unique(column)) for column in b.T]))
    order = np.argsort(a[:, varied])
    low = np.searchsorted(a[order, varied], b[:, varied] - tolerance_F[varied], "left")
    high = np.searchsorted(a[order, varied], b[:, varied] + tolerance_F[varied], "right")
    equal: dict[int, int] = {}
    for i in np.flatnonzero(low < high).tolist():
        candidates = order[low[i] : high[i]]
        matching = candidates[(np.abs(a[candidates] - b[i]) <= tolerance_F).all(axis=1)]
        if len(matching):
            equal[i] = int(matching[0])
    return equal

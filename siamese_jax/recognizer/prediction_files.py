"""Writes predictions as CSV for spreadsheets, or as JSON lines for programs, row by row."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from siamese_jax.corpora.spelling import printable
from siamese_jax.errors import InputError
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.runtime.files import atomic_path, user_path

COLUMNS = ("file", "start", "end", "label", "unsure", "reason", "mode", "mode_reason")

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
"""How cells begin that spreadsheets compute; the wide letters count in East Asian settings."""


def write(path: str | Path, predictions: Iterable[Prediction], classes: Sequence[str]) -> int:
    """Writes predictions to a name that ends in .csv or .jsonl, and returns their number.

    A row is written as it comes, so that a million of them need no memory. CSV has the columns `COLUMNS` and `p_CLASS`;
    an apostrophe precedes each cell that a spreadsheet would compute (`FORMULA`). Raises InputError for another suffix,
    for probabilities of other classes, and where the file cannot be written.
    """
    path = user_path(path)
    lines = writer(path)
    written = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for _ in lines(file, (_checked(prediction, classes) for prediction in predictions), classes):
            written += 1
    return written


def writer(path: Path) -> Callable[[IO[str], Iterable[Prediction], Sequence[str]], Iterator[None]]:
    """Returns the function that writes the format of a file's suffix. Raises InputError for another suffix."""
    found = {".csv": _csv, ".jsonl": _json_lines}.get(path.suffix.lower())
    if found is None:
        raise InputError(f"{path}: expected a name that ends in .csv or .jsonl; give one of them")
    return found


def record(prediction: Prediction) -> dict[str, object]:
    """Returns the JSON object of a prediction."""
    probabilities = {name: round(float(p), 6) for name, p in prediction.probabilities.items()}
    times = {"start": round(prediction.start, 3), "end": round(prediction.end, 3)}
    return vars(prediction) | times | {"probabilities": probabilities}


def spreadsheet_cell(text: str) -> str:
    """Returns the text as a spreadsheet shows it: after an apostrophe where it would compute the text instead."""
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def _csv(file: IO[str], predictions: Iterable[Prediction], classes: Sequence[str]) -> Iterator[None]:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*COLUMNS, *(printable(f"p_{name}") for name in classes)])
    for prediction in predictions:
        fields = record(prediction) | {"unsure": "yes" if prediction.unsure else "no"}
        cells = (spreadsheet_cell(printable(str(fields[name]))) for name in COLUMNS)
        rows.writerow([*cells, *(f"{float(prediction.probabilities[name]):.6f}" for name in classes)])
        yield


def _json_lines(file: IO[str], predictions: Iterable[Prediction], classes: Sequence[str]) -> Iterator[None]:
    for prediction in predictions:
        # ASCII escapes hold every file name, also one that is no UTF-8 or would steer a terminal.
        file.write(json.dumps(record(prediction), allow_nan=False) + "\n")
        yield


def _checked(prediction: Prediction, classes: Sequence[str]) -> Prediction:
    if set(prediction.probabilities) != set(classes):
        raise InputError(
            f"{prediction.file}: probabilities of {', '.join(prediction.probabilities)}; expected {', '.join(classes)}"
        )
    return prediction

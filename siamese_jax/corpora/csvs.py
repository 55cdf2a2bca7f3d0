"""Small CSV files that people write by hand or export, read with errors that name the row."""

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import InputError

_SHOWN = 8  # items spelt out in one message


def read_csv(path: Path, required: Collection[str], optional: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {column: stripped text}) of a small CSV; empty lines are passed over.

    Raises:
      InputError: missing, not UTF-8, no header, a missing or doubled column, a row of another length.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a CSV with the columns {', '.join(required)}") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    lines = text.splitlines(keepends=True)
    header = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=max(",;\t", key=header.count))
    names = [cell.strip().lower() for cell in next(reader, [])]
    missing = [column for column in required if column not in names]
    doubled = [column for column in (*required, *optional) if names.count(column) > 1]
    if missing or doubled:
        what = f"no column {', '.join(missing)}" if missing else f"doubled column {', '.join(doubled)}"
        raise InputError(
            f"{path}, row 1: {what} (found: {', '.join(names) or 'nothing'}); "
            f"expected a header with {', '.join(required)} and, if wanted, {', '.join(optional)}"
        )
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            raise InputError(
                f"{path}, row {reader.line_num}: {len(row)} cells, expected {len(names)}; quote cells that hold a comma"
            )
        yield reader.line_num, {name: cell.strip() for name, cell in zip(names, row)}


def some(items: Sequence[str]) -> str:
    """The first few of `items`, and how many more there are."""
    more = f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more

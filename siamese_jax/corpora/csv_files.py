"""Small CSV files that people write by hand or export, read with errors that name the row."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import InputError

_SHOWN = 8  # items spelt out in one message


def read_csv(path: Path, required: Collection[str], optional: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {column: stripped text}) of a small CSV; empty lines are passed over.

    Raises:
      InputError: missing, not UTF-8, no header, a missing or doubled column, a row of another length.
    """
    header, body = read_cells(path)
    names = [name.lower() for name in header]
    missing = [column for column in required if column not in names]
    doubled = [column for column in (*required, *optional) if names.count(column) > 1]
    if missing or doubled:
        what = f"no column {', '.join(missing)}" if missing else f"doubled column {', '.join(doubled)}"
        raise InputError(
            f"{path}, row 1: {what} (found: {', '.join(names) or 'nothing'}); "
            f"expected a header with {', '.join(required)} and, if wanted, {', '.join(optional)}"
        )
    for number, cells in body:
        yield number, dict(zip(names, cells))


def read_cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and [(line number, cells)] of a CSV separated by commas, semicolons or tabs, all stripped.

    Raises:
      InputError: missing, not UTF-8, or a row of another length than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a CSV") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    if text.startswith("version https://git-lfs"):
        raise InputError(f"{path}: a git-lfs pointer, not the CSV itself; run `git lfs pull`")
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    names = [cell.strip() for cell in next(reader, [])]
    body = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise InputError(
                f"{path}, row {reader.line_num}: {len(cells)} cells, the header has {len(names)}; expected as many, "
                "with quotes around cells that hold the separator"
            )
        body.append((reader.line_num, [cell.strip() for cell in cells]))
    return names, body


def some(items: Sequence[str]) -> str:
    """The first few of `items`, and how many more there are."""
    more = f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more

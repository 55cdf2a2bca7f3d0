"""Small CSV files that people write by hand or export, read with errors that name the row."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from siamese_jax.errors import InputError

_MOST_LISTED = 8  # items listed in one message


def read_csv(path: Path, required: Collection[str], optional: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {lower-case column: stripped text}) of a small CSV, without blank lines.

    Raises InputError as `read_text`, for a missing or doubled column, or a row of another length.
    """
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator(text))
    names = [cell.strip().lower() for cell in next(reader, [])]
    require_columns(path, names, required, optional)
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise InputError(
                f"{path}, row {reader.line_num}: {len(cells)} cells, the header has {len(names)}; expected as many, "
                "with quotes around cells that hold the separator"
            )
        yield reader.line_num, dict(zip(names, (cell.strip() for cell in cells)))


def read_text(path: Path) -> str:
    """Returns the text of a CSV. Raises InputError where the file is missing, not UTF-8 or a git-lfs pointer."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a CSV") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    if text.startswith("version https://git-lfs"):
        raise InputError(f"{path}: a git-lfs pointer, not the CSV itself; run `git lfs pull`")
    return text


def separator(text: str) -> str:
    """Returns the separator of a CSV's header: comma, semicolon or tab."""
    return max(",;\t", key=text.partition("\n")[0].count)


def require_columns(path: Path, names: list[str], required: Collection[str], optional: Collection[str]) -> None:
    """Raises InputError where a required column is missing or a known one doubled."""
    missing = [column for column in required if column not in names]
    doubled = [column for column in (*required, *optional) if names.count(column) > 1]
    if missing or doubled:
        problem = f"no column {', '.join(missing)}" if missing else f"doubled column {', '.join(doubled)}"
        raise InputError(
            f"{path}, row 1: {problem} (found: {', '.join(names) or 'nothing'}); "
            f"expected a header with {', '.join(required)} and, if wanted, {', '.join(optional)}"
        )


def repeated(items: Iterable[str]) -> list[str]:
    """Returns the items that occur more than once."""
    return [str(item) for item, count in Counter(items).items() if count > 1]


def some(items: Sequence[str]) -> str:
    """Returns the first few of `items`, and how many more there are."""
    more = f"; and {len(items) - _MOST_LISTED} more" if len(items) > _MOST_LISTED else ""
    return "; ".join(items[:_MOST_LISTED]) + more

"""Small CSV files that people write by hand or export, read with errors that name the row."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from siamese_jax.corpora.spelling import printable
from siamese_jax.errors import InputError

_MOST_LISTED = 8  # items listed in one message
_MOST_NAMED = 30  # columns of a header in one message
_MOST_LINES = 1000  # lines of one quoted cell

_BYTE_ORDER_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"PAR1": "a Parquet file; save it as CSV",
    b"\x93NUMPY": "a NumPy array; save it as CSV",
    b"\x89HDF": "an HDF5 file; save it as CSV",
}
"""What a file is that begins so, and what to do."""


class Cells(NamedTuple):
    """The stripped cells of a CSV: the header and its line, and (line, cells) of each row that is not blank."""

    header: list[str]
    header_row: int
    rows: list[tuple[int, list[str]]]


def read_csv(
    path: Path, required: Collection[str], optional: Collection[str], quotes: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line number, {lower-case column: stripped text}) of a small CSV, without blank lines.

    `quotes` tells whether a double quote encloses a cell. Raises InputError as `read_cells`, or for a missing or
    doubled column.
    """
    cells = read_cells(path, quotes)
    names = [cell.lower() for cell in cells.header]
    require_columns(path, names, required, optional, cells.header_row)
    for number, row in cells.rows:
        yield number, dict(zip(names, row))


def read_cells(path: Path, quotes: bool = True) -> Cells:
    """Returns the cells of a CSV, separated by commas, semicolons or tabs; blank lines and a line `sep=;` are skipped.

    Raises InputError as `read_text`, for a row of another length than the header, or a quote that is not closed.
    """
    text = read_text(path)
    lines = list(io.StringIO(text, newline=""))
    header_at = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    mark = re.fullmatch(r"sep=(\S|\t)\s*", lines[header_at].lower()) if header_at < len(lines) else None
    if mark:
        header_at = next((i for i, line in enumerate(lines) if line.strip() and i > header_at), len(lines))
    delimiter = mark[1] if mark else separator("".join(lines[header_at : header_at + 1]))
    records = _records(path, lines, header_at, delimiter, quotes)
    header_row, header = next(records, (1, []))
    rows = []
    for number, row in records:
        if not any(row):
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}, row {number}: {len(row)} cells, the header has {len(header)}; expected as many, empty cells "
                "included, with quotes around cells that hold the separator, and points as decimal marks"
            )
        rows.append((number, row))
    return Cells(header, header_row, rows)


def _records(path: Path, lines: list[str], start: int, delimiter: str, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, stripped cells) from the line at `start` on; a quoted cell may hold line breaks."""
    how: dict[str, Any] = {
        "delimiter": delimiter,
        "skipinitialspace": True,
        "quoting": csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
    }
    while start < len(lines):
        end = start + 1
        try:
            rows = list(csv.reader([lines[start]], strict=True, **how))
        except csv.Error as error:
            if "end of data" in str(error):
                end = _closing_line(path, lines, start)
            elif "field larger" in str(error):
                raise _too_long(path, start) from error
            # Text behind a closing quote: blanks, mostly.
            rows = _parsed(path, lines, start, end, how, strict=end > start + 1)
        yield start + 1, [cell.strip() for row in rows for cell in row]
        start = end


def _closing_line(path: Path, lines: list[str], start: int) -> int:
    """Returns the end of the record whose quoted cell opens in the line at `start` and is closed in a later one."""
    for end in range(start + 1, min(len(lines), start + _MOST_LINES)):
        if lines[end].count('"') % 2:
            return end + 1
    raise _unclosed(path, start)


def _parsed(path: Path, lines: list[str], start: int, end: int, how: dict[str, Any], strict: bool) -> list[list[str]]:
    try:
        return list(csv.reader(lines[start:end], strict=strict, **how))
    except csv.Error as error:
        raise (_too_long if "field larger" in str(error) else _unclosed)(path, start) from error


def _too_long(path: Path, start: int) -> InputError:
    most = csv.field_size_limit()
    return InputError(f"{path}, row {start + 1}: a cell of more than {most} characters; shorten it or close its quote")


def _unclosed(path: Path, start: int) -> InputError:
    return InputError(
        f'{path}, row {start + 1}: a quote (") is opened and not closed before the next cell or row; close it, '
        "or write two for a quote within a cell"
    )


def read_text(path: Path) -> str:
    """Returns the text of a CSV in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises InputError where the file is missing, in another encoding or format, or a git-lfs pointer.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a CSV") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read ({reason}); expected a CSV") from error
    for magic, kind in _OTHER_FORMATS.items():
        if content.startswith(magic):
            raise InputError(f"{path}: {kind}; expected a CSV in UTF-8")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in content[:2]:
        # Without a mark: every second byte of Latin text is 0.
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    if text.startswith("version https://git-lfs"):
        raise InputError(f"{path}: a git-lfs pointer, not the CSV itself; run `git lfs pull`")
    if re.match(r"(\s*%.*\n|\s+)*\s*@relation\b", text[:4096], re.IGNORECASE):
        raise InputError(f"{path}: an ARFF file of Weka; save it as CSV")
    if re.match(r"\s*[{\[<]", text[:64]):
        raise InputError(f"{path}: JSON, XML or HTML; expected a CSV in UTF-8, so save it as one")
    return text


def separator(text: str) -> str:
    """Returns the separator of a CSV's header: comma, semicolon or tab."""
    return max(",;\t", key=text.partition("\n")[0].count)


def require_columns(
    path: Path, names: list[str], required: Collection[str], optional: Collection[str], row: int = 1
) -> None:
    """Raises InputError where a required column is missing from the header at `row`, or a known one doubled."""
    missing = [column for column in required if column not in names]
    doubled = [column for column in (*required, *optional) if names.count(column) > 1]
    if missing or doubled:
        problem = f"no column {', '.join(missing)}" if missing else f"doubled column {', '.join(doubled)}"
        raise InputError(
            f"{path}, row {row}: {problem} (found: {printable(', '.join(names[:_MOST_NAMED])) or 'nothing'}); "
            f"expected a header with {', '.join(required)} and, if wanted, {', '.join(optional)}"
        )


def repeated(items: Iterable[str]) -> list[str]:
    """Returns the items that occur more than once."""
    return [str(item) for item, count in Counter(items).items() if count > 1]


def some(items: Sequence[str]) -> str:
    """Returns the first few of `items`, and how many more there are."""
    more = f"; and {len(items) - _MOST_LISTED} more" if len(items) > _MOST_LISTED else ""
    return "; ".join(items[:_MOST_LISTED]) + more

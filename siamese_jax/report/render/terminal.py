"""Markdown of a work directory for a terminal: tables as aligned columns, paragraphs wrapped, no control character."""

import html
import io
import itertools
import re
import textwrap
from collections.abc import Sequence

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from siamese_jax.runtime.terminal import printable

WIDTH = 120
"""Columns of a terminal that every line fits."""

SHORT, LONG = 26, 10
"""Characters of a cell that is not broken (an estimate with its limits), and the least for a column of longer ones."""


def fit(page: str, width: int = WIDTH) -> str:
    """Returns the text of a Markdown page of this package in lines of `width` characters at most."""
    parts: list[str] = []
    for is_table, lines in itertools.groupby(page.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            header, _, *rows = map(_cells, lines)
            parts.append(table(header, rows, width))
        else:
            parts += [textwrap.fill(_plain(line), width, break_on_hyphens=False) for line in lines]
    return "\n".join(parts)


def _cells(line: str) -> list[str]:
    return [_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _plain(text: str) -> str:
    """Text without Markdown's escapes; control characters, which a terminal would obey, are replaced."""
    return _one_line(html.unescape(re.sub(r"\\([\\`*\[\]|#!~$_])", r"\1", text)))


def _one_line(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")


def _least_widths(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """For each column the width at which no short cell breaks, if all columns have room."""
    widest = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)] or [0] * len(header)
    words = [max(map(len, name.split()), default=0) for name in header]
    least = [max(cells, word) if cells <= SHORT else None for cells, word in zip(widest, words, strict=True)]
    room = width - 3 * len(header) - sum(LONG if columns is None else columns for columns in least)
    return least if room >= 0 else [None] * len(header)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Returns a table in lines of `width` characters at most; its cells are plain text."""
    rows = [[_one_line(cell) for cell in row] for row in rows]
    drawing = Table(box=rich.box.SIMPLE_HEAD, show_lines=False, pad_edge=False)
    for name, least in zip(header, _least_widths(header, rows, width), strict=True):
        drawing.add_column(Text(name), overflow="fold", min_width=least)
    for row in rows:
        drawing.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(drawing)
    drawn: str = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return "\n".join(line.rstrip() for line in drawn.splitlines())

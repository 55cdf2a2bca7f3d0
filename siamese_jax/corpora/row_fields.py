"""The fields of a manifest's row, and their problems: a problem that a hundred rows share is one line."""

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

_ROWS_NAMED = 3  # rows named for a problem that many rows share

_CLOCK = re.compile(r"(?:(\d{1,6}) days? )?(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")
"""Times as audformat and pandas write them: 0 days 00:00:01.200000."""


ALIASES = "--aliases maps these"
"""The remedy for words that the common aliases know, in programs with that flag."""


@dataclasses.dataclass(frozen=True)
class RowProblem:
    """A bad field of a CSV manifest.

    `row` counts lines from 1, the header. `shared` is the message for many rows with the same fault, "" for `message`;
    `subject` is the bad text for such a message; `aliased` tells whether the common aliases know it.
    """

    row: int
    field: str
    message: str
    subject: str = ""
    shared: str = ""
    aliased: bool = False

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.message}"


class ProblemGroup(NamedTuple):
    """The problems of one kind: the rows or the word, and the message."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def grouped(problems: Iterable[RowProblem], remedy: str) -> list[ProblemGroup]:
    """Returns one group for each message, the most frequent first, with the number of its rows; a few rows stay single.

    `remedy` is added where the common aliases know the word; "" where they cannot be given.
    """
    rows: dict[tuple[str, str, str], list[RowProblem]] = defaultdict(list)
    for problem in problems:
        rows[problem.field, problem.subject, problem.shared or problem.message].append(problem)
    groups = []
    for (field, subject, message), same in sorted(rows.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(problem.row) for problem in same[:_ROWS_NAMED])
        hint = f" {remedy}" if remedy and same[0].aliased else ""
        if len(same) == 1 or (not subject and len(same) <= _ROWS_NAMED):
            groups += [ProblemGroup(f"row {problem.row}, {field}", problem.message + hint) for problem in same]
        elif subject:
            where = f"({field}, first in row {same[0].row})"
            groups.append(ProblemGroup(f"{len(same)} x {subject!r}", f"{message}{hint} {where}"))
        else:
            more = f" and {len(same) - _ROWS_NAMED} more" if len(same) > _ROWS_NAMED else ""
            groups.append(ProblemGroup(f"{len(same)} rows ({numbers}{more}), {field}", message))
    return groups


def seconds(text: str) -> float | None:
    """Returns a time in seconds, from a number or a clock time; None for nothing. Raises ValueError with a hint."""
    if text in ("", "NaT"):
        return None
    clock = _CLOCK.fullmatch(text)
    if clock:
        days, hours, minutes, rest = clock.groups()
        return int(days or 0) * 86400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(rest)
    try:
        value = float(text) if "_" not in text else math.nan  # 1_5 is a number to Python alone
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value >= 0.0:
        return value
    if re.fullmatch(r"\d+,\d+", text):
        raise ValueError("a decimal comma; expected seconds with a decimal point, such as 0.5")
    raise ValueError("expected seconds, 0 or more")


def file_problem(text: str) -> str:
    """Returns the reason why `text` can be no sound file's path, or "" for none."""
    if "\0" in text:
        return "holds a NUL character; expected the path of a sound file"
    if not PurePosixPath(text).name or PurePosixPath(text).name == "..":
        return f"{text!r} is a folder; expected the path of a sound file"
    return ""

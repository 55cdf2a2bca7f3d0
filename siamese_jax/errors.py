"""The errors that the user can fix.

Every message names the file, row or field, says what was expected, and says what to do.
"""

from collections.abc import Mapping


class InputError(ValueError):
    """Something the user gave (a file, a table, a config, a flag) cannot be used as it is."""


class ClipError(InputError):
    """One clip cannot be used. A run over many clips reports it, counts it and goes on, unless it is strict."""

    def __init__(self, file: str, reason: str):
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class LostError(Exception):
    """Another process of a run of several was lost, or failed; nothing here is at fault."""


def check_fields(record: object, checks: Mapping[str, tuple[bool, str]]) -> None:
    """Raises InputError for the first field of `record` that fails its check, a (passed, expected) pair by name."""
    for name, (passed, expected) in checks.items():
        if not passed:
            raise InputError(f"{type(record).__name__}.{name} = {getattr(record, name)!r}: expected {expected}")


def first_line(error: BaseException) -> str:
    """Returns the first line of the error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

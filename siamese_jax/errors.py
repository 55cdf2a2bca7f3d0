"""The errors a user can mend.

Every message names the file, row or field, says what was expected, and says what to do.
"""


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

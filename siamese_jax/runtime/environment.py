"""Environment variables of this package: read once, checked before a run."""

import math
import os

from siamese_jax.errors import InputError

_problems: list[str] = []


def seconds(name: str, default: float) -> float:
    """Returns the variable's seconds, or `default` without one. Its fault is what `check` raises, not an import."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and 0 <= value <= 1e9:
        return value
    _problems.append(f"{name} is {text[:40]!r}; expected seconds as a number of 0 or more, such as {default:g}")
    return default


def check() -> None:
    """Raises InputError where a variable is no number of seconds."""
    if _problems:
        raise InputError(_problems[0])

"""Configuration files: found by name among those that ship, or by path, and loaded from the file."""

import os
import runpy
from pathlib import Path

from ml_collections import ConfigDict

from siamese_jax.errors import InputError, first_line
from siamese_jax.runtime.files import user_path

_PACKAGE = Path(__file__).parent.parent

SHIPPED = next((folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir()), _PACKAGE)
"""The configurations that ship: inside an installed package, beside the package in a checkout."""


def names() -> list[str]:
    """Returns the names of the configurations that ship."""
    return sorted(path.stem for path in SHIPPED.glob("[!_]*.py"))


def find(config: str | os.PathLike[str]) -> Path:
    """Returns the file of a configuration that ships, given by name, or of a path. Raises InputError without one."""
    if str(config) in names():
        return SHIPPED / f"{config}.py"
    path = user_path(config)
    if not path.is_file():
        raise InputError(f"configuration {str(config)!r}: no such file; give a path, or one of {', '.join(names())}")
    return path.absolute()


def load(config: str | os.PathLike[str]) -> ConfigDict:
    """Returns a new ConfigDict from the configuration of a name, such as "smoke", or of a path; see `find`.

    Raises InputError if the file is no Python, fails, or has no `get_config`.
    """
    file = find(config)
    try:
        made: ConfigDict = runpy.run_path(str(file))["get_config"]()
    except InputError:
        raise
    except Exception as error:  # the file is a program of the user's own
        reason = f"{type(error).__name__}: {first_line(error)[:200]}"
        raise InputError(
            f"{file}: cannot be loaded ({reason}); expected Python with a function get_config() that returns a "
            "ConfigDict, as in configs/reproduce.py"
        ) from error
    return made

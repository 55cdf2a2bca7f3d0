"""Short names of work directories: the last part of each path, with as many parts before it as tell them apart."""

from collections.abc import Sequence
from pathlib import Path

from siamese_jax.errors import InputError
from siamese_jax.runtime.files import user_path


def labels(paths: Sequence[str | Path]) -> list[str]:
    """Returns a label for each folder, unique among them. Raises InputError for a folder that is given twice."""
    resolved = [user_path(path).resolve() for path in paths]
    for i, path in enumerate(resolved):
        if path in resolved[:i]:
            raise InputError(f"{paths[i]}: given twice; name each work directory once")
    return [_label(path, [other for other in resolved if other != path]) for path in resolved]


def _label(path: Path, others: Sequence[Path]) -> str:
    length = 1
    while any(other.parts[-length:] == path.parts[-length:] for other in others):
        length += 1
    return "/".join(path.parts[-length:]).replace("//", "/")

"""Work directories of every kind, read for one report."""

from collections.abc import Callable, Sequence
from pathlib import Path

from siamese_jax.errors import InputError
from siamese_jax.report.loading import cross_training, reproduction, workdir
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.sections import reruns
from siamese_jax.runtime.files import user_path
from siamese_jax.runtime.labels import labels

READERS: dict[str, Callable[[str | Path, str], Folder | Matrix]] = {  # by the kind of run
    cross_training.KIND: cross_training.load,
    reproduction.KIND: reproduction.load,
    **dict.fromkeys(reruns.KINDS, reruns.load),
}


def load_all(paths: Sequence[str | Path]) -> list[Folder | Matrix]:
    """Reads work directories. Raises InputError for no folder, a repeated one, or one that cannot be used."""
    if not paths:
        raise InputError("no work directory: give at least one folder with results of a run")
    return [_load(user_path(path), label) for path, label in zip(paths, labels(paths), strict=True)]


def _load(path: str | Path, label: str) -> Folder | Matrix:
    kind = workdir.kind_of(path)
    if kind not in READERS:
        raise InputError(f"{path}: holds a run of the kind {kind!r}; expected one of {', '.join(READERS)}")
    return READERS[kind](path, label)

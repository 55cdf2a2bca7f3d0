"""Work directories of every kind, read for one report."""

from collections.abc import Callable, Sequence
from pathlib import Path

from siamese_jax.errors import InputError
from siamese_jax.report.loading import cross_training, reproduction, workdir
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.sections import reruns
from siamese_jax.runtime.files import user_path

READERS: dict[str, Callable[[str | Path, str], Folder | Matrix]] = {
    cross_training.KIND: cross_training.load,
    reproduction.KIND: reproduction.load,
    **dict.fromkeys(reruns.KINDS, reruns.load),
}
"""Kinds of runs, as their config.json names them, and what reads their folders."""


def load_all(paths: Sequence[str | Path]) -> list[Folder | Matrix]:
    """Reads work directories. Raises InputError for none, one given twice, or one that cannot be used."""
    if not paths:
        raise InputError("no work directory: give at least one folder that a launcher has filled")
    places = [user_path(path).resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"{paths[i]}: given twice; name each work directory once")
    return [_load(path, label) for path, label in zip(paths, _labels(places))]


def _load(path: str | Path, label: str) -> Folder | Matrix:
    kind = workdir.kind_of(path)
    if kind not in READERS:
        raise InputError(f"{path}: holds a run of the kind {kind!r}; a report is made of {', '.join(READERS)}")
    return READERS[kind](path, label)


def _labels(places: list[Path]) -> list[str]:
    """The folders' names, with their parents' where two are the same."""
    names = [place.name for place in places]
    return ["/".join(p.parts[-2:]) if names.count(p.name) > 1 else p.name for p in places]

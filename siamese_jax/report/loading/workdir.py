"""What every finished work directory has: its configuration, provenance, arrays and tables, with honest errors."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import xarray as xr
from ml_collections import ConfigDict

from siamese_jax.datasets import dataset as datasets
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError
from siamese_jax.experiments.reproduce import digests
from siamese_jax.protocols import config
from siamese_jax.protocols.config import Experiment
from siamese_jax.runtime.provenance import VERSION, check_version

NOT_FINISHED = "the run has not finished. Run the command that made this folder again; it goes on where it stopped"


@dataclasses.dataclass(frozen=True)
class Folder:
    """One work directory, of whatever kind.

    Fields:
      path, label: where it is, and a short name, different from those of the others in a report.
      kind: of run, as config.json names it.
      experiment: its configuration.
      digests: of the tables that it read, by role ("source", "target").
      provenance: see `workdir.provenance`.
      source, target: the tables, where they are still what the run read; else None.
      missing, missing_source: in words, why the target, or either table, is not at hand; "" where they are.
      notes: what a reader must know about the folder.
    """

    path: Path
    label: str
    kind: str
    experiment: Experiment
    digests: dict[str, str]
    provenance: dict[str, Any]
    source: Dataset | None
    target: Dataset | None
    missing: str
    missing_source: str
    notes: tuple[str, ...]
    _opened: dict[str, xr.Dataset] = dataclasses.field(default_factory=dict, repr=False, compare=False, kw_only=True)

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        raise NotImplementedError

    def arrays(self, name: str) -> xr.Dataset:
        """A stage's arrays, read when they are used; raises InputError where they are missing or damaged."""
        if name not in self._opened:
            file = self.path / "arrays" / f"{name}.nc"
            if not file.exists():
                raise InputError(f"{file}: not there; {NOT_FINISHED}")
            try:
                # Opening costs more than most reads; xarray opens a closed file again by itself.
                self._opened[name] = xr.open_dataset(file, engine="h5netcdf")
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{file}: cannot be read ({error}); remove this file and run again") from error
        return self._opened[name]


def kind_of(path: str | Path) -> str:
    """The kind of run that filled a folder. Raises InputError where it is no work directory."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give one that a launcher has filled")
    if not (path / "config.json").exists():
        raise InputError(f"{path}: holds no config.json, so it is no work directory; give one that holds results")
    # Folders of early versions do not say.
    return str(read_json(path / "config.json", dict).get("kind", "reproduce"))


def fields(path: str | Path, label: str) -> dict[str, Any]:
    """The fields of `Folder` of one work directory. Raises InputError where it is none, or is not finished."""
    path = Path(path)
    kind = kind_of(path)
    notes: list[str] = []
    raw = read_json(path / "config.json", dict)
    experiment = _experiment(path, raw)
    if not (path / "arrays").is_dir():
        raise InputError(f"{path / 'arrays'}: not there; {NOT_FINISHED}")
    provenance = read_json(path / "provenance.json", dict)
    versions = {str(raw.get("version")), str(provenance.get("siamese_jax"))}
    if len(versions) > 1:
        notes.append(
            f"Started with siamese_jax {raw.get('version')} and finished with {provenance.get('siamese_jax')}: "
            "results of two versions are mixed here."
        )
    elif versions != {VERSION}:
        notes.append(f"Made by siamese_jax {versions.pop()}, reported by {VERSION}.")
    kept = raw.get("tables", {})
    source, target, missing = _tables(experiment, kept)
    return {
        "path": path, "label": label, "kind": kind, "experiment": experiment, "digests": kept,
        "provenance": provenance, "source": source, "target": target, "missing": missing["target"],
        "missing_source": missing["target"] or missing["source"], "notes": tuple(notes)
    }  # fmt: skip


def read_json(file: Path, expected: type) -> Any:
    """A JSON file of a work directory. Raises InputError where it is missing, damaged or of another type."""
    if not file.exists():
        raise InputError(f"{file}: not there; {NOT_FINISHED}")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as JSON ({error}); remove it and run again") from error
    if not isinstance(found, expected):
        raise InputError(f"{file}: holds a {type(found).__name__}, expected a {expected.__name__}; run again")
    return found


def experiment_of(path: Path) -> Experiment:
    """The configuration of a work directory. Raises InputError where it does not fit this version."""
    return _experiment(path, read_json(path / "config.json", dict))


def _experiment(path: Path, raw: dict[str, Any]) -> Experiment:
    """The configuration of config.json."""
    check_version(path, raw.get("version"))
    known = typing.get_type_hints(Experiment)
    settings = {key: value for key, value in raw.items() if key not in ("tables", "version", "kind")}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(
            f"{path / 'config.json'}: holds {', '.join(unknown)}, unknown to siamese_jax {VERSION}; "
            "report it with the version that made it, or run the experiment again"
        )
    try:
        return config.resolve(ConfigDict(settings))
    except InputError as error:
        raise InputError(f"{path / 'config.json'}: {error}; run the experiment again with this version") from error


def _tables(e: Experiment, kept: dict[str, str]) -> tuple[Dataset | None, Dataset | None, dict[str, str]]:
    """Source and target where they can be read and are the ones that the run read; else, by role, why not."""
    found: dict[str, Dataset] = {}
    missing = {"source": "", "target": ""}
    for role, table, corpus, companion in (
        ("source", e.data.source, e.data.source_corpus, e.data.source_companion),
        ("target", e.data.target, e.data.target_corpus, e.data.target_companion),
    ):
        try:
            dataset = datasets.load(table, corpus, companion, e.data.emotions)
        except (InputError, OSError) as error:
            missing[role] = f"the {role} table cannot be read any more ({error})"
            continue
        # The checksums of both roles are made the same way.
        if kept.get(role) == digests(dataset, dataset)[role]:
            found[role] = dataset
        else:
            missing[role] = f"the {role} table {table} is not the one that the run read (its checksum differs)"
    return found.get("source"), found.get("target"), missing

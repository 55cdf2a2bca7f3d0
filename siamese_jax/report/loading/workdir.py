"""A finished work directory of any kind: its configuration, provenance, arrays and tables, with precise errors."""

import dataclasses
import hashlib
import io
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr
from absl import logging
from ml_collections import ConfigDict

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.errors import InputError
from siamese_jax.experiments.run_context import digests, read_source, read_target
from siamese_jax.experiments.stored_results import NOT_FINISHED, stored_arrays, stored_config, stored_json
from siamese_jax.protocols import config
from siamese_jax.protocols.config import Experiment
from siamese_jax.runtime.files import atomic_path
from siamese_jax.runtime.plain_files import read, require_plain
from siamese_jax.runtime.provenance import VERSION

SMALL = 1 << 26
"""Bytes of a stage's arrays up to which a report keeps them in memory."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """One work directory; `label` is unique in a report, `digests` are of the tables by role ("source", "target").

    source, target: the tables if they are still those that the run read, else None.
    missing, missing_source: why the target, or either table, is unavailable; "" if it is available.
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
        """A stage's arrays, read on demand; raises InputError if they are missing or damaged."""
        if name not in self._opened:
            # Opening costs more than most reads; xarray opens a closed file again by itself.
            arrays = stored_arrays(self.path, name, xr.open_dataset)
            if arrays.nbytes <= SMALL:
                with arrays:
                    arrays.load()
            self._opened[name] = arrays
        return self._opened[name]


def kind_of(path: str | Path) -> str:
    """The kind of run that filled a folder. Raises InputError if it is no work directory."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give the work directory of a run")
    if not (path / "config.json").exists():
        raise InputError(f"{path}: holds no config.json, so it is no work directory; give a folder with results")
    require_plain(path)
    return str(stored_config(path).get("kind"))


def fields(path: str | Path, label: str) -> dict[str, Any]:
    """The fields of `Folder` of one work directory. Raises InputError if it is none, or is not finished."""
    path, kind, notes = Path(path), kind_of(path), []
    raw = stored_config(path)
    experiment = _experiment(path, raw)
    if not (path / "arrays").is_dir():
        raise InputError(f"{path / 'arrays'}: not there; {NOT_FINISHED}")
    provenance = stored_json(path / "provenance.json", dict)
    started, finished = str(raw.get("version")), str(provenance.get("siamese_jax"))
    if started != finished:
        notes.append(f"Started with siamese_jax {started} and finished with {finished}: "
                     "results of two versions are mixed here.")  # fmt: skip
    elif started != VERSION:
        notes.append(f"Made by siamese_jax {started}, reported by {VERSION}.")
    tables = raw.get("tables", {})
    source, target, missing = _tables(experiment, tables)
    return {
        "path": path, "label": label, "kind": kind, "experiment": experiment, "digests": tables,
        "provenance": provenance, "source": source, "target": target, "missing": missing["target"],
        "missing_source": missing["target"] or missing["source"], "notes": tuple(notes)
    }  # fmt: skip


def read_records(file: Path, kind: type) -> list[Any]:
    """A JSON file's rows as dataclasses of a `kind`. Raises InputError if one does not fit."""
    names, rows = {field.name for field in dataclasses.fields(kind)}, stored_json(file, list)
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != names:
            differing = sorted(names ^ set(row)) if isinstance(row, dict) else [type(row).__name__]
            raise InputError(
                f"{file}: row {i} does not fit this version ({', '.join(differing)}); run the experiment again"
            )
    return [kind(**row) for row in rows]


def experiment_of(path: Path) -> Experiment:
    """The configuration of a work directory. Raises InputError if it does not fit this version."""
    return _experiment(path, stored_config(path))


def _experiment(path: Path, raw: dict[str, Any]) -> Experiment:
    settings = {key: value for key, value in raw.items() if key not in ("tables", "version", "kind")}
    unknown = sorted(set(settings) - set(typing.get_type_hints(Experiment)))
    if unknown:
        raise InputError(
            f"{path / 'config.json'}: holds {', '.join(unknown)}, unknown to siamese_jax {VERSION}; "
            "use the version that made it, or run the experiment again"
        )
    try:
        return config.resolve(ConfigDict(settings))
    except InputError as error:
        raise InputError(f"{path / 'config.json'}: {error}; run the experiment again with this version") from error


def _tables(experiment: Experiment, kept: dict[str, str]) -> tuple[Dataset | None, Dataset | None, dict[str, str]]:
    """Source and target if they are readable and those that the run read; and, by role, why not."""
    data, tables, missing = experiment.data, dict[str, Dataset](), {"source": "", "target": ""}
    for role, table, read_dataset in (
        ("source", data.source, read_source),
        ("target", data.target, read_target),
    ):
        try:
            dataset = read_dataset(experiment)
        except (InputError, OSError) as error:
            missing[role] = f"the {role} table cannot be read any more ({error})"
            continue
        if kept.get(role) == digests(dataset, dataset)[role]:  # both roles' checksums are made the same way
            tables[role] = dataset
        else:
            missing[role] = f"the {role} table {table} is not the one that the run read (its checksum differs)"
    return tables.get("source"), tables.get("target"), missing


def cached(file: Path, made_from: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
    """Returns the arrays of a netCDF `file` if their digest is `made_from`, else those of `make`, and keeps them.

    If the file cannot be read or written, a warning says so and `make` is called for each report.
    """
    if os.path.lexists(file):
        try:
            content = read(file)
            if read(file.with_suffix(".sha256")) != _sealed(file, content):
                raise InputError("it changed since it was written")
            kept = xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
            if kept.attrs.get("made_from") == made_from:
                return kept
        except (OSError, ValueError, KeyError) as error:
            logging.warning("%s cannot be read (%s); computed again", file, error)
    arrays = make().assign_attrs(made_from=made_from)
    buffer = io.BytesIO()
    arrays.to_netcdf(buffer, engine="h5netcdf")
    content = buffer.getvalue()
    try:
        for path, part in ((file, content), (file.with_suffix(".sha256"), _sealed(file, content))):
            with atomic_path(path) as temporary:
                temporary.write_bytes(part)
    except (InputError, OSError) as error:
        logging.warning("%s cannot be written (%s); computed for each report", file, error)
    return arrays


def _sealed(file: Path, content: bytes) -> bytes:
    """The digest of a cached file, its name included."""
    return hashlib.sha256(file.name.encode() + b"\n" + content).hexdigest().encode()

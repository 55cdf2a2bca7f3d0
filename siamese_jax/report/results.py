"""A finished work directory, read back: its configuration, rows, arrays and tables, with honest errors."""

import dataclasses
import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from ml_collections import ConfigDict

import siamese_jax
from siamese_jax import config, datasets
from siamese_jax.config import Experiment
from siamese_jax.datasets import Dataset
from siamese_jax.errors import InputError
from siamese_jax.experiment import digests
from siamese_jax.rows import Row

KIND = "reproduce"
"""The kind of run that is reported here, as config.json names it."""

NOT_FINISHED = "the run has not finished. Run the command that made this folder again; it goes on where it stopped"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One work directory.

    Fields:
      path, label: where it is, and a short name, different from those of the others in a report.
      experiment: its configuration.
      digests: of the tables that it read, by role ("source", "target").
      rows, optimism: its summary, see `rows.Row` and `summary.optimism`.
      provenance: see `workdir.provenance`.
      source, target: the tables, where they are still what the run read; else None.
      missing, missing_source: in words, why the target, or either table, is not at hand; "" where they are.
      notes: what a reader must know about the folder.
    """

    path: Path
    label: str
    experiment: Experiment
    digests: dict[str, str]
    rows: list[Row]
    optimism: list[dict[str, Any]]
    provenance: dict[str, Any]
    source: Dataset | None
    target: Dataset | None
    missing: str
    missing_source: str
    notes: tuple[str, ...]
    _opened: dict[str, xr.Dataset] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        return f"{self.rows[0].source} to {self.rows[0].target}"

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

    def fine_tuning(self, head: str, scope: str, n_speakers: int) -> xr.Dataset:
        """The fine-tuning trials with this many speakers."""
        return self.arrays(f"{head}/{scope}/fine_tuning_{n_speakers:02d}")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A head and a scaling scope: one network, one way of standardising."""

    head: str
    scope: str

    @property
    def name(self) -> str:
        """As headings say it."""
        return f"head {self.head}, features scaled by {self.scope}"


def settings(e: Experiment) -> list[Setting]:
    """The settings of an experiment in which something was fine-tuned."""
    return [Setting(head, scope) for head in e.heads for scope in e.scalings if scope != "train"]


def load_all(paths: Sequence[str | Path]) -> list[Loaded]:
    """Reads work directories. Raises InputError for none, one given twice, or one that cannot be used."""
    if not paths:
        raise InputError("no work directory: give at least one folder that launch.reproduce has filled")
    places = [Path(path).resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError(f"{paths[i]}: given twice; name each work directory once")
    return [load(path, label) for path, label in zip(paths, _labels(places))]


def _labels(places: list[Path]) -> list[str]:
    """The folders' names, with their parents' where two are the same."""
    names = [place.name for place in places]
    return ["/".join(p.parts[-2:]) if names.count(p.name) > 1 else p.name for p in places]


def load(path: str | Path, label: str) -> Loaded:
    """Reads one work directory.

    Raises:
      InputError: no such folder, no work directory, an unfinished run, or a file that cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give one that launch.reproduce has filled")
    if not (path / "config.json").exists():
        raise InputError(f"{path}: holds no config.json, so it is no work directory; give one that holds results")
    notes: list[str] = []
    raw = _json(path / "config.json", dict)
    if raw.get("kind", KIND) != KIND:
        raise InputError(
            f"{path}: holds a run of launch.{raw['kind']}, which writes a report of its own; "
            f"give a folder of launch.{KIND}"
        )
    experiment = _experiment(path, dict(raw), notes)
    rows = [_row(path / "summary.json", i, row) for i, row in enumerate(_json(path / "summary.json", list))]
    if not rows or not (path / "arrays").is_dir():
        raise InputError(f"{path / 'summary.json'}: holds no result; {NOT_FINISHED}")
    optimism = _json(path / "optimism.json", list)
    provenance = _json(path / "provenance.json", dict)
    versions = {str(raw.get("version")), str(provenance.get("siamese_jax"))}
    if len(versions) > 1:
        notes.append(
            f"Started with siamese_jax {raw.get('version')} and finished with {provenance.get('siamese_jax')}: "
            "results of two versions are mixed here."
        )
    elif versions != {siamese_jax.__version__}:
        notes.append(f"Made by siamese_jax {versions.pop()}, reported by {siamese_jax.__version__}.")
    kept = raw.get("tables", {})
    source, target, missing = _tables(experiment, kept)
    return Loaded(
        path, label, experiment, kept, rows, optimism, provenance, source, target,
        missing["target"], missing["target"] or missing["source"], tuple(notes),
    )  # fmt: skip


def _json(file: Path, expected: type) -> Any:
    if not file.exists():
        raise InputError(f"{file}: not there; {NOT_FINISHED}")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as JSON ({error}); remove it and run again") from error
    if not isinstance(found, expected):
        raise InputError(f"{file}: holds a {type(found).__name__}, expected a {expected.__name__}; run again")
    return found


def _experiment(path: Path, raw: dict[str, Any], notes: list[str]) -> Experiment:
    """The configuration; adds a note where an older version left out what the arrays still tell."""
    if "n_in_domain_seeds" not in raw and "heads" in raw and "scalings" in raw:
        file = path / "arrays" / str(raw["heads"][0]) / str(raw["scalings"][0]) / "in_domain.nc"
        if file.exists():
            with xr.open_dataset(file, engine="h5netcdf") as arrays:
                raw["n_in_domain_seeds"] = int(arrays.sizes["seed"])
            notes.append("Its config.json, of an older version, lacks n_in_domain_seeds; read from the arrays instead.")
    known = typing.get_type_hints(Experiment)
    settings = {key: value for key, value in raw.items() if key not in ("tables", "version", "kind")}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(
            f"{path / 'config.json'}: holds {', '.join(unknown)}, unknown to siamese_jax {siamese_jax.__version__}; "
            "report it with the version that made it, or run the experiment again"
        )
    try:
        return config.resolve(ConfigDict({key: _frozen(value) for key, value in settings.items()}))
    except InputError as error:
        raise InputError(f"{path / 'config.json'}: {error}; run the experiment again with this version") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _row(file: Path, i: int, found: Any) -> Row:
    fields = {field.name for field in dataclasses.fields(Row)}
    if not isinstance(found, dict) or set(found) != fields:
        differing = sorted(fields ^ set(found)) if isinstance(found, dict) else [type(found).__name__]
        raise InputError(f"{file}: row {i} does not fit this version ({', '.join(differing)}); run again")
    return Row(**found)


def _tables(e: Experiment, kept: dict[str, str]) -> tuple[Dataset | None, Dataset | None, dict[str, str]]:
    """Source and target where they can be read and are the ones that the run read; else, by role, why not."""
    found: dict[str, Dataset] = {}
    missing = {"source": "", "target": ""}
    for role, table, corpus, companion in (
        ("source", e.source, e.source_corpus, e.source_companion),
        ("target", e.target, e.target_corpus, e.target_companion),
    ):
        try:
            dataset = datasets.load(table, corpus, companion, e.emotions)
        except (InputError, OSError) as error:
            missing[role] = f"the {role} table cannot be read any more ({error})"
            continue
        # The checksums of both roles are made the same way.
        if kept.get(role) == digests(dataset, dataset)[role]:
            found[role] = dataset
        else:
            missing[role] = f"the {role} table {table} is not the one that the run read (its checksum differs)"
    return found.get("source"), found.get("target"), missing

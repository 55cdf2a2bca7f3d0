"""A finished reproduction, read back: its rows and arrays, with honest errors."""

import dataclasses
from pathlib import Path
from typing import Any

import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments.rows import Row
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.loading import workdir
from siamese_jax.report.loading.workdir import NOT_FINISHED, Folder, read_json

KIND = "reproduce"
"""The kind of run, as config.json names it."""


@dataclasses.dataclass(frozen=True)
class Loaded(Folder):
    """A work directory of launch.reproduce.

    Fields, beside those of `Folder`:
      rows, optimism: its summary, see `rows.Row` and `summary.optimism`.
    """

    rows: list[Row]
    optimism: list[dict[str, Any]]

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        return f"{self.rows[0].source} to {self.rows[0].target}"

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
    return [Setting(head, scope) for head in e.network.heads for scope in e.data.scalings if scope != "train"]


def load(path: str | Path, label: str) -> Loaded:
    """Reads one work directory.

    Raises:
      InputError: no such folder, no work directory of this kind, an unfinished run, or a file that cannot be read.
    """
    path = Path(path)
    found = workdir.kind_of(path)
    if found != KIND:
        raise InputError(f"{path}: holds a run of the kind {found!r}; give a folder of launch.{KIND}")
    shared = workdir.fields(path, label)
    return Loaded(**shared, rows=rows_of(path), optimism=read_json(path / "optimism.json", list))


def rows_of(path: Path) -> list[Row]:
    """The rows of a reproduction's summary.json. Raises InputError where there is none, or a row does not fit."""
    file = path / "summary.json"
    rows = [_row(file, i, row) for i, row in enumerate(read_json(file, list))]
    if not rows:
        raise InputError(f"{file}: holds no result; {NOT_FINISHED}")
    return rows


def _row(file: Path, i: int, found: Any) -> Row:
    fields = {field.name for field in dataclasses.fields(Row)}
    if not isinstance(found, dict) or set(found) != fields:
        differing = sorted(fields ^ set(found)) if isinstance(found, dict) else [type(found).__name__]
        raise InputError(f"{file}: row {i} does not fit this version ({', '.join(differing)}); run again")
    return Row(**found)

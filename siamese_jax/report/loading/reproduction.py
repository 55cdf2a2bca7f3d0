"""A finished reproduction, read back: its rows and arrays, with precise errors."""

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
    """A work directory of launch.reproduce, with its summary: see `rows.Row` and `summary.optimism`."""

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
        """For headings."""
        return f"head {self.head}, features scaled by {self.scope}"


def settings(experiment: Experiment) -> list[Setting]:
    """The settings of an experiment in which something was fine-tuned."""
    scopes = [scope for scope in experiment.data.scalings if scope != "train"]
    return [Setting(head, scope) for head in experiment.network.heads for scope in scopes]


def load(path: str | Path, label: str) -> Loaded:
    """Reads one work directory; raises InputError if it is missing, of another kind, unfinished or unreadable."""
    path = Path(path)
    kind = workdir.kind_of(path)
    if kind != KIND:
        raise InputError(f"{path}: holds a run of the kind {kind!r}; give a folder of launch.{KIND}")
    shared = workdir.fields(path, label)
    return Loaded(**shared, rows=rows_of(path), optimism=read_json(path / "optimism.json", list))


def rows_of(path: Path) -> list[Row]:
    """The rows of a reproduction's summary.json. Raises InputError if there is none, or a row does not fit."""
    rows = workdir.read_records(path / "summary.json", Row)
    if not rows:
        raise InputError(f"{path / 'summary.json'}: holds no result; {NOT_FINISHED}")
    return rows

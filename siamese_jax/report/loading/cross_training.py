"""A finished cross-training, read back: its rows, differences and arrays, with honest errors."""

import dataclasses
from pathlib import Path
from typing import Any

import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.config import CORPUS_NAME
from siamese_jax.experiments.cross_training.records import Difference, Row
from siamese_jax.report.loading.workdir import NOT_FINISHED, read_json
from siamese_jax.runtime.provenance import VERSION, check_version

KIND = "facenet"
"""The kind of run, as config.json names it."""


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A work directory of launch.facenet.

    Fields:
      path, label: where it is, and a short name.
      config: as it was run, plain JSON values.
      emotions, described: see `plan.described`.
      rows, differences: see `records`.
      provenance: see `workdir.provenance`.
      notes: what a reader must know about the folder.
    """

    path: Path
    label: str
    config: dict[str, Any]
    emotions: tuple[str, ...]
    described: dict[str, Any]
    rows: list[Row]
    differences: list[Difference]
    provenance: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def corpora(self) -> str:
        """ "ravdess and emodb"."""
        return " and ".join(self.described)

    def chosen(self, corpus: str) -> list[Row]:
        """The rows of a corpus, FaceNet's by the configured decision alone."""
        decisions = (None, self.config["decision"])
        return [row for row in self.rows if row.corpus == corpus and row.decision in decisions]

    def arrays(self, name: str) -> xr.Dataset:
        """Kept arrays; raises InputError where they are missing or damaged."""
        file = self.path / "arrays" / f"{name}.nc"
        if not file.exists():
            raise InputError(f"{file}: not there; {NOT_FINISHED}")
        try:
            with xr.open_dataset(file, engine="h5netcdf") as kept:
                return kept.load()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{file}: cannot be read ({error}); remove this file and run again") from error


def load(path: str | Path, label: str) -> Matrix:
    """Reads a work directory. Raises InputError where a file is missing or damaged, or nothing has finished yet."""
    path = Path(path)
    config = read_json(path / "config.json", dict)
    check_version(path, config.get("version"))
    described = read_json(path / "corpora.json", dict)
    rows = _records(path / "summary.json", Row)
    if not rows:
        raise InputError(f"{path / 'summary.json'}: holds no result; {NOT_FINISHED}")
    strange = [name for name in described["corpora"] if not CORPUS_NAME.fullmatch(name)]
    if strange:
        raise InputError(
            f"{path / 'corpora.json'}: holds a corpus called {strange[0]!r}; names are of letters, digits and "
            "underscores; run again"
        )
    differences = _records(path / "differences.json", Difference)
    provenance = read_json(path / "provenance.json", dict)
    notes = []
    versions = sorted({str(config.get("version")), str(provenance.get("siamese_jax")), VERSION})
    if len(versions) > 1:
        notes.append(f"Made or reported by several versions of siamese_jax: {', '.join(versions)}.")
    return Matrix(
        path, label, config, tuple(described["emotions"]), described["corpora"], rows, differences, provenance,
        tuple(notes)
    )  # fmt: skip


def _records(file: Path, kind: type) -> list[Any]:
    fields = {field.name for field in dataclasses.fields(kind)}
    found = read_json(file, list)
    for i, one in enumerate(found):
        if not isinstance(one, dict) or set(one) != fields:
            raise InputError(f"{file}: row {i} does not fit this version; run again")
    return [kind(**one) for one in found]

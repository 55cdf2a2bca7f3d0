"""A finished cross-training, read back: its rows, differences and arrays, with precise errors."""

import dataclasses
from pathlib import Path
from typing import Any

import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.config import CORPUS_NAME
from siamese_jax.experiments.cross_training.records import Difference, Row
from siamese_jax.experiments.stored_results import NOT_FINISHED, stored_arrays, stored_config, stored_json
from siamese_jax.report.loading.workdir import read_records
from siamese_jax.runtime.provenance import VERSION

KIND = "facenet"  # the kind of run in config.json


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A work directory of `siamese-jax facenet`: see `workdir.Folder`, `plan.described` and `records`."""

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
        """Kept arrays; raises InputError if they are missing or damaged."""
        return stored_arrays(self.path, name, xr.load_dataset)


def load(path: str | Path, label: str) -> Matrix:
    """Reads a work directory. Raises InputError if a file is missing or damaged, or nothing has finished yet."""
    path = Path(path)
    config = stored_config(path)
    corpora = stored_json(path / "corpora.json", dict)
    rows = read_records(path / "summary.json", Row)
    if not rows:
        raise InputError(f"{path / 'summary.json'}: holds no result; {NOT_FINISHED}")
    strange = [name for name in corpora["corpora"] if not CORPUS_NAME.fullmatch(name)]
    if strange:
        raise InputError(
            f"{path / 'corpora.json'}: holds a corpus called {strange[0]!r}; names are of letters, digits and "
            "underscores; run again"
        )
    differences = read_records(path / "differences.json", Difference)
    provenance = stored_json(path / "provenance.json", dict)
    versions = sorted({str(config.get("version")), str(provenance.get("siamese_jax")), VERSION})
    mixed = f"Made or reported by several versions of siamese_jax: {', '.join(versions)}."
    notes = (mixed,) if len(versions) > 1 else ()
    emotions, described = tuple(corpora["emotions"]), corpora["corpora"]
    return Matrix(path, label, config, emotions, described, rows, differences, provenance, notes)

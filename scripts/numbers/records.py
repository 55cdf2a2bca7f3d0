"""Records: what finished runs found, as JSON in docs/records, with the command, version and date that made them."""

import configparser
import dataclasses
import datetime
import functools
import json
import shlex
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.protocols.config import Experiment, resolve
from siamese_jax.runtime.files import write_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "records"
MACHINE = "two cores of an AMD EPYC"
DIGITS = 8
"""Decimal places of a stored number; more than pages show, so that no number is rounded twice."""
MAX_BYTES = 1_000_000
CORPORA = {"ravdess": "RAVDESS", "emodb": "EMO-DB"}
"""The titles of the shipped corpora on the pages."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of values, or of texts as a program printed them, under the names of their columns."""

    fields: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], without: Sequence[str] = ()) -> "Table":
        """A table of JSON rows with the same fields, numbers rounded to DIGITS."""
        fields = tuple(name for name in rows[0] if name not in without)
        return cls(fields, tuple(tuple(_rounded(row[name]) for name in fields) for row in rows))

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by field."""
        return [dict(zip(self.fields, row, strict=True)) for row in self.rows]


@dataclasses.dataclass(frozen=True)
class Record:
    """The tables of a run, by name.

    Fields:
      command: what made the tables, as a page writes it. version: of siamese_jax. date: of the run.
      note: what a page says of their making below the table; "" for a run of the present version.
    """

    command: str
    version: str
    date: str
    machine: str
    note: str
    tables: dict[str, Table]

    @classmethod
    def made(cls, command: str, tables: dict[str, Table], note: str = "") -> "Record":
        """A record made now, by this version, on this machine."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        version = setup["metadata"]["version"]
        return cls(command, version, datetime.datetime.now(datetime.UTC).date().isoformat(), MACHINE, note, tables)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(of_name) for name, of_name in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def write(name: str, record: Record) -> None:
    """Writes docs/records/NAME.json, one line for each row. Raises InputError where it would be too large."""
    head = {field.name: getattr(record, field.name) for field in dataclasses.fields(record) if field.name != "tables"}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    tables = []
    for key, table in record.tables.items():
        rows = ",\n".join(f"    {json.dumps(row)}" for row in table.rows)
        tables.append(f'  {json.dumps(key)}: {{"fields": {json.dumps(table.fields)}, "rows": [\n{rows}\n  ]}}')
    text = "{\n" + "\n".join(lines) + '\n  "tables": {\n' + ",\n".join(tables) + "\n  }\n}\n"
    if len(text) > MAX_BYTES:
        raise InputError(f"{name}: the record has {len(text):,} bytes; keep fewer rows, at most {MAX_BYTES:,} bytes")
    write_text(FOLDER / f"{name}.json", text)


@functools.cache
def read(name: str) -> Record:
    """The record docs/records/NAME.json."""
    return parse((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def parse(text: str) -> Record:
    """A record from its JSON."""
    given = json.loads(text)
    tables = {
        key: Table(tuple(table["fields"]), tuple(map(tuple, table["rows"]))) for key, table in given["tables"].items()
    }
    return Record(**{**given, "tables": tables})


def read_json(path: Path) -> Any:
    """The content of a file of a run."""
    return json.loads(path.read_text(encoding="utf-8"))


@functools.cache
def experiment(command: str) -> Experiment:
    """The experiment of a command of siamese-jax."""
    return resolve(configuration(command, {"rerun": "rerun"}.get(shlex.split(command)[1], "reproduce")))


def configuration(command: str, default: str) -> ConfigDict:
    """The configuration of a command of siamese-jax, or the one named `default`, with the command's changes."""
    words = [word for word in shlex.split(command.replace("\\\n", " ")) if word.startswith("--config")]
    values = dict(word.removeprefix("--").split("=", 1) for word in words)
    config = load_config(values.pop("config", default))
    for name, value in values.items():
        try:
            given = literal_eval(value)
        except (SyntaxError, ValueError):
            given = value
        config.update_from_flattened_dict({name.removeprefix("config."): given})
    return config

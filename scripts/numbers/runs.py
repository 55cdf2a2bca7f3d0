"""The commands behind the records, and what of their files is kept."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.numbers.records import Table

NOT_KEPT = ("source", "target", "interval", "n_speaker_sets", "wa_mean", "seconds")


def reproduction(workdir: Path) -> dict[str, Table]:
    """The rows that pages show, of every feature set: best, fixed and undrawn ones, and cells without frozen layers."""
    folders = sorted(path.parent for path in workdir.glob("**/summary.json"))
    rows, optimism = [], []
    for folder in folders:
        of_run = _json(folder / "summary.json")
        frozen = min((row["frozen"] for row in of_run if row["frozen"] is not None), default=0)
        of_set = {} if len(folders) == 1 else {"features": folder.name}
        rows += [
            of_set | row for row in of_run
            if row["selection"] != "cell" or row["frozen"] is None or row["frozen"] == frozen
        ]  # fmt: skip
        optimism += [of_set | {"method": "", "data": ""} | row for row in _json(folder / "optimism.json")]
    return {"rows": Table.of(rows, NOT_KEPT), "optimism": Table.of(_filled(optimism))}


def transfer(workdir: Path) -> dict[str, Table]:
    """All rows of a run of transfer methods, without their times."""
    return {"rows": Table.of(_json(workdir / "transfer.json"), ("seconds",))}


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the fields of all rows; None for those that a row lacks."""
    fields = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in fields} for row in rows]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True)
class Run:
    """A command as the pages write it, and what of its files a record keeps."""

    command: str
    read: Callable[[Path], dict[str, Table]]


TRANSFER = "siamese-jax transfer --config="

RUNS = {
    "reproduce": Run("siamese-jax reproduce --workdir=results/reproduce", reproduction),
    "transfer_ravdess_whisper": Run(f"{TRANSFER}transfer --workdir=results/transfer", transfer),
    "transfer_ravdess_is09": Run(f"{TRANSFER}transfer_is09 --workdir=results/transfer_is09", transfer),
    "transfer_emodb_whisper": Run(f"{TRANSFER}transfer_emodb --workdir=results/transfer_emodb", transfer),
    "transfer_emodb_is09": Run(f"{TRANSFER}transfer_emodb_is09 --workdir=results/transfer_emodb_is09", transfer),
    "transfer_thinned": Run(
        "siamese-jax transfer --config=transfer --workdir=results/thinned --config.transfer.thinned='(1.,2.,5.,10.)' "
        "--config.transfer.methods='(\"adapted_discriminant\",)' --config.transfer.balance_strength='(0.3,0.5,1.)' "
        "--config.protocol.n_draws=30 --config.protocol.n_speakers='(2,8)' --config.report.fixed_n_speakers=2",
        transfer,
    ),
}

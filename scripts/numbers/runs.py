"""The commands behind the records, and what of their files is kept."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.numbers import facenet
from scripts.numbers.records import Table, experiment, read_json
from siamese_jax.errors import InputError

NOT_KEPT = ("source", "target", "interval", "n_speaker_sets", "wa_mean", "seconds")


def reproduction(workdir: Path) -> dict[str, Table]:
    """The rows that pages show, of every feature set: best, fixed and undrawn ones, and cells without frozen layers."""
    folders = sorted(path.parent for path in workdir.glob("**/summary.json"))
    rows, optimism = [], []
    for folder in folders:
        of_run = read_json(folder / "summary.json")
        frozen = min((row["frozen"] for row in of_run if row["frozen"] is not None), default=0)
        of_set = {} if len(folders) == 1 else {"features": folder.name}
        rows += [
            of_set | row for row in of_run
            if row["selection"] != "cell" or row["frozen"] is None or row["frozen"] == frozen
        ]  # fmt: skip
        optimism += [of_set | {"method": "", "data": ""} | row for row in read_json(folder / "optimism.json")]
    return {"rows": Table.of(rows, NOT_KEPT), "optimism": Table.of(_filled(optimism))}


def transfer(workdir: Path) -> dict[str, Table]:
    """All rows of a run of transfer methods, without their times."""
    return {"rows": Table.of(read_json(workdir / "transfer.json"), ("seconds",))}


def paired(workdir: Path) -> dict[str, Table]:
    """A reproduction with its paired differences on other speakers' clips, without frozen layers."""
    differences = [
        row
        for row in read_json(workdir / "differences.json")
        if row["split"] == "speaker_disjoint" and not row["frozen"]
    ]
    return {**reproduction(workdir), "differences": Table.of(differences, NOT_KEPT)}


def rerun(workdir: Path) -> dict[str, Table]:
    """The differences of a rerun with all their intervals, and the share of draws beyond the pole."""
    (setting,) = read_json(workdir / "claims.json")
    gains = _filled([*setting["gains"], *setting["against_baselines"]])
    return {"gains": Table.of(gains), "beyond_the_pole": Table.of(setting["beyond_the_pole"])}


def ranking(workdir: Path) -> dict[str, Table]:
    """The rows of several sources and their differences to all together."""
    rows = read_json(workdir / "summary.json")
    of_ranking = _filled(read_json(workdir / "source_ranking.json"))
    without = tuple(name for name in NOT_KEPT if name != "source")
    return {"rows": Table.of(rows, without), "ranking": Table.of(of_ranking, without)}


def components(workdir: Path) -> dict[str, Table]:
    """Variance components."""
    return {"components": Table.of(read_json(workdir / "crossed.json"), NOT_KEPT)}


def calibration(workdir: Path) -> dict[str, Table]:
    """The rows of calibration and of accepted labels, without the figures' curves."""
    given, curves = read_json(workdir / "calibration.json"), ("bins_before", "bins", "coverage", "risk")
    return {"rows": Table.of(given["calibration"], curves), "accepted_rows": Table.of(given["accepted"])}


def rows(path: Path) -> dict[str, Table]:
    """The rows of a file that a script wrote with --record."""
    return {"rows": Table.of(read_json(path)["rows"], NOT_KEPT)}


def mutations(path: Path) -> dict[str, Table]:
    """The outcome of each fault, and the test that saw it."""
    faults = read_json(path)["faults"]
    kept = ("kind", "outcome", "test")
    return {"faults": Table.of([{"fault": title, **{k: of[k] for k in kept}} for title, of in faults.items()])}


def coverage(path: Path) -> dict[str, Table]:
    """How often intervals cover and tests reject, in per cent, by the numbers of units."""
    return {"rates": Table.of(read_json(path)["rows"])}


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the fields of all rows; None for those that a row lacks."""
    fields = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in fields} for row in rows]


COMPARED = ("network", "training", "protocol", "transfer", "report")


def check(workdir: Path, command: str) -> None:
    """Raises InputError for a folder that another configuration than the command's has made."""
    if not command.startswith("siamese-jax"):
        return
    for path in sorted([*workdir.glob("config.json"), *workdir.glob("*/config.json")]):
        expected, given = dataclasses.asdict(experiment(command)), read_json(path)
        for group in COMPARED:
            own = json.loads(json.dumps(expected[group]))
            other = [name for name in own if own[name] != given[group][name]]
            if other:
                raise InputError(
                    f"{path}: {group}.{other[0]} is {given[group][other[0]]}; expected {own[other[0]]}, as of {command}"
                )


@dataclasses.dataclass(frozen=True)
class Run:
    """A command as the pages write it, what of its files a record keeps, and the check of its work directory."""

    command: str
    read: Callable[[Path], dict[str, Table]]
    check: Callable[[Path, str], None] = check


LAYERS = "python scripts/encoder_layers.py"
EACH_LAYER = "--layers=0 --layers=1 --layers=2 --layers=3 --layers=4 --layers=2,3 --layers=1,2,3"
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
    "speech_encoder": Run(
        "siamese-jax reproduce --config=speech_encoder --workdir=results/speech_encoder", reproduction
    ),
    "layers_ravdess": Run(f"{LAYERS} --source=emodb.npz --target=ravdess.npz {EACH_LAYER}", rows),
    "layers_emodb": Run(f"{LAYERS} --source=ravdess.npz --target=emodb.npz --speakers=2,4,6 {EACH_LAYER}", rows),
    "paired": Run("siamese-jax reproduce --config=paired --workdir=results/paired", paired),
    "paired_enterface05": Run(
        "siamese-jax reproduce --config=paired --workdir=results/paired_enterface05 "
        "--config.data.source=authors_is09_enterface05.csv --config.data.source_corpus=enterface05 "
        "--config.data.target=authors_is09_ravdess.csv --config.data.target_corpus=ravdess",
        paired,
    ),
    "rerun": Run("siamese-jax rerun --workdir=results/rerun --draws=10000", rerun),
    "heads": Run(
        "siamese-jax reproduce --config=enterface05 --workdir=results/heads "
        "--config.data.source=authors_is09_enterface05.csv --config.data.target=authors_is09_ravdess.csv "
        "--config.network.heads=\"('abs_difference','extra_layer')\" --config.data.scalings=\"('corpus','speaker')\"",
        reproduction,
    ),
    "cremad": Run(
        "siamese-jax reproduce --config=cremad --workdir=results/cremad_logmel --config.data.source=TABLE.npz "
        "--config.data.target=TABLE.npz --config.data.source_corpus=cremad --config.data.target_corpus=ravdess "
        '--config.protocol.frozen="(0,)" --config.protocol.n_speakers="(2,4,8,20)" '
        "--config.protocol.baselines=\"('logistic_regression',)\"",
        reproduction,
    ),
    "several_sources": Run(
        "siamese-jax rank_sources --config=several_sources --workdir=results/several_sources "
        "--config.data.source=emodb,$SIAMESE_JAX_DATA/tables/authors_is09_enterface05.csv "
        "--config.data.target=$SIAMESE_JAX_DATA/tables/authors_is09_ravdess.csv",
        ranking,
    ),
    "mutations": Run("python scripts/mutate.py --results=results/mutations.json", mutations),
    "coverage": Run(
        "python -m benchmarks.resampling --coverage --units=4,8,10,15,24,50 --crossed=12x12,24x10,10x24 "
        "--record=results/coverage.json",
        coverage,
    ),
    "facenet": Run("\n".join(facenet.COMMANDS.values()), facenet.of_runs, facenet.check),
    "crossed": Run('crossed.run(resolve(config), "results/crossed")', components),
    "calibration": Run("siamese-jax calibration --output=results/calibration", calibration),
    "calibration_recogniser": Run(
        "siamese-jax calibration --methods=logistic_regression/0.01/balanced/0.3,"
        "logistic_regression/0.01/balanced/0.3/speaker --scalings=corpus,speaker "
        "--output=results/calibration_recogniser",
        calibration,
    ),
    "degraded": Run(
        "python -m scripts.degraded_study --table=ravdess/noise=ravdess_noise.npz "
        "--table=ravdess/telephone=ravdess_telephone.npz --table=emodb/noise=emodb_noise.npz "
        "--table=emodb/telephone=emodb_telephone.npz --record=degraded.json",
        rows,
    ),
    "modes": Run("python -m scripts.mode_study --enrolled=0 --record=modes.json", rows),
    "modes_enrolled": Run(
        "python -m scripts.mode_study --enrolled=8 --tested=ravdess --draws=10 --sizes=20,0 --ratios=1,10,0 "
        "--record=modes_enrolled.json",
        rows,
    ),
}

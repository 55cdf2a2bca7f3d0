"""Every table of the pages, by the name of its place."""

import functools
from collections.abc import Callable

from scripts.numbers import calibration, degraded, facenet, recognizer, records, reproductions
from scripts.numbers.tables import (
    TRANSFERS,
    by_scaling,
    coverage,
    gains,
    markdown,
    reproduced,
    side_by_side,
    summary,
    thinned,
    transfer_rows,
)

PRINTED = ("encoder_variants", "metric_network", "support", "choice", "speed")
"""Records of tables as a program printed them, each under the name of its place."""

DIFFERENCES = (("ratio", "none"), ("ratio", "cross_entropy_twice"), ("cross_entropy_twice", "none"))

PLACES = {
    "layers_ravdess": lambda: reproductions.layers("layers_ravdess"),
    "layers_emodb": lambda: reproductions.layers("layers_emodb"),
    "encoder_clips": reproductions.encoder_clips,
    "rerun": reproductions.rerun,
    "out_and_in": reproductions.out_and_in,
    "heads": reproductions.heads,
    "cremad": reproductions.cremad,
    "several_sources": reproductions.several_sources,
    "minus_both": reproductions.minus_both,
    "crossed": reproductions.crossed,
    **{name: functools.partial(calibration.calibration, name) for name in calibration.RECORDS},
    **{
        f"accepted{name.removeprefix('calibration')}": functools.partial(calibration.accepted, name)
        for name in calibration.RECORDS
    },
    "coverage_draws": functools.partial(coverage, "draws"),
    "coverage_speakers": functools.partial(coverage, "speakers"),
    "coverage_both": functools.partial(coverage, "speakers+seeds"),
    "degraded": degraded.table,
    "facenet": facenet.table,
    "networks": recognizer.methods,
    "modes": recognizer.modes,
    "modes_enrolled": recognizer.modes_enrolled,
    **{
        f"{name}_{method}_{minus}": functools.partial(reproductions.differences, name, method, minus)
        for name in ("paired_enterface05", "paired")
        for method, minus in DIFFERENCES
    },
}
"""What makes the table of a place, by name."""


def blocks() -> dict[str, Callable[[], str]]:
    """A function for each table, by the name of its place."""
    made: dict[str, Callable[[], str]] = {"summary": summary, "table1": reproduced}
    for name in TRANSFERS:
        made[name] = lambda name=name: by_scaling(transfer_rows(name))
        made[f"{name}_gains"] = lambda name=name: gains(transfer_rows(name))
    made["transfer_thinned"] = lambda: thinned(transfer_rows("transfer_thinned"))
    for scaling in ("corpus", "speaker"):
        made[f"encoder_{scaling}"] = lambda scaling=scaling: side_by_side(scaling)
    for name in PRINTED:
        for key in records.read(name).tables:
            place = name if key == "table" else f"{name}_{key}"
            made[place] = lambda name=name, key=key: printed(name, key)
    for place, make in PLACES.items():
        made[place] = lambda make=make: markdown(make())
    return made


def printed(name: str, key: str) -> str:
    """A table of a record as it was printed, with the record's note."""
    record = records.read(name)
    return markdown(record.tables[key], record)


def shown(place: str, titles: bool = False) -> list[list[str]]:
    """The cells of a place's table as the page shows them, without the titles unless asked for."""
    lines = [line for line in blocks()[place]().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]] if titles else cells[2:]

"""Every table of the pages, by the name of its place."""

from collections.abc import Callable

from scripts.numbers import calibration, recognizer, records, reproductions
from scripts.numbers.tables import (
    TRANSFERS,
    by_scaling,
    gains,
    markdown,
    reproduced,
    side_by_side,
    summary,
    thinned,
    transfer_rows,
)

PRINTED = ("encoder_variants", "metric_network", "support", "degraded", "choice", "facenet", "speed")
"""Records of tables as a program printed them."""


def blocks() -> dict[str, Callable[[], str]]:
    """A function for each table, by the name of its place."""
    made: dict[str, Callable[[], str]] = {"summary": summary, "table1": reproduced}
    made["networks"] = lambda: markdown(recognizer.methods())
    made["calibration"] = lambda: markdown(calibration.calibration())
    made["accepted"] = lambda: markdown(calibration.accepted())
    for name in TRANSFERS:
        made[name] = lambda name=name: by_scaling(transfer_rows(name))
        made[f"{name}_gains"] = lambda name=name: gains(transfer_rows(name))
    made["transfer_thinned"] = lambda: thinned(transfer_rows("transfer_thinned"))
    for name in PRINTED:
        record = records.read(name)
        for key, table in record.tables.items():
            place = name if len(record.tables) == 1 else f"{name}_{key}"
            made[place] = lambda table=table, record=record: markdown(table, record)
    for scaling in ("corpus", "speaker"):
        made[f"encoder_{scaling}"] = lambda scaling=scaling: side_by_side(scaling)
    made["encoder_clips"] = lambda: markdown(reproductions.encoder_clips())
    return made

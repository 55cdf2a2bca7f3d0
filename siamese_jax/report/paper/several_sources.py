"""Several sources side by side, as Markdown: for `sources.md` in a work directory."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from siamese_jax.experiments.records import Row
from siamese_jax.experiments.stored_results import stored_json
from siamese_jax.report.loading.reproduction import rows_of
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES, of_scope
from siamese_jax.report.render import markdown, text
from siamese_jax.report.render.document import Block, Paragraph, Table
from siamese_jax.runtime.files import user_path, write_text


def write(folder: str | Path) -> str:
    """Writes sources.md of a finished ranking of sources; returns it. Raises InputError where there is none."""
    path = user_path(folder)
    rows, differences = rows_of(path), stored_json(path / "source_ranking.json", list)
    title = f"Sources for {rows[0].target}: {rows[0].source}"
    page = markdown.page(title, [Paragraph(text.ABBREVIATIONS), *blocks(rows, differences)])
    write_text(path / "sources.md", page)
    return page


def blocks(rows: Sequence[Row], differences: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """Two tables for each classifier and scaling: UAR by source, and its difference to all sources together."""
    settings = dict.fromkeys((row.method, row.scaling) for row in rows if row.data == "source+target")
    for method, scaling in settings:
        of_setting = [row for row in rows if (row.method, row.split) == (method, "speaker_disjoint")]
        few = [row for row in of_setting if row.selection == "cell" and row.scaling == scaling and row.n_draws]
        counts = sorted({row.n_speakers for row in few if row.n_speakers})
        undrawn = [row for row in of_setting if row.data == "source" and not row.n_draws]
        only = {row.source: row for row in of_scope(undrawn, scaling)}
        lines = []
        for data, source in dict.fromkeys((row.data, row.source) for row in few):
            of_source = {row.n_speakers: row for row in few if (row.data, row.source) == (data, source)}
            first = _uar(only[source]) if data == "source+target" and source in only else ""
            name = source if data == "source+target" else "none (target clips alone)"
            lines.append((name, first, *(_uar(of_source[k]) for k in counts)))
        header = ("source", "no labelled clip", *(text.plural(k, "speaker") for k in counts))
        caption = (
            f"UAR in per cent of {CLASSIFIER_NAMES[method]} on source and labelled target clips, scaled by {scaling}, "
            "on other speakers' clips. In brackets the interval over draws; without a labelled clip over speakers."
        )
        yield Table(caption, header, lines)
        yield _difference_table(method, scaling, counts, differences)


def _uar(row: Row) -> str:
    return f"{_number(row.uar_mean)} [{_number(row.ci_low)}, {_number(row.ci_high)}]"


def _number(value: float | None, signed: bool = False) -> str:
    return text.number(math.nan if value is None else value, signed=signed)


def _difference_table(method: str, scaling: str, counts: Sequence[int], differences: Sequence[dict[str, Any]]) -> Table:
    key = method, scaling, "speaker_disjoint"
    of_setting = [record for record in differences if (record["method"], record["scaling"], record["split"]) == key]
    lines = []
    for source in dict.fromkeys(record["source"] for record in of_setting):
        of_source = {record["n_speakers"]: record for record in of_setting if record["source"] == source}
        lines.append((source, *(_difference(of_source[k]) for k in counts)))
    shares = {record["n_speakers"]: record["share_nearest"] for record in of_setting}
    for name in next(iter(shares.values())):
        lines.append((f"draws with {name} as the nearest", *(f"{100 * shares[k][name]:.0f} %" for k in counts)))
    caption = f"UAR minus that of all sources together ({of_setting[0]['minus']}), in points, paired by draw. "
    caption += "In brackets the interval over draws, then that over the target's speakers."
    return Table(caption, ("source", *(text.plural(k, "speaker") for k in counts)), lines)


def _difference(record: dict[str, Any]) -> str:
    limits = [_number(record[name]) for name in ("ci_low", "ci_high", "speakers_low", "speakers_high")]
    return f"{_number(record['uar_difference'], True)} [{limits[0]}, {limits[1]}] [{limits[2]}, {limits[3]}]"

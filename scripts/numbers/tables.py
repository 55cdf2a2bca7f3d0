"""The pages' tables, by the name of their place, from records."""

import dataclasses
from typing import Any

from scripts.numbers import records, reproductions
from scripts.numbers.records import Record, Table
from siamese_jax.experiments.records import Row
from siamese_jax.experiments.transfer import TransferRow
from siamese_jax.report.paper import table1
from siamese_jax.report.paper.transfer import name_of

SELF_TRAINED = ("logistic_regression", "adapted_discriminant")
NOT_STORED = {
    "source": "", "target": "", "interval": "", "n_speaker_sets": None, "wa_mean": None, "seconds": 0.0
}  # fmt: skip


def markdown(table: Table, record: Record | None = None) -> str:
    """A table as Markdown, its values as they are, with its record's note below."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (table.fields, *table.rows)]
    note = f"\n{record.note}\n" if record and record.note else ""
    return "\n".join([lines[0], "|---" * len(table.fields) + "|", *lines[1:]]) + "\n" + note


def rows_of(name: str) -> list[Row]:
    """The rows of a reproduction's record."""
    return [Row(**{**NOT_STORED, **row}) for row in records.read(name).tables["rows"].dicts()]


def transfer_rows(name: str) -> list[TransferRow]:
    """The rows of a record of transfer methods."""
    return [TransferRow(**row, seconds=0.0) for row in records.read(name).tables["rows"].dicts()]


def reproduced() -> str:
    """Table 1 of `make reproduce`, with the meaning of its numbers."""
    record = records.read("reproduce")
    experiment, rows = records.experiment(record.command), rows_of("reproduce")
    (scope,), (head,) = experiment.data.scalings, experiment.network.heads
    lines = table1.lines(experiment, rows, record.tables["optimism"].dicts(), head, scope)
    fields = table1.COLUMNS[:-1]
    return f"{table1.preamble(experiment)}\n{markdown(Table(fields, tuple(line[:-1] for line in lines)))}"


def by_scaling(rows: list[TransferRow]) -> str:
    """A table of UAR by corpus / by speaker: settings down, numbers of labelled clips across."""
    columns = sorted({row.n_labelled for row in rows})
    lines = []
    for mode in ("inductive", "transductive"):
        for name in dict.fromkeys(name_of(row) for row in rows if row.mode == mode):
            own = {(row.n_labelled, row.scaling): row for row in rows if name_of(row) == name}
            cells = [" / ".join(_marked(own[n, scaling]) for scaling in ("corpus", "speaker")) for n in columns]
            lines.append((mode, name, *cells))
    return markdown(Table(("mode", "method", *(f"{n} clips" for n in columns)), tuple(lines)))


def _marked(row: TransferRow) -> str:
    better = row.p_holm is not None and row.p_holm < 0.05 and (row.gain or 0) > 0
    return f"{row.uar_mean:.1f}{'*' if better else ''}"


def gains(rows: list[TransferRow]) -> str:
    """A table of gains over the better logistic regression, with intervals over speakers."""
    columns = sorted({row.n_labelled for row in rows})
    shown = [row for row in rows if row.adaptation == "self_trained" and row.method in SELF_TRAINED]
    lines = []
    for scaling in ("corpus", "speaker"):
        for name in dict.fromkeys(map(name_of, shown)):
            own = {row.n_labelled: row for row in shown if (name_of(row), row.scaling) == (name, scaling)}
            cells = (
                f"{own[n].gain:+.1f} [{own[n].gain_speakers_low:+.1f}, {own[n].gain_speakers_high:+.1f}]"
                for n in columns
            )
            lines.append((scaling, name, *cells))
    return markdown(Table(("scaled by", "method", *(f"{n} clips" for n in columns)), tuple(lines)))


def thinned(rows: list[TransferRow]) -> str:
    """A table of gains over the better logistic regression by the ratio of the classes' clips."""
    ratios = sorted({row.thinned for row in rows})
    shown, lines = [row for row in rows if row.mode == "transductive"], []
    for key in dict.fromkeys((row.scaling, row.n_labelled, name_of(row)) for row in shown):
        own = {row.thinned: row for row in shown if (row.scaling, row.n_labelled, name_of(row)) == key}
        lines.append((*key, *(f"{own[ratio].gain:+.1f}" for ratio in ratios)))
    titles = (f"{ratio:g} : 1" for ratio in ratios)
    return markdown(Table(("scaled by", "labelled clips", "method", *titles), tuple(lines)))


def summary() -> str:
    """The README's five rows: by corpus, 8 and 80 labelled clips."""
    by_features = {
        "64 features": transfer_rows("transfer_ravdess_is09"),
        "speech encoder": transfer_rows("transfer_ravdess_whisper"),
    }

    def line(features: str, title: str, chosen: dict[str, Any], best: bool) -> tuple[str, ...]:
        shown = [row for row in by_features[features] if row.scaling == "corpus" and row.n_labelled in (8, 80)]
        rows = [row for row in shown if all(getattr(row, key) == value for key, value in chosen.items())]
        names = list(dict.fromkeys(map(name_of, rows)))
        mean = {name: sum(row.uar_mean or 0 for row in rows if name_of(row) == name) for name in names}
        name = max(names, key=mean.__getitem__)
        own, mark = {row.n_labelled: row for row in rows if name_of(row) == name}, "**" if best else ""
        cells = (
            f"{mark}{own[n].uar_mean:.1f}{mark} [{own[n].speakers_low:.1f}, {own[n].speakers_high:.1f}]"
            for n in (8, 80)
        )
        return features, own[8].mode, title.format(name=name), *cells

    lines = [line("64 features", "the paper: {name}", {"method": "siamese"}, False)]
    for features in by_features:
        plain = {"method": "logistic_regression", "adaptation": "none"}
        lines.append(line(features, "baseline: {name}", plain, False))
        ours = {"method": "logistic_regression", "adaptation": "self_trained", "within": "speaker", "strength": 1.0}
        lines.append(line(features, "ours: {name}", ours, True))
    return markdown(Table(("features", "mode", "method", "8 clips", "80 clips"), tuple(lines)))


TRANSFERS = ("transfer_ravdess_whisper", "transfer_ravdess_is09", "transfer_emodb_whisper", "transfer_emodb_is09")


def side_by_side(scaling: str) -> str:
    """Table 1 on both feature sets, on other speakers' clips, under one scaling."""
    experiment = records.experiment(records.read("speech_encoder").command)
    rows = reproductions.rows_of("speech_encoder")
    by_set = {
        features: [Row(**NOT_STORED, **{k: v for k, v in row.items() if k != "features"})
                   for row in rows if row["features"] == features]
        for features in dict.fromkeys(row["features"] for row in rows)
    }  # fmt: skip
    one_scaling = dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, scalings=(scaling,)))
    page = table1.side_by_side(dict.fromkeys(by_set, one_scaling), by_set)
    return page[page.index("\n| method") + 1 :]


def coverage(over: str) -> Table:
    """How often intervals cover and tests reject: clips balanced / unbalanced, units across."""
    rows = [row for row in records.read("coverage").tables["rates"].dicts() if row["over"] == over]
    columns = list(dict.fromkeys((row["n_units"], row["n_seeds"]) for row in rows))
    cells = {(row["name"], row["n_units"], row["n_seeds"]): row for row in rows}
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        of_name = [cells.get((name, *column)) for column in columns]
        lines.append((name, *(f"{c['balanced']:.1f} / {c['unbalanced']:.1f}" if c else "" for c in of_name)))
    titles = (str(n) if seeds is None else f"{n}, {seeds} seeds" for n, seeds in columns)
    return Table((over, *titles), tuple(lines))

"""The results of the transfer methods, in Markdown."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from siamese_jax.errors import InputError
from siamese_jax.experiments.records import joined
from siamese_jax.experiments.transfer import KIND, TransferRow
from siamese_jax.report.loading import workdir
from siamese_jax.report.loading.workdir import read_records
from siamese_jax.report.paper.table1 import LOSS_NAMES
from siamese_jax.report.render import text
from siamese_jax.report.render.markdown import escape
from siamese_jax.runtime.files import user_path, write_text

METHOD_NAMES = {
    "logistic_regression": "logistic regression", "layer_ensemble": "layer ensemble",
    "adapted_discriminant": "adapted discriminant",
    "metric_network": "metric network",
}  # fmt: skip
ADAPTATION_NAMES = {"balanced": "balanced", "self_trained": "self-trained"}


def write(folder: str | Path) -> str:
    """Writes transfer.md of a finished work directory; returns it. Raises InputError for a folder of another kind."""
    path = user_path(folder)
    if (kind := workdir.kind_of(path)) != KIND:
        raise InputError(f"{path}: holds a run of the kind {kind!r}; expected {KIND!r}")
    page = markdown(read_records(path / "transfer.json", TransferRow))
    write_text(path / "transfer.md", page)
    return page


def markdown(rows: Sequence[TransferRow]) -> str:
    """One table a scaling scope, mode and ratio of classes: methods down, labelled clips across."""
    first = rows[0]
    parts = [
        f"# Transfer methods, {escape(f'{first.source} to {first.target}, {first.features}')}\n\n"
        f"{text.ABBREVIATIONS} UAR in per cent on the clips of speakers who are not drawn; means over draws. In "
        "brackets the jackknife t interval over the target's speakers. Gains are paired, in points, over the better "
        "logistic regression of the column, with the interval over speakers; * marks p < 0.05 after Holm's correction "
        "over the run. Scaling by corpus or speaker sees the unlabelled test clips.\n"
    ]

    def group(row: TransferRow) -> tuple[float, str, str]:
        return row.thinned, row.scaling, row.mode

    for (ratio, scaling, mode), of_group in groupby(sorted(rows, key=group), key=group):
        as_is = "" if ratio == 1 else f", half of the classes thinned {ratio:g} : 1"
        seen = "one clip at a time" if mode == "inductive" else "the unlabelled test clips together"
        parts.append(f"\n## Scaled by {scaling}, {mode} ({seen}){as_is}\n\n")
        parts.extend(_table(list(of_group)))
    remarks = joined(*dict.fromkeys(row.remarks for row in rows))
    return "".join(parts) + (f"\n{escape(remarks)}\n" if remarks else "")


def _table(rows: list[TransferRow]) -> Iterator[str]:
    columns = sorted({row.n_labelled for row in rows})
    n_draws = {n: max(row.n_draws for row in rows if row.n_labelled == n) for n in columns}
    titles = " | ".join(f"{n} clips, {n_draws[n]} draws" for n in columns)
    yield f"| method | {titles} |\n" + "|---" * (len(columns) + 1) + "|\n"
    for name in dict.fromkeys(map(name_of, rows)):
        cells = {row.n_labelled: _cell(row) for row in rows if name_of(row) == name}
        yield f"| {escape(name)} | " + " | ".join(cells.get(n, "") for n in columns) + " |\n"


def name_of(row: TransferRow) -> str:
    """The method of a row in words, with all settings that tell it apart in a run."""
    words = LOSS_NAMES[row.loss] if row.loss else METHOD_NAMES[row.method]
    if row.c:
        words += f", C = {row.c:g}"
    if row.mode == "transductive":
        share = f"strength {row.strength:g}, {row.proportions} within each {row.within}"
        words += f", {ADAPTATION_NAMES[row.adaptation]} ({share})"
    return words


def _cell(row: TransferRow) -> str:
    cell = text.bounded(row.uar_mean, row.speakers_low, row.speakers_high)
    if row.gain is None:
        return f"{cell} (reference)"
    mark = "*" if row.p_holm is not None and row.p_holm < 0.05 else ""
    return f"{cell}; {text.bounded(row.gain, row.gain_speakers_low, row.gain_speakers_high, signed=True)}{mark}"

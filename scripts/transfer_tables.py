"""Writes the tables of transfer methods into README.md and docs/results.md from the records in docs/records.

    python scripts/transfer_tables.py           # writes
    python scripts/transfer_tables.py --check   # exits with 1 where a page and its records differ

A record is the transfer.json of a finished run: siamese-jax transfer --config=transfer --workdir=results/transfer, then
python scripts/transfer_tables.py --record=results/transfer --name=transfer_ravdess_whisper.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from siamese_jax.experiments.transfer import TransferRow
from siamese_jax.report.paper.transfer import name_of
from siamese_jax.runtime.files import write_text

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs" / "records"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")
BLOCK = r"<!-- {name} -->\n.*?<!-- end of {name} -->\n"
SELF_TRAINED = ("logistic_regression", "adapted_discriminant")
DIGITS = 4
"""Decimal places of a stored number."""


def record(workdir: Path, name: str) -> None:
    """Stores the rows of a finished run, without their times."""
    rows = json.loads((workdir / "transfer.json").read_text(encoding="utf-8"))
    kept = [
        {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in row.items() if k != "seconds"} for row in rows
    ]
    lines = ",\n".join(json.dumps(row) for row in kept)
    write_text(RECORDS / f"{name}.json", f"[\n{lines}\n]\n")


def rows_of(name: str) -> list[TransferRow]:
    """Returns the rows of a record."""
    return [
        TransferRow(**row, seconds=0.0) for row in json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    ]


def by_scaling(rows: list[TransferRow]) -> str:
    """Returns a table of UAR by corpus / by speaker: settings down, numbers of labelled clips across."""
    columns = sorted({row.n_labelled for row in rows})
    lines = [f"| mode | method | {' | '.join(f'{n} clips' for n in columns)} |", "|---" * (len(columns) + 2) + "|"]
    for mode in ("inductive", "transductive"):
        for name in dict.fromkeys(name_of(row) for row in rows if row.mode == mode):
            own = {(row.n_labelled, row.scaling): row for row in rows if name_of(row) == name}
            cells = [" / ".join(_marked(own[n, scaling]) for scaling in ("corpus", "speaker")) for n in columns]
            lines.append(f"| {mode} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _marked(row: TransferRow) -> str:
    better = row.p_holm is not None and row.p_holm < 0.05 and (row.gain or 0) > 0
    return f"{row.uar_mean:.1f}{'*' if better else ''}"


def gains(rows: list[TransferRow]) -> str:
    """Returns a table of gains over the better logistic regression, with intervals over speakers."""
    columns = sorted({row.n_labelled for row in rows})
    lines = [f"| scaled by | method | {' | '.join(f'{n} clips' for n in columns)} |", "|---" * (len(columns) + 2) + "|"]
    shown = [row for row in rows if row.adaptation == "self_trained" and row.method in SELF_TRAINED]
    for scaling in ("corpus", "speaker"):
        for name in dict.fromkeys(map(name_of, shown)):
            own = {row.n_labelled: row for row in shown if (name_of(row), row.scaling) == (name, scaling)}
            cells = (
                f"{own[n].gain:+.1f} [{own[n].gain_speakers_low:+.1f}, {own[n].gain_speakers_high:+.1f}]"
                for n in columns
            )
            lines.append(f"| {scaling} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def thinned(rows: list[TransferRow]) -> str:
    """Returns a table of gains over the better logistic regression by the ratio of the classes' clips."""
    ratios = sorted({row.thinned for row in rows})
    titles = " | ".join(f"{ratio:g} : 1" for ratio in ratios)
    lines = [f"| scaled by | labelled clips | method | {titles} |", "|---" * (len(ratios) + 3) + "|"]
    shown = [row for row in rows if row.mode == "transductive"]
    for key in dict.fromkeys((row.scaling, row.n_labelled, name_of(row)) for row in shown):
        own = {row.thinned: row for row in shown if (row.scaling, row.n_labelled, name_of(row)) == key}
        cells = " | ".join(f"{own[ratio].gain:+.1f}" for ratio in ratios)
        lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {cells} |")
    return "\n".join(lines) + "\n"


def summary() -> str:
    """Returns the README's five rows: by corpus, 8 and 80 labelled clips."""
    records = {"64 features": rows_of("transfer_ravdess_is09"), "speech encoder": rows_of("transfer_ravdess_whisper")}
    lines = ["| features | mode | method | 8 clips | 80 clips |", "|---|---|---|---|---|"]

    def line(features: str, title: str, chosen: dict[str, Any], best: bool) -> str:
        shown = [row for row in records[features] if row.scaling == "corpus" and row.n_labelled in (8, 80)]
        rows = [row for row in shown if all(getattr(row, key) == value for key, value in chosen.items())]
        names = list(dict.fromkeys(map(name_of, rows)))
        mean = {name: sum(row.uar_mean or 0 for row in rows if name_of(row) == name) for name in names}
        name = max(names, key=mean.__getitem__)
        own = {row.n_labelled: row for row in rows if name_of(row) == name}
        cells = [f"{'**' if best else ''}{own[n].uar_mean:.1f}{'**' if best else ''} "
                 f"[{own[n].speakers_low:.1f}, {own[n].speakers_high:.1f}]" for n in (8, 80)]  # fmt: skip
        return f"| {features} | {own[8].mode} | {title.format(name=name)} | {' | '.join(cells)} |"

    lines.append(line("64 features", "the paper: {name}", {"method": "siamese"}, False))
    for features in records:
        plain = {"method": "logistic_regression", "adaptation": "none"}
        lines.append(line(features, "baseline: {name}", plain, False))
        ours = {"method": "logistic_regression", "adaptation": "self_trained", "within": "speaker", "strength": 1.0}
        lines.append(line(features, "ours: {name}", ours, True))
    return "\n".join(lines) + "\n"


def blocks() -> dict[str, str]:
    """Returns the tables by the name of their place."""
    made = {"summary": summary()}
    for name in ("transfer_ravdess_whisper", "transfer_ravdess_is09", "transfer_emodb_whisper", "transfer_emodb_is09"):
        made[name] = by_scaling(rows_of(name))
        made[f"{name}_gains"] = gains(rows_of(name))
    made["transfer_thinned"] = thinned(rows_of("transfer_thinned"))
    return made


def filled(page: str, made: dict[str, str]) -> str:
    """Returns a page with its tables."""
    for name, table in made.items():
        block = f"<!-- {name} -->\n\n{table}\n<!-- end of {name} -->\n"
        page = re.sub(BLOCK.format(name=name), lambda _, block=block: block, page, flags=re.DOTALL)
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--record", type=Path, help="a finished work directory to store")
    parser.add_argument("--name", help="the record's name")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record, arguments.name)
        return 0
    made, status = blocks(), 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        if page != filled(page, made):
            print(f"{path.name} differs from its records" if arguments.check else f"{path.name} written")
            status = 1 if arguments.check else 0
            if not arguments.check:
                write_text(path, filled(page, made))
    return status


if __name__ == "__main__":
    sys.exit(main())

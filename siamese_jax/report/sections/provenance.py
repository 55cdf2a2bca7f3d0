"""Where the numbers come from: configuration, tables with their cards, versions, machine, time and commands."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from siamese_jax.datasets import shipped as data
from siamese_jax.experiments.stored_results import stored_stages
from siamese_jax.protocols.config import flat
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Alert, Block, Code, Fold, Heading, Paragraph, Section, Table
from siamese_jax.report.sections.compare import show


def section(runs: list[Folder], command: list[str]) -> Section:
    """The provenance of every work directory, and `command`, which made the report."""
    blocks: list[Block] = []
    for run in runs:
        blocks.append(Heading(f"{run.label}: {run.corpora}"))
        blocks.extend(_run_blocks(run))
    blocks += [Heading("This report"), Code(shlex.join(command))]
    given = [names for run in runs for names in (run.experiment.data.source, run.experiment.data.target)]
    tables = dict.fromkeys(name.strip() for names in given for name in names.split(","))
    for name in (name for name in tables if name in data.SHIPPED):
        blocks.extend(card(data.shipped(name).with_suffix(".md").read_text(encoding="utf-8")))
    return Section("Provenance", blocks)


def _run_blocks(run: Folder) -> Iterator[Block]:
    protocol = run.experiment.protocol
    yield from (Alert(note) for note in run.notes)
    draws, in_domain = text.plural(protocol.n_draws, "draw"), text.plural(protocol.n_in_domain_seeds, "in-domain seed")
    seeds = f"seed {protocol.seed}; {text.plural(protocol.n_seeds, 'source seed')}, {in_domain}, {draws}"
    rows = [
        *facts(run.provenance), ("computing time of the stages", _time(_stage_seconds(run))), ("seeds", seeds),
        ("source table", _table(run, "source")), *_corpora(run), ("target table", _table(run, "target"))
    ]  # fmt: skip
    if run.missing:
        yield Alert(f"Per-clip results are left out: {run.missing}.")
    yield Table("How these results were made.", ("", ""), rows)
    if str(run.provenance.get("revision", "")).endswith("+changes"):
        yield Paragraph("The code held changes that its revision does not name.")
    yield Paragraph("To run it again, from the repository at that revision (a stopped run resumes):")
    yield Code(rerun(run.provenance.get("command", [])))
    values = [(name, show(value)) for name, value in flat(run.experiment).items()]
    yield Fold(f"Configuration of {run.label}", [Table("Every setting.", ("setting", "value"), values)])


def facts(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions, machine and time as (name, value)."""
    get, machine = provenance.get, provenance.get("machine", {})
    packages = ", ".join(f"{name} {version}" for name, version in get("packages", {}).items())
    return [
        ("siamese_jax", f"{get('siamese_jax', 'unknown')}, revision {get('revision', 'unknown')}"),
        ("Python and packages", f"{get('python', 'unknown')}; {packages}"),
        ("machine", f"{machine.get('processor', 'unknown')}, {machine.get('system', 'unknown')}"),
        ("devices", ", ".join(get("devices", [])) or "unknown"),
        ("wall time of the last run", _time(get("seconds"))),
    ]


def rerun(command: list[str]) -> str:
    """The command as a user types it."""
    if not command:
        return "(the command was not kept)"
    program, *arguments = command
    # The installed program records its own name and its command: "siamese-jax reproduce".
    module = ["python", "-m", f"launch.{program.removesuffix('.py')}"]
    return shlex.join([*(program.split() if program.startswith("siamese-jax ") else module), *arguments])


def _time(seconds: object) -> str:
    if not isinstance(seconds, (int, float)):
        return "unknown"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _stage_seconds(run: Folder) -> float:
    total = 0.0
    for name in stored_stages(run.path):
        with run.arrays(name) as arrays:
            total += float(arrays.attrs.get("seconds", 0.0))
    return total


def _table(run: Folder, role: str) -> str:
    name = getattr(run.experiment.data, role)
    dataset = run.source if role == "source" else run.target
    known = [part.strip() in data.SHIPPED for part in name.split(",")]
    shipped = "ships with the package; see its card below" if all(known) else "see its own licence"
    if any(known) and not all(known):
        shipped = "see the cards below, and the others' own licences"
    size = "" if dataset is None else f"; {len(dataset)} clips of {len(dataset.speakers)} speakers used"
    return f"{name} ({shipped}){size}; checksum {run.digests.get(role, 'unknown')[:16]}"


def _corpora(run: Folder) -> Iterator[tuple[str, str]]:
    """A row for each corpus of several sources."""
    source = run.source
    if source is None or len(source.corpora) == 1:
        return
    n_clips = np.bincount(source.corpus[source.rows], minlength=len(source.corpora))
    for name, n, weight in zip(source.corpora, n_clips.tolist(), source.weights):
        checksum = run.digests.get(f"source {name}", "unknown")[:16]
        yield f"source {name}", f"{n} clips used; weight {weight:.3g}; checksum {checksum}"


def card(markdown: str) -> Iterator[Block]:
    """A shipped table's card, from its Markdown: title, bold terms with their text, and tables."""
    terms: list[tuple[str, str]] = []
    tables: list[list[list[str]]] = [[]]
    title = ""
    for line in markdown.splitlines():
        if line.startswith("# "):
            title = line[2:]
        elif line.startswith("|"):
            tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        elif line.startswith("**"):
            term, _, rest = line[2:].partition("**")
            terms.append((term.rstrip("."), rest.strip(" .").replace("`", "")))
        if tables[-1]:
            tables.append([])
    yield Heading(f"Data card of {title}")
    yield Table("What is known of the table and what may be done with it.", ("", ""), terms)
    for rows in tables:
        if len(rows) > 2:
            yield Fold(f"{title.partition(':')[0]}: {rows[0][0]}", [Table(rows[0][0], rows[0], rows[2:])])

"""Several work directories side by side: differences of their making and results, and the effect of the source."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.experiments import source_effect
from siamese_jax.protocols.config import flat
from siamese_jax.report.loading.reproduction import Loaded, settings
from siamese_jax.report.paper import claims, table1
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Alert, Block, Heading, Paragraph, Section, Table
from siamese_jax.stats import estimands, intervals, two_way
from siamese_jax.stats.records import within

PAPER_SPLIT = table1.COLUMNS.index("UAR %, paper's split")


def section(runs: list[Loaded]) -> Section:
    """For two work directories or more."""
    blocks = [*warnings(runs), differing_table(runs)]
    blocks += [_scores(runs, column) for column in (PAPER_SPLIT, PAPER_SPLIT + 1)]
    return Section("Side by side", [*blocks, *_contrasts(runs)])


def warnings(runs: list[Loaded]) -> Iterator[Block]:
    """Reasons against a comparison, or for care with it."""
    for key, name in (("siamese_jax", "siamese_jax"), ("revision", "code revisions")):
        versions = {run.label: str(run.provenance.get(key, "unknown")) for run in runs}
        if len(set(versions.values())) > 1:
            listed = "; ".join(f"{label}: {value[:20]}" for label, value in versions.items())
            yield Alert(f"Mixed versions ({name}): {listed}. Differences below may come from the code.")
    packages = {name for run in runs for name in run.provenance.get("packages", {})}
    for package in sorted(packages):
        versions = {run.label: run.provenance.get("packages", {}).get(package) for run in runs}
        if len(set(versions.values())) > 1:
            listed = "; ".join(f"{label}: {version}" for label, version in versions.items())
            yield Alert(f"Mixed versions ({package}): {listed}.")


def differing_table(runs: list[Loaded]) -> Table:
    """The settings and tables that are not the same everywhere."""
    rows, configs = [], [flat(run.experiment) for run in runs]
    for key, first in configs[0].items():
        if any(config[key] != first for config in configs):
            rows.append((key, *(show(config[key]) for config in configs)))
    for role in ("source", "target"):
        digests = [run.digests.get(role, "unknown") for run in runs]
        if len(set(digests)) > 1:
            rows.append((f"checksum of the {role} table", *(digest[:12] for digest in digests)))
    if not rows:
        rows.append(("(no setting and no table)", *[""] * len(runs)))
    return Table("What differs between the configurations and tables.", ("", *(run.label for run in runs)), rows)


def show(value: Any) -> str:
    """A configuration's value as it is written there."""
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or '""'


def _scores(runs: list[Loaded], column: int) -> Table:
    header, columns = [], []
    for run in runs:
        for scope in run.experiment.data.scalings:
            for head in run.experiment.network.heads:
                lines = list(table1.lines(run.experiment, run.rows, run.optimism, head, scope))
                columns.append({_key(line): _cell(line, column) for line in lines})
                header.append(f"{run.label}: {run.corpora}, {head}, {scope}")
        if column == PAPER_SPLIT and (run.rows[0].source, run.rows[0].target) in table1.PAPER:
            columns.append({_key(line): line[-1] for line in lines})
            header.append(f"the paper, {run.corpora}")
    keys = list(dict.fromkeys(key for cells in columns for key in cells))
    return Table(
        f"{table1.COLUMNS[column]}; intervals and cells as in Table 1 (over draws or seeds: Monte Carlo error).",
        ("method, training data, cell", *header),
        [(key, *(cells.get(key, "–") for cells in columns)) for key in keys],
    )


def _key(line: tuple[str, ...]) -> str:
    return ", ".join(part for part in (line[0], line[1], line[2].partition(":")[0]) if part)


def _cell(line: tuple[str, ...], column: int) -> str:
    cell = line[2].partition(":")[2].strip()
    return f"{line[column]} ({cell})" if line[2].startswith("best") else line[column]


def _contrasts(runs: list[Loaded]) -> Iterator[Block]:
    first, comparable = runs[0], []
    for run in runs[1:]:
        same = run.digests.get("target") == first.digests.get("target")
        same &= run.experiment.data.emotions == first.experiment.data.emotions
        if same and not run.missing and not first.missing and settings(run.experiment) and settings(first.experiment):
            comparable.append(run)
    if not comparable:
        yield Paragraph("Differences between these work directories are not computed: their target clips are not the "
                        "same, or the tables are unavailable.")  # fmt: skip
        return
    base, level = _pooled(first), first.experiment.report.level
    for run in comparable:
        pooled, rows = _pooled(run), []
        for name in (name for name in base if name in pooled):
            sums = np.stack([pooled[name], base[name]], axis=1)
            interval = intervals.jackknife_interval(sums, estimands.uar_difference, level, over="speakers")
            interval = within(interval, -1.0, 1.0)
            p = text.p_value(float(two_way.t_test(interval).p_value))
            rows.append((name, text.estimate(interval, factor=100, signed=True), p))
        yield Table(
            f"{run.label} minus {first.label}: points of UAR on the same target clips, repetitions pooled, with the "
            f"{interval.label} interval (n = {text.plural(int(interval.n_units), 'speaker')}; source trainings and "
            f"draws are not varied) and its t test, not corrected. Fixed cells: {run.fixed_name}; "
            f"{first.fixed_name}.",
            ("method", interval.label, "p"),
            rows,
        )


def _pooled(run: Loaded) -> dict[str, np.ndarray]:
    setting = settings(run.experiment)[0]
    methods = [*run.references(setting), *run.fixed_cell(setting, "paper")]
    return {method.name: method.pooled for method in methods}


def source_section(runs: list[Loaded]) -> Section | None:
    """Contrasts between sources, and their variance compared with that of the depths; None for one source alone."""
    if len({run.digests.get("source") for run in runs}) < 2:
        return None
    blocks: list[Block] = [
        Paragraph(
            "Each target speaker's UAR, averaged over the draws that did not draw them and over the numbers of "
            "speakers drawn. Sources may differ in their features as well as in their speech, and they are few: a "
            "contrast is about these sources, not about sources at large."
        )
    ]
    shared = set.intersection(*({(s.head, s.scope) for s in settings(run.experiment)} for run in runs))
    protocol, report = runs[0].experiment.protocol, runs[0].experiment.report
    losses = [loss for loss in protocol.losses if all(loss in run.experiment.protocol.losses for run in runs)]
    for head, scope, loss in [(*setting, loss) for setting in sorted(shared) for loss in losses]:
        blocks.append(Heading(f"Head {head}, scaled by {scope}, {loss}, {text.plural(report.fixed_steps, 'step')}"))
        try:
            steps = report.fixed_steps
            scores = [source_effect.read(run.path, run.label, head, scope, loss, steps, run.arrays) for run in runs]
            blocks.extend(_source_tables(source_effect.compare(scores, report.level)))
        except InputError as error:
            blocks.append(Paragraph(f"Not compared: {error}."))
    if not shared:
        blocks.append(Paragraph("Not compared: no head and scaling scope is common to all of these directories."))
    return Section("The source, or the number of frozen layers?", blocks)


def _source_tables(compared: dict[str, Any]) -> Iterator[Block]:
    means = [(f"source {name}", text.number(value)) for name, value in compared["source_means"].items()]
    means += [(text.plural(int(name), "frozen layer"), text.number(value))
              for name, value in compared["frozen_means"].items()]  # fmt: skip
    caption = f"Mean UAR (%) over {text.plural(compared['speakers'], 'target speaker')}."
    yield Table(caption, ("level", "UAR %"), means)
    contrasts = compared["source_contrasts"]
    rows = [(f"{contrast['first']} minus {contrast['second']}", claims.estimate(contrast)) for contrast in contrasts]
    caption = f"Contrasts between sources, points of UAR; {contrasts[0]['kind']} (Bonferroni over the contrasts)."
    yield Table(caption, ("contrast", "points"), rows)
    difference = compared.get("source_variance_minus_frozen_variance")
    if difference is not None:
        caption = (
            "The variance of UAR between the sources minus that between the depths of freezing, squared points; above "
            f"0 the source matters more; {difference['kind']}."
        )
        yield Table(caption, ("", "squared points"), [("sources minus frozen layers", claims.estimate(difference))])

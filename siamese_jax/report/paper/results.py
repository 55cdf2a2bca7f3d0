"""The Markdown and figures of a finished work directory, written beside its JSON."""

from collections.abc import Mapping
from pathlib import Path

from siamese_jax.experiments.records import Difference, marked
from siamese_jax.experiments.stored_results import stored_json
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.loading import reproduction, workdir
from siamese_jax.report.loading.workdir import read_records
from siamese_jax.report.paper import claims, crossed, differences, figure2, table1
from siamese_jax.report.render import markdown, text
from siamese_jax.report.render.document import Block, Paragraph
from siamese_jax.runtime.files import user_path, write_text


def write(folder: str | Path) -> str:
    """Writes table1.md, differences.md and figure2.* of a reproduction, claims.md or crossed.md of a rerun.

    Returns the main text, for the terminal. Raises InputError if the folder is of another kind, or not finished.
    """
    path = user_path(folder)
    kind = workdir.kind_of(path)
    if kind == reproduction.KIND:
        return _reproduction(path, workdir.experiment_of(path))
    if kind == "crossed":
        shares = stored_json(path / "crossed.json", list)
        title = f"Variance components of UAR, {shares[0]['source']} to {shares[0]['target']}"
        return _page(path / "crossed.md", title, list(crossed.blocks(shares)))
    tested = stored_json(path / "claims.json", list)
    corpora = f"{tested[0]['source']} to {tested[0]['target']}"
    if kind != "rerun":
        return _page(path / "claims.md", f"Repeated trainings, {corpora}", list(claims.trainings(tested)))
    _write_differences(path)
    return _page(path / "claims.md", f"Tests of the paper's claims, {corpora}", list(claims.blocks(tested)))


def write_side_by_side(folder: str | Path, runs: Mapping[str, Path]) -> str:
    """Writes table1.md with the UAR of several finished reproductions, by name, in columns; returns it."""
    experiments = {name: workdir.experiment_of(path) for name, path in runs.items()}
    page = table1.side_by_side(experiments, {name: reproduction.rows_of(path) for name, path in runs.items()})
    write_text(user_path(folder) / "table1.md", page)
    return page


def last_line(folder: str | Path) -> str:
    """The line on the results with remarks in a finished work directory; "" for none."""
    path = user_path(folder)
    name = "crossed.json" if workdir.kind_of(path) == "crossed" else "summary.json"
    return marked([row["remarks"] for row in stored_json(path / name, list)])


def _reproduction(path: Path, experiment: Experiment) -> str:
    rows = reproduction.rows_of(path)
    table = table1.markdown(experiment, rows, stored_json(path / "optimism.json", list))
    write_text(path / "table1.md", table)
    _write_differences(path)
    figure2.write(experiment, rows, path)
    return table


def _write_differences(path: Path) -> None:
    write_text(path / "differences.md", differences.markdown(read_records(path / "differences.json", Difference)))


def _page(file: Path, title: str, blocks: list[Block]) -> str:
    page = markdown.page(title, [Paragraph(text.ABBREVIATIONS), *blocks])
    write_text(file, page)
    return page

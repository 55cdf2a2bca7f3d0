"""The report on a cross-training: FaceNet's matrix beside the systems on 64 features, from a work directory's files."""

import functools
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from siamese_jax.report.cross_training import figures, tables
from siamese_jax.report.loading.cross_training import Matrix, load
from siamese_jax.report.render import markdown
from siamese_jax.report.render.document import Alert, Block, Code, Document, Fold, Heading, Paragraph, Section, Table
from siamese_jax.report.sections import provenance
from siamese_jax.runtime.files import atomic_path, write_text


def write(path: Path) -> None:
    """Writes facenet.md and figures/ into a work directory whose other results are there."""
    run = load(path, path.name)
    document = Document(*titles([run]), sections([run], [], everything=False))
    for picture in document.pictures():
        with atomic_path(path / "figures" / f"{picture.name}.png") as temporary:
            temporary.write_bytes(picture.png)
    write_text(path / "facenet.md", markdown.render(document, "figures"))


def short(workdir: str | Path) -> str:
    """What a terminal shows of a work directory: the first sections of facenet.md."""
    run = load(workdir, Path(workdir).name)
    return markdown.page(titles([run])[0], [*tables.brief(run, 0), *tables.systems(run, 0), *tables.matrix(run, 0)])


def titles(runs: Sequence[Matrix]) -> tuple[str, str]:
    """Title and subtitle of a report on cross-trainings alone."""
    return (
        "FaceNet for speech emotion: " + "; ".join(dict.fromkeys(run.corpora for run in runs)),
        "Pre-training and fine-tuning across corpora and views, after Liu et al. 2021, beside systems on 64 features. "
        "Work " + ("directory: " if len(runs) == 1 else "directories: ") + ", ".join(run.label for run in runs) + ".",
    )


def sections(runs: Sequence[Matrix], command: list[str], everything: bool) -> list[Section]:
    """All sections on cross-trainings.

    Args:
      command: that made the page; [] where the run itself writes it.
      everything: whether every system and cell has its figures, beside those of the comparisons.
    """
    parts: tuple[tuple[str, Callable[[Matrix, int], Iterator[Block]]], ...] = (
        ("FaceNet in short", tables.brief),
        ("Both systems on the same clips", tables.systems),
        ("The cross-training matrix", tables.matrix),
        ("With and without pre-training", tables.differences),
        ("Confusion matrices of both systems", functools.partial(figures.confusions, everything=everything)),
        ("Training curves of FaceNet", functools.partial(figures.curves, everything=everything)),
        ("Embeddings of FaceNet", functools.partial(figures.embeddings, everything=everything)),
        ("Corpora and folds", tables.corpora),
    )
    found = [Section(title, [block for i, run in enumerate(runs) for block in _headed(runs, run, make(run, i))])
             for title, make in parts]  # fmt: skip
    return [*found, Section("Provenance of FaceNet", list(_provenance(runs, command)))]


def _headed(runs: Sequence[Matrix], run: Matrix, blocks: Iterator[Block]) -> Iterator[Block]:
    if len(runs) > 1:
        yield Heading(f"{run.label}: {run.corpora}")
    yield from blocks


def _provenance(runs: Sequence[Matrix], command: list[str]) -> Iterator[Block]:
    for run in runs:
        yield Heading(f"{run.label}: {run.corpora}")
        yield from (Alert(note) for note in run.notes)
        digests = [(f"corpus {name}", text) for name, text in run.config.get("tables", {}).items()]
        yield Table("How these results were made.", ("", ""), [*provenance.facts(run.provenance), *digests])
        yield Paragraph("To run it again (a run that stopped goes on where it was):")
        yield Code(provenance.rerun(run.provenance.get("command", [])))
        values = list(_flat(run.config))
        yield Fold(f"Configuration of {run.label}", [Table("Every setting.", ("setting", "value"), values)])
    if command:
        yield Heading("This page")
        yield Code(shlex.join(["python", "-m", *command]))


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, inside in value.items():
        if isinstance(inside, dict):
            yield from _flat(inside, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(tuple(inside) if isinstance(inside, list) else inside)

"""The report on a cross-training: FaceNet's matrix compared with the systems on features, from a work directory."""

import functools
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from siamese_jax.report.cross_training import figures, tables
from siamese_jax.report.loading.cross_training import Matrix, load
from siamese_jax.report.render import markdown
from siamese_jax.report.render.document import Alert, Block, Code, Document, Fold, Heading, Paragraph, Section, Table
from siamese_jax.report.sections import provenance
from siamese_jax.runtime.config_dict import flat


def write(path: Path) -> None:
    """Writes facenet.md and figures/ into a work directory that holds the other results."""
    run = load(path, path.name)
    markdown.write(Document(*titles([run]), sections([run], [], full=False)), path / "facenet.md", "figures")


def short(workdir: str | Path) -> str:
    """The first sections of facenet.md, for the terminal."""
    run = load(workdir, Path(workdir).name)
    return markdown.page(titles([run])[0], [*tables.brief(run, 0), *tables.systems(run, 0), *tables.matrix(run, 0)])


def titles(runs: Sequence[Matrix]) -> tuple[str, str]:
    """Title and subtitle of a report on cross-trainings alone."""
    directories = "Work directory" if len(runs) == 1 else "Work directories"
    return (
        "FaceNet for speech emotion: " + "; ".join(dict.fromkeys(run.corpora for run in runs)),
        "Pre-training and fine-tuning across corpora and views, after Liu et al. 2021, compared with systems on 64 "
        f"features. {directories}: {', '.join(run.label for run in runs)}.",
    )


def sections(runs: Sequence[Matrix], command: list[str], full: bool) -> list[Section]:
    """All sections; `command` made the page, [] for the run itself; `full`: figures of all systems and cells."""
    parts: tuple[tuple[str, Callable[[Matrix, int], Iterator[Block]]], ...] = (
        ("FaceNet in short", tables.brief),
        ("Both systems on the same clips", tables.systems),
        ("The cross-training matrix", tables.matrix),
        ("With and without pre-training", tables.differences),
        ("Confusion matrices of both systems", functools.partial(figures.confusions, full=full)),
        ("Training curves of FaceNet", functools.partial(figures.curves, full=full)),
        ("Embeddings of FaceNet", functools.partial(figures.embeddings, full=full)),
        ("Corpora and folds", tables.corpora),
    )
    made = [Section(title, [block for i, run in enumerate(runs) for block in _headed(runs, run, make(run, i))])
            for title, make in parts]  # fmt: skip
    return [*made, Section("Provenance of FaceNet", list(_provenance(runs, command)))]


def _headed(runs: Sequence[Matrix], run: Matrix, blocks: Iterator[Block]) -> Iterator[Block]:
    if len(runs) > 1:
        yield Heading(f"{run.label}: {run.corpora}")
    yield from blocks


def _provenance(runs: Sequence[Matrix], command: list[str]) -> Iterator[Block]:
    for run in runs:
        yield Heading(f"{run.label}: {run.corpora}")
        yield from (Alert(note) for note in run.notes)
        digests = [(f"corpus {name}", digest) for name, digest in run.config.get("tables", {}).items()]
        yield Table("How these results were made.", ("", ""), [*provenance.facts(run.provenance), *digests])
        yield Paragraph("To run it again (a stopped run resumes):")
        yield Code(provenance.rerun(run.provenance.get("command", [])))
        values = [
            (name, str(tuple(value) if isinstance(value, list) else value)) for name, value in flat(run.config).items()
        ]
        yield Fold(f"Configuration of {run.label}", [Table("Every setting.", ("setting", "value"), values)])
    if command:
        yield Heading("This page")
        yield Code(shlex.join(command))

"""The report: work directories in; one HTML page, the same as Markdown, and its figures out."""

from collections.abc import Sequence
from pathlib import Path

from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.report.cross_training import page as crosstraining
from siamese_jax.report.loading import kinds
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.loading.reproduction import Loaded
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.render import html, markdown
from siamese_jax.report.render.document import Document, Section
from siamese_jax.report.sections import (
    baselines,
    compare,
    confusion,
    curves,
    distances,
    embeddings,
    overview,
    paired,
    provenance,
    reruns,
    scores,
    source_effect,
    speakers,
)
from siamese_jax.report.sections.reruns import Rerun
from siamese_jax.runtime.files import atomic_path, user_path, write_text

LARGEST = 5_000_000
"""Bytes above which a page is slow to open and to send; it is written all the same, with a warning."""


def write(workdirs: Sequence[str | Path], output: str | Path, command: Sequence[str]) -> Document:
    """Writes the report on `workdirs` to `output` (.html), beside it the same as .md and a folder of figures.

    Args:
      workdirs: folders that an experiment has filled; several are compared side by side.
      output: REPORT.html; REPORT.md and REPORT_figures/ go beside it.
      command: what the user ran, for the provenance: module and arguments.

    Raises:
      InputError: a folder cannot be used, or the name does not end in .html.
    """
    output = user_path(output)
    if output.suffix != ".html":
        raise InputError(f"{output}: expected a name ending in .html")
    document = build(kinds.load_all(workdirs), list(command))
    folder = output.with_name(f"{output.stem}_figures")
    for picture in document.pictures():
        with atomic_path(folder / f"{picture.name}.png") as temporary:
            temporary.write_bytes(picture.png)
    write_text(output.with_suffix(".md"), markdown.render(document, folder.name))
    page = html.render(document)
    write_text(output, page)
    if len(page.encode()) > LARGEST:
        logging.warning("%s: %.1f MB; compare fewer work directories", output, len(page.encode()) / 1e6)
    return document


def build(given: Sequence[Folder | Matrix], command: list[str]) -> Document:
    """All sections: those of cross-trainings, of reproductions, of reruns, and where everything comes from."""
    matrices = [folder for folder in given if isinstance(folder, Matrix)]
    crossed = crosstraining.sections(matrices, command, everything=True) if matrices else []
    found = [folder for folder in given if isinstance(folder, Folder)]
    if not found:
        return Document(*crosstraining.titles(matrices), crossed)
    runs = [folder for folder in found if isinstance(folder, Loaded)]
    reran = [folder for folder in found if isinstance(folder, Rerun)]
    sections = [*(_reproduced(runs) if runs else []), *([reruns.section(reran)] if reran else [])]
    title = "Cross-corpus speech emotion recognition: " + "; ".join(dict.fromkeys(folder.corpora for folder in found))
    subtitle = (
        "Siamese networks with the ratio loss, after Feng & Chaspari 2020. Work "
        + ("directory: " if len(found) == 1 else "directories: ")
        + ", ".join(folder.label for folder in found)
        + "."
    )
    return Document(title, subtitle, [*crossed, *sections, provenance.section(found, command)])


def _reproduced(runs: list[Loaded]) -> list[Section]:
    """What reproductions show; the last section only where there are distances."""
    sections: list[Section | None] = [
        overview.section(runs),
        compare.section(runs) if len(runs) > 1 else None,
        source_effect.section(runs),
        scores.table_section(runs),
        scores.figure_section(runs),
        paired.section(runs),
        baselines.section(runs),
        confusion.section(runs),
        speakers.section(runs),
        curves.section(runs),
        embeddings.section(runs),
        distances.section(runs),
    ]
    return [section for section in sections if section is not None]

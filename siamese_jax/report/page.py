"""The report: from work directories to one HTML page, the same as Markdown, and its figures."""

from collections.abc import Sequence
from pathlib import Path

from absl import logging

from siamese_jax.errors import InputError
from siamese_jax.report.cross_training import page as cross_training
from siamese_jax.report.loading import kinds
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.loading.reproduction import Loaded
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.render import html, markdown, text
from siamese_jax.report.render.document import Document, Section
from siamese_jax.report.sections import (
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
    speakers,
)
from siamese_jax.report.sections.reruns import Rerun
from siamese_jax.runtime.files import user_path, write_text

LARGEST = 5_000_000  # bytes; a larger page is slow to open and to send, and is written with a warning


def write(workdirs: Sequence[str | Path], output: str | Path, command: Sequence[str]) -> Document:
    """Writes REPORT.html at `output`, with REPORT.md and REPORT_figures/ next to it; `command`: module and arguments.

    Raises InputError if a folder cannot be used, or the name does not end in .html.
    """
    output = user_path(output)
    if output.suffix != ".html":
        raise InputError(f"{output}: expected a name ending in .html")
    document = build(kinds.load_all(workdirs), list(command))
    markdown.write(document, output.with_suffix(".md"), f"{output.stem}_figures")
    page = html.render(document)
    write_text(output, page)
    if len(page.encode()) > LARGEST:
        logging.warning("%s: %.1f MB; compare fewer work directories", output, len(page.encode()) / 1e6)
    return document


def build(loaded: Sequence[Folder | Matrix], command: list[str]) -> Document:
    """All sections: those of cross-trainings, of reproductions, of reruns, and their provenance."""
    matrices = [folder for folder in loaded if isinstance(folder, Matrix)]
    crossed = cross_training.sections(matrices, command, full=True) if matrices else []
    folders = [folder for folder in loaded if isinstance(folder, Folder)]
    if not folders:
        return Document(*cross_training.titles(matrices), crossed)
    runs = [folder for folder in folders if isinstance(folder, Loaded)]
    reran = [folder for folder in folders if isinstance(folder, Rerun)]
    sections = [*(_reproduced(runs) if runs else []), *([reruns.section(reran)] if reran else [])]
    title = "Cross-corpus speech emotion recognition: " + "; ".join(dict.fromkeys(folder.corpora for folder in folders))
    if matrices:
        title += ". FaceNet: " + "; ".join(dict.fromkeys(matrix.corpora for matrix in matrices))
    directories = "Work directory" if len(loaded) == 1 else "Work directories"
    facenet = " FaceNet for speech, after Liu et al. 2021." if matrices else ""
    subtitle = (
        f"Siamese networks with the ratio loss, after Feng & Chaspari 2020.{facenet} {text.ABBREVIATIONS} "
        f"{directories}: {', '.join(folder.label for folder in loaded)}."
    )
    return Document(title, subtitle, [*crossed, *sections, provenance.section(folders, command)])


def _reproduced(runs: list[Loaded]) -> list[Section]:
    sections = [
        overview.section(runs), compare.section(runs) if len(runs) > 1 else None, compare.source_section(runs),
        scores.table_section(runs), scores.figure_section(runs), paired.section(runs), paired.baseline_section(runs),
        confusion.section(runs), speakers.section(runs), curves.section(runs), embeddings.section(runs),
        distances.section(runs)
    ]  # fmt: skip
    return [section for section in sections if section is not None]

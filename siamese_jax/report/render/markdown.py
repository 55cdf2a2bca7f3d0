"""A document as Markdown, its figures as files in a folder beside it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from siamese_jax.report.render.document import Alert, Block, Code, Document, Fold, Gallery, Heading, Paragraph, Table
from siamese_jax.runtime.files import atomic_path, write_text
from siamese_jax.runtime.terminal import printable


def render(document: Document, folder: str) -> str:
    """The text; figures are linked as `folder`/NAME.png."""
    parts = [f"# {escape(document.title)}\n\n{escape(document.subtitle)}\n"]
    for section in document.sections:
        parts.append(f"## {escape(section.title)}\n")
        parts.extend(_blocks(section.blocks, folder))
    return "\n".join(parts)


def write(document: Document, file: Path, folder: str) -> None:
    """Writes the text to `file`, and the figures as PNG files into `folder` next to it."""
    for picture in document.pictures():
        with atomic_path(file.with_name(folder) / f"{picture.name}.png") as temporary:
            temporary.write_bytes(picture.png)
    write_text(file, render(document, folder))


def page(title: str, blocks: Sequence[Block]) -> str:
    """A page of its own, without figures."""
    return "\n".join([f"# {escape(title)}\n", *_blocks(blocks, "")])


def escape(text: str) -> str:
    """Text without any Markdown or HTML syntax or control character, on one line, also inside a table."""
    text = printable(re.sub(r"\s+", " ", text))
    # Backslashes do not stop raw HTML in every renderer; entities do.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|#!~$])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word it is no emphasis


def _blocks(blocks: Sequence[Block], folder: str) -> Iterator[str]:
    for block in blocks:
        match block:
            case Alert(text):
                yield f"> **Note:** {escape(text)}\n"
            case Heading(text):
                yield f"### {escape(text)}\n"
            case Code(text):
                # Longer than any run of backticks inside, so that nothing inside can end it.
                fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
                yield f"{fence}\n{printable(text)}\n{fence}\n"
            case Paragraph(text):
                yield escape(text) + "\n"
            case Table(caption, header, rows):
                lines = [_row(header), "|---" * len(header) + "|", *map(_row, rows)]
                yield "\n".join(lines) + f"\n\n*{escape(caption)}*\n"
            case Gallery(pictures):
                for picture in pictures:
                    yield f"![{escape(picture.alt)}]({quote(folder)}/{picture.name}.png)\n"
                    yield f"*{escape(picture.caption)}*\n"
            case Fold(title, inner):
                yield f"### {escape(title)}\n"
                yield from _blocks(inner, folder)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escape, cells)) + " |"

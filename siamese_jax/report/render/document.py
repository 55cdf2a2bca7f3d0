"""A report's content, apart from its format: blocks of plain text, which the renderers escape."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Alert(Paragraph):
    """A warning: numbers that are unavailable, or that must not be compared."""


@dataclasses.dataclass(frozen=True)
class Heading(Paragraph):
    """A heading inside a section."""


@dataclasses.dataclass(frozen=True)
class Code(Paragraph):
    """Lines to be typed or kept as they are."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; `caption` gives the numbers' meaning, unit, n and kind of interval; a row's first cell names it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure: a unique name (letters, digits, underscores); the caption gives marks, unit, n and kind of interval."""

    name: str
    png: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Figures that belong side by side if there is room."""

    pictures: Sequence[Picture]


@dataclasses.dataclass(frozen=True)
class Fold:
    """Details that are closed at first; always open in Markdown and in print."""

    title: str
    blocks: "Sequence[Block]"


Block = Paragraph | Alert | Heading | Code | Table | Gallery | Fold


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report with an entry in its table of contents."""

    title: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Document:
    """A report: title, one line below it, and sections."""

    title: str
    subtitle: str
    sections: Sequence[Section]

    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        return [picture for section in self.sections for picture in _pictures(section.blocks)]


def _pictures(blocks: Sequence[Block]) -> list[Picture]:
    pictures: list[Picture] = []
    for block in blocks:
        if isinstance(block, Gallery):
            pictures.extend(block.pictures)
        elif isinstance(block, Fold):
            pictures.extend(_pictures(block.blocks))
    return pictures

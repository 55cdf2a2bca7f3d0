"""What a report says, apart from how it is written: blocks that both HTML and Markdown can render.

All text is plain: whatever came from data is escaped by the renderer, so no block needs to know where it came from.
"""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Alert:
    """Something a reader must not miss: numbers that cannot be had, or that must not be compared."""

    text: str


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to be typed or kept as they are."""

    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names the row.

    Fields:
      caption: what the numbers are, their unit, n and kind of interval.
      header: names of the columns.
      rows: one string a column each.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure.

    Fields:
      name: of its file, letters, digits and underscores, unique in the document.
      png: the file's bytes.
      alt: what it shows, for those who cannot see it.
      caption: what the marks are, their unit, n and kind of interval.
    """

    name: str
    png: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Figures that belong side by side where there is room."""

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
    found: list[Picture] = []
    for block in blocks:
        if isinstance(block, Gallery):
            found.extend(block.pictures)
        elif isinstance(block, Fold):
            found.extend(_pictures(block.blocks))
    return found

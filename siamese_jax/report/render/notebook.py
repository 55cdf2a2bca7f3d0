"""What the report writes and draws, shown inside a notebook."""

import dataclasses
import io

from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Markdown:
    """Text that a notebook shows as Markdown where it is a cell's last value; elsewhere it prints as it stands."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure that a notebook shows where it is a cell's last value, whatever Matplotlib's backend is.

    Fields:
      figure: made without pyplot, as the report's are.
      dpi: dots an inch.
    """

    figure: Figure
    dpi: int

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        # The software's name and version would make equal figures differ.
        self.figure.savefig(buffer, format="png", dpi=self.dpi, metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return "a figure"

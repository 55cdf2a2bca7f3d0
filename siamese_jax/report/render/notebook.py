"""The report's text and figures, shown inside a notebook."""

import dataclasses
import io

from matplotlib.figure import Figure

from siamese_jax.report.render import figures


@dataclasses.dataclass(frozen=True)
class Markdown:
    """Text that a notebook shows as Markdown if it is a cell's last value; elsewhere it prints unchanged."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure, made without pyplot, that a notebook shows as a cell's last value under any Matplotlib backend."""

    figure: Figure
    dpi: int

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with figures.settings({}):
            # The software's name and version would make equal figures differ.
            self.figure.savefig(buffer, format="png", dpi=self.dpi, metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return "a figure"

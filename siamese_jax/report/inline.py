"""What the report writes as Markdown, shown inside a notebook."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Markdown:
    """Text that a notebook shows as Markdown where it is a cell's last value; elsewhere it prints as it stands."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

"""A text of a page whose numbers come from a record or a configuration."""

import dataclasses
import functools
import re

import numpy as np

from scripts.numbers import records
from siamese_jax.datasets import shipped
from siamese_jax.datasets.table_files import read_table
from siamese_jax.protocols.config import Experiment


@dataclasses.dataclass(frozen=True)
class Claim:
    """A text that must stand in a page, its numbers put in by the records; blanks and line breaks are alike.

    Fields:
      true: whether the records bear the text out; for texts that say more than numbers.
    """

    text: str
    true: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        """The text as a whole, not as a part of a word or a longer number."""
        left = r"(?<![\w.])" if self.text[0].isalnum() else ""
        right = r"(?!\w|[.,]\d)" if self.text[-1].isalnum() else ""
        return re.compile(left + r"\s+".join(map(re.escape, self.text.split())) + right)


def span(values: list[float], digits: int = 1) -> str:
    """The least and the greatest value, "1.2 to 5.5"."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def numbers(cell: str) -> list[float]:
    """All numbers of a cell."""
    return [float(number) for number in NUMBER.findall(cell.replace(",", ""))]


def first(cell: str) -> float:
    """The number that a cell starts with."""
    return numbers(cell)[0]


def experiment(record: str) -> Experiment:
    """The experiment of a record's command."""
    return records.experiment(records.read(record).command)


@functools.cache
def size_of(name: str, features: str = "is09") -> tuple[int, int, int]:
    """The clips, speakers and columns of a shipped table, of the emotions of `make reproduce`."""
    table = read_table(shipped.shipped(name, features))
    chosen = np.isin(table.emotion, experiment("reproduce").data.emotions)
    return int(chosen.sum()), len(set(table.speaker[chosen].tolist())), table.features.shape[1]

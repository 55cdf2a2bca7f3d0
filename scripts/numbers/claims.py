"""What the pages' prose says in numbers, each from a record or a configuration."""

import configparser
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from scripts.numbers import records, tables
from siamese_jax.features import is09
from siamese_jax.protocols.config import Experiment


@dataclasses.dataclass(frozen=True)
class Claim:
    """A text that must stand in a page, its numbers already put in; blanks and line breaks are alike."""

    text: str

    @property
    def pattern(self) -> re.Pattern[str]:
        edge_left = r"(?<![\w.])" if self.text[0].isalnum() else ""
        edge_right = r"(?![\w]|\.\d)" if self.text[-1].isalnum() else ""
        return re.compile(edge_left + r"\s+".join(map(re.escape, self.text.split())) + edge_right)


def says(text: str, **values: Any) -> Claim:
    """A claim with its {placeholders} filled in."""
    return Claim(text.format(**values))


def experiment(record: str) -> Experiment:
    """The experiment of a record's command."""
    return records.experiment(records.read(record).command)


def transferred(record: str, **chosen: Any) -> Any:
    """The one row of a record of transfer methods with these values."""
    rows = [row for row in tables.transfer_rows(record) if all(getattr(row, k) == v for k, v in chosen.items())]
    (row,) = rows
    return row


NAMES = {
    "README.md": (
        "Feng & Chaspari 2020", "Liu et al. 2021", "Table 1", "Figure 2", "Apache-2.0", "CC BY-NC-SA 4.0",
        "Livingstone & Russo 2018", "Burkhardt et al. 2005", "Radford et al. 2022",
    ),
}  # fmt: skip
"""Numbers that name something, by page."""


WHOLE = ("README.md",)
"""Pages of which every number is accounted for."""


def setup(name: str) -> str:
    """An option of setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(records.ROOT / "setup.cfg", encoding="utf-8")
    return parser["options"][name]


def readme() -> Iterator[Claim]:
    whisper, paper = (
        records.experiment(records.read(name).command) for name in ("transfer_ravdess_whisper", "reproduce")
    )
    yield says("CPython {version} or newer", version=setup("python_requires").removeprefix(">="))
    yield says("{n} features", n=len(is09.FEATURE_NAMES))
    weak, strong = whisper.transfer.balance_strength
    last = {"method": "logistic_regression", "adaptation": "self_trained", "within": "speaker", "scaling": "corpus"}
    rows = [transferred("transfer_ravdess_whisper", **last, strength=weak, n_labelled=n) for n in (8, 80)]
    yield says(
        "With the strength that was chosen there ({weak:g} in place of {strong:g}) the last row is {few:.1f} and "
        "{many:.1f}.", weak=weak, strong=strong, few=rows[0].uar_mean, many=rows[1].uar_mean,
    )  # fmt: skip
    speakers = whisper.protocol.n_speakers
    yield says("from {low} or {high} speakers", low=speakers[0], high=speakers[-1])
    yield says("over {n} draws", n=whisper.protocol.n_draws)
    yield says("{level:g} % jackknife t intervals", level=100 * whisper.report.level)
    yield says("has {n} draws on the", n=paper.protocol.n_draws)


def by_page() -> dict[str, list[Claim]]:
    """The claims by page, names included."""
    named = {page: [Claim(name) for name in names] for page, names in NAMES.items()}
    return {"README.md": named["README.md"] + list(readme()), "docs/results.md": []}

"""What the pages' prose says in numbers, each from a record or a configuration."""

import configparser
from collections.abc import Iterator

from scripts.mutate import SILENT
from scripts.numbers import recognizer, records, results, transfers
from scripts.numbers.claim import Claim, experiment
from siamese_jax.features import is09

NAMES = {
    "README.md": (
        "Feng & Chaspari 2020", "Liu et al. 2021", "Table 1", "Figure 2", "Apache-2.0", "CC BY-NC-SA 4.0",
        "Livingstone & Russo 2018", "Burkhardt et al. 2005", "Radford et al. 2022",
    ),
    "docs/results.md": (
        "Table 1", "64 features", "layer 2", "layer 1", "Layer 2", "layers 1 to 3", "Layer 0", "Layer 4",
    ),
    "docs/speed.md": ("The aim of the logistic regression was 20 times scikit-learn's speed",),
    "docs/recognizer.md": (
        "layers 1 to 3", "CC BY-NC-SA 4.0", "Regulation 2024/1689, article 5", "95 % interval over speakers", "is 1 -",
    ),
}  # fmt: skip
"""Numbers that name something, by page."""


WHOLE = ("README.md", "docs/results.md", "docs/speed.md", "docs/recognizer.md")
"""Pages of which every number is accounted for."""


def setup(name: str) -> str:
    """An option of setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(records.ROOT / "setup.cfg", encoding="utf-8")
    return parser["options"][name]


def readme() -> Iterator[Claim]:
    whisper = experiment("transfer_ravdess_whisper")
    yield Claim(f"CPython {setup('python_requires').removeprefix('>=')} or newer")
    yield Claim(f"{len(is09.FEATURE_NAMES)} features")
    weak, strong = whisper.transfer.balance_strength
    last = {"adaptation": "self_trained", "within": "speaker", "scaling": "corpus", "strength": weak}
    few, many = (
        transfers.pick("transfer_ravdess_whisper", method="logistic_regression", n_labelled=n, **last)[0].uar_mean
        for n in (8, 80)
    )
    yield Claim(
        f"With the strength that was chosen there ({weak:g} in place of {strong:g}) the last row is {few:.1f} and "
        f"{many:.1f}."
    )
    speakers = whisper.protocol.n_speakers
    yield Claim(f"from {speakers[0]} or {speakers[-1]} speakers")
    yield Claim(f"over {whisper.protocol.n_draws} draws")
    yield Claim(f"{100 * whisper.report.level:g} % jackknife t intervals")
    yield Claim(f"has {experiment('reproduce').protocol.n_draws} draws on the")


def contributing() -> Iterator[Claim]:
    """The last mutation run; every fault that was not seen is named."""
    faults = records.read("mutations").tables["faults"].dicts()
    silent = [fault for fault in faults if fault["kind"] in SILENT]
    seen, seen_silent = (sum(fault["outcome"] == "seen" for fault in of) for of in (faults, silent))
    yield Claim(f"{seen} of {len(faults)} faults were seen ({100 * seen / len(faults):.1f} %)")
    yield Claim(f"of {len(silent)} silent experiments {seen_silent} ({100 * seen_silent / len(silent):.1f} %)")
    for fault in faults:
        if fault["outcome"] != "seen":
            yield Claim(fault["fault"])


def by_page() -> dict[str, list[Claim]]:
    """The claims by page, names included."""
    named = {page: [Claim(name) for name in names] for page, names in NAMES.items()}
    made = {
        "README.md": readme(),
        "docs/results.md": results.claims(),
        "docs/speed.md": (),
        "docs/recognizer.md": recognizer.claims(),
        "CONTRIBUTING.md": contributing(),
    }
    return {page: [*named.get(page, ()), *of_page] for page, of_page in made.items()}

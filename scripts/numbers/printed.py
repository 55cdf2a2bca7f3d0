"""What docs/results.md says of tables that are kept as a program printed them."""

import re
from collections.abc import Iterator

from scripts.numbers import records
from scripts.numbers.claim import Claim, experiment, first, numbers, span
from siamese_jax import load_config


def cells(record: str, table: str = "table") -> list[list[str]]:
    """The printed rows of a record."""
    return [list(map(str, row)) for row in records.read(record).tables[table].rows]


def claims() -> Iterator[Claim]:
    yield from variants()
    yield from metric_network()
    yield from support()
    yield from choice()


def variants() -> Iterator[Claim]:
    shown = {(row[0].split(" ")[0], row[1]): list(map(first, row[3:7])) for row in cells("encoder_variants")}

    def moved(name: str) -> float:
        scalings = ("corpus", "speaker")
        return max(abs(a - b) for s in scalings for a, b in zip(shown[name, s], shown["shipped", s], strict=True))

    yield Claim(
        f"Windows of 30 s move UAR on labelled clips by at most {moved('30'):.1f} points, and bfloat16 by at most "
        f"{moved('bfloat16'):.1f}."
    )


def metric_network() -> Iterator[Claim]:
    draws = re.search(r"--report_draws=(\d+)", records.read("metric_network").command)
    assert draws
    yield Claim(f"mean of {draws[1]} draws; by corpus")
    yield Claim(f"Logistic regression has C = {load_config('reproduce').protocol.logistic_c:g} unless given")

    def gains(table: str, start: int, baseline: str) -> list[list[float]]:
        """Of the network in row `start` over the next row named `baseline`; by column, corpus and speaker."""
        rows = cells("metric_network", table)
        other = next(row for row in rows[start:] if row[0] == baseline)
        return [[a - b for a, b in zip(numbers(own), numbers(cell), strict=True)]
                for own, cell in zip(rows[start][1:], other[1:], strict=True)]  # fmt: skip

    ravdess, emodb = (
        [gain for column in gains(table, 0, "logistic regression, C = 0.1") for gain in column]
        for table in ("ravdess", "emodb")
    )
    yield Claim(
        f"{span(ravdess)} points above the better logistic regression (C = 0.1) on RAVDESS, and {span(emodb)} on "
        "EMO-DB."
    )
    encoder = gains("ravdess", 4, "logistic regression")
    yield Claim(f"by {-min(encoder[-1]):.1f} points at 80 clips", max(max(column) for column in encoder) < 0)
    by_corpus, by_speaker = zip(*gains("emodb", 4, "logistic regression"), strict=True)
    yield Claim(
        f"On EMO-DB it is equal by corpus and {span([-gain for gain in by_speaker])} points lower by speaker.",
        max(map(abs, by_corpus)) < 0.5,
    )


def support() -> Iterator[Claim]:
    given = experiment("support").protocol
    assert given.n_speakers == (2,)
    yield Claim(f"paper's split, {given.n_draws} draws of two speakers, by 0.3.0 and now")
    yield Claim("Under `support` 0.3.0 took")


RULES = ("lot_balanced", "design", "typical_first", "class_clusters", "doubt")


def choice() -> Iterator[Claim]:
    given = load_config("transfer")
    pools = re.search(r"--pools=(\d+)", records.read("choice").command)
    assert pools
    yield Claim(f"Each of {pools[1]} repetitions has a pool of its own")
    yield Claim("a random 80 % of the target's clips")
    yield Claim(f"on source and labelled clips (C = {load_config('reproduce').transfer.transfer_c:g})")
    yield Claim(f"{100 * given.report.level:g} % t intervals over the pools")
    rows = cells("choice")

    def gains(rule: str, method: str, features: str = "") -> list[float]:
        return [first(row[5 + RULES.index(rule)]) for row in rows if row[3] == method and row[2].startswith(features)]

    def mean(rule: str, features: str) -> float:
        values = gains(rule, "LR", features)
        return sum(values) / len(values)

    design = gains("design", "LR")
    yield Claim(
        f"With logistic regression the design gains {mean('design', 'encoder'):.1f} points on average on the encoder's "
        f"features and {mean('design', '64'):.1f} on the 64."
    )
    below = [gain for gain in design if gain < 0]
    yield Claim(f"It is below a lot in {len(below)} of {len(design)} settings, by {-min(below):.1f} points at most")
    trained = gains("design", "self-trained")
    yield Claim(f"Under self-training it gains {sum(trained) / len(trained):.1f}, and loses up to {-min(trained):.1f}.")
    clusters = gains("class_clusters", "LR", "encoder")
    yield Claim(f"(class_clusters {mean('class_clusters', 'encoder'):.1f}, in all eight settings)", min(clusters) > 0)
    poor = min(min(gains(rule, "LR", "64")) for rule in ("typical_first", "class_clusters"))
    yield Claim(f"lose up to {-poor:.1f} points on the 64, where it predicts poorly")
    yield Claim(
        f"Asking for the doubtful clips gains {mean('doubt', 'encoder'):.1f} on the encoder's features and loses "
        f"{-mean('doubt', '64'):.1f} on the 64."
    )
    least = {rule: min(gains(rule, "LR")) for rule in RULES[1:]}
    yield Claim(
        "so `choose` takes the design, whose greatest loss with logistic regression is the least.",
        max(least, key=least.__getitem__) == "design",
    )
    yield Claim("(20 components, ridge 0.1)")

"""What docs/results.md says in numbers, section by section, each from a record or a configuration."""

from collections.abc import Iterator

from benchmarks import coverage as simulations
from scripts.numbers import calibration, degraded, facenet, networks, printed, transfers
from scripts.numbers.blocks import shown
from scripts.numbers.claim import Claim, experiment, first, size_of
from scripts.numbers.reproductions import SPEAKERS, few_shot, one, rows_of


def header() -> Iterator[Claim]:
    clips, speakers, _ = size_of("ravdess")
    yield Claim(f"is RAVDESS ({clips} clips, {speakers} speakers)")
    yield Claim(f"{100 * experiment('reproduce').report.level:g} % t intervals")


def first_table() -> Iterator[Claim]:
    counts = experiment("reproduce").protocol.n_speakers
    steps = experiment("reproduce").report.fixed_steps
    losses = experiment("reproduce").protocol.losses
    networks = {k: [few_shot("reproduce", loss, k, steps, frozen=0)["uar_mean"] for loss in losses] for k in counts}
    classifier = {k: few_shot("reproduce", "logistic_regression", k)["uar_mean"] for k in counts}
    yield Claim(
        "Logistic regression on the same source and target clips is better than every Siamese network here, at every "
        "number of speakers.",
        all(classifier[k] > max(networks[k]) for k in counts),
    )


def encoder() -> Iterator[Claim]:
    given, name = experiment("speech_encoder"), "speech_encoder"
    (layer,) = given.data.layers
    yield Claim(f"other speakers' clips, {given.protocol.n_draws} draws.")
    yield Claim(f"of layer {layer} of the speech encoder")
    yield Claim(f"({size_of('ravdess', 'whisper')[2] // 3} columns)")
    yield Claim(f'"Fixed" is {given.report.fixed_n_speakers} speakers')
    gains = []
    for row in rows_of(name, features="is09", **SPEAKERS):
        key = ("method", "data", "loss", "frozen", "scaling", "n_speakers", "steps", "selection", "split")
        if row["steps"] in (None, given.report.fixed_steps) and row["selection"] == "cell":
            same = one(name, features="whisper", **{field: row[field] for field in key})
            gains.append(same["uar_mean"] - row["uar_mean"])
    yield Claim(f"every system gains {min(gains):.0f} to {max(gains):.0f} points")

    def cell(features: str, scaling: str, method: str, k: int) -> float:
        steps = given.report.fixed_steps if method in given.protocol.losses else None
        return few_shot(name, method, k, steps, features=features, scaling=scaling)["uar_mean"]

    counts, scalings = given.protocol.n_speakers, given.data.scalings
    effect = {(f, k): [cell(f, s, "ratio", k) - cell(f, s, "none", k) for s in scalings]
              for f in ("is09", "whisper") for k in counts}  # fmt: skip
    helps = [k for k in counts if min(effect["is09", k]) > 0]
    yield Claim(f"On the 64 features it helps at {helps[0]} and more speakers.")
    assert helps == [k for k in counts if k >= helps[0]]
    costs = [-value for k in counts for value in effect["whisper", k]]
    yield Claim(f"it costs {min(costs):.0f} to {max(costs):.0f} points at every number of speakers")
    behind = [cell("whisper", s, "logistic_regression", k) - cell("whisper", s, "none", k)
              for s in scalings for k in counts]  # fmt: skip
    yield Claim(f"stays {min(behind):.0f} to {max(behind):.0f} points behind logistic regression")


def layers() -> Iterator[Claim]:
    yield Claim(f"logistic regression with C = {experiment('speech_encoder').protocol.logistic_c:g}")
    yield Claim(f"clips, {experiment('speech_encoder').protocol.n_draws} draws. Layer 0")
    yield Claim(f"RAVDESS to EMO-DB ({size_of('emodb')[1]} speakers):")
    single = ("0", "1", "2", "3", "4")
    to_ravdess, to_emodb = columns("layers_ravdess"), columns("layers_emodb")

    def best(column: dict[str, float]) -> str:
        return max(single, key=column.__getitem__)

    yield Claim(
        "Of the single layers, layer 2 is the best for RAVDESS as target.",
        all(best(column) == "2" for column in to_ravdess.values()),
    )
    yield Claim(
        "For EMO-DB as target, layer 1 is the best with the source alone and with few clips, and layer 2 in leave one "
        "speaker out.",
        all(best(to_emodb[s, title]) == "1" for s in SCALINGS for title in ("source only", "8 clips"))
        and all(best(to_emodb[s, "leave one speaker out"]) == "2" for s in SCALINGS),
    )
    below = [
        max(column.values()) - column["1,2,3"] for of_target in (to_ravdess, to_emodb)
        for (_, title), column in of_target.items() if title not in ("source only", "8 clips")
    ]  # fmt: skip
    yield Claim(
        "In every column with 16 or more clips, and in leave one speaker out, layers 1, 2 and 3 together are the best "
        f"or within {max(below):.1f} points of the best."
    )


def columns(place: str) -> dict[tuple[str, str], dict[str, float]]:
    """UAR by layers, of a table of layers, by scaling and title."""
    titles, *rows = shown(place, titles=True)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for layer, scaling, *cells in rows:
        for title, cell in zip(titles[2:], cells, strict=True):
            found.setdefault((scaling, title), {})[layer] = first(cell)
    return found


SCALINGS = ("corpus", "speaker")


def coverage() -> Iterator[Claim]:
    """How the simulations of intervals and tests are made, and from which rates on they are offered."""
    yield Claim("a seed for each draw and 24 speakers")
    yield Claim("how often a nominal 95 % interval covers, or a 5 % test rejects a true null")
    yield Claim(f"balanced clips, {simulations.CLIPS} of each speaker and class")
    yield Claim(f"unbalanced clips, 1 to {simulations.CLIPS} of each")
    yield Claim(f"The standard error is {100 * (0.05 * 0.95 / 10_000) ** 0.5:.1f} points")
    yield Claim("within 95 +- 1 % or 5 +- 0.5 %")


def claims() -> Iterator[Claim]:
    """The claims of all sections."""
    for section in (
        header,
        first_table,
        encoder,
        layers,
        transfers.claims,
        networks.claims,
        printed.claims,
        degraded.claims,
        facenet.claims,
        calibration.claims,
        coverage,
    ):
        yield from section()

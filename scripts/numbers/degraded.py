"""Labels of degraded recordings: the table and text of docs/results.md."""

from collections.abc import Iterator
from typing import Any

from scripts.degraded_study import CLASSES, N_SPEAKERS
from scripts.numbers.claim import Claim
from scripts.numbers.records import CORPORA, Table
from scripts.numbers.reproductions import rows_of
from siamese_jax.recognizer.confidence import STATED_ERROR

COLUMNS = {
    "wrong": "error of all",
    "wrong_unchecked": "error of the accepted, without the check",
    "accepted_unchecked": "accepted",
    "wrong_accepted": "error of the accepted, with the check",
    "accepted": "accepted",
}


def table() -> Table:
    """Errors and shares of labels by corpus, condition and mode, in per cent."""
    head = ("corpus", "recordings", "mode", *COLUMNS.values(), "draws in which none is accepted")
    lines = [
        (
            CORPORA[row["corpus"]], row["condition"], row["mode"], *(_cell(row, name) for name in COLUMNS),
            f"{row['none_accepted']} of {row['n_draws']}",
        )
        for row in sorted(rows_of("degraded"), key=lambda row: list(CORPORA).index(row["corpus"]))
    ]  # fmt: skip
    return Table(head, tuple(lines))


def _cell(row: dict[str, Any], name: str) -> str:
    mean, sd = row[name], row[f"{name}_sd"]
    if mean is None:
        return ""
    return f"{100 * mean:.1f}" if sd is None else f"{100 * mean:.1f} +- {100 * sd:.1f}"


def claims() -> Iterator[Claim]:
    rows = rows_of("degraded")
    yield Claim(f"mean and standard deviation over {rows[0]['n_draws']} draws")
    yield Claim(f"is enrolled with {N_SPEAKERS * len(CLASSES)} clean clips of two speakers", N_SPEAKERS == 2)
    yield Claim("Noise is pink, at 10 dB.")
    yield Claim(f"The stated error is {100 * STATED_ERROR:g} %.")
    folder = rows_of("degraded", mode="folder")
    wrong, accepted = ([100 * row[name] for row in folder] for name in ("wrong_accepted", "accepted"))
    yield Claim(
        f"at most {max(wrong):.1f} % of the accepted labels are wrong, and at least {min(accepted):.1f} % of the clips"
    )
    noisy = rows_of("degraded", condition="noise", mode="clip")
    yield Claim(
        "In mode `clip` the check refuses all labels of noisy recordings.", all(not r["accepted"] for r in noisy)
    )
    (telephone,) = rows_of("degraded", corpus="emodb", condition="telephone", mode="clip")
    yield Claim(f"on EMO-DB {100 * telephone['wrong_accepted']:.1f} % of the accepted labels are then wrong")
    (clean,) = rows_of("degraded", corpus="emodb", condition="clean", mode="folder")
    error = 100 * clean["wrong_accepted"]
    yield Claim(f"the error of the accepted labels is {error:.1f} %, more than the stated 20 %.", error > 20)

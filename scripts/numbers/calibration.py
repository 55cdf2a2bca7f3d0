"""The tables of docs/results.md on calibration and accepted labels, and what its prose says of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scripts.numbers.claim import Claim, size_of
from scripts.numbers.records import Table
from scripts.numbers.reproductions import rows_of
from siamese_jax.stats.calibration import N_BINS

Rows = list[dict[str, Any]]
RECORDS = ("calibration", "calibration_recogniser")
RULES = {"set": "set", "held_out": "held out", "single": "single"}


def name_of(row: dict[str, Any]) -> str:
    """The method in words."""
    words = row["method"].replace("_", " ")
    within = ", within each speaker" if row.get("within") == "speaker" else ""
    return words if row["adaptation"] == "none" else f"{words}, {row['adaptation']} ({row['strength']:g}{within})"


def calibration(record: str) -> Table:
    """Calibration before and after the temperature."""
    lines = (
        (row["target"], name_of(row), row["scaling"], row["n_labelled"], f"{row['n']:,}",
         f"{row['temperature']:.2f} ({row['prior']:.2f})", f"{row['ece_before']:.3f}",
         f"{row['ece']:.3f} ({row['ece_ideal']:.3f}, {row['ece_ideal_clips']:.3f})",
         f"{row['log_loss_before']:.3f}, {row['log_loss']:.3f}", f"{row['brier_before']:.3f}, {row['brier']:.3f}")
        for row in rows_of(record)
    )  # fmt: skip
    return Table(("target", "method", "scaled by", "clips", "n", "T (prior)", "ECE before", "ECE (ideal)",
                  "log loss before, after", "Brier before, after"), tuple(lines))  # fmt: skip


def accepted(record: str) -> Table:
    """Errors of accepted labels; rules other than "set" only where clips come one at a time."""
    lines = []
    for key, own in by_cell(record).items():
        if key[4] == "set" or key[2] == "support":
            head = (*key[:4], RULES[key[4]], f"{100 * own[0.2]['error_all']:.1f}")
            parts = [(f"{100 * row['error']:.1f} +- {100 * row['error_sd']:.1f}", f"{100 * row['share']:.1f}",
                      f"{100 * row['oracle']:.1f}") for row in (own[0.2], own[0.1])]  # fmt: skip
            lines.append((*head, *parts[0], *parts[1]))
    titles = [title for stated in (20, 10) for title in (f"stated {stated}: error", "accepted", "oracle")]
    return Table(("target", "method", "scaled by", "clips", "rule", "error of all", *titles), tuple(lines))


def by_cell(record: str) -> dict[tuple[Any, ...], dict[float, dict[str, Any]]]:
    """Rows by stated error, by (target, method, scaling, labelled clips, rule)."""
    cells: dict[tuple[Any, ...], dict[float, dict[str, Any]]] = {}
    for row in rows_of(record, "accepted_rows"):
        key = row["target"], name_of(row), row["scaling"], row["n_labelled"], row["rule"]
        cells.setdefault(key, {})[row["stated"]] = row
    return cells


def claims() -> Iterator[Claim]:
    rows = rows_of("calibration")
    (c,), (n_draws,) = {row["c"] for row in rows}, {row["n_draws"] for row in rows}
    yield Claim(f"logistic regression with C = {c:g} on layers 1 to 3 of the speech encoder, {n_draws} draws.")
    yield Claim(f"in {N_BINS} bins of equal mass")
    yield Claim("mean confidence is 1 - stated error")
    yield Claim("own confidence is at least 1 - stated error")
    yield Claim("No label changed.", not any(row["labels_changed"] for row in rows))
    titles = {
        "ravdess": "RAVDESS has {} speakers, of whom {} are drawn",
        "emodb": "EMO-DB has {}, of whom {} are drawn",
    }
    for name, title in titles.items():
        *few, most = sorted({row["n_speakers"] for row in rows if row["target"] == name})
        yield Claim(title.format(size_of(name)[1], f"{', '.join(map(str, few))} or {most}"))
    yield from of_calibration(rows)
    yield from of_accepted()
    yield from of_recogniser()


def of_calibration(rows: Rows) -> Iterator[Claim]:
    few, many = ([row for row in rows if row["n_labelled"] == n] for n in (8, 80))
    worst = max(few, key=lambda row: row["ece"])
    others = max(row["ece"] for row in few if row is not worst)
    yield Claim(
        f"After the temperature the calibration error is at most {worst['ece']:.3f} with 8 clips (EMO-DB by corpus, "
        f"without balance; {others:.3f} elsewhere) and at most {max(row['ece'] for row in many):.3f} with 80.",
        (worst["target"], worst["scaling"], worst["adaptation"]) == ("emodb", "corpus", "none"),
    )
    support = [row for row in few if row["scaling"] == "support"]
    losses = [f"{row['log_loss_before']:.3f} to {row['log_loss']:.3f}" for row in support]
    gained = [row["log_loss_before"] - row["log_loss"] for row in rows if row not in support]
    yield Claim(
        'Log loss and Brier score improve most where one clip comes at a time ("support", 8 clips: log loss '
        f"{losses[0]} and {losses[1]}).",
        max(gained) < min(row["log_loss_before"] - row["log_loss"] for row in support),
    )
    worse = [row["log_loss"] - row["log_loss_before"] for row in rows if row["log_loss"] > row["log_loss_before"]]
    yield Claim(
        f"In {len(worse)} of {len(rows)} rows the log loss is worse after the temperature, by {max(worse):.3f} at most."
    )
    wrong = [row for row in rows if abs(np.log(row["prior"] / row["best"])) > abs(np.log(row["best"]))]
    yield Claim(
        f"In {len(wrong)} of these the prior, which comes from the other target, is farther from this target's best "
        "temperature than 1 is; in no other row is it.",
        all(row["log_loss"] > row["log_loss_before"] for row in wrong),
    )
    yield Claim(f"RAVDESS gives a prior of {worst['prior']:.2f}, and the best temperature is {worst['best']:.2f}.")


def of_accepted() -> Iterator[Claim]:
    over, shares, spreads = [], {"support": [], "other": []}, []
    for (_, _, scaling, _, rule), own in by_cell("calibration").items():
        if rule == "set":
            over += [100 * (row["error"] - stated) for stated, row in own.items()]
            shares["support" if scaling == "support" else "other"] += [r["share"] / r["oracle"] for r in own.values()]
            spreads += [100 * row["error_sd"] for row in own.values()]
    beyond = sum(value > 2 for value in over)
    yield Claim(
        f"The set rule's error is at most 2 points above what is stated in {len(over) - beyond} of {len(over)} cells, "
        f"and at most {max(over):.1f} points above it in the others."
    )
    least = {name: 100 * min(values) for name, values in shares.items()}
    yield Claim(
        f"The rule accepts at least {least['other']:.0f} % of the oracle's share, or {least['support']:.0f} % by "
        '"support".'
    )
    yield Claim(
        f"The error of a single draw has a standard deviation of {min(spreads):.0f} to {max(spreads):.0f} points."
    )


def of_recogniser() -> Iterator[Claim]:
    """What is said of the recogniser's own settings."""
    rows, cells = rows_of("calibration_recogniser"), by_cell("calibration_recogniser")
    (strength,), (n_draws,) = {row["strength"] for row in rows}, {row["n_draws"] for row in rows}
    yield Claim(f"balances labels at strength {strength:g}, {n_draws} draws:")
    ece = {n: max(row["ece"] for row in rows if row["n_labelled"] == n) for n in (8, 80)}
    yield Claim(f"The calibration error is at most {ece[8]:.3f} with 8 clips and {ece[80]:.3f} with 80.")
    worse = [row["log_loss"] - row["log_loss_before"] for row in rows if row["log_loss"] > row["log_loss_before"]]
    brier = [row["brier"] - row["brier_before"] for row in rows if row["brier"] > row["brier_before"]]
    yield Claim(
        f"The log loss is worse after the temperature in {len(worse)} of {len(rows)} rows, by {max(worse):.3f} at "
        f"most, the Brier score in {len(brier)}, by {max(brier):.3f} at most."
    )
    own = [(stated, row) for (*_, rule), of in cells.items() if rule == "set" for stated, row in of.items()]
    over = [100 * (row["error"] - stated) for stated, row in own]
    yield Claim(
        f"The error of the accepted is at most 2 points above what is stated in {sum(v <= 2 for v in over)} of "
        f"{len(over)} cells, and {max(over):.1f} at most."
    )
    yield Claim(
        f"At least {100 * min(row['share'] / row['oracle'] for _, row in own):.0f} % of the oracle's share is accepted."
    )

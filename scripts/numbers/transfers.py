"""What docs/results.md says of the transfer methods, from their records."""

from collections.abc import Iterator
from typing import Any

from scripts.numbers import tables
from scripts.numbers.claim import Claim, experiment, span
from siamese_jax.experiments.transfer import TransferRow

RAVDESS = ("transfer_ravdess_whisper", "transfer_ravdess_is09")


def pick(record: str, **chosen: Any) -> list[TransferRow]:
    """The rows of a record of transfer methods with these values."""
    return [row for row in tables.transfer_rows(record) if all(getattr(row, k) == v for k, v in chosen.items())]


def gains(record: str, **chosen: Any) -> list[float]:
    """The gains over the better logistic regression of rows with these values."""
    return [row.gain for row in pick(record, **chosen) if row.gain is not None]


def claims() -> Iterator[Claim]:
    yield from setting()
    yield from in_short()
    yield from thinned()


def setting() -> Iterator[Claim]:
    given = experiment("transfer_ravdess_whisper")
    *first, last = given.protocol.n_speakers
    yield Claim(f"from each of {', '.join(map(str, first))} or {last} speakers")
    yield Claim(f"There are {given.protocol.n_draws} draws.")
    strong = given.transfer.balance_strength[1]
    yield Claim(f"is a setting; at {strong:g} the proportions hold exactly")
    yield Claim(f"The rows at strength {strong:g} state an assumption")
    yield Claim(f"{100 * given.report.level:g} % jackknife interval over speakers")
    yield Claim("with p < 0.05 in a t test")


def in_short() -> Iterator[Claim]:
    plain = {"method": "logistic_regression", "adaptation": "balanced", "within": "speaker", "strength": 1.0}
    gained = [gain for record in RAVDESS for gain in gains(record, scaling="corpus", **plain)]
    yield Claim(f"strength 1 gains {span(gained)} points over logistic regression by corpus.")
    added, trained = [], {**plain, "adaptation": "self_trained"}
    for strength in experiment(RAVDESS[0]).transfer.balance_strength:
        pairs = zip(*(pick(RAVDESS[0], **{**rows, "strength": strength}) for rows in (trained, plain)), strict=True)
        added += [(own.uar_mean or 0) - (balanced.uar_mean or 0) for own, balanced in pairs]
    yield Claim(
        f"within each speaker adds {span(added)} points to balancing on RAVDESS with the speech encoder's features."
    )
    emodb = "transfer_emodb_whisper"
    chosen, strong = experiment(emodb).transfer.balance_strength
    key = {"method": "logistic_regression", "adaptation": "self_trained"}
    losses = [-min(gains(emodb, **key, strength=strength)) for strength in (chosen, strong)]
    yield Claim(
        f"On EMO-DB with these features it loses: up to {losses[0]:.1f} points at the chosen strength and up to "
        f"{losses[1]:.1f} at strength {strong:g}.",
        max(gains(emodb, **key)) < 0,
    )
    discriminant = {"method": "adapted_discriminant", "adaptation": "balanced", "within": "speaker"}
    in_tables = [
        gain for record in tables.TRANSFERS
        for gain in gains(record, **discriminant, strength=experiment(record).transfer.balance_strength[0])
    ]  # fmt: skip
    lost = -min(gains("transfer_thinned", **discriminant, strength=experiment(RAVDESS[0]).transfer.balance_strength[0]))
    yield Claim("is never below the better logistic regression in the four tables", min(in_tables) >= 0)
    yield Claim(f"at most {lost:.1f} points below it where classes are thinned")
    networks = [*gains(RAVDESS[0], method="siamese"), *gains(RAVDESS[0], method="metric_network", mode="inductive")]
    yield Claim(
        "The paper's network and the metric network lose to logistic regression on the speech encoder's features of "
        "RAVDESS.", max(networks) < 0,
    )  # fmt: skip
    won = gains(RAVDESS[1], method="metric_network", mode="inductive")
    yield Claim(f"The metric network wins by {span(won)} points on the 64 features, one clip at a time.")


def thinned() -> Iterator[Claim]:
    given = experiment("transfer_thinned")
    ratios = [f"1/{ratio:g}" for ratio in given.transfer.thinned if ratio > 1]
    yield Claim(f"are thinned to {', '.join(ratios[:-1])} and {ratios[-1]} of their clips")
    yield Claim(f"with {given.protocol.n_draws} draws each")

"""What docs/results.md says of the ratio loss, many draws, the other head and other sources, from their records."""

import re
from collections.abc import Iterator

from scripts.numbers import records
from scripts.numbers.blocks import shown
from scripts.numbers.claim import Claim, experiment, first, numbers, size_of, span
from scripts.numbers.reproductions import SPEAKERS, one, rows_of
from siamese_jax.report.paper.table1 import PAPER
from siamese_jax.report.render import text


def claims() -> Iterator[Claim]:
    yield from crossed()
    yield from ratio_loss()
    yield from many_draws()
    yield from out_and_in()
    yield from heads()
    yield from cremad()
    yield from several_sources()


def crossed() -> Iterator[Claim]:
    by_corpus, by_speaker = (list(map(first, row[1:])) for row in shown("crossed"))
    yield Claim("layer 2, without the ratio loss, after 50 steps")
    yield Claim(
        "By corpus the source trainings are worth nearly the same, and the labelled clips make most of the difference. "
        "By speaker the source seed alone is worth as much as a draw.",
        by_corpus[0] < by_corpus[1] / 2 and by_speaker[0] > by_speaker[1],
    )


def gains(place: str) -> dict[tuple[int, int], float]:
    """Differences of UAR in points of a table of differences, by speakers and steps."""
    titles, *rows = shown(place, titles=True)
    steps = [int(first(title)) for title in titles[1:]]
    return {(int(row[0]), n): first(cell) for row in rows for n, cell in zip(steps, row[1:], strict=True)}


def ratio_loss() -> Iterator[Claim]:
    given = experiment("paired")
    protocol, rate = given.protocol, given.training.learning_rate
    yield Claim(
        f"{protocol.n_draws} draws, each starting from one of {protocol.n_seeds} source trainings, no frozen layers, "
        f"features scaled by corpus (transductive), both Adam updates at a rate of {rate:.0e}.".replace("e-0", "e-"),
        given.training.second_learning_rate == rate,
    )
    ratio, against = gains("paired_enterface05_ratio_none"), gains("paired_enterface05_ratio_cross_entropy_twice")
    short = [cell for cell in ratio if cell[0] >= 8 and cell[1] <= 20]
    long = [cell for cell in ratio if cell[0] >= 4 and cell[1] >= 100]
    yield Claim(
        "**From eNTERFACE'05** the ratio loss gains over plain fine-tuning when many speakers are drawn and training "
        "is short, and loses when training is long. Its control gains more in almost every cell.",
        min(ratio[cell] for cell in short) >= 0
        and max(ratio[cell] for cell in long) < 0
        and sum(gain >= 0 for gain in against.values()) <= len(against) / 5,
    )
    ratio, against = gains("paired_ratio_none"), gains("paired_ratio_cross_entropy_twice")
    control = gains("paired_cross_entropy_twice_none")
    yield Claim(
        f"**From EMO-DB** the ratio loss gains up to {max(ratio.values()):.1f} points over plain fine-tuning. It is "
        "better than its control when training is short (10 or 20 steps) and 8 or more speakers are drawn. From 100 "
        "steps on the control is better. At 2 and 4 speakers neither gains a point.",
        min(against[cell] for cell in short) > 0
        and max(gain for (_, steps), gain in against.items() if steps >= 100) < 0
        and max(of[cell] for of in (ratio, control) for cell in of if cell[0] <= 4) < 1,
    )


def many_draws() -> Iterator[Claim]:
    given = experiment("rerun")
    (n_speakers,), steps = given.protocol.n_speakers, given.report.fixed_steps
    yield Claim(f"EMO-DB to RAVDESS, {n_speakers} speakers, {steps} steps, no frozen layers")
    draws = re.search(r"--draws=(\d+)", records.read("rerun").command)
    assert draws
    yield Claim(f"There are {int(draws[1]):,} draws over {given.protocol.n_seeds} source seeds.")
    level = f"{100 * given.report.level:g} % intervals: t over draws; jackknife t over"
    yield Claim(f"{level} {size_of(given.data.target)[1]} speakers")
    launcher = (records.ROOT / "launch" / "rerun.py").read_text(encoding="utf-8")
    baseline_draws = re.search(r'"baseline_draws", (\d+)', launcher)
    assert baseline_draws
    yield Claim(f"runs on the first {int(baseline_draws[1]):,} draws")
    pair = one("rerun", "gains", method="ratio", minus="cross_entropy_twice")
    p_draws, p_speakers = pair["sign_flip_p"], pair["speakers_sign_flip_p"]
    yield Claim(
        f"Over draws the control is better (p {text.p_value(p_draws)}). Over speakers the difference is not "
        f"significant (p = {p_speakers:.2f}).",
        p_draws < 0.001 and pair["gain"] < 0 and p_speakers > 0.05,
    )
    share = 100 * one("rerun", "beyond_the_pole")["share"]["estimate"]
    yield Claim(f"{share:.1f} % of the draws start at or beyond the pole of the ratio loss.")


def out_and_in() -> Iterator[Claim]:
    rows = [(row[0], list(map(first, row[1:3]))) for row in shown("out_and_in")]
    networks = [uar for name, uar in rows if name.startswith(("fine-tuning", "+ ratio"))]
    classifier = [uar for name, uar in rows if name.startswith("logistic regression, source")]
    yield Claim(
        "Logistic regression is the best method in both columns, whenever it has target clips.",
        all(min(uar[i] for uar in classifier) > max(uar[i] for uar in networks) for i in (0, 1)),
    )


def heads() -> Iterator[Claim]:
    given = experiment("heads")
    protocol, width = given.protocol, given.network.head_width
    yield Claim(f'"{width}-node decision layer"')
    yield Claim(f"or a {width}-unit ReLU layer")
    n_cells = len(protocol.frozen) * len(protocol.n_speakers)
    yield Claim(
        f"{protocol.n_draws} draws, {protocol.n_in_domain_seeds} seeds, {given.report.fixed_steps} steps, the paper's "
        f'split. "Best" is the best of {n_cells} cells'
    )
    paper = PAPER["enterface05", "ravdess"]
    yield Claim(
        f"The paper's Table 1: OODT {paper['oodt']}, IDT {paper['idt']}, fine-tuning {paper['none']} (best), + ratio "
        f"loss {paper['ratio']} (best)."
    )


def cremad() -> Iterator[Claim]:
    given = experiment("cremad")
    yield Claim("uses 52 log-mel statistics of CREMA-D and RAVDESS")
    protocol, steps = given.protocol, given.report.fixed_steps
    yield Claim(
        f"{protocol.n_draws} draws, {protocol.n_in_domain_seeds} seeds, no frozen layers, {steps} steps, the paper's "
        "split:"
    )
    uar = {row[0]: first(row[1]) for row in shown("cremad")}
    networks = [uar[name] for name in uar if name.endswith(" 20 speakers") and not name.startswith("logistic")]
    yield Claim(
        "Without target clips the Siamese network is better than logistic regression here. With target clips it is "
        "not.",
        uar["OODT, Siamese"] > uar["OODT, logistic regression (jackknife t over speakers)"]
        and max(networks) < uar["logistic regression, source + target clips, 20 speakers"],
    )


def several_sources() -> Iterator[Claim]:
    given = experiment("several_sources")
    yield Claim(f"Logistic regression (C = {given.protocol.logistic_c:g}) on source and labelled target clips")
    yield Claim(f"clips, {given.protocol.n_draws} draws, the same for every row.")
    rows = {row[0]: list(map(numbers, row[1:])) for row in shown("minus_both")}
    single = [-cell[0] for name in rows if name != "nearest" for cell in rows[name]]
    yield Claim(f"both sources together are {span(single)} points better than either alone at every number of clips")
    limits = [cell[3:] for of_source in rows.values() for cell in of_source]
    holding = sum(low < 0 < high for low, high in limits)
    yield Claim("most of its intervals over the target's speakers hold 0", holding > len(limits) / 2)
    yield Claim(f"the choice is {span([-cell[0] for cell in rows['nearest']])} points below both together")
    ranking = rows_of("several_sources", "ranking", method="logistic_regression", **SPEAKERS)
    shares = {row["n_speakers"]: row["share_nearest"]["emodb"] for row in ranking}
    yield Claim(
        f"That is EMO-DB in {100 * shares[2]:.0f} % of the draws at 8 clips and in all draws at 80", shares[20] == 1
    )

"""What docs/results.md says of the ratio loss, many draws, the other head and other sources, from their records."""

from collections.abc import Iterator

from scripts.numbers.claim import Claim, experiment, span
from scripts.numbers.reproductions import SPEAKERS, few_shot, one, rows_of
from siamese_jax.report.paper.table1 import PAPER
from siamese_jax.report.render import text

SHOWN = (2, 4, 8, 12, 20)


def claims() -> Iterator[Claim]:
    yield from crossed()
    yield from ratio_loss()
    yield from many_draws()
    yield from heads()
    yield from cremad()
    yield from several_sources()


def crossed() -> Iterator[Claim]:
    rows = {row["scaling"]: row["components"] for row in rows_of("crossed", "components", loss="none", steps=50)}
    by_corpus, by_speaker = rows["corpus"], rows["speaker"]
    yield Claim("layer 2, without the ratio loss, after 50 steps")
    yield Claim(
        "By corpus the source trainings are worth nearly the same, and the labelled clips make most of the difference. "
        "By speaker the source seed alone is worth as much as a draw.",
        by_corpus["seed"] < by_corpus["draw"] / 2 and by_speaker["seed"] > by_speaker["draw"],
    )


def gain(name: str, method: str, minus: str, n_speakers: int, steps: int) -> float:
    """A paired difference of UAR in points."""
    key = {"method": method, "minus": minus, "n_speakers": n_speakers, "steps": steps}
    return float(one(name, "differences", **key, **SPEAKERS)["uar_difference"])


def ratio_loss() -> Iterator[Claim]:
    given = experiment("paired")
    protocol, rate = given.protocol, given.training.learning_rate
    yield Claim(
        f"{protocol.n_draws} draws, each starting from one of {protocol.n_seeds} source trainings, no frozen layers, "
        f"features scaled by corpus (transductive), both Adam updates at a rate of {rate:.0e}.".replace("e-0", "e-"),
        given.training.second_learning_rate == rate,
    )
    steps = [n for n in protocol.steps if n]
    enterface, control = "paired_enterface05", "cross_entropy_twice"
    short = [(k, n) for k in SHOWN if k >= 8 for n in steps if n <= 20]
    long = [(k, n) for k in SHOWN if k >= 4 for n in steps if n >= 100]
    yield Claim(
        "**From eNTERFACE'05** the ratio loss gains over plain fine-tuning when many speakers are drawn and training "
        "is short, and loses when training is long. Its control gains more in almost every cell.",
        min(gain(enterface, "ratio", "none", *cell) for cell in short) > -0.05
        and max(gain(enterface, "ratio", "none", *cell) for cell in long) < 0
        and sum(gain(enterface, "ratio", control, k, n) > 0 for k in SHOWN for n in steps) <= 3,
    )
    most = max(gain("paired", "ratio", "none", k, n) for k in SHOWN for n in steps)
    few = [gain("paired", method, "none", k, n) for method in ("ratio", control) for k in SHOWN[:2] for n in steps]
    yield Claim(
        f"**From EMO-DB** the ratio loss gains up to {most:.1f} points over plain fine-tuning. It is better than its "
        "control when training is short (10 or 20 steps) and 8 or more speakers are drawn. From 100 steps on the "
        "control is better. At 2 and 4 speakers neither gains a point.",
        min(gain("paired", "ratio", control, *cell) for cell in short) > 0
        and max(gain("paired", "ratio", control, k, n) for k in SHOWN for n in steps if n >= 100) < 0
        and max(few) < 1,
    )


def many_draws() -> Iterator[Claim]:
    given = experiment("rerun")
    (n_speakers,), steps = given.protocol.n_speakers, given.report.fixed_steps
    gains = {(row["method"], row["minus"]): row for row in rows_of("rerun", "gains")}
    pair, against = gains["ratio", "cross_entropy_twice"], gains["ratio", "logistic_regression"]
    yield Claim(f"EMO-DB to RAVDESS, {n_speakers} speakers, {steps} steps, no frozen layers")
    n_draws = pair["over_draws"]["n_units"]
    yield Claim(f"There are {n_draws:,} draws over {given.protocol.n_seeds} source seeds.")
    yield Claim(f"runs on the first {against['over_draws']['n_units']:,} draws")
    level = f"{100 * given.report.level:g} % intervals: t over draws; jackknife t over"
    yield Claim(f"{level} {pair['over_speakers']['n_units']} speakers")
    p_draws, p_speakers = pair["sign_flip_p"], pair["speakers_sign_flip_p"]
    yield Claim(
        f"Over draws the control is better (p {text.p_value(p_draws)}). Over speakers the difference is not "
        f"significant (p = {p_speakers:.2f}).",
        p_draws < 0.001 and pair["gain"] < 0 and p_speakers > 0.05,
    )
    (beyond,) = rows_of("rerun", "beyond_the_pole")
    yield Claim(
        f"{100 * beyond['share']['estimate']:.1f} % of the draws start at or beyond the pole of the ratio loss."
    )
    runs, drawn = ("paired", "paired_enterface05"), {"split": "paper"}
    losses = ("none", "ratio", "cross_entropy_twice")
    fixed = experiment("paired").report.fixed_steps
    yield Claim(
        "Logistic regression is the best method in both columns, whenever it has target clips.",
        all(few_shot(name, "logistic_regression", k, **drawn)["uar_mean"]
            > max(few_shot(name, loss, k, fixed, **drawn)["uar_mean"] for loss in losses)
            for name in runs for k in (4, 20)),
    )  # fmt: skip


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
    alone = [one("cremad", split="paper", selection="cell", **chosen)["uar_mean"]
             for chosen in ({"method": "oodt"}, {"method": "logistic_regression", "data": "source"})]  # fmt: skip
    best = max(
        few_shot("cremad", loss, 20, given.report.fixed_steps, split="paper")["uar_mean"]
        for loss in given.protocol.losses
    )
    classifier = few_shot("cremad", "logistic_regression", 20, split="paper")["uar_mean"]
    yield Claim(
        "Without target clips the Siamese network is better than logistic regression here. With target clips it is "
        "not.",
        alone[0] > alone[1] and best < classifier,
    )


def several_sources() -> Iterator[Claim]:
    given = experiment("several_sources")
    yield Claim(f"Logistic regression (C = {given.protocol.logistic_c:g}) on source and labelled target clips")
    yield Claim(f"clips, {given.protocol.n_draws} draws, the same for every row.")
    rows = rows_of("several_sources", "ranking", method="logistic_regression", **SPEAKERS)
    single = [-row["uar_difference"] for row in rows if row["source"] in ("emodb", "enterface05")]
    yield Claim(f"both sources together are {span(single)} points better than either alone at every number of clips")
    holding = [row["speakers_low"] < 0 < row["speakers_high"] for row in rows]
    yield Claim("most of its intervals over the target's speakers hold 0", sum(holding) > len(holding) / 2)
    shares = {row["n_speakers"]: row["share_nearest"]["emodb"] for row in rows}
    nearest = [-row["uar_difference"] for row in rows if row["source"] == "nearest"]
    yield Claim(
        f"That is EMO-DB in {100 * shares[2]:.0f} % of the draws at 8 clips and in all draws at 80, and the choice is "
        f"{span(nearest)} points below both together.",
        shares[20] == 1,
    )

"""Paired differences between losses: over draws (Monte Carlo error), and over people and source seeds (claims)."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from siamese_jax.experiments.summary import COMPARISONS
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.loading import counts
from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Alert, Block, Fold, Gallery, Heading, Paragraph, Picture, Section, Table
from siamese_jax.stats import coverage, multiplicity, paired_tests
from siamese_jax.stats.intervals import t_interval
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.records import Interval, PairedTest
from siamese_jax.stats.scoring import uar

N_SIGN_PATTERNS = 9_999
"""Sign patterns sampled where there are too many draws to count them all."""

SPLIT_NAMES = {"paper": "all clips not drawn (the paper's split)", "speaker_disjoint": "other speakers' clips only"}

NOT_OFFERED = "Not offered is what does not hold its nominal error rate or coverage at so few units."

LINE_STYLES: tuple[tuple[str, str, Any], ...] = (
    ("#D55E00", "s", "-"),
    ("#0072B2", "o", "--"),
    ("#009E73", "^", ":"),
    ("#E69F00", "D", "-."),
    ("#CC79A7", "v", (0, (5, 1))),
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Counts of two methods on the same draws and clips, each [D, S, C, C], and the source seed [D] of each draw."""

    name: str
    a: np.ndarray
    b: np.ndarray
    seeds: np.ndarray

    @functools.cached_property
    def difference(self) -> PairedDifference:
        """UAR in points by draw; counts by seed, speaker and method, the draws of a seed pooled."""
        both = np.stack([self.a, self.b], axis=2)
        by_seed = np.stack([both[self.seeds == seed].sum(axis=0) for seed in np.unique(self.seeds)])
        return PairedDifference.make(uar(self.a.sum(axis=1)) - uar(self.b.sum(axis=1)), by_seed)


def loss_pairs(found: dict[str, np.ndarray], seeds: np.ndarray) -> list[Pair]:
    """The comparisons between the losses that were run."""
    short = {
        "none": "fine-tuning",
        "ratio": "ratio loss",
        "ratio_bounded": "bounded ratio loss",
        "cross_entropy_twice": "control",
    }
    return [
        Pair(f"{short[a]} − {short[b]}", found[a], found[b], seeds)
        for a, b in COMPARISONS if a in found and b in found
    ]  # fmt: skip


def section(runs: list[Loaded]) -> Section:
    """Differences between losses, tested."""
    blocks: list[Block] = [
        Paragraph(
            "Each difference compares two losses on the same draws, starting networks and test clips; positive means "
            "that the first is better. Two kinds of uncertainty stand apart. Over draws: how far the mean of ever more "
            "draws of these people and source trainings may lie from this one (Monte Carlo error, which more computing "
            "shrinks). Over speakers, and over speakers and source seeds: how far the value may lie for other people "
            "and trainings, which is what a claim is about. The control spends the ratio loss's second update on the "
            "cross entropy instead: only a gain over the control speaks for the ratio."
        )
    ]
    for i, run in enumerate(runs):
        if run.missing:
            blocks.append(Alert(f"{run.label}: no tests, since {run.missing}."))
            continue
        for j, setting in enumerate(settings(run.experiment)):
            if len(runs) > 1 or len(settings(run.experiment)) > 1:
                blocks.append(Heading(f"{run.label}: {run.corpora}, {setting.name}"))
            blocks.extend(_setting_blocks(run, setting, f"{i}_{j}"))
    return Section("Paired differences between losses", blocks)


def _setting_blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    e = run.experiment
    if not any(a in e.protocol.losses and b in e.protocol.losses for a, b in COMPARISONS):
        yield Paragraph("One loss only: nothing to compare.")
        return
    for split in SPLIT_NAMES:
        found: list[Pair] = []
        for steps in (s for s in e.protocol.steps if s > 0):
            cell = counts.tuned(run, setting, e.report.fixed_n_speakers, e.report.fixed_frozen, steps, split)
            found += [dataclasses.replace(p, name=f"{p.name}, {steps} steps") for p in loss_pairs(*cell)]
        where = (
            f"{e.report.fixed_n_speakers} target speakers, {e.report.fixed_frozen} frozen layers, {SPLIT_NAMES[split]}"
        )
        tables = tested(e, found, where, split)
        if split == "paper":
            yield from tables
            yield from _by_speakers(run, setting, number)
        else:
            yield Fold(f"The same on {SPLIT_NAMES[split]}", list(tables))


def tested(e: Experiment, pairs: list[Pair], where: str, split: str) -> Iterator[Table]:
    """Two tables of a family of differences: over draws, and over people."""
    values = np.stack([pair.difference.by_draw for pair in pairs])
    interval = t_interval(values, e.report.level, over="draws")
    flips, wilcoxon = paired_tests.over_draws(
        values, jax.random.fold_in(jax.random.key(e.protocol.seed), 3), N_SIGN_PATTERNS
    )
    columns = [[text.estimate(interval, (i,), signed=True) for i in range(len(pairs))]]
    columns += [_tests(t, values.shape[1]) for t in (flips, wilcoxon)]
    family = f"Holm's correction over the {text.plural(len(pairs), 'test')} of a column"
    yield Table(
        f"Over draws (Monte Carlo error), points of UAR; {where}; n = {text.plural(values.shape[1], 'draw')}. "
        f"p values as computed → after {family}. {NOT_OFFERED}",
        ("difference", interval.label, flips.kind + " test", wilcoxon.kind + " test"),
        [(pair.name, *cells) for pair, *cells in zip(pairs, *columns)],
    )
    yield _claims(e, pairs, where, split, family)


def _tests(result: PairedTest, n: int) -> list[str]:
    if n >= 2 and result.kind not in coverage.offered_methods(n, "draws"):
        return [f"not offered at {n} draws"] * len(result.p_value)
    adjusted = multiplicity.holm(result.p_value)
    return [text.test(result, adjusted, (i,)) for i in range(len(result.p_value))]


def _claims(e: Experiment, pairs: list[Pair], where: str, split: str, family: str) -> Table:
    one = [pair.difference.over_speakers(e.report.level) for pair in pairs]
    columns = [_claim_column(one)]
    header = ["difference", one[0].label, "its t test"]
    note = ""
    if split == "paper":
        two = [pair.difference.over_speakers_and_seeds(e.report.level) for pair in pairs]
        columns.append(_claim_column(two))
        header += [two[0].label, "its t test"]
    else:
        note = " Over seeds too it is not computed here: a drawn speaker is not tested, so the crossing has gaps."
    n_seeds, n_speakers = len(np.unique(pairs[0].seeds)), int(one[0].n_units)
    return Table(
        f"What a claim needs, points of UAR of all draws pooled; {where}; n = {text.plural(n_speakers, 'speaker')}, "
        f"{text.plural(n_seeds, 'source seed')} (a seed's draws pooled). p values as computed → after {family}. "
        f"{NOT_OFFERED}{note}",
        header,
        [(pair.name, *(cell for column in columns for cell in column[i])) for i, pair in enumerate(pairs)],
    )


def _claim_column(intervals: list[Interval]) -> list[tuple[str, str]]:
    """(interval, p value) of each, or that the method is not offered at so few units."""
    first = intervals[0]
    n = int(first.n_units)
    if n >= 2 and first.kind not in coverage.offered_methods(n, first.over):
        return [(f"not offered at {n} units", "")] * len(intervals)
    results, adjusted = paired_tests.t_tests(intervals)
    return [
        (text.estimate(interval, factor=100, signed=True), text.test(result, adjusted[i], ()))
        for i, (interval, result) in enumerate(zip(intervals, results))
    ]


def _by_speakers(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    """How the differences change with the number of target speakers, under either kind of uncertainty."""
    e = run.experiment
    cells = [
        loss_pairs(*counts.tuned(run, setting, k, e.report.fixed_frozen, e.report.fixed_steps, "paper"))
        for k in e.protocol.n_speakers
    ]
    names = [pair.name for pair in cells[0]]
    draws = [t_interval(np.stack([cell[i].difference.by_draw for cell in cells]), e.report.level, over="draws")
             for i in range(len(names))]  # fmt: skip
    people = [_stack([cell[i].difference.over_speakers(e.report.level) for cell in cells]) for i in range(len(names))]
    # One scale for both, so that the two kinds of uncertainty can be compared by eye.
    drawn = [f * np.asarray(v, float) for each, f in ((draws, 1.0), (people, 100.0)) for i in each
             for v in (i.estimate, i.low, i.high)]  # fmt: skip
    limits = (min(0.0, np.nanmin(drawn)) - 0.5, max(0.0, np.nanmax(drawn)) + 0.5) if np.isfinite(drawn).any() else None
    pictures = [
        _figure(e, names, draws, 1.0, limits, f"differences_draws_{number}", "over draws (Monte Carlo error)"),
        _figure(e, names, people, 100.0, limits, f"differences_speakers_{number}", "over speakers (claims)"),
    ]
    yield Gallery(pictures)
    for kind, each, factor in (("over draws", draws, 1.0), ("over speakers", people, 100.0)):
        rows = [
            (str(k), *(text.estimate(interval, (i,), factor, signed=True) for interval in each))
            for i, k in enumerate(e.protocol.n_speakers)
        ]
        table = Table(f"Points of UAR at {e.report.fixed_steps} steps, {e.report.fixed_frozen} frozen layers; "
                      f"{each[0].label}.",
                      ("target speakers", *names), rows)  # fmt: skip
        yield Fold(f"The same by number of target speakers, {kind}, as a table", [table])


def _stack(intervals: list[Interval]) -> Interval:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *intervals)


def _figure(
    e: Experiment, names: list[str], each: list[Interval], factor: float, limits: tuple[float, float] | None,
    name: str, kind: str
) -> Picture:  # fmt: skip
    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.3)
        for i, (label, interval, (color, marker, dashes)) in enumerate(zip(names, each, LINE_STYLES)):
            x = np.array(e.protocol.n_speakers) + 0.18 * (i - (len(names) - 1) / 2)
            figures.line(axis, x, interval, (color, marker, dashes, label), factor)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(e.protocol.n_speakers)
        axis.set_xlabel("target speakers drawn")
        axis.set_ylabel("difference of UAR (points)")
        axis.set_title(kind)
        axis.set_ylim(limits)
        figures.legend_below(figure, axis, 1)
        return figure

    ends = "; ".join(
        f"{label}: {text.estimate(interval, (0,), factor, signed=True)} at {e.protocol.n_speakers[0]} speakers, "
        f"{text.estimate(interval, (len(e.protocol.n_speakers) - 1,), factor, signed=True)} at "
        f"{e.protocol.n_speakers[-1]}"
        for label, interval in zip(names, each)
    )
    n = int(np.asarray(each[0].n_units).min())
    unit = {"draws": "draw", "speakers": "speaker"}[each[0].over]
    return Picture(
        name,
        figures.png(draw),
        f"Paired differences against the number of target speakers, bars {kind}. {ends}.",
        f"Paired differences of UAR (points) at {e.report.fixed_steps} steps, {e.report.fixed_frozen} frozen layers, "
        f"all clips not drawn; bars {each[0].label}, n = {text.plural(n, unit)}: {kind}{text.gaps(*each)}.",
    )

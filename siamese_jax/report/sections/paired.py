"""Paired differences between losses, and against the baselines: over draws (Monte Carlo error), and over people."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from siamese_jax.experiments.summary import COMPARISONS
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Fold, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import headed_settings
from siamese_jax.stats import paired_tests
from siamese_jax.stats.intervals import t_interval
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.records import Interval, PairedTest, within
from siamese_jax.stats.scoring import uar

N_SIGN_PATTERNS = 9_999  # sampled if there are too many draws to count all sign patterns

SPLIT_NAMES = {"paper": "all clips not drawn (the paper's split)", "speaker_disjoint": "other speakers' clips only"}

LINE_STYLES: tuple[tuple[str, str, Any], ...] = (
    ("#D55E00", "s", "-"), ("#0072B2", "o", "--"), ("#009E73", "^", ":"), ("#E69F00", "D", "-."),
    ("#CC79A7", "v", (0, (5, 1)))
)  # fmt: skip

LOSS_NAMES = {"none": "fine-tuning", "ratio": "ratio loss", "ratio_bounded": "bounded ratio loss",
              "cross_entropy_twice": "control"}  # fmt: skip


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


def loss_pairs(by_loss: dict[str, np.ndarray], seeds: np.ndarray) -> list[Pair]:
    """The comparisons between the losses that were run."""
    pairs = [(a, b) for a, b in COMPARISONS if a in by_loss and b in by_loss]
    return [Pair(f"{LOSS_NAMES[a]} − {LOSS_NAMES[b]}", by_loss[a], by_loss[b], seeds) for a, b in pairs]


def section(runs: list[Loaded]) -> Section:
    """Differences between losses, tested."""
    explained = Paragraph(
        "Each difference compares two losses on the same draws, starting networks and test clips; positive means that "
        "the first is better. There are two kinds of uncertainty. Over draws: how far the mean of ever more draws of "
        "these people and source trainings may lie from this one (Monte Carlo error, which more computing shrinks). "
        "Over speakers, and over speakers and source seeds: how far the value may lie for other people and trainings, "
        "which a claim is about. The control spends the ratio loss's second update on the cross entropy instead: only "
        "a gain over the control speaks for the ratio."
    )
    blocks = headed_settings(runs, _loss_blocks, lambda run: run.missing and f"no tests, since {run.missing}")
    return Section("Paired differences between losses", [explained, *blocks])


def _loss_blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    protocol, report = run.experiment.protocol, run.experiment.report
    if not any(a in protocol.losses and b in protocol.losses for a, b in COMPARISONS):
        yield Paragraph("One loss only: nothing to compare.")
        return
    for split, split_name in SPLIT_NAMES.items():
        pairs: list[Pair] = []
        for steps in (s for s in protocol.steps if s > 0):
            cell = loss_pairs(*run.tuned(setting, split, steps=steps))
            pairs += [dataclasses.replace(pair, name=f"{pair.name}, {steps} steps") for pair in cell]
        frozen = text.plural(report.fixed_frozen, "frozen layer")
        cell_name = f"{report.fixed_n_speakers} target speakers, {frozen}, {split_name}"
        tables = tested(run.experiment, pairs, cell_name, split)
        if split == "paper":
            yield from tables
            yield from _by_speakers(run, setting, number)
        else:
            yield Fold(f"The same on {split_name}", list(tables))


def baseline_section(runs: list[Loaded]) -> Section:
    """Differences between fine-tuning and the classifiers of scikit-learn, tested."""
    explained = Paragraph(
        "Logistic regression and an RBF SVM with their library's defaults, trained on the source's clips and the same "
        "labelled target clips; positive differences mean that the Siamese network is better. Table 1 holds their own "
        "scores, on other training data too."
    )
    blocks = headed_settings(runs, _baseline_blocks, lambda run: run.missing and f"no tests, since {run.missing}")
    return Section("Baselines", [explained, *blocks])


def _baseline_blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    if not run.experiment.protocol.baselines:
        yield Paragraph(f"{run.label}: no classifier was run.")
        return
    for split, split_name in SPLIT_NAMES.items():
        losses, seeds = run.tuned(setting, split)
        pairs = [
            Pair(f"{SHORT_NAMES[loss].removeprefix('+ ')} − {name}", network, classifier, seeds)
            for name, classifier in run.few_shot(setting, split).items()
            for loss, network in losses.items()
        ]
        tables = list(tested(run.experiment, pairs, f"{run.fixed_name}, {split_name}", split))
        yield from tables if split == "paper" else [Fold(f"The same on {split_name}", tables)]


def tested(experiment: Experiment, pairs: list[Pair], cell_name: str, split: str) -> Iterator[Table]:
    """Two tables of a family of differences: over draws, and over people."""
    values = np.stack([pair.difference.by_draw for pair in pairs])
    interval = within(t_interval(values, experiment.report.level, over="draws"), -100.0, 100.0)
    key = jax.random.fold_in(jax.random.key(experiment.protocol.seed), 3)
    flips, wilcoxon = paired_tests.over_draws(values, key, N_SIGN_PATTERNS)
    columns = [[text.estimate(interval, (i,), signed=True) for i in range(len(pairs))]]
    columns += [_tests(test, values.shape[1]) for test in (flips, wilcoxon)]
    family = f"Holm's correction over the {text.plural(len(pairs), 'test')} of a column"
    yield Table(
        f"Over draws (Monte Carlo error), points of UAR; {cell_name}; n = {text.plural(values.shape[1], 'draw')}. p "
        f"values as computed → after {family}. {text.NOT_OFFERED}",
        ("difference", interval.label, flips.kind + " test", wilcoxon.kind + " test"),
        [(pair.name, *cells) for pair, *cells in zip(pairs, *columns)],
    )
    yield _claims(experiment.report.level, pairs, cell_name, split, family)


def _tests(result: PairedTest, n: int) -> list[str]:
    if reason := text.not_offered(result.kind, n, "draws"):
        return [reason] * len(result.p_value)
    adjusted = paired_tests.holm(result.p_value)
    return [text.test(result, adjusted, (i,)) for i in range(len(result.p_value))]


def _claims(level: float, pairs: list[Pair], cell_name: str, split: str, family: str) -> Table:
    families = [[pair.difference.over_speakers(level) for pair in pairs]]
    note = ""
    if split == "paper":
        families.append([pair.difference.over_speakers_and_seeds(level) for pair in pairs])
    else:
        note = " Over seeds too it is not computed here: a drawn speaker is not tested, so the crossing has gaps."
    header = ["difference"]
    for intervals in families:
        header += [text.label(intervals), "its t test"]
    columns = [_claim_column(intervals) for intervals in families]
    n_seeds, n_speakers = len(np.unique(pairs[0].seeds)), int(families[0][0].n_units)
    caption = (
        f"For a claim, points of UAR of all draws pooled; {cell_name}; n = {text.plural(n_speakers, 'speaker')}, "
        f"{text.plural(n_seeds, 'source seed')} (a seed's draws pooled). p values as computed → after {family}. "
        f"{text.NOT_OFFERED}{note}"
    )
    rows = [(pair.name, *(cell for column in columns for cell in column[i])) for i, pair in enumerate(pairs)]
    return Table(caption, header, rows)


def _claim_column(intervals: list[Interval]) -> list[tuple[str, str]]:
    if reason := text.not_offered(intervals[0].kind, int(intervals[0].n_units), intervals[0].over):
        return [(reason, "")] * len(intervals)
    results, adjusted = paired_tests.t_tests(intervals)
    no_test = text.not_offered(results[0].kind, int(results[0].n_units), results[0].over)
    return [
        (text.estimate(interval, factor=100, signed=True), no_test or text.test(result, adjusted[i], ()))
        for i, (interval, result) in enumerate(zip(intervals, results))
    ]


def _by_speakers(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    level, n_speakers = run.experiment.report.level, run.experiment.protocol.n_speakers
    cells = [loss_pairs(*run.tuned(setting, "paper", k)) for k in n_speakers]
    names = [pair.name for pair in cells[0]]
    by_name = [[pair.difference for pair in pairs] for pairs in zip(*cells)]
    by_draw = [np.stack([pair.by_draw for pair in pairs]) for pairs in by_name]
    draws = [within(t_interval(values, level, over="draws"), -100.0, 100.0) for values in by_draw]
    people = [_stack([pair.over_speakers(level) for pair in pairs]) for pairs in by_name]
    kinds = (("draws", "over draws (Monte Carlo error)", draws, 1.0),
             ("speakers", "over speakers (claims)", people, 100.0))  # fmt: skip
    # One scale for both, so that the two kinds of uncertainty can be compared by eye.
    drawn = [factor * np.asarray(v, float) for _, _, intervals, factor in kinds for interval in intervals
             for v in (interval.estimate, interval.low, interval.high)]  # fmt: skip
    limits = (min(0.0, np.nanmin(drawn)) - 0.5, max(0.0, np.nanmax(drawn)) + 0.5) if np.isfinite(drawn).any() else None
    yield Gallery([
        _figure(run.experiment, names, intervals, factor, limits, f"differences_{key}_{number}", kind)
        for key, kind, intervals, factor in kinds
    ])  # fmt: skip
    for key, _, intervals, factor in kinds:
        rows = [(str(k), *(text.estimate(interval, (i,), factor, signed=True) for interval in intervals))
                for i, k in enumerate(n_speakers)]  # fmt: skip
        caption = f"Points of UAR {_where(run.experiment)}; {text.label(intervals)}."
        table = Table(caption, ("target speakers", *names), rows)
        yield Fold(f"The same by number of target speakers, over {key}, as a table", [table])


def _where(experiment: Experiment) -> str:
    report = experiment.report
    return f"at {report.fixed_steps} steps, {text.plural(report.fixed_frozen, 'frozen layer')}"


def _stack(intervals: list[Interval]) -> Interval:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *intervals)


def _figure(
    experiment: Experiment, names: list[str], intervals: list[Interval], factor: float,
    limits: tuple[float, float] | None, name: str, kind: str
) -> Picture:  # fmt: skip
    n_speakers = experiment.protocol.n_speakers

    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.3)
        for i, (label, interval, (color, marker, dashes)) in enumerate(zip(names, intervals, LINE_STYLES)):
            x = np.array(n_speakers) + 0.18 * (i - (len(names) - 1) / 2)
            figures.line(axis, x, interval, (color, marker, dashes, label), factor)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(n_speakers)
        axis.set(xlabel="target speakers drawn", ylabel="difference of UAR (points)", title=kind)
        axis.set_ylim(limits)
        figures.legend_below(figure, axis, 1)
        return figure

    ends = "; ".join(
        f"{label}: {text.estimate(interval, (0,), factor, signed=True)} at {n_speakers[0]} speakers, "
        f"{text.estimate(interval, (len(n_speakers) - 1,), factor, signed=True)} at {n_speakers[-1]}"
        for label, interval in zip(names, intervals)
    )
    n = text.plural(int(np.asarray(intervals[0].n_units).min()), intervals[0].over.removesuffix("s"))
    return Picture(
        name,
        figures.png(draw),
        f"Paired differences against the number of target speakers, bars {kind}. {ends}.",
        f"Paired differences of UAR (points) {_where(experiment)}, all clips not drawn; bars {intervals[0].label}, "
        f"n = {n}: {kind}{text.gaps(*intervals)}.",
    )

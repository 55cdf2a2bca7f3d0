"""UAR by target speaker and by sex."""

from collections.abc import Iterator

import jax
import numpy as np

from siamese_jax.report.loading import counts
from siamese_jax.report.loading.counts import Counted
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.render import figures
from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Block, Fold, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import coverage, estimands, scoring
from siamese_jax.stats.intervals import jackknife_interval, t_interval, welch_interval
from siamese_jax.stats.records import NOTES, Interval

AT_ONCE = 12
"""Speakers of one figure."""

MARKS = (("#000000", "x"), ("#777777", "d"), ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#E69F00", "D"))


def section(runs: list[Loaded]) -> Section:
    """How well each target speaker, and each sex, is recognised, in each setting."""
    blocks = each_setting(runs, _blocks, lambda run: run.missing and f"nothing by speaker, since {run.missing}")
    return Section("UAR by target speaker and by sex", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    found = counts.references(run, setting) + counts.fixed_cell(run, setting, "paper")
    assert run.target is not None
    speakers = run.target.speakers
    intervals = [by_speaker(one, run.experiment.report.level) for one in found]
    yield Gallery(list(_pictures(run, found, intervals, f"speakers_{number}")))
    rows = [(name, *(words.estimate(interval, (s,)) for interval in intervals)) for s, name in enumerate(speakers)]
    level = 100 * run.experiment.report.level
    caption = f"UAR in per cent of each target speaker's clips; mean and {level:g} % t interval over "
    caption += f"repetitions (Monte Carlo error); {setting.name}; fine-tuning: {counts.cell_name(run)}."
    yield Fold("UAR by target speaker, as a table", [Table(caption, ("speaker", *(c.name for c in found)), rows)])
    yield from sex_blocks(run, found)


def by_speaker(one: Counted, level: float) -> Interval:
    """UAR [S] of each speaker's own clips, mean and t interval over repetitions, in per cent.

    A repetition without a test clip of every emotion (all of them drawn) makes a speaker's UAR not computable.
    """
    return t_interval(scoring.uar(one.per_run).T, level, over=one.over)


def _pictures(run: Loaded, found: list[Counted], intervals: list[Interval], name: str) -> Iterator[Picture]:
    """Speakers from hard to easy, in figures of at most AT_ONCE."""
    values = np.stack([np.asarray(v, float) for i in intervals for v in (i.estimate, i.low, i.high)])
    limits = (np.nanmin(values) - 2, np.nanmax(values) + 2) if np.isfinite(values).any() else (0.0, 100.0)
    # By the first loss (plain fine-tuning, mostly), so that hard speakers stand together.
    means = np.asarray(intervals[-len(run.experiment.protocol.losses)].estimate, float)
    order = np.argsort(np.where(np.isfinite(means), means, np.inf), kind="stable")
    n_parts = -(-len(order) // AT_ONCE)
    for part, rows in enumerate(np.array_split(order, n_parts)):
        yield _picture(run, found, intervals, rows, limits, f"{name}_{part}")


def _picture(
    run: Loaded, found: list[Counted], intervals: list[Interval], rows: np.ndarray, limits: tuple[float, float],
    name: str
) -> Picture:  # fmt: skip
    assert run.target is not None
    names = [run.target.speakers[s] for s in rows]
    chance = 100 / len(run.experiment.data.emotions)

    def draw() -> figures.Figure:
        figure, axis = figures.panel(1.5 + 0.24 * len(rows) + 0.13 * len(found))
        for i, (one, interval, (color, marker)) in enumerate(zip(found, intervals, MARKS)):
            x, low, high = (np.asarray(v, float)[rows] for v in (interval.estimate, interval.low, interval.high))
            y = np.arange(len(rows)) + 0.16 * (i - (len(found) - 1) / 2)
            bars = np.stack([np.nan_to_num(x - low), np.nan_to_num(high - x)])
            axis.errorbar(x, y, xerr=bars, color=color, marker=marker, linestyle="", label=one.name,
                          markersize=3.5, elinewidth=0.6)  # fmt: skip
        axis.set_yticks(range(len(rows)), [figures.literal(text)[:24] for text in names])
        axis.set_ylim(len(rows) - 0.3, -0.7)
        axis.set_xlim(limits)
        axis.set_xlabel("UAR of the speaker's clips (%)")
        axis.grid(axis="both", linewidth=0.3)
        axis.axvline(chance, color="black", linewidth=0.8, linestyle=":", label="chance")
        figures.legend_below(figure, axis, 1)
        return figure

    plain = np.asarray(intervals[-len(run.experiment.protocol.losses)].estimate, float)[rows]
    said = ", ".join(f"{text} {words.number(value)}" for text, value in zip(names, plain))
    return Picture(
        name,
        figures.png(draw),
        f"UAR of {len(names)} target speakers by method. {counts.SHORT_NAMES[run.experiment.protocol.losses[0]]}, in "
        f"per cent: {said}.",
        f"UAR (%) of each target speaker's clips, {len(names)} of n = {len(run.target.speakers)} speakers, sorted by "
        f"the first loss ({counts.cell_name(run)}); bars {100 * run.experiment.report.level:g} % t interval over draws "
        f"or seeds (Monte Carlo error){words.gaps(*intervals)}.",
    )


def sex_blocks(run: Loaded, found: list[Counted]) -> Iterator[Block]:
    """UAR of female and of male target speakers, and their difference over speakers."""
    assert run.target is not None
    sexes = sex_of_speakers(run)
    known = [sex for sex in ("female", "male") if (sexes == sex).any()]
    if not known:
        yield Paragraph(f"By sex: not computable, since the target table of {run.label} names no speaker's sex.")
        return
    pooled = np.stack([one.pooled for one in found]).astype(np.float32)
    level = run.experiment.report.level
    columns = []
    for sex in known:
        interval = jax.vmap(lambda sums: jackknife_interval(sums, estimands.uar, level, over="speakers"))(
            pooled[:, sexes == sex]
        )
        columns.append([words.estimate(interval, (i,), 100) for i in range(len(found))])
    header = [f"{sex} (n = {words.plural(int((sexes == sex).sum()), 'speaker')})" for sex in known]
    if len(known) == 2:
        columns.append([_sex_difference(one, sexes, level) for one in found])
        header.append("female − male, mean over speakers, Welch t over speakers (points)")
    unknown = int((sexes == "").sum())
    yield Table(
        f"UAR in per cent by sex of the target speaker, all repetitions pooled; in brackets the {100 * level:g} % "
        f"jackknife t interval over speakers; fine-tuning: {counts.cell_name(run)}."
        + (f" The sex of {words.plural(unknown, 'speaker')} is not known." if unknown else ""),
        ("method", *header),
        [(one.name, *cells) for one, *cells in zip(found, *columns)],
    )


def _sex_difference(one: Counted, sexes: np.ndarray, level: float) -> str:
    values = scoring.uar(one.pooled)
    female, male = values[sexes == "female"], values[sexes == "male"]
    interval = welch_interval(female, male, level, over="speakers")
    n = int(interval.n_units)
    if n >= 2 and interval.kind not in coverage.offered_methods(n, "speakers"):
        return f"{words.number(female.mean() - male.mean(), signed=True)} (interval not offered at {n} speakers)"
    if int(interval.reason):
        return NOTES[int(interval.reason)]
    return words.estimate(interval, signed=True)


def sex_of_speakers(run: Loaded) -> np.ndarray:
    """[S] "female", "male" or "" by target speaker; "" too where the table contradicts itself."""
    assert run.target is not None
    table = run.target.table
    found = []
    for name in run.target.speakers:
        said = set(table.sex[table.speaker == name].tolist())
        found.append(said.pop() if len(said) == 1 else "")
    return np.array(found)

"""UAR by target speaker and by sex."""

from collections.abc import Iterator

import jax
import numpy as np

from siamese_jax.report.loading.reproduction import Counted, Loaded, Setting
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Fold, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import each_setting
from siamese_jax.stats import estimands, scoring
from siamese_jax.stats.intervals import jackknife_interval, t_interval, welch_interval
from siamese_jax.stats.records import NOTES, Interval, within

AT_ONCE = 12  # speakers of one figure
MARKS = (("#000000", "x"), ("#777777", "d"), ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#E69F00", "D"))


def section(runs: list[Loaded]) -> Section:
    """How well each target speaker, and each sex, is recognised, in each setting."""
    blocks = each_setting(runs, _blocks, lambda run: run.missing and f"nothing by speaker, since {run.missing}")
    return Section("UAR by target speaker and by sex", blocks)


def _blocks(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    methods = run.references(setting) + run.fixed_cell(setting, "paper")
    assert run.target is not None
    level = run.experiment.report.level
    intervals = [by_speaker(method, level) for method in methods]
    yield Gallery(list(_pictures(run, methods, intervals, f"speakers_{number}")))
    rows = [(name, *(text.estimate(interval, (s,)) for interval in intervals))
            for s, name in enumerate(run.target.speakers)]  # fmt: skip
    caption = (
        f"UAR in per cent of each target speaker's clips; mean and {100 * level:g} % t interval over repetitions "
        f"(Monte Carlo error); {setting.name}; fine-tuning: {run.fixed_name}."
    )
    table = Table(caption, ("speaker", *(method.name for method in methods)), rows)
    yield Fold("UAR by target speaker, as a table", [table])
    yield from sex_blocks(run, methods)


def by_speaker(method: Counted, level: float) -> Interval:
    """UAR [S] by speaker, per cent, t interval over repetitions; not computable if one lacks clips of some emotion."""
    return within(t_interval(scoring.uar(method.per_run).T, level, over=method.over), 0.0, 100.0)


def _pictures(run: Loaded, methods: list[Counted], intervals: list[Interval], name: str) -> Iterator[Picture]:
    values = np.stack([np.asarray(v, float) for i in intervals for v in (i.estimate, i.low, i.high)])
    limits = (np.nanmin(values) - 2, np.nanmax(values) + 2) if np.isfinite(values).any() else (0.0, 100.0)
    # By the first loss (plain fine-tuning, mostly), so that hard speakers are side by side.
    means = np.asarray(intervals[-len(run.experiment.protocol.losses)].estimate, float)
    order = np.argsort(np.where(np.isfinite(means), means, np.inf), kind="stable")
    for part, rows in enumerate(np.array_split(order, -(-len(order) // AT_ONCE))):
        yield _picture(run, methods, intervals, rows, means[rows], limits, f"{name}_{part}")


def _picture(
    run: Loaded, methods: list[Counted], intervals: list[Interval], rows: np.ndarray, means: np.ndarray,
    limits: tuple[float, float], name: str
) -> Picture:  # fmt: skip
    assert run.target is not None
    names = [run.target.speakers[s] for s in rows]

    def draw() -> figures.Figure:
        figure, axis = figures.panel(1.5 + 0.24 * len(rows) + 0.13 * len(methods))
        for i, (method, interval, (color, marker)) in enumerate(zip(methods, intervals, MARKS)):
            value, lengths = figures.bars(interval)
            y = np.arange(len(rows)) + 0.16 * (i - (len(methods) - 1) / 2)
            axis.errorbar(value[rows], y, xerr=lengths[:, rows], color=color, marker=marker, linestyle="",
                          label=method.name, markersize=3.5, elinewidth=0.6)  # fmt: skip
        axis.set_yticks(range(len(rows)), [figures.literal(speaker)[:24] for speaker in names])
        axis.set(xlabel="UAR of the speaker's clips (%)", xlim=limits, ylim=(len(rows) - 0.3, -0.7))
        axis.grid(axis="both", linewidth=0.3)
        chance = 100 / len(run.experiment.data.emotions)
        axis.axvline(chance, color="black", linewidth=0.8, linestyle=":", label="chance")
        figures.legend_below(figure, axis, 1)
        return figure

    listed = ", ".join(f"{speaker} {text.number(value)}" for speaker, value in zip(names, means))
    first = SHORT_NAMES[run.experiment.protocol.losses[0]]
    return Picture(
        name,
        figures.png(draw),
        f"UAR of {len(names)} target speakers by method. {first}, in per cent: {listed}.",
        f"UAR (%) of each target speaker's clips, {len(names)} of n = {len(run.target.speakers)} speakers, sorted by "
        f"the first loss ({run.fixed_name}); bars {100 * run.experiment.report.level:g} % t interval over draws "
        f"or seeds (Monte Carlo error){text.gaps(*intervals)}.",
    )


def sex_blocks(run: Loaded, methods: list[Counted]) -> Iterator[Block]:
    """UAR of female and of male target speakers, and their difference over speakers."""
    sexes, level = sex_of_speakers(run), run.experiment.report.level
    known = [sex for sex in ("female", "male") if (sexes == sex).any()]
    if not known:
        yield Paragraph(f"By sex: not computable, since the target table of {run.label} names no speaker's sex.")
        return
    pooled = np.stack([method.pooled for method in methods]).astype(np.float32)
    jackknife = jax.vmap(lambda sums: jackknife_interval(sums, estimands.uar, level, over="speakers"))
    columns = []
    for sex in known:
        interval = within(jackknife(pooled[:, sexes == sex]), 0.0, 1.0)
        columns.append([text.estimate(interval, (i,), 100) for i in range(len(methods))])
    header = [f"{sex} (n = {text.plural(int((sexes == sex).sum()), 'speaker')})" for sex in known]
    if len(known) == 2:
        columns.append([_sex_difference(method, sexes, level) for method in methods])
        header.append("female − male, mean over speakers, Welch t over speakers (points)")
    unknown = int((sexes == "").sum())
    caption = (
        f"UAR in per cent by sex of the target speaker, all repetitions pooled; in brackets the {100 * level:g} % "
        f"jackknife t interval over speakers; fine-tuning: {run.fixed_name}."
        + (f" The sex of {text.plural(unknown, 'speaker')} is not known." if unknown else "")
    )
    yield Table(caption, ("method", *header), [(method.name, *cells) for method, *cells in zip(methods, *columns)])


def _sex_difference(method: Counted, sexes: np.ndarray, level: float) -> str:
    values = scoring.uar(method.pooled)
    female, male = values[sexes == "female"], values[sexes == "male"]
    interval = within(welch_interval(female, male, level, over="speakers"), -100.0, 100.0)
    if reason := text.not_offered(interval.kind, int(interval.n_units), "speakers"):
        return f"{text.number(female.mean() - male.mean(), signed=True)} (interval {reason})"
    if int(interval.reason):
        return NOTES[int(interval.reason)]
    return text.estimate(interval, signed=True)


def sex_of_speakers(run: Loaded) -> np.ndarray:
    """[S] "female", "male" or "" by target speaker; "" too if the table contradicts itself."""
    assert run.target is not None
    table = run.target.table
    sexes = [set(table.sex[table.speaker == name].tolist()) for name in run.target.speakers]
    return np.array([of_speaker.pop() if len(of_speaker) == 1 else "" for of_speaker in sexes])

"""Tests of the paper's claims, with both kinds of uncertainty side by side and never mixed.

More draws shrink the Monte Carlo error over draws, but not the error over other speakers and source trainings.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments import summary
from siamese_jax.experiments.records import diverged, joined, number
from siamese_jax.experiments.summary import COMPARISONS, FEW_SHOT_DATA, POINTS, Grid
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats import effect_sizes, intervals, paired_tests, power
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.power import Chance
from siamese_jax.stats.records import Interval, within
from siamese_jax.stats.scoring import Scored

SPLIT = "speaker_disjoint"
"""Claims are about speakers unknown to the network: the drawn speakers' other clips are not tested."""

GAINS = (2.0, 7.0)
"""Gains in points of UAR whose chance is estimated; the second is the paper's largest (eNTERFACE'05, best cells)."""

N_EXPERIMENTS = 4000
N_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class Baselines:
    """The classifiers on the first draws, and the network on the same draws; scores and counts are by split.

    Fields:
      scored: scores [M, data, speakers, draw] of the M classifiers. seconds: [M] time of the fits.
      counts: theirs on source plus target clips, [M, speakers, seed, S, C, C], pooled over the draws that start from a
        seed (the classifiers do not depend on it; the grouping pairs them with the network).
      tuned_counts: the network's on these draws alone, [speakers, loss, frozen, step, seed, S, C, C].
    """

    methods: tuple[str, ...]
    scored: dict[str, Scored]
    counts: dict[str, np.ndarray]
    tuned_counts: dict[str, np.ndarray]
    seconds: np.ndarray

    @property
    def n_draws(self) -> int:
        """The number of draws that the classifiers were run on."""
        return next(iter(self.scored.values())).uar.shape[-1]


@dataclasses.dataclass(frozen=True)
class Reruns:
    """All draws of one setting in little memory: by split, scores of every draw, and counts pooled over draws.

    Fields:
      plan: of the first block; its experiment's n_draws is the number of all draws.
      grid: scores [speakers, loss, frozen, step, draw].
      counts: [speakers, loss, frozen, step, seed, S, C, C] by target speaker, pooled over the draws that share a seed.
      start_ratio: [speakers, draw] r = D_s / D_d of the labelled clips before the first step; NaN if it was not read.
      baselines: the classifiers on the first draws, if there are any.
    """

    plan: Plan
    head: str
    scope: str
    grid: Grid
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray
    baselines: Baselines | None

    def labelled(self) -> xr.Dataset:
        """The scores as in `summary.labelled`, and `start_ratio` (n_speakers, draw)."""
        arrays = summary.labelled(self.plan.experiment, self.grid)
        arrays["start_ratio"] = (("n_speakers", "draw"), self.start_ratio)
        return arrays.assign_attrs(head=self.head, scaling=self.scope)


@dataclasses.dataclass(frozen=True)
class _Paired:
    """Two methods on the same draws: their names and cell, UAR [2, G] by draw, counts [2, J, S, C, C] by seed."""

    names: dict[str, Any]
    uar: np.ndarray
    counts: np.ndarray


def examine(setting: Reruns) -> dict[str, Any]:
    """The tests of the claims on one setting's draws, as plain JSON values (UAR in points)."""
    plan, baselines, uar = setting.plan, setting.baselines, setting.grid.scored[SPLIT].uar
    experiment, protocol = plan.experiment, plan.experiment.protocol
    gains = [
        {**_gain(experiment, pair), **_plan_draws(experiment, pair.uar)}
        for pair in _between_losses(experiment, uar, setting.counts[SPLIT])
    ]
    pairs = [] if baselines is None else _against_baselines(experiment, uar, baselines)
    against = [_gain(experiment, pair) for pair in pairs]
    for family in (gains, against):
        _correct(family)
    return {
        "source": plan.source.name, "target": plan.target.name, "head": setting.head, "scaling": setting.scope,
        "split": SPLIT, "n_draws": protocol.n_draws, "n_seeds": protocol.n_seeds, "gains": gains,
        "n_baseline_draws": 0 if baselines is None else baselines.n_draws, "against_baselines": against,
        "best_cell": _best_cell(experiment, uar), "trade_off": _trade_off(experiment, uar),
        "beyond_the_pole": _beyond_the_pole(experiment, setting.start_ratio),
        "remarks": joined(
            plan.source_note, *dict.fromkeys(map(plan.draws_note, protocol.n_speakers)),
            diverged(int(setting.grid.diverged[:, :, :, -1].sum()), setting.grid.diverged[:, :, :, -1].size),
        ),
    }  # fmt: skip


def _key(experiment: Experiment) -> jax.Array:
    return jax.random.fold_in(jax.random.key(experiment.protocol.seed), 3)


def _cells(experiment: Experiment) -> Iterator[tuple[tuple[int, int, int], dict[str, int]]]:
    """(index, names) of every number of speakers, number of frozen layers and evaluation step but 0."""
    protocol = experiment.protocol
    for k, n_speakers in enumerate(protocol.n_speakers):
        for f, frozen in enumerate(protocol.frozen):
            for r, steps in enumerate(protocol.steps):
                if steps > 0:
                    yield (k, f, r), {"n_speakers": n_speakers, "frozen": frozen, "steps": steps}


def _comparisons(experiment: Experiment) -> list[tuple[str, str, list[int]]]:
    """The comparisons between losses that were run, with the two losses' indices."""
    index = {loss: m for m, loss in enumerate(experiment.protocol.losses)}
    return [(a, b, [index[a], index[b]]) for a, b in COMPARISONS if a in index and b in index]


def _between_losses(experiment: Experiment, uar: np.ndarray, counts: np.ndarray) -> Iterator[_Paired]:
    for method, minus, both in _comparisons(experiment):
        for (k, f, r), cell in _cells(experiment):
            yield _Paired({"method": method, "minus": minus, **cell}, uar[k, both, f, r], counts[k, both, f, r])


def _against_baselines(experiment: Experiment, uar: np.ndarray, baselines: Baselines) -> Iterator[_Paired]:
    """Each loss minus each classifier on source plus target clips, over the draws of the classifiers."""
    data, uar, tuned = (
        FEW_SHOT_DATA.index("source+target"),
        uar[..., : baselines.n_draws],
        baselines.tuned_counts[SPLIT],
    )
    for i, minus in enumerate(baselines.methods):
        minus_uar, minus_counts = baselines.scored[SPLIT].uar[i, data], baselines.counts[SPLIT][i]
        for m, method in enumerate(experiment.protocol.losses):
            for (k, f, r), cell in _cells(experiment):
                counts = np.stack([tuned[k, m, f, r], minus_counts[k]])
                names = {"method": method, "minus": minus, **cell}
                yield _Paired(names, np.stack([uar[k, m, f, r], minus_uar[k]]), counts)


def _correct(gains: list[dict[str, Any]]) -> None:
    """Adds Holm's and Benjamini and Hochberg's adjusted p values over a family of gains."""
    for test in ("sign_flip_p", "wilcoxon_p", "speakers_sign_flip_p"):
        values = np.array([math.nan if g[test] is None else g[test] for g in gains], np.float32)
        for name, adjusted in paired_tests.adjusted(values).items():
            for gain, p in zip(gains, adjusted):
                gain[f"{test}_{name}"] = number(p)


def _gain(experiment: Experiment, pair: _Paired) -> dict[str, Any]:
    """One paired difference, with intervals over draws, speakers, and speakers and seeds; tests and sizes."""
    level, counts_JxSx2 = experiment.report.level, np.moveaxis(pair.counts, 0, 2).astype(np.float32)
    difference = PairedDifference.make(pair.uar[0] - pair.uar[1], counts_JxSx2)
    draw_key, speaker_key = (jax.random.fold_in(_key(experiment), i) for i in range(2))
    flips, ranks = paired_tests.over_draws(difference.by_draw, draw_key, N_RESAMPLES)
    of_speakers = paired_tests.sign_flip_over_speakers(difference, speaker_key, N_RESAMPLES)
    size = effect_sizes.standardised_difference(difference.by_draw, level, over="draws", hedges=True)
    return {
        **pair.names,
        "gain": number(difference.by_draw.mean()),
        "over_draws": plain(difference.over_draws(level), 1.0),
        "over_speakers": plain(difference.over_speakers(level), 100.0),
        "over_speakers_and_seeds": plain(difference.over_speakers_and_seeds(level), 100.0),
        "sign_flip_p": number(flips.p_value),
        "wilcoxon_p": number(ranks.p_value),
        "speakers_sign_flip_p": number(of_speakers.p_value),
        "effect_size": plain(size, 1.0),
    }


def _chance(chance_of: Callable[..., Chance], uar_2xG: np.ndarray, gain: float, key: jax.Array) -> dict[str, Any]:
    method, baseline = uar_2xG
    chance = chance_of(method, baseline, n_draws=10, gain=gain, paired=False, key=key, n_experiments=N_EXPERIMENTS)
    return {f"chance_of_{gain:g}_points_in_ten_unpaired_draws": number(chance.probability)}


def _plan_draws(experiment: Experiment, uar_2xG: np.ndarray) -> dict[str, Any]:
    """The chance that ten draws show the GAINS, and the draws needed to show 1 point; or why not."""
    # The same random numbers for every pair.
    need_key, *chance_keys = jax.random.split(jax.random.fold_in(_key(experiment), 2), 3)
    record: dict[str, Any] = {}
    try:
        for gain, chance_key in zip(GAINS, chance_keys):
            record |= _chance(power.chance_of_gain, uar_2xG, gain, chance_key)
        needed = power.draws_needed(
            uar_2xG[0] - uar_2xG[1], gain=1.0, power=0.8, level=experiment.report.level, n_max=400, key=need_key,
            n_experiments=N_EXPERIMENTS,
        )  # fmt: skip
    except InputError as error:
        return {"planning_note": f"not computable: {error}"}
    return {**record, "draws_needed_for_1_point": needed.n_draws, "planning_note": needed.note}


def _best_cell(experiment: Experiment, uar: np.ndarray) -> list[dict[str, Any]]:
    """The chance that ten draws show a gain between equal best cells of a step, chosen on the test clips."""
    protocol, records = experiment.protocol, []
    n_cells = len(protocol.n_speakers) * len(protocol.frozen)
    for method, minus, both in _comparisons(experiment) if n_cells > 1 else []:
        for r, steps in enumerate(protocol.steps):
            if steps == 0:
                continue
            cells = np.stack([uar[:, m, :, r].reshape(n_cells, -1) for m in both])
            record: dict[str, Any] = {"method": method, "minus": minus, "steps": steps, "n_cells": n_cells, "note": ""}
            for i, gain in enumerate(GAINS):
                key = jax.random.fold_in(jax.random.fold_in(_key(experiment), 4), i)
                try:
                    record |= _chance(power.chance_of_best_cell_gain, cells, gain, key)
                except InputError as error:
                    record["note"] = f"not computable: {error}"
            records.append(record)
    return records


def _trade_off(experiment: Experiment, uar: np.ndarray) -> list[dict[str, Any]]:
    """UAR gained per added speaker between neighbouring numbers of speakers, at every step; draws are nested."""
    protocol, records = experiment.protocol, []
    if len(protocol.n_speakers) < 2:
        return []
    order = np.argsort(protocol.n_speakers)
    numbers = [protocol.n_speakers[i] for i in order]
    for m, f, r in np.ndindex(uar.shape[1:4]):
        cell = {"loss": protocol.losses[m], "frozen": protocol.frozen[f], "steps": protocol.steps[r]}
        gains = intervals.gain_per_speaker(
            uar[order][:, m, f, r], numbers, experiment.report.level, paired=True, over="draws"
        )
        gains = within(gains, *POINTS)
        for i, (first, second) in enumerate(itertools.pairwise(numbers)):
            gain = jax.tree.map(lambda x, i=i: x[i], gains)
            records.append({**cell, "from": first, "to": second, "gain_per_speaker": plain(gain, 1.0)})
    return records


def _beyond_the_pole(experiment: Experiment, start_ratio: np.ndarray) -> list[dict[str, Any]]:
    """The share of draws whose labelled clips start with D_s >= D_d, by number of speakers."""
    if not np.isfinite(start_ratio).all():
        return []
    shares = intervals.share_interval(jnp.asarray(start_ratio >= 1), experiment.report.level, over="draws")
    return [
        {"n_speakers": k, "share": plain(jax.tree.map(lambda x, i=i: x[i], shares), 1.0)}
        for i, k in enumerate(experiment.protocol.n_speakers)
    ]


def plain(interval: Interval, factor: float) -> dict[str, Any]:
    """An interval as plain values; null limits and a note if it cannot be computed."""
    estimate, low, high = (
        number(factor * np.asarray(value)) for value in (interval.estimate, interval.low, interval.high)
    )
    return {
        "estimate": estimate, "low": low, "high": high, "kind": interval.label, "method": interval.kind,
        "over": interval.over, "n_units": int(interval.n_units), "note": interval.note,
    }  # fmt: skip

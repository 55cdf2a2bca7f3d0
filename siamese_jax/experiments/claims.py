"""The paper's claims put to the test, with both kinds of uncertainty side by side and never mixed.

Over draws: Monte Carlo error on these speakers and source seeds, which more draws shrink. Over speakers and seeds: what
a claim about other speakers and other source trainings needs, which more draws do not shrink.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.experiments.summary import COMPARISONS, FEW_SHOT_DATA, Grid
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats import effect_sizes, intervals, paired_tests, power
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.records import Interval
from siamese_jax.stats.scoring import Scored

SPLIT = "speaker_disjoint"
"""Claims are about people the network has not heard: the drawn speakers' other clips are not tested."""

GAINS = (2.0, 7.0)
"""Gains in points of UAR whose chance is asked for; the second is the paper's largest (eNTERFACE'05, best cells)."""

N_EXPERIMENTS = 4000
N_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class Beside:
    """The classifiers on the first draws, and the network on the same draws.

    Fields:
      methods: names of the M classifiers.
      scored: by split, their scores [M, data, speakers, draw].
      counts: by split, theirs on source plus target clips, [M, speakers, seed, S, C, C], pooled over the draws that
        start from a seed (the classifiers do not depend on it; the grouping pairs them with the network).
      tuned_counts: by split, the network's on these draws alone, [speakers, loss, frozen, step, seed, S, C, C].
      seconds: [M] time of the fits.
    """

    methods: tuple[str, ...]
    scored: dict[str, Scored]
    counts: dict[str, np.ndarray]
    tuned_counts: dict[str, np.ndarray]
    seconds: np.ndarray

    @property
    def n_draws(self) -> int:
        """How many draws the classifiers were run on."""
        return next(iter(self.scored.values())).uar.shape[-1]


@dataclasses.dataclass(frozen=True)
class _Paired:
    """Two methods on the same draws: what they are, UAR [2, G] by draw, counts [2, J, S, C, C] pooled by seed."""

    what: dict[str, Any]
    uar: np.ndarray
    counts: np.ndarray


def examine(
    plan: Plan,
    head: str,
    scope: str,
    grid: Grid,
    counts: dict[str, np.ndarray],
    start_ratio: np.ndarray,
    beside: Beside | None,
) -> dict[str, Any]:
    """Everything that one setting's reruns say of the claims, as plain JSON values (UAR in points).

    Args:
      grid: scores [speakers, loss, frozen, step, draw] by split.
      counts: [speakers, loss, frozen, step, seed, S, C, C] by split.
      start_ratio: [speakers, draw] r before the first step; NaN where it was not read.
      beside: the classifiers, where there are any.
    """
    e = plan.experiment
    gains = []
    for pair in _between_losses(plan, grid.scored[SPLIT].uar, counts[SPLIT]):
        plan_key = jax.random.fold_in(_key(e), 2)
        gains.append({**_gain(e, pair), **_plan_draws(pair.uar[0], pair.uar[1], e.report.level, plan_key)})
    against = [] if beside is None else [_gain(e, pair) for pair in _against(plan, grid, beside)]
    for family in (gains, against):
        _correct(family)
    return {
        "source": plan.source.name, "target": plan.target.name, "head": head, "scaling": scope, "split": SPLIT,
        "n_draws": e.protocol.n_draws, "n_seeds": e.protocol.n_seeds, "gains": gains,
        "n_alternative_draws": 0 if beside is None else beside.n_draws, "against_alternatives": against,
        "best_cell": _best_cell(e, grid.scored[SPLIT].uar),
        "trade_off": _trade_off(plan, grid), "beyond_the_pole": _beyond_the_pole(plan, start_ratio),
    }  # fmt: skip


def _key(e: Experiment) -> jax.Array:
    return jax.random.fold_in(jax.random.key(e.protocol.seed), 3)


def _cells(e: Experiment) -> Iterator[tuple[tuple[int, int, int], dict[str, int]]]:
    """(index, names) of every number of speakers, depth of freezing and readout after a step."""
    for k, n_speakers in enumerate(e.protocol.n_speakers):
        for f, frozen in enumerate(e.protocol.frozen):
            for r, steps in enumerate(e.protocol.steps):
                if steps > 0:
                    yield (k, f, r), {"n_speakers": n_speakers, "frozen": frozen, "steps": steps}


def _between_losses(plan: Plan, uar: np.ndarray, counts: np.ndarray) -> Iterator[_Paired]:
    e = plan.experiment
    for method, minus in COMPARISONS:
        if method in e.protocol.losses and minus in e.protocol.losses:
            both = [e.protocol.losses.index(method), e.protocol.losses.index(minus)]
            for (k, f, r), names in _cells(e):
                what = {"method": method, "minus": minus, **names}
                yield _Paired(what, uar[k, both, f, r], counts[k, both, f, r])


def _against(plan: Plan, grid: Grid, beside: Beside) -> Iterator[_Paired]:
    """Each loss minus each classifier on source plus target clips, over the draws that the classifiers had."""
    e, data = plan.experiment, FEW_SHOT_DATA.index("source+target")
    uar, tuned = grid.scored[SPLIT].uar[..., : beside.n_draws], beside.tuned_counts[SPLIT]
    for m, minus in enumerate(beside.methods):
        other_uar, other = beside.scored[SPLIT].uar[m, data], beside.counts[SPLIT][m]
        for a, method in enumerate(e.protocol.losses):
            for (k, f, r), names in _cells(e):
                what = {"method": method, "minus": minus, **names}
                yield _Paired(what, np.stack([uar[k, a, f, r], other_uar[k]]), np.stack([tuned[k, a, f, r], other[k]]))


def _correct(gains: list[dict[str, Any]]) -> None:
    """Adds Holm's and Benjamini and Hochberg's adjusted p values over a family of gains."""
    for test in ("sign_flip_p", "wilcoxon_p", "speakers_sign_flip_p"):
        values = np.array([math.nan if g[test] is None else g[test] for g in gains], np.float32)
        for name, adjusted in paired_tests.adjusted(values).items():
            for gain, p in zip(gains, adjusted):
                gain[f"{test}_{name}"] = _number(p)


def _gain(e: Experiment, pair: _Paired) -> dict[str, Any]:
    """One paired difference, with intervals over draws, speakers, and speakers and seeds; tests and sizes."""
    difference = PairedDifference.make(pair.uar[0] - pair.uar[1], np.moveaxis(pair.counts, 0, 2).astype(np.float32))
    draw_key, speaker_key = (jax.random.fold_in(_key(e), i) for i in range(2))
    flips, ranks = paired_tests.over_draws(difference.by_draw, draw_key, N_RESAMPLES)
    of_speakers = paired_tests.sign_flip_over_speakers(difference, speaker_key, N_RESAMPLES)
    size = effect_sizes.standardised_difference(difference.by_draw, e.report.level, over="draws", hedges=True)
    return {
        **pair.what,
        "gain": _number(difference.by_draw.mean()),
        "over_draws": plain(difference.over_draws(e.report.level), 1.0),
        "over_speakers": plain(difference.over_speakers(e.report.level), 100.0),
        "over_speakers_and_seeds": plain(difference.over_speakers_and_seeds(e.report.level), 100.0),
        "sign_flip_p": _number(flips.p_value),
        "wilcoxon_p": _number(ranks.p_value),
        "speakers_sign_flip_p": _number(of_speakers.p_value),
        "effect_size": plain(size, 1.0),
    }


def _plan_draws(method_G: np.ndarray, baseline_G: np.ndarray, level: float, key: jax.Array) -> dict[str, Any]:
    """How often ten draws show the paper's gain, and 2 points, by chance; how many draws 1 point needs. Or why not."""
    need_key, *chance_keys = jax.random.split(key, 3)
    try:
        found: dict[str, Any] = {}
        for gain, chance_key in zip(GAINS, chance_keys):
            chance = power.chance_of_gain(
                method_G, baseline_G, n_draws=10, gain=gain, paired=False, key=chance_key, n_experiments=N_EXPERIMENTS
            )
            found[f"chance_of_{gain:g}_points_in_ten_unpaired_draws"] = _number(chance.probability)
        needed = power.draws_needed(
            method_G - baseline_G,
            gain=1.0,
            power=0.8,
            level=level,
            n_max=400,
            key=need_key,
            n_experiments=N_EXPERIMENTS,
        )
        return {**found, "draws_needed_for_1_point": needed.n_draws, "planning_note": needed.note}
    except InputError as error:
        return {"planning_note": f"not computable: {error}"}


def _best_cell(e: Experiment, uar: np.ndarray) -> list[dict[str, Any]]:
    """How often ten draws show a gain between best cells, as the paper reports it, where the best cells are equal.

    A best cell is the best over frozen layers and numbers of speakers at one readout, chosen on the test clips.
    """
    found: list[dict[str, Any]] = []
    n_cells = len(e.protocol.n_speakers) * len(e.protocol.frozen)
    for method, minus in COMPARISONS:
        if n_cells < 2 or method not in e.protocol.losses or minus not in e.protocol.losses:
            continue
        for r, steps in enumerate(e.protocol.steps):
            if steps == 0:
                continue
            a, b = (uar[:, e.protocol.losses.index(name), :, r].reshape(n_cells, -1) for name in (method, minus))
            one: dict[str, Any] = {"method": method, "minus": minus, "steps": steps, "n_cells": n_cells, "note": ""}
            for i, gain in enumerate(GAINS):
                key = jax.random.fold_in(jax.random.fold_in(_key(e), 4), i)
                try:
                    chance = power.chance_of_best_cell_gain(
                        a, b, n_draws=10, gain=gain, paired=False, key=key, n_experiments=N_EXPERIMENTS
                    )
                    one[f"chance_of_{gain:g}_points_in_ten_unpaired_draws"] = _number(chance.probability)
                except InputError as error:
                    one["note"] = f"not computable: {error}"
            found.append(one)
    return found


def _trade_off(plan: Plan, grid: Grid) -> list[dict[str, Any]]:
    """UAR gained per added speaker between neighbouring numbers of speakers, at every readout; draws are nested."""
    e, found = plan.experiment, []
    if len(e.protocol.n_speakers) < 2:
        return []
    order = np.argsort(e.protocol.n_speakers)
    numbers = [e.protocol.n_speakers[i] for i in order]
    for m, loss in enumerate(e.protocol.losses):
        for f, frozen in enumerate(e.protocol.frozen):
            for r, steps in enumerate(e.protocol.steps):
                values = grid.scored[SPLIT].uar[order][:, m, f, r]
                gain = intervals.gain_per_speaker(values, numbers, e.report.level, paired=True, over="draws")
                for i, (first, second) in enumerate(itertools.pairwise(numbers)):
                    one = jax.tree.map(lambda x, i=i: x[i], gain)
                    found.append({"loss": loss, "frozen": frozen, "steps": steps, "from": first, "to": second,
                                  "gain_per_speaker": plain(one, 1.0)})  # fmt: skip
    return found


def _beyond_the_pole(plan: Plan, start_ratio: np.ndarray) -> list[dict[str, Any]]:
    """The share of draws whose labelled clips start with D_s >= D_d, by number of speakers."""
    e = plan.experiment
    if not np.isfinite(start_ratio).all():
        return []
    shares = intervals.share_interval(jnp.asarray(start_ratio >= 1), e.report.level, over="draws")
    return [
        {"n_speakers": k, "share": plain(jax.tree.map(lambda x, i=i: x[i], shares), 1.0)}
        for i, k in enumerate(e.protocol.n_speakers)
    ]


def plain(interval: Interval, factor: float) -> dict[str, Any]:
    """An interval as plain values; null limits and a note where it cannot be computed."""
    return {
        "estimate": _number(factor * np.asarray(interval.estimate)),
        "low": _number(factor * np.asarray(interval.low)),
        "high": _number(factor * np.asarray(interval.high)),
        "kind": interval.label, "method": interval.kind, "over": interval.over,
        "n_units": int(interval.n_units),
        "note": interval.note,
    }  # fmt: skip


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None

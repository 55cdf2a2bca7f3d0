"""The paper's claims put to the test, with both kinds of uncertainty side by side and never mixed.

Over draws: Monte Carlo error on these speakers and source seeds, which more draws shrink. Over speakers and seeds: what
a claim about other speakers and other source trainings needs, which more draws do not shrink.
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.stages import Plan
from siamese_jax.stats import crossed, effects, estimands, hypothesis_tests, intervals, multiplicity, planning, tradeoff
from siamese_jax.stats.records import Interval
from siamese_jax.summary import COMPARISONS, Grid

SPLIT = "speaker_disjoint"
"""Claims are about people the network has not heard: the drawn speakers' other clips are not tested."""

PAPER_GAIN = 7.0
"""The paper's largest gain, in points of UAR (eNTERFACE'05, best cells)."""

N_EXPERIMENTS = 4000
N_RESAMPLES = 10_000


def examine(
    plan: Plan, head: str, scope: str, grid: Grid, counts: dict[str, np.ndarray], start_ratio: np.ndarray
) -> dict[str, Any]:
    """Everything that one setting's reruns say of the claims, as plain JSON values (UAR in points).

    Args:
      grid: scores [speakers, loss, frozen, step, draw] by split.
      counts: [speakers, loss, frozen, step, seed, S, C, C] by split.
      start_ratio: [speakers, draw] r before the first step; NaN where it was not read.
    """
    e = plan.experiment
    gains = [
        _gain(plan, grid, counts, method, minus, k, f, r)
        for method, minus in COMPARISONS
        if method in e.losses and minus in e.losses
        for k in range(len(e.n_speakers))
        for f in range(len(e.frozen))
        for r in range(len(e.steps))
        if e.steps[r] > 0
    ]
    for test in ("sign_flip_p", "wilcoxon_p", "speakers_sign_flip_p"):
        values = np.array([math.nan if g[test] is None else g[test] for g in gains], np.float32)
        adjusted = np.asarray(multiplicity.holm(values)) if len(values) else values
        for gain, p in zip(gains, adjusted):
            gain[f"{test}_holm"] = _number(p)
    return {
        "source": plan.source.name, "target": plan.target.name, "head": head, "scaling": scope, "split": SPLIT,
        "n_draws": e.n_draws, "n_seeds": e.n_seeds, "gains": gains, "trade_off": _trade_off(plan, grid),
        "beyond_the_pole": _beyond_the_pole(plan, start_ratio),
    }  # fmt: skip


def _gain(
    plan: Plan, grid: Grid, counts: dict[str, np.ndarray], method: str, minus: str, k: int, f: int, r: int
) -> dict[str, Any]:
    """One paired difference, with intervals over draws, speakers, and speakers and seeds; tests; sizes; planning."""
    e = plan.experiment
    a, b = e.losses.index(method), e.losses.index(minus)
    uar = grid.scored[SPLIT].uar[k, :, f, r]
    difference_G = uar[a] - uar[b]
    sums_JxSx2 = np.stack([counts[SPLIT][k, a, f, r], counts[SPLIT][k, b, f, r]], axis=2)
    sums_JxSx2 = sums_JxSx2[sums_JxSx2.sum(axis=(1, 2, 3, 4)) > 0].astype(np.float32)
    speakers_Sx2 = sums_JxSx2.sum(axis=0)
    draw_key, speaker_key, plan_key = jax.random.split(jax.random.fold_in(jax.random.key(e.seed), 3), 3)
    over_draws = intervals.t_interval(difference_G, e.level, over="draws")
    over_speakers = intervals.jackknife_interval(speakers_Sx2, estimands.uar_difference, e.level, over="speakers")
    both = _interval(crossed.crossed_interval(sums_JxSx2, estimands.uar_difference, e.level), 100.0)
    if (sums_JxSx2.sum(axis=(2, 3, 4)) == 0).any():
        # The two-way interval is of a full crossing: a speaker whom a seed's draws always drew leaves a gap in it.
        both |= {"low": None, "high": None, "note": "not computable: some seeds never test some speakers; draw more"}
    per_speaker_S = np.asarray(jax.vmap(estimands.uar_difference)(speakers_Sx2))
    flips = hypothesis_tests.sign_flip_test(difference_G, over="draws", key=draw_key, n_resamples=N_RESAMPLES)
    ranks = hypothesis_tests.wilcoxon_test(difference_G, over="draws")
    size = effects.standardised_difference(difference_G, e.level, over="draws", hedges=True)
    of_speakers = hypothesis_tests.sign_flip_test(
        per_speaker_S, over="speakers", key=speaker_key, n_resamples=N_RESAMPLES
    )
    return {
        "method": method, "minus": minus, "n_speakers": e.n_speakers[k], "frozen": e.frozen[f], "steps": e.steps[r],
        "gain": _number(difference_G.mean()),
        "over_draws": _interval(over_draws, 1.0),
        "over_speakers": _interval(over_speakers, 100.0),
        "over_speakers_and_seeds": both,
        "sign_flip_p": _number(flips.p_value),
        "wilcoxon_p": _number(ranks.p_value),
        "speakers_sign_flip_p": _number(of_speakers.p_value),
        "effect_size": _interval(size, 1.0),
        **_plan_draws(difference_G, uar[a], uar[b], e.level, plan_key),
    }  # fmt: skip


def _plan_draws(
    difference_G: np.ndarray, method_G: np.ndarray, baseline_G: np.ndarray, level: float, key: jax.Array
) -> dict[str, Any]:
    """How often ten draws show the paper's gain, and 2 points, by chance; how many draws 1 point needs. Or why not."""
    need_key, *chance_keys = jax.random.split(key, 3)
    try:
        found: dict[str, Any] = {}
        for gain, chance_key in zip((2.0, PAPER_GAIN), chance_keys):
            chance = planning.chance_of_gain(
                method_G, baseline_G, n_draws=10, gain=gain, paired=False, key=chance_key, n_experiments=N_EXPERIMENTS
            )
            found[f"chance_of_{gain:g}_points_in_ten_unpaired_draws"] = _number(chance.probability)
        needed = planning.draws_needed(
            difference_G, gain=1.0, power=0.8, level=level, n_max=400, key=need_key, n_experiments=N_EXPERIMENTS
        )
        return {**found, "draws_needed_for_1_point": needed.n_draws, "planning_note": needed.note}
    except InputError as error:
        return {"planning_note": f"not computable: {error}"}


def _trade_off(plan: Plan, grid: Grid) -> list[dict[str, Any]]:
    """UAR gained per added speaker between neighbouring numbers of speakers, at every readout; draws are nested."""
    e, found = plan.experiment, []
    if len(e.n_speakers) < 2:
        return []
    order = np.argsort(e.n_speakers)
    numbers = [e.n_speakers[i] for i in order]
    for m, loss in enumerate(e.losses):
        for f, frozen in enumerate(e.frozen):
            for r, steps in enumerate(e.steps):
                values = grid.scored[SPLIT].uar[order][:, m, f, r]
                gain = tradeoff.gain_per_speaker(values, numbers, e.level, paired=True, over="draws")
                for i, (first, second) in enumerate(itertools.pairwise(numbers)):
                    one = jax.tree.map(lambda x, i=i: x[i], gain)
                    found.append({"loss": loss, "frozen": frozen, "steps": steps, "from": first, "to": second,
                                  "gain_per_speaker": _interval(one, 1.0)})  # fmt: skip
    return found


def _beyond_the_pole(plan: Plan, start_ratio: np.ndarray) -> list[dict[str, Any]]:
    """The share of draws whose labelled clips start with D_s >= D_d, by number of speakers."""
    e = plan.experiment
    if not np.isfinite(start_ratio).all():
        return []
    shares = intervals.share_interval(jnp.asarray(start_ratio >= 1), e.level, over="draws")
    return [
        {"n_speakers": k, "share": _interval(jax.tree.map(lambda x, i=i: x[i], shares), 1.0)}
        for i, k in enumerate(e.n_speakers)
    ]


def _interval(interval: Interval, factor: float) -> dict[str, Any]:
    """An interval as plain values; null limits and a note where it cannot be computed."""
    return {
        "estimate": _number(factor * np.asarray(interval.estimate)),
        "low": _number(factor * np.asarray(interval.low)),
        "high": _number(factor * np.asarray(interval.high)),
        "kind": interval.label,
        "n_units": int(interval.n_units),
        "note": interval.note,
    }


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def markdown(claimed: list[dict[str, Any]]) -> str:
    """The gains of every setting in tables, with both kinds of uncertainty."""
    parts = ["# The claims\n"]
    for one in claimed:
        parts.append(
            f"\n## {one['source']} to {one['target']}, head {one['head']}, scaled by {one['scaling']}\n\n"
            f"Speaker-disjoint test clips; {one['n_draws']} draws over {one['n_seeds']} source seeds. Gains in "
            "points of UAR. The interval over draws is Monte Carlo error on these speakers and seeds; the one over "
            "speakers and seeds is what a claim about others needs. P values are of sign-flip permutation tests, Holm "
            "over all rows.\n\n"
            "| comparison | speakers | frozen | steps | gain over draws | over speakers | over speakers and seeds "
            "| p, draws | p, speakers |\n|---|---|---|---|---|---|---|---|---|\n"
        )
        parts.extend(_gain_line(gain) for gain in one["gains"])
        parts.extend(_pole_lines(one["beyond_the_pole"]))
    return "".join(parts)


def _gain_line(gain: dict[str, Any]) -> str:
    cells = [_text(gain[key]) for key in ("over_draws", "over_speakers", "over_speakers_and_seeds")]
    p_values = [_p_text(gain[key]) for key in ("sign_flip_p_holm", "speakers_sign_flip_p_holm")]
    what = f"{gain['method']} minus {gain['minus']} | {gain['n_speakers']} | {gain['frozen']} | {gain['steps']}"
    return f"| {what} | {' | '.join(cells + p_values)} |\n"


def _pole_lines(shares: list[dict[str, Any]]) -> list[str]:
    if not shares:
        return []
    each = "; ".join(f"{s['n_speakers']} speakers: {100 * s['share']['estimate']:.0f} %" for s in shares)
    return [f"\nDraws that start at or beyond the pole (D_s >= D_d on the labelled clips): {each}.\n"]


def _text(interval: dict[str, Any]) -> str:
    if interval["estimate"] is None:
        return "not computable"
    if interval["low"] is None:
        return f"{interval['estimate']:+.2f} ({interval['note']})"
    return f"{interval['estimate']:+.2f} [{interval['low']:+.2f}, {interval['high']:+.2f}]"


def _p_text(p: float | None) -> str:
    return "not computable" if p is None else ("< 0.001" if p < 0.001 else f"{p:.3f}")

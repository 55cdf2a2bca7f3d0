"""Training without labelled target clips (OODT) or on the target alone (IDT), at any number of seeds.

Nothing is drawn in these protocols; what is repeated is the training, from another seed. As in `rerun` the
configuration's `n_draws` is the size of a block; training i is the same whatever the block, and more trainings later
add blocks. Blocks are on disk and one at a time in memory; what is kept of each is counts.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.errors import InputError
from siamese_jax.experiments import claims, reproduce, rows, summary
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.progress import Bars, OnDone, bars
from siamese_jax.stats import estimands, intervals, two_way
from siamese_jax.stats.scoring import counts_by_speaker, uar

PROTOCOLS = {"out_of_domain": "source_only", "in_domain": "loso"}
"""The protocols, and what the classifiers beside them learn from, see `alternatives.PARTS`."""


def run(e: Experiment, workdir: str | Path, protocol: str, n_trainings: int) -> list[dict[str, Any]]:
    """Runs blocks until there are at least `n_trainings` trainings, and writes their statistics.

    Writes claims.json, summary.json, and arrays/ (a file a block).

    Args:
      protocol: one of `PROTOCOLS`.
      n_trainings: rounded up to whole blocks.

    Returns:
      What is in claims.json: for each head and scope, see `examine`.

    Raises:
      InputError: as `experiment.run`; another protocol, no training, or OODT under the scope "train".
    """
    if protocol not in PROTOCOLS or n_trainings < 1:
        raise InputError(
            f"{n_trainings} trainings of {protocol!r}; expected 1 or more of {' or '.join(map(repr, PROTOCOLS))}"
        )
    if protocol == "out_of_domain" and "train" in e.data.scalings:
        raise InputError("config.data.scalings holds 'train', which has no source to train on; leave it out")
    start = time.perf_counter()
    source, target = reproduce.load(e)
    work = WorkDir(workdir, e, reproduce.digests(source, target), f"rerun of {protocol}")
    n_blocks = -(-n_trainings // e.protocol.n_draws)
    blocks = e.replace(n_seeds=e.protocol.n_draws, n_in_domain_seeds=e.protocol.n_draws)
    plans = [
        dataclasses.replace(Plan.make(blocks, source, target), first_seed=block * e.protocol.n_draws)
        for block in range(n_blocks)
    ]
    found: list[dict[str, Any]] = []
    results: list[rows.Row] = []
    with work, bars() as shown:
        for scope in e.data.scalings:
            beside = _classifiers(work, plans[0], protocol, scope, shown)
            for head in e.network.heads:
                merged = _trainings(work, plans, protocol, head, scope, shown)
                found.append(examine(plans[0], protocol, head, scope, merged, beside))
                results.extend(_rows(plans[0], protocol, head, scope, merged))
            if beside is not None:
                results.extend(summary.alternative_rows(plans[0], scope, beside))
        if distributed.is_writer():
            write_json(work.path / "summary.json", [dataclasses.asdict(row) for row in results])
            write_json(work.path / "claims.json", found)
            work.write_provenance(time.perf_counter() - start)
    return found


def _classifiers(work: WorkDir, plan: Plan, protocol: str, scope: str, shown: Bars) -> xr.Dataset | None:
    if not plan.experiment.protocol.baselines:
        return None
    parts = (PROTOCOLS[protocol],)
    on_done = shown.start(f"alternatives ({scope})", baselines.n_fits(plan, scope, parts))
    return reproduce.classifiers(plan, work, f"alternatives/{scope}", scope, parts, on_done)


def _trainings(work: WorkDir, plans: list[Plan], protocol: str, head: str, scope: str, shown: Bars) -> xr.Dataset:
    """`predictions` (seed, clip) of all blocks, `tested` (clip), and the attribute `seconds`; a byte a prediction."""
    e = plans[0].experiment
    folds = len(plans[0].target.speakers) if protocol == "in_domain" else 2
    on_done = shown.start(f"{head}, {scope}", len(plans) * e.protocol.n_draws * folds)
    kept = []
    for block, plan in enumerate(plans):

        def make(plan: Plan = plan) -> xr.Dataset:
            return reproduce.label(plan, _block(plan, protocol, head, scope, on_done))

        kept.append(work.arrays(f"{head}/{scope}/{protocol}/block_{block:05d}", make))
    predictions = np.concatenate([one.predictions.transpose("seed", "clip").values for one in kept])
    tested = kept[0].tested.values if "tested" in kept[0] else np.ones(len(plans[0].target), bool)
    merged = xr.Dataset({"predictions": (("seed", "clip"), predictions), "tested": ("clip", tested)})
    return merged.assign_attrs(seconds=sum(one.attrs["seconds"] for one in kept))


def _block(plan: Plan, protocol: str, head: str, scope: str, on_done: OnDone) -> xr.Dataset:
    if protocol == "in_domain":
        return stages.in_domain(plan, head, scope, leave_one_speaker_out(plan.target), on_done)
    trained = stages.source_training(plan, head, scope, on_done)
    ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
    return stages.out_of_domain(plan, head, ood_scope, stages.params_from_arrays(trained), on_done)


def _rows(plan: Plan, protocol: str, head: str, scope: str, merged: xr.Dataset) -> list[rows.Row]:
    """Rows of one setting, as `launch.reproduce` writes them."""
    n = merged.sizes["seed"]
    whole = dataclasses.replace(plan, experiment=plan.experiment.replace(n_seeds=n, n_in_domain_seeds=n))
    given = {"ood": merged, "idt": None} if protocol == "out_of_domain" else {"ood": None, "idt": merged}
    return list(summary.siamese_rows(whole, head, scope, grid=None, **given))


def examine(
    plan: Plan, protocol: str, head: str, scope: str, merged: xr.Dataset, beside: xr.Dataset | None
) -> dict[str, Any]:
    """What many trainings of one setting say, as plain JSON values (UAR in per cent, differences in points).

    Args:
      merged: `predictions` (seed, clip) and `tested` (clip).
      beside: the classifiers' predictions of the same clips, from `alternatives.run`; None for none.
    """
    e, target = plan.experiment, plan.target

    def counted(predictions: np.ndarray) -> np.ndarray:
        tested, n_speakers = merged.tested.values, len(target.speakers)
        counts = counts_by_speaker(predictions, target.label, tested, target.speaker, n_speakers, len(e.data.emotions))
        return counts.astype(np.float32)

    counts_JxS = counted(merged.predictions.values)
    uar_J = uar(counts_JxS.sum(axis=1))
    against = []
    others = [] if beside is None else list(zip(e.protocol.baselines, beside[PROTOCOLS[protocol]].values))
    for name, predictions in others:
        other_S = counted(predictions)
        sums_JxSx2 = np.stack([counts_JxS, np.broadcast_to(other_S, counts_JxS.shape)], axis=2)
        against.append({
            "minus": name, "minus_uar": float(uar(other_S.sum(axis=0))),
            **_over_people(sums_JxSx2, estimands.uar_difference, e.report.level),
        })  # fmt: skip
    over_seeds = claims.plain(intervals.t_interval(uar_J, e.report.level, over="seeds"), 1.0)
    return {
        "protocol": protocol, "source": plan.source.name, "target": target.name, "head": head, "scaling": scope,
        "n_trainings": len(uar_J), "sd": float(uar_J.std(ddof=1)) if len(uar_J) > 1 else None,
        "uar": {"over_seeds": over_seeds, **_over_people(counts_JxS, estimands.uar, e.report.level)},
        "against_alternatives": against,
    }  # fmt: skip


def _over_people(sums_JxS: np.ndarray, statistic: intervals.Statistic, level: float) -> dict[str, Any]:
    speakers = intervals.jackknife_interval(sums_JxS.sum(axis=0), statistic, level, over="speakers")
    both = two_way.crossed_interval(sums_JxS, statistic, level)
    return {"over_speakers": claims.plain(speakers, 100.0), "over_speakers_and_seeds": claims.plain(both, 100.0)}

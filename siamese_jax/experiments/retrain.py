"""Training without labelled target clips (OODT) or on the target alone (IDT), at any number of seeds.

As in `rerun` the trainings come in blocks of `n_draws` on disk; training i is the same in every block size.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.errors import InputError
from siamese_jax.experiments import claims, summary
from siamese_jax.experiments.records import Row, diverged, joined
from siamese_jax.experiments.run_context import MOST_DRAWS, Run, open_run
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.progress import OnDone
from siamese_jax.stats import estimands, intervals, two_way
from siamese_jax.stats.records import within
from siamese_jax.stats.scoring import counts_by_speaker, uar

PROTOCOLS = {"out_of_domain": "source_only", "in_domain": "loso"}
"""The protocols, and the classifiers' training data in each, see `baselines.PARTS`."""


def run(experiment: Experiment, workdir: str | Path, protocol: str, n_trainings: int) -> list[dict[str, Any]]:
    """Runs blocks until there are at least `n_trainings` trainings of a protocol in `PROTOCOLS`, in whole blocks.

    Writes claims.json, summary.json, and arrays/ (a file a block). Returns the content of claims.json: `examine` for
    each head and scope.

    Raises InputError as `reproduce.run`; also for another protocol, no training, or OODT under the scope "train".
    """
    if protocol not in PROTOCOLS or not 1 <= n_trainings <= MOST_DRAWS:
        names = " or ".join(map(repr, PROTOCOLS))
        raise InputError(f"{n_trainings} trainings of {protocol!r}; expected 1 to {MOST_DRAWS:,} trainings of {names}")
    if protocol == "out_of_domain" and "train" in experiment.data.scalings:
        raise InputError(
            "config.data.scalings holds 'train', which scales in-domain training only and has no source to train on; "
            "leave it out"
        )
    size = experiment.protocol.n_draws
    records: list[dict[str, Any]] = []
    rows: list[Row] = []
    with open_run(experiment, workdir, f"rerun of {protocol}") as run:
        first = Plan.make(experiment.replace(n_seeds=size, n_in_domain_seeds=size), run.source, run.target)
        plans = [dataclasses.replace(first, first_seed=seed) for seed in range(0, n_trainings, size)]
        for scope in experiment.data.scalings:
            compared = None
            if experiment.protocol.baselines:
                compared = run.baselines(first, scope, (PROTOCOLS[protocol],))
            for head in experiment.network.heads:
                trainings = _trainings(run, plans, protocol, head, scope)
                records.append(examine(first, protocol, head, scope, trainings, compared))
                rows.extend(_rows(first, protocol, head, scope, trainings))
            if compared is not None:
                rows.extend(summary.baseline_rows(first, scope, compared))
        run.write(summary=rows, claims=records)
    return records


def _trainings(run: Run, plans: list[Plan], protocol: str, head: str, scope: str) -> xr.Dataset:
    """`predictions` (seed, clip) of all blocks, `tested` (clip), and the attribute `seconds`; a byte a prediction."""
    target = plans[0].target
    n_parts = len(target.speakers) if protocol == "in_domain" else 2
    on_done = run.bars.start(f"{head}, {scope}", len(plans) * plans[0].experiment.protocol.n_draws * n_parts)

    def block(number: int, plan: Plan) -> xr.Dataset:
        name = f"{head}/{scope}/{protocol}/block_{number:05d}"
        return run.arrays(plan, name, lambda: _block(plan, protocol, head, scope, on_done))

    blocks = [block(number, plan) for number, plan in enumerate(plans)]
    predictions = np.concatenate([arrays.predictions.transpose("seed", "clip").values for arrays in blocks])
    tested = blocks[0].tested.values if "tested" in blocks[0] else np.ones(len(target), bool)
    of_seed = np.concatenate([arrays.diverged.values for arrays in blocks])
    merged = xr.Dataset(
        {"predictions": (("seed", "clip"), predictions), "tested": ("clip", tested), "diverged": ("seed", of_seed)}
    )
    return merged.assign_attrs(seconds=sum(arrays.attrs["seconds"] for arrays in blocks))


def _block(plan: Plan, protocol: str, head: str, scope: str, on_done: OnDone) -> xr.Dataset:
    if protocol == "in_domain":
        return stages.in_domain(plan, head, scope, leave_one_speaker_out(plan.target), on_done)
    trained = stages.source_training(plan, head, scope, on_done)
    ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
    return stages.out_of_domain(plan, head, ood_scope, trained, on_done)


def _rows(plan: Plan, protocol: str, head: str, scope: str, trainings: xr.Dataset) -> list[Row]:
    """Rows of one setting, as a reproduction has them."""
    n = trainings.sizes["seed"]
    whole = dataclasses.replace(plan, experiment=plan.experiment.replace(n_seeds=n, n_in_domain_seeds=n))
    ood, idt = (trainings, None) if protocol == "out_of_domain" else (None, trainings)
    return list(summary.siamese_rows(whole, head, scope, ood, idt, None))


def examine(
    plan: Plan, protocol: str, head: str, scope: str, trainings: xr.Dataset, compared: xr.Dataset | None
) -> dict[str, Any]:
    """The statistics of many trainings of one setting, as plain JSON values (UAR in per cent, differences in points).

    `trainings` has `predictions` (seed, clip) and `tested` (clip); `compared` is `baselines.run` on the same clips.
    """
    experiment, target, level = plan.experiment, plan.target, plan.experiment.report.level

    def counted(predictions: np.ndarray) -> np.ndarray:
        tested, n_speakers, n_classes = trainings.tested.values, len(target.speakers), len(experiment.data.emotions)
        counts = counts_by_speaker(predictions, target.label, tested, target.speaker, n_speakers, n_classes)
        return counts.astype(np.float32)

    counts_JxS = counted(trainings.predictions.values)
    uar_J = uar(counts_JxS.sum(axis=1))
    against = []
    predictions: Iterable[np.ndarray] = [] if compared is None else compared[PROTOCOLS[protocol]].values
    for name, baseline_S in zip(experiment.protocol.baselines, map(counted, predictions)):
        sums_JxSx2 = np.stack([counts_JxS, np.broadcast_to(baseline_S, counts_JxS.shape)], axis=2)
        against.append({
            "minus": name, "minus_uar": float(uar(baseline_S.sum(axis=0))),
            **_over_speakers(sums_JxSx2, estimands.uar_difference, level, -1.0),
        })  # fmt: skip
    over_seeds = claims.plain(within(intervals.t_interval(uar_J, level, over="seeds"), *summary.PER_CENT), 1.0)
    return {
        "protocol": protocol, "source": plan.source.name, "target": target.name, "head": head, "scaling": scope,
        "n_trainings": len(uar_J), "sd": float(uar_J.std(ddof=1)) if len(uar_J) > 1 else None,
        "uar": {"over_seeds": over_seeds, **_over_speakers(counts_JxS, estimands.uar, level, 0.0)},
        "against_baselines": against,
        "remarks": joined(plan.source_note, diverged(int(trainings.diverged.sum()), len(uar_J))),
    }  # fmt: skip


def _over_speakers(sums_JxS: np.ndarray, statistic: intervals.Statistic, level: float, least: float) -> dict[str, Any]:
    """Intervals of a statistic whose possible values are `least`..1."""
    speakers = within(intervals.jackknife_interval(sums_JxS.sum(axis=0), statistic, level, over="speakers"), least, 1.0)
    both = within(two_way.crossed_interval(sums_JxS, statistic, level), least, 1.0)
    return {"over_speakers": claims.plain(speakers, 100.0), "over_speakers_and_seeds": claims.plain(both, 100.0)}

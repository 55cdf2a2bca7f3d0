"""A whole experiment: from a configuration to a work directory with results (Feng & Chaspari 2020, section 5)."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.errors import InputError
from siamese_jax.experiments import summary, tensorboard
from siamese_jax.experiments.records import Difference, Row
from siamese_jax.experiments.run_context import Run, digests, fine_tuning_name, load, open_run
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed
from siamese_jax.runtime.files import user_path
from siamese_jax.runtime.progress import OnDone


@dataclasses.dataclass
class Results:
    """The results of an experiment, as in its work directory; see `records` for the fields."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    differences: list[Difference] = dataclasses.field(default_factory=list)
    optimism: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def run(experiment: Experiment, workdir: str | Path) -> Results:
    """Runs the stages that are missing from `workdir`, and writes its results.

    Writes config.json, provenance.json, summary.json (rows), differences.json (paired), optimism.json, arrays/ (netCDF,
    every repetition) and tensorboard/ (training scalars).

    Raises InputError if a table cannot be used for this protocol, or the folder holds another experiment.
    """
    results = Results()
    with open_run(experiment, workdir, "reproduce") as run:
        plan = run.plan()
        for head in experiment.network.heads:
            tuning = run.fine_tuning(plan, head)
            for scope in experiment.data.scalings:
                _run_setting(run, plan, head, scope, tuning, results)
        for scope in experiment.data.scalings:
            arrays = run.baselines(plan, scope, baselines.PARTS)
            results.rows.extend(summary.baseline_rows(plan, scope, arrays))
            if "few_shot" in arrays:
                results.optimism.extend(summary.baseline_optimism(plan, scope, arrays))
        run.write(summary=results.rows, differences=results.differences, optimism=results.optimism)
    return results


def scores(experiment: Experiment, workdir: str | Path, head: str, scope: str) -> xr.Dataset:
    """The score of every fine-tuning repetition of a finished run, see `summary.labelled`.

    Raises InputError if the folder holds another experiment, or lacks a stage of this setting.
    """
    if not (user_path(workdir) / "config.json").exists():
        raise InputError(f"{workdir}: holds no config.json, so it has no results; run the experiment there first")
    source, target = load(experiment)
    work = WorkDir(workdir, experiment, digests(source, target), "reproduce", reading=True)

    def stored(n_speakers: int) -> xr.Dataset:
        name = fine_tuning_name(head, scope, n_speakers)
        if not work.has(name):
            raise InputError(f"{work.path}: holds no arrays/{name}.nc; run the experiment there to its end")
        return work.arrays(name, xr.Dataset)

    plan = Plan.make(experiment, source, target)
    grid = summary.score_grid(plan, {k: stored(k) for k in experiment.protocol.n_speakers})
    return summary.labelled(experiment, grid).assign_attrs(head=head, scaling=scope)


def _run_setting(run: Run, plan: Plan, head: str, scope: str, tuning: stages.FineTuning, results: Results) -> None:
    """Every stage of the Siamese network under one head and scaling scope."""
    protocol, splits = plan.experiment.protocol, leave_one_speaker_out(plan.target)

    def stage(name: str, total: int, make: Callable[[OnDone], xr.Dataset]) -> xr.Dataset:
        return run.stage(plan, name, head, scope, total, make)

    n_trials = protocol.n_in_domain_seeds * len(splits)
    idt = stage("in_domain", n_trials, lambda on_done: stages.in_domain(plan, head, scope, splits, on_done))
    if scope == "train":
        results.rows.extend(summary.siamese_rows(plan, head, scope, None, idt, None))
        return
    trained = run.source_training(plan, head, scope)
    params = stages.params_from_arrays(trained)
    ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
    ood = stage("out_of_domain", protocol.n_seeds, lambda on: stages.out_of_domain(plan, head, ood_scope, trained, on))
    tuned = {
        k: stage(f"fine_tuning_{k:02d}", plan.n_fine_tunings, functools.partial(tuning.run, plan, k, scope, params))
        for k in protocol.n_speakers
    }
    if distributed.is_writer():
        tensorboard.write(run.work.path, f"{head}/{scope}", trained, tuned)
    grid = summary.score_grid(plan, tuned)
    results.rows.extend(summary.siamese_rows(plan, head, scope, ood, idt, grid))
    results.optimism.extend(summary.optimism(plan, head, scope, grid))
    arrays = run.baselines(plan, scope, baselines.PARTS)
    few_shot = {name: arrays.few_shot.values[i, 1] for i, name in enumerate(protocol.baselines)}
    results.differences.extend(summary.differences(plan, head, scope, grid, few_shot))

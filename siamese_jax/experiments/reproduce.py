"""A whole experiment: from a configuration to a work directory with results (Feng & Chaspari 2020, section 5)."""

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets import dataset as datasets
from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.errors import InputError
from siamese_jax.experiments import summary, tensorboard
from siamese_jax.experiments.rows import Difference, Row
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed, interrupt
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import user_path, write_json
from siamese_jax.runtime.progress import Bars, OnDone, bars


@dataclasses.dataclass
class Results:
    """What an experiment found, as it goes into the work directory; see `rows` for the fields."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    differences: list[Difference] = dataclasses.field(default_factory=list)
    optimism: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def run(experiment: Experiment, workdir: str | Path) -> Results:
    """Runs what is not there yet, and writes results into `workdir`.

    Writes config.json, provenance.json, summary.json (rows), differences.json (paired), optimism.json,
    arrays/ (every repetition, netCDF) and tensorboard/ (training scalars).

    Raises:
      InputError: a table cannot be used for this protocol, or the folder holds another experiment.
    """
    start = time.perf_counter()
    source, target = load(experiment)
    work = WorkDir(workdir, experiment, digests(source, target), "reproduce")
    plan = Plan.make(experiment, source, target)
    results = Results()
    with work, bars() as shown, interrupt.threads(available_cores()) as executor:
        for head in experiment.network.heads:
            tuning = stages.FineTuning(plan, head, _to_run(work, experiment, head), executor)
            for scope in experiment.data.scalings:
                _run_setting(plan, work, shown, head, scope, tuning, results)
        for scope in experiment.data.scalings:
            arrays = _alternatives(plan, work, shown, scope)
            results.rows.extend(summary.alternative_rows(plan, scope, arrays))
        if distributed.is_writer():
            _write(plan, work, results, time.perf_counter() - start)
    return results


def _stage_name(head: str, scope: str, n_speakers: int) -> str:
    return f"{head}/{scope}/fine_tuning_{n_speakers:02d}"


def _to_run(work: WorkDir, e: Experiment, head: str) -> list[int]:
    """The numbers of speakers whose fine-tuning is not in the work directory yet, under some scope."""
    scopes = [scope for scope in e.data.scalings if scope != "train"]
    return [k for k in e.protocol.n_speakers if not all(work.has(_stage_name(head, scope, k)) for scope in scopes)]


def scores(experiment: Experiment, workdir: str | Path, head: str, scope: str) -> xr.Dataset:
    """The score of every fine-tuning repetition of a finished run, see `summary.labelled`.

    Raises:
      InputError: the folder holds another experiment, or lacks a stage of this setting.
    """
    if not (user_path(workdir) / "config.json").exists():
        raise InputError(f"{workdir}: holds no config.json, so no results; run the experiment into it first")
    source, target = load(experiment)
    work = WorkDir(workdir, experiment, digests(source, target), "reproduce", reading=True)

    def kept(n_speakers: int) -> xr.Dataset:
        name = _stage_name(head, scope, n_speakers)
        if not work.has(name):
            raise InputError(f"{work.path}: holds no arrays/{name}.nc; run the experiment first, or again")
        return work.arrays(name, xr.Dataset)

    plan = Plan.make(experiment, source, target)
    grid = summary.score_grid(plan, {k: kept(k) for k in experiment.protocol.n_speakers})
    return summary.labelled(experiment, grid).assign_attrs(head=head, scaling=scope)


def load(experiment: Experiment) -> tuple[Dataset, Dataset]:
    """Source and target, checked. Raises InputError where they cannot serve the protocol, or do not fit each other."""
    e = experiment
    source = datasets.load(e.data.source, e.data.source_corpus, e.data.source_companion, e.data.emotions)
    target = datasets.load(e.data.target, e.data.target_corpus, e.data.target_companion, e.data.emotions)
    datasets.check_protocol(target, e.data.emotions, max(e.protocol.n_speakers), e.data.target)
    datasets.check_same_features(source, target)
    for scope in e.data.scalings:
        scaling_scopes.check_scope(source, target, scope)
    logging.info("source %s: %d clips, %d speakers", source.name, len(source), len(source.speakers))
    logging.info("target %s: %d clips, %d speakers", target.name, len(target), len(target.speakers))
    return source, target


def digests(source: Dataset, target: Dataset) -> dict[str, str]:
    """What identifies the data of an experiment, by role."""
    return {"source": _digest(source), "target": _digest(target)}


def _digest(dataset: Dataset) -> str:
    table = dataset.full_table
    digest = hashlib.sha256(np.ascontiguousarray(table.features).tobytes())
    for column in (table.clip, table.emotion, table.speaker, np.array(table.feature_names)):
        digest.update("\n".join(column.tolist()).encode())
    return digest.hexdigest()


def _run_setting(
    plan: Plan, work: WorkDir, shown: Bars, head: str, scope: str, tuning: stages.FineTuning, results: Results
) -> None:
    """Every stage of the Siamese network under one head and scaling scope."""
    e, folder = plan.experiment, f"{head}/{scope}"

    def stage(name: str, total: int, make: Any) -> xr.Dataset:
        def labelled() -> xr.Dataset:
            logging.info("%s, %s, scaling by %s", name, head, scope)
            return label(plan, make(shown.start(f"{name} ({head}, {scope})", total)))

        return work.arrays(f"{folder}/{name}", labelled)

    splits = leave_one_speaker_out(plan.target)
    trials = e.protocol.n_in_domain_seeds * len(splits)
    idt = stage("in_domain", trials, lambda on: stages.in_domain(plan, head, scope, splits, on))
    if scope == "train":
        results.rows.extend(summary.siamese_rows(plan, head, scope, None, idt, None))
        return
    trained = stage("source", e.protocol.n_seeds, lambda on: stages.source_training(plan, head, scope, on))
    params = stages.params_from_arrays(trained)
    ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
    ood = stage("out_of_domain", e.protocol.n_seeds, lambda on: stages.out_of_domain(plan, head, ood_scope, params, on))
    total = len(e.protocol.losses) * len(e.protocol.frozen) * e.protocol.n_draws
    tuned = {
        k: stage(f"fine_tuning_{k:02d}", total, lambda on, k=k: tuning.run(plan, k, scope, params, on))
        for k in e.protocol.n_speakers
    }
    if distributed.is_writer():
        tensorboard.write(work.path / "tensorboard" / folder, trained, tuned)
    grid = summary.score_grid(plan, tuned)
    results.rows.extend(summary.siamese_rows(plan, head, scope, ood, idt, grid))
    results.optimism.extend(summary.optimism(plan, head, scope, grid))
    few_shot = _few_shot_predictions(plan, _alternatives(plan, work, shown, scope))
    results.differences.extend(summary.differences(plan, head, scope, grid, few_shot))


def label(plan: Plan, arrays: xr.Dataset) -> xr.Dataset:
    """The arrays with their clips, seeds and draws named."""
    coords: dict[str, Any] = {}
    table = plan.target.table
    if "clip" in arrays.dims:
        coords |= {"clip": table.clip.astype(object), "emotion": ("clip", table.emotion.astype(object))}
        coords |= {"speaker": ("clip", table.speaker.astype(object))}
    for dim in ("seed", "draw"):
        if dim in arrays.dims:
            coords[dim] = np.arange(arrays.sizes[dim])
    return arrays.assign_coords(coords).assign_attrs(emotions=list(plan.experiment.data.emotions))


def _few_shot_predictions(plan: Plan, arrays: xr.Dataset) -> dict[str, np.ndarray]:
    return {name: arrays.few_shot.values[i, 1] for i, name in enumerate(plan.experiment.protocol.baselines)}


def _alternatives(plan: Plan, work: WorkDir, shown: Bars, scope: str) -> xr.Dataset:
    parts = baselines.PARTS
    on_done = shown.start(f"alternatives ({scope})", baselines.n_fits(plan, scope, parts))
    return classifiers(plan, work, f"alternatives/{scope}", scope, parts, on_done)


def classifiers(plan: Plan, work: WorkDir, name: str, scope: str, parts: Sequence[str], on_done: OnDone) -> xr.Dataset:
    """The classifiers' arrays kept under `name`, see `alternatives.run`; made now where they are not there."""

    def make() -> xr.Dataset:
        logging.info("alternatives, scaling by %s", scope)
        return label(plan, baselines.run(plan, scope, parts, on_done, available_cores()))

    return work.arrays(name, make, alone=True)


def _write(plan: Plan, work: WorkDir, results: Results, seconds: float) -> None:
    found = [dataclasses.asdict(row) for row in results.rows]
    write_json(work.path / "summary.json", found)
    write_json(work.path / "differences.json", [dataclasses.asdict(row) for row in results.differences])
    write_json(work.path / "optimism.json", results.optimism)
    work.write_provenance(seconds)

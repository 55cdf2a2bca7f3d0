"""One context for the jobs of an experiment: data, work directory, progress bars, threads, stages and results."""

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets import dataset as datasets
from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.mixture import mixture, source_names
from siamese_jax.errors import InputError
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import baselines, stages, suitability
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed, environment, interrupt
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.progress import Bars, OnDone, bars

MOST_DRAWS = 10_000_000  # of a rerun; each is held in memory as its clips
LARGEST_STAGE = 4 << 30  # bytes of one stage's predictions


@dataclasses.dataclass(frozen=True)
class Run:
    """A job in progress, see `open_run`; `source` is the mixture of `sources`."""

    experiment: Experiment
    sources: Sequence[Dataset]
    source: Dataset
    target: Dataset
    work: WorkDir
    bars: Bars
    executor: Executor
    started: float

    def plan(self, first_draw: int = 0) -> Plan:
        return Plan.make(self.experiment, self.source, self.target, first_draw)

    def arrays(self, plan: Plan, name: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The labelled arrays stored under `name`, made now if they are missing."""
        return self.work.arrays(name, lambda: label(plan, make()))

    def stage(
        self, plan: Plan, name: str, head: str, scope: str, total: int, make: Callable[[OnDone], xr.Dataset]
    ) -> xr.Dataset:
        """As `arrays`, for a stage of one setting with a progress bar of its own."""

        def logged() -> xr.Dataset:
            logging.info("%s, %s, scaling by %s", name, head, scope)
            return make(self.bars.start(f"{name} ({head}, {scope})", total))

        return self.arrays(plan, f"{head}/{scope}/{name}", logged)

    def source_training(self, plan: Plan, head: str, scope: str) -> xr.Dataset:
        """The networks trained on the source. Raises InputError where all have diverged."""
        n_seeds = plan.experiment.protocol.n_seeds
        trained = self.stage(
            plan, "source", head, scope, n_seeds, lambda on: stages.source_training(plan, head, scope, on)
        )
        if stages.diverged(trained.isel(source_step=-1)).all():
            raise InputError(
                f"all {n_seeds} trainings on the source diverged (head {head}, scaling by {scope}): a loss is not "
                "finite, or all clips have one embedding. Lower config.training.learning_rate, and give a new folder"
            )
        return trained

    def fine_tuning(self, plan: Plan, head: str, parts: Sequence[str] = ("",)) -> stages.FineTuning:
        """The fine-tuning programs of a head, compiled for the numbers of speakers with arrays still missing."""
        scopes = [scope for scope in self.experiment.data.scalings if scope != "train"]
        missing = [
            k
            for k in self.experiment.protocol.n_speakers
            if not all(self.work.has(fine_tuning_name(head, scope, k, part)) for scope in scopes for part in parts)
        ]
        return stages.FineTuning(plan, head, missing, self.executor)

    def baselines(
        self, plan: Plan, scope: str, parts: Sequence[str], part: str = "", on_done: OnDone | None = None
    ) -> xr.Dataset:
        """The classifiers' arrays, see `protocols.baselines.run`; without `on_done` a progress bar of their own."""

        def make() -> xr.Dataset:
            logging.info("baselines, scaling by %s", scope)
            advance = on_done or self.bars.start(f"baselines ({scope})", baselines.n_fits(plan, scope, parts))
            return label(plan, baselines.run(plan, scope, parts, advance, available_cores()))

        return self.work.arrays(f"baselines/{scope}{part}", make, alone=True)

    def write(self, **results: Sequence[Any]) -> None:
        """Writes NAME.json for each list of records, and provenance.json; on the writing process only."""
        if distributed.is_writer():
            for name, records in results.items():
                plain = [dataclasses.asdict(x) if dataclasses.is_dataclass(x) else x for x in records]  # type: ignore[arg-type]
                self.work.write_json(f"{name}.json", plain)
            self.work.write_provenance(time.perf_counter() - self.started)


@contextlib.contextmanager
def open_run(experiment: Experiment, workdir: str | Path, kind: str) -> Iterator[Run]:
    """Loads the data of `experiment` and locks its work directory, for a job of this `kind` (in config.json).

    Raises InputError if a table cannot be used for this protocol, or the folder holds another experiment.
    """
    started = time.perf_counter()
    environment.check()
    sources, target = load_each(experiment)
    source = _mixed(experiment, sources)
    _check_size(experiment, len(target))
    work = WorkDir(workdir, experiment, digests(source, target), kind)
    with work, bars() as progress, interrupt.threads(available_cores()) as executor:
        yield Run(experiment, sources, source, target, work, progress, executor, started)


def _check_size(experiment: Experiment, n_clips: int) -> None:
    """Raises InputError where the predictions of one stage would not fit into the memory of common machines."""
    protocol = experiment.protocol
    n_cells = len(protocol.losses) * len(protocol.frozen) * len(protocol.steps)
    size = n_cells * protocol.n_draws * n_clips
    if size > LARGEST_STAGE:
        raise InputError(
            f"config.protocol.n_draws is {protocol.n_draws:,}: the predictions of {n_cells} cells on {n_clips} clips "
            f"would take {size / 2**30:,.0f} GiB, {LARGEST_STAGE >> 30} GiB at most; give fewer, or run more draws in "
            "blocks by siamese-jax rerun"
        )


def load(experiment: Experiment) -> tuple[Dataset, Dataset]:
    """Source and target, checked, several sources as one. Raises InputError as `load_each`."""
    sources, target = load_each(experiment)
    return _mixed(experiment, sources), target


def _mixed(experiment: Experiment, sources: Sequence[Dataset]) -> Dataset:
    data = experiment.data
    names = [name.label for name in source_names(data.source, data.source_corpus, data.source_companion)]
    return mixture(sources, names, data.source_weights)


def load_each(experiment: Experiment) -> tuple[list[Dataset], Dataset]:
    """Sources and target, checked. Raises InputError if they do not suit the protocol, or do not fit each other."""
    data = experiment.data
    source_tables, target_table = _source_tables(experiment), _target_table(experiment)
    suitability.check(experiment, source_tables, target_table)
    target = datasets.from_table(target_table, data.emotions, data.target)
    sources = _datasets(source_tables, data.emotions)
    for source in sources:
        datasets.check_same_features(source, target)
        for scope in data.scalings:
            scaling_scopes.check_scope(source, target, scope)
    for role, dataset in (*(("source", source) for source in sources), ("target", target)):
        logging.info("%s %s: %d clips, %d speakers", role, dataset.name, len(dataset), len(dataset.speakers))
    return sources, target


def read_source(experiment: Experiment) -> Dataset:
    """The source of an experiment, several as one. Raises InputError if one cannot be read or mixed."""
    data, tables = experiment.data, _source_tables(experiment)
    return mixture(_datasets(tables, data.emotions), list(tables), data.source_weights)


def read_target(experiment: Experiment) -> Dataset:
    """The target of an experiment. Raises InputError if it cannot be read."""
    return datasets.from_table(_target_table(experiment), experiment.data.emotions, experiment.data.target)


def _datasets(tables: Mapping[str, FeatureTable], emotions: tuple[str, ...]) -> list[Dataset]:
    return [datasets.from_table(table, emotions, name) for name, table in tables.items()]


def _source_tables(experiment: Experiment) -> dict[str, FeatureTable]:
    """The tables of the sources, by their names in messages. Raises InputError if one cannot be read."""
    data = experiment.data
    return {
        name.label: datasets.read(name.table, name.corpus, name.companion, data.features, data.layers)
        for name in source_names(data.source, data.source_corpus, data.source_companion)
    }


def _target_table(experiment: Experiment) -> FeatureTable:
    data = experiment.data
    return datasets.read(data.target, data.target_corpus, data.target_companion, data.features, data.layers)


def digests(source: Dataset, target: Dataset) -> dict[str, str]:
    """SHA-256 of the data of an experiment, by role; and of each corpus of a mixture."""
    of_roles = {"source": source.full_table, "target": target.full_table}
    if len(source.corpora) > 1:
        of_roles |= {
            f"source {name}": source.full_table.select(source.corpus == k) for k, name in enumerate(source.corpora)
        }
    return {role: _digest(table) for role, table in of_roles.items()}


def _digest(table: FeatureTable) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(table.features).tobytes())
    for column in (table.clip, table.emotion, table.speaker, np.array(table.feature_names)):
        digest.update("\n".join(column.tolist()).encode())
    return digest.hexdigest()


def fine_tuning_name(head: str, scope: str, n_speakers: int, part: str = "") -> str:
    """The name of fine-tuning arrays; `part` is "/block_00000" of a rerun, "/seed_0000" of a crossed run, or empty."""
    return f"{head}/{scope}/fine_tuning_{n_speakers:02d}{part}"


def label(plan: Plan, arrays: xr.Dataset) -> xr.Dataset:
    """The arrays with their clips, seeds and draws named."""
    coords: dict[str, Any] = {dim: np.arange(arrays.sizes[dim]) for dim in ("seed", "draw") if dim in arrays.dims}
    if "clip" in arrays.dims:
        coords |= clip_coords(plan.target)
    return arrays.assign_coords(coords).assign_attrs(emotions=list(plan.experiment.data.emotions))


def clip_coords(dataset: Dataset) -> dict[str, Any]:
    """The coordinates `clip`, `emotion` and `speaker` of a dataset's clips."""
    clip, emotion, speaker = (getattr(dataset.table, n).astype(object) for n in ("clip", "emotion", "speaker"))
    return {"clip": clip, "emotion": ("clip", emotion), "speaker": ("clip", speaker)}

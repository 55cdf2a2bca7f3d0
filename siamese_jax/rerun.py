"""Fine-tuning at any number of draws: blocks of draws on disk, bounded memory, appended to what is there.

In a rerun the configuration's `n_draws` is the size of a block. Draw i is the same whatever the block it falls in and
however many are run, so asking for more later adds blocks and changes none.
"""

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax import claims, experiment, metrics, rows, stages, summary
from siamese_jax.config import Experiment
from siamese_jax.errors import InputError
from siamese_jax.io import write_json, write_text
from siamese_jax.machine import available_cores
from siamese_jax.progress import bars
from siamese_jax.report import differences as differences_report
from siamese_jax.rows import Scored
from siamese_jax.stages import Plan
from siamese_jax.summary import Grid
from siamese_jax.workdir import WorkDir


@dataclasses.dataclass(frozen=True)
class Reruns:
    """All draws of one setting, small enough to keep: scores of every draw, and counts pooled over draws.

    Fields:
      plan: of the first block; its experiment's n_draws is the number of all draws.
      head, scope: the setting.
      grid: scores [speakers, loss, frozen, step, draw] by split.
      counts: by split, [speakers, loss, frozen, step, seed, S, C, C] confusion counts pooled over the draws that
        start from a seed, by target speaker.
      start_ratio: [speakers, draw] r = D_s / D_d of the labelled clips before the first step.
    """

    plan: Plan
    head: str
    scope: str
    grid: Grid
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray

    def labelled(self) -> xr.Dataset:
        """The scores as in `summary.labelled`, and `start_ratio` (n_speakers, draw)."""
        arrays = summary.labelled(self.plan.experiment, self.grid)
        arrays["start_ratio"] = (("n_speakers", "draw"), self.start_ratio)
        return arrays.assign_attrs(head=self.head, scaling=self.scope)


def run(e: Experiment, workdir: str | Path, n_draws: int) -> list[Reruns]:
    """Runs blocks until there are at least `n_draws` draws, and writes their statistics.

    Writes summary.json, differences.json and .md, claims.json and .md, and arrays/ (a file a block).

    Raises:
      InputError: as `experiment.run`; also for the scope "train", which has nothing to draw, and for no draws.
    """
    if n_draws < 1 or "train" in e.scalings:
        raise InputError(
            f"{n_draws} draws with scaling by {', '.join(e.scalings)}; expected 1 or more, and not 'train'"
        )
    start = time.perf_counter()
    source, target = experiment.load(e)
    work = WorkDir(workdir, e, experiment.digests(source, target), "rerun")
    n_blocks = -(-n_draws // e.n_draws)
    plans = [Plan.make(e, source, target, block * e.n_draws) for block in range(n_blocks)]
    found = []
    with bars() as shown, ThreadPoolExecutor(available_cores()) as executor:
        for head in e.heads:
            blocks = [(scope, block) for scope in e.scalings for block in range(n_blocks)]
            missing = [k for k in e.n_speakers if not all(work.has(_block(head, s, k, b)) for s, b in blocks)]
            tuning = stages.FineTuning(plans[0], head, missing, executor)
            for scope in e.scalings:
                total = len(e.n_speakers) * n_blocks * e.n_draws * len(e.losses) * len(e.frozen)
                on_done = shown.start(f"{head}, {scope}", total)
                found.append(_setting(work, plans, tuning, head, scope, on_done))
    _write(work, found, time.perf_counter() - start)
    return found


def _block(head: str, scope: str, n_speakers: int, block: int) -> str:
    return f"{head}/{scope}/fine_tuning_{n_speakers:02d}/block_{block:05d}"


def _setting(
    work: WorkDir, plans: list[Plan], tuning: stages.FineTuning, head: str, scope: str, on_done: Callable[[int], None]
) -> Reruns:
    e = plans[0].experiment
    logging.info("source training: %d seeds", e.n_seeds)
    trained = work.arrays(
        f"{head}/{scope}/source", lambda: stages.source_training(plans[0], head, scope, lambda _: None)
    )
    params = stages.params_from_arrays(trained)
    kept = []
    for k in e.n_speakers:
        logging.info("fine-tuning on %d speakers: %d draws", k, len(plans) * e.n_draws)
        blocks = []
        for b, plan in enumerate(plans):

            def make(plan: Plan = plan, k: int = k) -> xr.Dataset:
                return experiment.label(plan, tuning.run(plan, k, scope, params, on_done))

            blocks.append(_read_block(plan, k, work.arrays(_block(head, scope, k, b), make)))
        kept.append(_join(blocks))
    scored = {
        split: Scored(np.stack([k.scored[split].uar for k in kept]), np.stack([k.scored[split].wa for k in kept]))
        for split in rows.SPLITS
    }
    counts = {split: np.stack([k.counts[split] for k in kept]) for split in rows.SPLITS}
    whole = dataclasses.replace(plans[0], experiment=dataclasses.replace(e, n_draws=len(plans) * e.n_draws))
    grid = Grid(scored, np.array([k.seconds for k in kept]))
    return Reruns(whole, head, scope, grid, counts, np.stack([k.start_ratio for k in kept]))


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What is kept of a block: scores by draw, counts by seed and speaker, the starting ratio, the seconds it took."""

    scored: dict[str, Scored]
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray
    seconds: float


def _read_block(plan: Plan, n_speakers: int, arrays: xr.Dataset) -> _Kept:
    predictions = arrays.predictions.transpose("loss", "frozen", "step", "draw", "clip").values
    target, scored, counts = plan.target, {}, {}
    n_classes, n_seeds = len(plan.experiment.emotions), plan.experiment.n_seeds
    of_seed_JxG = (np.arange(n_seeds)[:, None] == plan.seed_of_draw[None, :]).astype(np.float32)
    for split, mask in rows.test_masks(target, plan.draws.support(n_speakers)).items():
        each = np.asarray(
            metrics.confusion_by_group(predictions, target.label, mask, target.speaker, len(target.speakers), n_classes)
        )
        scored[split] = rows.score_counts(each.sum(axis=-3))
        counts[split] = np.einsum("jg,lfrgscd->lfrjscd", of_seed_JxG, each.astype(np.float32), optimize=True)
    first = arrays.isel(loss=0, frozen=0, step=0)
    ratio = (first.d_same / first.d_different).values
    if int(first.step) != 0:
        ratio = np.full(ratio.shape, np.nan)
    return _Kept(scored, counts, ratio, arrays.attrs["seconds"])


def _join(blocks: list[_Kept]) -> _Kept:
    scored = {
        split: Scored(
            np.concatenate([b.scored[split].uar for b in blocks], axis=-1),
            np.concatenate([b.scored[split].wa for b in blocks], axis=-1),
        )
        for split in rows.SPLITS
    }
    counts = {split: np.sum([b.counts[split] for b in blocks], axis=0) for split in rows.SPLITS}
    return _Kept(scored, counts, np.concatenate([b.start_ratio for b in blocks]), sum(b.seconds for b in blocks))


def _write(work: WorkDir, found: list[Reruns], seconds: float) -> None:
    results: list[rows.Row] = []
    differences: list[rows.Difference] = []
    claimed = []
    for one in found:
        results.extend(summary.grid_rows(one.plan, one.head, one.scope, one.grid))
        differences.extend(summary.differences(one.plan, one.head, one.scope, one.grid, {}))
        claimed.append(claims.examine(one.plan, one.head, one.scope, one.grid, one.counts, one.start_ratio))
    write_json(work.path / "summary.json", [dataclasses.asdict(row) for row in results])
    write_json(work.path / "differences.json", [dataclasses.asdict(row) for row in differences])
    write_text(work.path / "differences.md", differences_report.markdown(differences))
    write_json(work.path / "claims.json", claimed)
    write_text(work.path / "claims.md", claims.markdown(claimed))
    work.write_provenance(seconds)

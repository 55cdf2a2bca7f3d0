"""Fine-tuning at any number of draws: blocks of draws on disk, bounded memory, appended to what is there.

In a rerun the configuration's `n_draws` is the size of a block. Draw i is the same whatever the block it falls in and
however many are run, so asking for more later adds blocks and changes none. `retraining` does the same for the
protocols that draw no clips.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.errors import InputError
from siamese_jax.experiments import claims, reproduce, rows, summary
from siamese_jax.experiments.claims import Beside
from siamese_jax.experiments.summary import FEW_SHOT_DATA, Grid
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed, interrupt
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.progress import Bars, bars
from siamese_jax.stats.scoring import Scored, counts_by_speaker, score_counts, stacked

KIND = "rerun"
"""The kind of run, as config.json names it."""


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
      beside: the classifiers on the first draws; None where none were asked for.
    """

    plan: Plan
    head: str
    scope: str
    grid: Grid
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray
    beside: Beside | None

    def labelled(self) -> xr.Dataset:
        """The scores as in `summary.labelled`, and `start_ratio` (n_speakers, draw)."""
        arrays = summary.labelled(self.plan.experiment, self.grid)
        arrays["start_ratio"] = (("n_speakers", "draw"), self.start_ratio)
        return arrays.assign_attrs(head=self.head, scaling=self.scope)


def run(e: Experiment, workdir: str | Path, n_draws: int, n_alternative_draws: int) -> list[Reruns]:
    """Runs blocks until there are at least `n_draws` draws, and writes their statistics.

    Writes summary.json, differences.json, claims.json, and arrays/ (a file a block).

    Args:
      n_draws: rounded up to whole blocks.
      n_alternative_draws: of these, the first ones are given to the configuration's classifiers too; rounded up to
        whole blocks, at most `n_draws`; 0 for none.

    Raises:
      InputError: as `experiment.run`; also for the scope "train", which has nothing to draw, and for no draws.
    """
    if n_draws < 1 or n_alternative_draws < 0 or "train" in e.data.scalings:
        raise InputError(
            f"{n_draws} draws, {n_alternative_draws} of them for the classifiers, with scaling by "
            f"{', '.join(e.data.scalings)}; expected 1 or more, 0 or more, and not 'train'"
        )
    start = time.perf_counter()
    source, target = reproduce.load(e)
    work = WorkDir(workdir, e, reproduce.digests(source, target), KIND)
    n_blocks = -(-n_draws // e.protocol.n_draws)
    plans = [Plan.make(e, source, target, block * e.protocol.n_draws) for block in range(n_blocks)]
    n_beside = min(n_blocks, -(-n_alternative_draws // e.protocol.n_draws)) if e.protocol.baselines else 0
    found = []
    with work, bars() as shown, interrupt.threads(available_cores()) as executor:
        beside = {scope: _classifiers(work, plans[:n_beside], scope, shown) for scope in e.data.scalings}
        for head in e.network.heads:
            blocks = [(scope, block) for scope in e.data.scalings for block in range(n_blocks)]
            missing = [k for k in e.protocol.n_speakers if not all(work.has(_block(head, s, k, b)) for s, b in blocks)]
            tuning = stages.FineTuning(plans[0], head, missing, executor)
            for scope in e.data.scalings:
                total = (
                    len(e.protocol.n_speakers)
                    * n_blocks
                    * e.protocol.n_draws
                    * len(e.protocol.losses)
                    * len(e.protocol.frozen)
                )
                on_done = shown.start(f"{head}, {scope}", total)
                found.append(_setting(work, plans, tuning, head, scope, beside[scope], on_done))
        if distributed.is_writer():
            _write(work, found, time.perf_counter() - start)
    return found


def _block(head: str, scope: str, n_speakers: int, block: int) -> str:
    return f"{head}/{scope}/fine_tuning_{n_speakers:02d}/block_{block:05d}"


def _setting(
    work: WorkDir,
    plans: list[Plan],
    tuning: stages.FineTuning,
    head: str,
    scope: str,
    classifiers: "_Classifiers | None",
    on_done: Callable[[int], None],
) -> Reruns:
    e = plans[0].experiment
    logging.info("source training: %d seeds", e.protocol.n_seeds)
    trained = work.arrays(
        f"{head}/{scope}/source", lambda: stages.source_training(plans[0], head, scope, lambda _: None)
    )
    params = stages.params_from_arrays(trained)
    n_beside = 0 if classifiers is None else classifiers.n_blocks
    kept, first = [], []
    for k in e.protocol.n_speakers:
        logging.info("fine-tuning on %d speakers: %d draws", k, len(plans) * e.protocol.n_draws)
        blocks = []
        for b, plan in enumerate(plans):

            def make(plan: Plan = plan, k: int = k) -> xr.Dataset:
                return reproduce.label(plan, tuning.run(plan, k, scope, params, on_done))

            blocks.append(_read_block(plan, k, work.arrays(_block(head, scope, k, b), make)))
        kept.append(_join(blocks))
        first.append(_pooled(blocks[:n_beside]) if n_beside else {})
    scored = {split: stacked([k.scored[split] for k in kept]) for split in rows.SPLITS}
    counts = {split: np.stack([k.counts[split] for k in kept]) for split in rows.SPLITS}
    whole = dataclasses.replace(plans[0], experiment=e.replace(n_draws=len(plans) * e.protocol.n_draws))
    grid = Grid(scored, np.array([k.seconds for k in kept]))
    beside = None
    if classifiers is not None:
        tuned = {split: np.stack([f[split] for f in first]) for split in rows.SPLITS}
        beside = Beside(e.protocol.baselines, classifiers.scored, classifiers.counts, tuned, classifiers.seconds)
    return Reruns(whole, head, scope, grid, counts, np.stack([k.start_ratio for k in kept]), beside)


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What is kept of a block: scores by draw, counts by seed and speaker, the starting ratio, the seconds it took."""

    scored: dict[str, Scored]
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray
    seconds: float


def _read_block(plan: Plan, n_speakers: int, arrays: xr.Dataset) -> _Kept:
    predictions = arrays.predictions.transpose("loss", "frozen", "step", "draw", "clip").values
    scored, counts = {}, {}
    for split, mask in evaluation_masks(plan.target, plan.draws.support(n_speakers)).items():
        scored[split], counts[split] = _counted(plan, predictions, mask)
    first = arrays.isel(loss=0, frozen=0, step=0)
    ratio = (first.d_same / first.d_different).values
    if int(first.step) != 0:
        ratio = np.full(ratio.shape, np.nan)
    return _Kept(scored, counts, ratio, arrays.attrs["seconds"])


def _counted(plan: Plan, predictions: np.ndarray, mask: np.ndarray) -> tuple[Scored, np.ndarray]:
    """Scores [..., draw] of predictions [..., draw, clip], and counts [..., seed, S, C, C] pooled by source seed."""
    target, n_classes = plan.target, len(plan.experiment.data.emotions)
    each = counts_by_speaker(predictions, target.label, mask, target.speaker, len(target.speakers), n_classes)
    of_seed_JxG = (np.arange(plan.experiment.protocol.n_seeds)[:, None] == plan.seed_of_draw[None, :]).astype(
        np.float32
    )
    by_seed = np.einsum("jg,...gscd->...jscd", of_seed_JxG, each.astype(np.float32), optimize=True)
    return score_counts(each.sum(axis=-3)), by_seed


def _joined(scored: Sequence[dict[str, Scored]]) -> dict[str, Scored]:
    """Blocks' scores one after the other along the draws."""
    return {
        split: Scored(
            np.concatenate([s[split].uar for s in scored], axis=-1),
            np.concatenate([s[split].wa for s in scored], axis=-1),
        )
        for split in rows.SPLITS
    }


def _pooled(blocks: "Sequence[_Kept]") -> dict[str, np.ndarray]:
    return {split: np.sum([b.counts[split] for b in blocks], axis=0) for split in rows.SPLITS}


def _join(blocks: list[_Kept]) -> _Kept:
    ratio = np.concatenate([b.start_ratio for b in blocks])
    return _Kept(_joined([b.scored for b in blocks]), _pooled(blocks), ratio, sum(b.seconds for b in blocks))


@dataclasses.dataclass(frozen=True)
class _Classifiers:
    """The classifiers of one scope: scores [M, data, speakers, draw] and counts [M, speakers, J, S, C, C] by split."""

    scored: dict[str, Scored]
    counts: dict[str, np.ndarray]
    seconds: np.ndarray
    n_blocks: int


def _classifiers(work: WorkDir, plans: list[Plan], scope: str, shown: Bars) -> _Classifiers | None:
    """The classifiers on the draws of the first blocks; None for no block."""
    if not plans:
        return None
    parts = ("few_shot",)
    on_done = shown.start(f"alternatives ({scope})", len(plans) * baselines.n_fits(plans[0], scope, parts))
    kept, seconds = [], []
    for b, plan in enumerate(plans):
        name = f"alternatives/{scope}/block_{b:05d}"
        arrays = reproduce.classifiers(plan, work, name, scope, parts, on_done)
        kept.append(_read_classifiers(plan, arrays))
        seconds.append(arrays.fit_seconds.values)
    counts = {split: np.sum([c[split] for _, c in kept], axis=0) for split in rows.SPLITS}
    return _Classifiers(_joined([s for s, _ in kept]), counts, np.sum(seconds, axis=0), len(plans))


def _read_classifiers(plan: Plan, arrays: xr.Dataset) -> tuple[dict[str, Scored], dict[str, np.ndarray]]:
    predictions = arrays.few_shot.transpose("method", "data", "n_speakers", "draw", "clip").values
    both = FEW_SHOT_DATA.index("source+target")
    scored, counts = {}, {}
    masks = [evaluation_masks(plan.target, plan.draws.support(k)) for k in plan.experiment.protocol.n_speakers]
    for split in rows.SPLITS:
        each = [_counted(plan, predictions[:, :, k], mask[split]) for k, mask in enumerate(masks)]
        scored[split] = stacked([one for one, _ in each], axis=2)
        counts[split] = np.stack([by_seed[:, both] for _, by_seed in each], axis=1)
    return scored, counts


def _write(work: WorkDir, found: list[Reruns], seconds: float) -> None:
    results: list[rows.Row] = []
    differences: list[rows.Difference] = []
    claimed = []
    for one in found:
        results.extend(summary.grid_rows(one.plan, one.head, one.scope, one.grid))
        differences.extend(summary.differences(one.plan, one.head, one.scope, one.grid, {}))
        claimed.append(claims.examine(one.plan, one.head, one.scope, one.grid, one.counts, one.start_ratio, one.beside))
    # The classifiers know no head.
    for one in found:
        if one.beside is not None and one.head == found[0].head:
            for i, method in enumerate(one.beside.methods):
                scored = {s: Scored(v.uar[i], v.wa[i]) for s, v in one.beside.scored.items()}
                results.extend(summary.few_shot_rows(one.plan, one.scope, method, scored, float(one.beside.seconds[i])))
    write_json(work.path / "summary.json", [dataclasses.asdict(row) for row in results])
    write_json(work.path / "differences.json", [dataclasses.asdict(row) for row in differences])
    write_json(work.path / "claims.json", claimed)
    work.write_provenance(seconds)

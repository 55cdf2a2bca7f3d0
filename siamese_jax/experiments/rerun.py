"""Fine-tuning at any number of draws: blocks of `n_draws` draws on disk, in bounded memory; later runs append blocks.

Draw i is the same in every block size and number of blocks. `retrain` does the same for the protocols without draws.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from absl import logging

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.errors import InputError
from siamese_jax.experiments import claims, summary
from siamese_jax.experiments.claims import Baselines, Reruns
from siamese_jax.experiments.records import Difference, Row
from siamese_jax.experiments.run_context import MOST_DRAWS, Run, fine_tuning_name, open_run
from siamese_jax.experiments.summary import FEW_SHOT_DATA, SPLITS, Grid
from siamese_jax.protocols import baselines, stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed
from siamese_jax.stats.scoring import Scored, counts_by_speaker, score_counts, stacked

KIND = "rerun"


def run(experiment: Experiment, workdir: str | Path, n_draws: int, n_baseline_draws: int) -> list[Reruns]:
    """Runs blocks until there are at least `n_draws` draws, and writes their statistics.

    Writes summary.json, differences.json, claims.json, and arrays/ (a file a block). The first `n_baseline_draws` draws
    (at most `n_draws`) are run with the configured classifiers too. Both numbers are rounded up to whole blocks.

    Raises InputError as `reproduce.run`; also for the scope "train", which draws no clips, and for no draws.
    """
    scopes, size = experiment.data.scalings, experiment.protocol.n_draws
    if not 1 <= n_draws <= MOST_DRAWS or not 0 <= n_baseline_draws <= MOST_DRAWS or "train" in scopes:
        raise InputError(
            f"{n_draws} draws, {n_baseline_draws} of them for the baselines, config.data.scalings {', '.join(scopes)}; "
            f"expected 1 to {MOST_DRAWS:,} draws, 0 or more for the baselines, and not 'train'"
        )
    n_blocks, n_baseline_blocks = -(-n_draws // size), -(-n_baseline_draws // size)
    settings = []
    with open_run(experiment, workdir, KIND) as run:
        plans = [run.plan(block * size) for block in range(n_blocks)]
        compared = plans[:n_baseline_blocks] if experiment.protocol.baselines else []
        by_scope = {scope: _baselines(run, compared, scope) if compared else None for scope in scopes}
        for head in experiment.network.heads:
            tuning = run.fine_tuning(plans[0], head, [_part(block) for block in range(n_blocks)])
            for scope in scopes:
                settings.append(_setting(run, plans, tuning, head, scope, by_scope[scope]))
        if distributed.is_writer():
            _write(run, settings)
    return settings


def _part(block: int) -> str:
    return f"/block_{block:05d}"


def _setting(
    run: Run, plans: list[Plan], tuning: stages.FineTuning, head: str, scope: str, compared: Baselines | None
) -> Reruns:
    first, experiment, protocol = plans[0], plans[0].experiment, plans[0].experiment.protocol
    on_done = run.bars.start(f"{head}, {scope}", len(protocol.n_speakers) * len(plans) * first.n_fine_tunings)
    params = stages.params_from_arrays(run.source_training(first, head, scope))

    def block(n_speakers: int, number: int, plan: Plan) -> _Draws:
        name = fine_tuning_name(head, scope, n_speakers, _part(number))
        arrays = run.arrays(plan, name, lambda: tuning.run(plan, n_speakers, scope, params, on_done))
        return _read_block(plan, n_speakers, arrays)

    joined, tuned = [], []
    for n_speakers in protocol.n_speakers:
        logging.info("fine-tuning on %d speakers: %d draws", n_speakers, len(plans) * protocol.n_draws)
        blocks = [block(n_speakers, number, plan) for number, plan in enumerate(plans)]
        joined.append(_join(blocks))
        if compared is not None:
            tuned.append(_pooled(blocks[: compared.n_draws // protocol.n_draws]))
    if compared is not None:
        compared = dataclasses.replace(compared, tuned_counts=_stacked(tuned))
    diverged = np.stack([k.diverged for k in joined])
    scored = {s: stacked([k.scored[s] for k in joined]) for s in SPLITS}
    grid = Grid(scored, diverged, np.array([k.seconds for k in joined]))
    whole = dataclasses.replace(first, experiment=experiment.replace(n_draws=len(plans) * protocol.n_draws))
    ratio = np.stack([k.start_ratio for k in joined])
    return Reruns(whole, head, scope, grid, _stacked([k.counts for k in joined]), ratio, compared)


@dataclasses.dataclass(frozen=True)
class _Draws:
    """Results of draws: scores by draw, diverged trainings [loss, frozen, step, draw], counts by seed and speaker, the
    starting ratio, and the seconds."""

    scored: dict[str, Scored]
    diverged: np.ndarray
    counts: dict[str, np.ndarray]
    start_ratio: np.ndarray
    seconds: float


def _read_block(plan: Plan, n_speakers: int, arrays: xr.Dataset) -> _Draws:
    predictions = arrays.predictions.transpose("loss", "frozen", "step", "draw", "clip").values
    scored, counts = {}, {}
    for split, mask in evaluation_masks(plan.target, plan.draws.support(n_speakers)).items():
        scored[split], counts[split] = _counted(plan, predictions, mask)
    first = arrays.isel(loss=0, frozen=0, step=0)
    ratio = (first.d_same / first.d_different).values
    if int(first.step) != 0:
        ratio = np.full(ratio.shape, np.nan)
    return _Draws(scored, summary.diverged_trainings(arrays), counts, ratio, arrays.attrs["seconds"])


def _counted(plan: Plan, predictions: np.ndarray, mask: np.ndarray) -> tuple[Scored, np.ndarray]:
    """Scores [..., draw] of predictions [..., draw, clip], and counts [..., seed, S, C, C] pooled by source seed."""
    target, n_classes = plan.target, len(plan.experiment.data.emotions)
    by_draw = counts_by_speaker(predictions, target.label, mask, target.speaker, len(target.speakers), n_classes)
    of_seed_JxG = np.arange(plan.experiment.protocol.n_seeds)[:, None] == plan.seed_of_draw[None, :]
    operands = of_seed_JxG.astype(np.float32), by_draw.astype(np.float32)
    return score_counts(by_draw.sum(axis=-3)), np.einsum("jg,...gscd->...jscd", *operands, optimize=True)


def _concatenated(scored: Sequence[dict[str, Scored]]) -> dict[str, Scored]:
    return {
        split: Scored(*(np.concatenate([getattr(s[split], name) for s in scored], axis=-1) for name in ("uar", "wa")))
        for split in SPLITS
    }


def _pooled(blocks: Sequence[_Draws]) -> dict[str, np.ndarray]:
    return {split: np.sum([block.counts[split] for block in blocks], axis=0) for split in SPLITS}


def _stacked(counts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {split: np.stack([by_split[split] for by_split in counts]) for split in SPLITS}


def _join(blocks: list[_Draws]) -> _Draws:
    ratio = np.concatenate([block.start_ratio for block in blocks])
    scored = _concatenated([block.scored for block in blocks])
    diverged = np.concatenate([block.diverged for block in blocks], axis=-1)
    return _Draws(scored, diverged, _pooled(blocks), ratio, sum(block.seconds for block in blocks))


def _baselines(run: Run, plans: list[Plan], scope: str) -> Baselines:
    """The classifiers of one scope on the draws of the first blocks; `tuned_counts` is still empty."""
    parts, total = ("few_shot",), len(plans) * baselines.n_fits(plans[0], scope, ("few_shot",))
    on_done = run.bars.start(f"baselines ({scope})", total)
    blocks, seconds = [], []
    for number, plan in enumerate(plans):
        arrays = run.baselines(plan, scope, parts, _part(number), on_done)
        blocks.append(_read_baselines(plan, arrays))
        seconds.append(arrays.fit_seconds.values)
    counts = {split: np.sum([counts[split] for _, counts in blocks], axis=0) for split in SPLITS}
    scored = _concatenated([scored for scored, _ in blocks])
    return Baselines(plans[0].experiment.protocol.baselines, scored, counts, {}, np.sum(seconds, axis=0))


def _read_baselines(plan: Plan, arrays: xr.Dataset) -> tuple[dict[str, Scored], dict[str, np.ndarray]]:
    """By split, scores [M, data, speakers, draw] and counts [M, speakers, J, S, C, C] on source plus target clips."""
    predictions = arrays.few_shot.transpose("method", "data", "n_speakers", "draw", "clip").values
    both = FEW_SHOT_DATA.index("source+target")
    scored, counts = {}, {}
    masks = [evaluation_masks(plan.target, plan.draws.support(k)) for k in plan.experiment.protocol.n_speakers]
    for split in SPLITS:
        by_speakers = [_counted(plan, predictions[:, :, k], mask[split]) for k, mask in enumerate(masks)]
        scored[split] = stacked([scores for scores, _ in by_speakers], axis=2)
        counts[split] = np.stack([by_seed[:, both] for _, by_seed in by_speakers], axis=1)
    return scored, counts


def _write(run: Run, settings: list[Reruns]) -> None:
    rows: list[Row] = []
    differences: list[Difference] = []
    for setting in settings:
        shared = (setting.plan, setting.head, setting.scope, setting.grid)
        rows.extend(summary.grid_rows(*shared))
        differences.extend(summary.differences(*shared, {}))
    # The classifiers do not depend on the head.
    for setting in settings:
        compared = setting.baselines
        if compared is not None and setting.head == settings[0].head:
            for i, method in enumerate(compared.methods):
                scored = {split: Scored(s.uar[i], s.wa[i]) for split, s in compared.scored.items()}
                seconds = float(compared.seconds[i])
                rows.extend(summary.few_shot_rows(setting.plan, setting.scope, method, scored, seconds))
    run.write(summary=rows, differences=differences, claims=[claims.examine(setting) for setting in settings])

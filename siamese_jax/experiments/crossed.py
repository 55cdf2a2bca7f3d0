"""Variance components of UAR: every draw from every source seed, over frozen layers and numbers of speakers.

A reproduction gives each draw one seed, confounding draws and seeds; the paper's second claim is in `source_effect`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.errors import InputError
from siamese_jax.experiments import summary
from siamese_jax.experiments.records import diverged, joined
from siamese_jax.experiments.run_context import Run, fine_tuning_name, open_run
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats.scoring import score
from siamese_jax.stats.variance_components import variance_components

KIND = "crossed"

FACTORS = ("frozen", "speakers", "draw", "seed")
SPLIT = "speaker_disjoint"


def run(experiment: Experiment, workdir: str | Path) -> list[dict[str, Any]]:
    """Runs all n_draws draws from all n_seeds seeds; the variance components of UAR.

    Writes crossed.json, and arrays/ (a file for each number of speakers and seed). Returns shares of the variance by
    factor and interaction, in per cent, for each head, scope, loss and evaluation step.

    Raises InputError if a factor has one level only, or as `reproduce.run`.
    """
    protocol, records = experiment.protocol, []
    for name in ("frozen", "n_speakers"):
        levels = getattr(protocol, name)
        if len(levels) < 2:
            raise InputError(f"config.protocol.{name} is {levels}; a crossed run needs at least two values")
    if min(protocol.n_draws, protocol.n_seeds) < 2 or "train" in experiment.data.scalings:
        raise InputError(
            f"config.protocol.n_draws is {protocol.n_draws}, config.protocol.n_seeds {protocol.n_seeds}, "
            f"config.data.scalings {experiment.data.scalings}; a crossed run needs at least two draws and two seeds, "
            "and not 'train'"
        )
    with open_run(experiment, workdir, KIND) as run:
        plan = run.plan()
        for head in experiment.network.heads:
            tuning = run.fine_tuning(plan, head, [_part(seed) for seed in range(protocol.n_seeds)])
            for scope in experiment.data.scalings:
                records.extend(_shares(plan, head, scope, *_scores(run, plan, tuning, head, scope)))
        run.write(crossed=records)
    return records


def _part(seed: int) -> str:
    return f"/seed_{seed:04d}"


def _scores(run: Run, plan: Plan, tuning: stages.FineTuning, head: str, scope: str) -> tuple[np.ndarray, np.ndarray]:
    """UAR in per cent [loss, step, frozen, speakers, draw, seed] on other speakers' clips, and which trainings have
    diverged, [loss, frozen, step, draw, runs]."""
    protocol = plan.experiment.protocol
    total = len(protocol.n_speakers) * protocol.n_seeds * plan.n_fine_tunings
    on_done = run.bars.start(f"{head}, {scope}", total)
    params = stages.params_from_arrays(run.source_training(plan, head, scope))

    lost: list[np.ndarray] = []

    def uar(n_speakers: int, seed: int) -> np.ndarray:
        of_seed = dataclasses.replace(plan, only_seed=seed)
        name = fine_tuning_name(head, scope, n_speakers, _part(seed))
        arrays = run.arrays(plan, name, lambda: tuning.run(of_seed, n_speakers, scope, params, on_done))
        predictions = arrays.predictions.transpose("loss", "step", "frozen", "draw", "clip").values
        lost.append(summary.diverged_trainings(arrays))
        mask = evaluation_masks(plan.target, plan.draws.support(n_speakers))[SPLIT]
        return score(predictions, plan.target.label, mask).uar

    seeds = range(protocol.n_seeds)
    scores = np.stack([np.stack([uar(k, seed) for seed in seeds], axis=-1) for k in protocol.n_speakers], axis=3)
    return scores, np.stack(lost, axis=-1)


def _shares(plan: Plan, head: str, scope: str, uar: np.ndarray, lost: np.ndarray) -> list[dict[str, Any]]:
    """The records of a setting, from the results of `_scores`."""
    protocol, records = plan.experiment.protocol, []
    levels = dict(zip(FACTORS, uar.shape[2:]))
    for m, loss in enumerate(protocol.losses):
        for r, steps in enumerate(protocol.steps):
            parts = variance_components(uar[m, r], FACTORS)
            effects = [" x ".join(effect) for effect in parts.effects]
            records.append({
                "source": plan.source.name, "target": plan.target.name, "head": head, "scaling": scope,
                "split": SPLIT, "loss": loss, "steps": steps,
                "n_draws": protocol.n_draws, "n_seeds": protocol.n_seeds, "levels": levels,
                "components": dict(zip(effects, parts.components.tolist())),
                "shares": None if parts.note else {e: 100 * s for e, s in zip(effects, parts.shares.tolist())},
                "note": parts.note,
                "remarks": joined(plan.source_note, diverged(int(lost[m, :, r].sum()), lost[m, :, r].size)),
            })  # fmt: skip
    return records

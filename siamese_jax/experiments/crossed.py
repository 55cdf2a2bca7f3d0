"""What UAR varies with: every draw from every source seed, over frozen layers and numbers of speakers.

A reproduction gives each draw one seed, so that draws and seeds cannot be told apart; a crossing runs them all, and the
variance can be shared out among the four factors (the paper's second claim: the source matters more than the number of
frozen layers; see also `sources`).
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.errors import InputError
from siamese_jax.experiments import reproduce
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import distributed, interrupt
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.progress import bars
from siamese_jax.stats.scoring import score
from siamese_jax.stats.variance_components import variance_components

KIND = "crossed"
"""The kind of run, as config.json names it."""

FACTORS = ("frozen", "speakers", "draw", "seed")
SPLIT = "speaker_disjoint"


def run(e: Experiment, workdir: str | Path) -> list[dict[str, Any]]:
    """Runs all n_draws draws from all n_seeds seeds, one head and scope at a time, and shares out the variance of UAR.

    Writes crossed.json, and arrays/ (a file for each number of speakers and seed).

    Returns:
      For each head, scope, loss and readout: shares of the variance by factor and interaction, in per cent.

    Raises:
      InputError: a factor has one level only, or as `experiment.run`.
    """
    for name in ("frozen", "n_speakers"):
        if len(getattr(e.protocol, name)) < 2:
            raise InputError(
                f"config.protocol.{name} is {getattr(e.protocol, name)}; a crossing needs at least two levels of "
                "each factor"
            )
    if min(e.protocol.n_draws, e.protocol.n_seeds) < 2 or "train" in e.data.scalings:
        raise InputError("a crossing needs at least two draws and two seeds, and a scaling scope other than 'train'")
    start = time.perf_counter()
    source, target = reproduce.load(e)
    work = WorkDir(workdir, e, reproduce.digests(source, target), KIND)
    plan = Plan.make(e, source, target)
    found = []
    with work, bars() as shown, interrupt.threads(available_cores()) as executor:
        for head in e.network.heads:
            each = [(scope, seed) for scope in e.data.scalings for seed in range(e.protocol.n_seeds)]
            missing = [k for k in e.protocol.n_speakers if not all(work.has(_stage(head, c, k, s)) for c, s in each)]
            tuning = stages.FineTuning(plan, head, missing, executor)
            for scope in e.data.scalings:
                total = (
                    len(e.protocol.n_speakers)
                    * e.protocol.n_seeds
                    * e.protocol.n_draws
                    * len(e.protocol.losses)
                    * len(e.protocol.frozen)
                )
                uar = _scores(work, plan, tuning, head, scope, shown.start(f"{head}, {scope}", total))
                found.extend(_shares(plan, head, scope, uar))
        if distributed.is_writer():
            write_json(work.path / "crossed.json", found)
            work.write_provenance(time.perf_counter() - start)
    return found


def _stage(head: str, scope: str, n_speakers: int, seed: int) -> str:
    return f"{head}/{scope}/fine_tuning_{n_speakers:02d}/seed_{seed:04d}"


def _scores(
    work: WorkDir, plan: Plan, tuning: stages.FineTuning, head: str, scope: str, on_done: Callable[[int], None]
) -> np.ndarray:
    """UAR in per cent [loss, step, frozen, speakers, draw, seed] on other speakers' clips."""
    e = plan.experiment
    trained = work.arrays(f"{head}/{scope}/source", lambda: stages.source_training(plan, head, scope, lambda _: None))
    params = stages.params_from_arrays(trained)
    by_speakers = []
    for k in e.protocol.n_speakers:
        mask = evaluation_masks(plan.target, plan.draws.support(k))[SPLIT]
        by_seed = []
        for seed in range(e.protocol.n_seeds):
            one = dataclasses.replace(plan, only_seed=seed)

            def make(one: Plan = one, k: int = k) -> xr.Dataset:
                return reproduce.label(one, tuning.run(one, k, scope, params, on_done))

            arrays = work.arrays(_stage(head, scope, k, seed), make)
            predictions = arrays.predictions.transpose("loss", "step", "frozen", "draw", "clip").values
            by_seed.append(score(predictions, plan.target.label, mask).uar)
        by_speakers.append(np.stack(by_seed, axis=-1))
    return np.stack(by_speakers, axis=3)


def _shares(plan: Plan, head: str, scope: str, uar: np.ndarray) -> list[dict[str, Any]]:
    e, found = plan.experiment, []
    levels = {
        "frozen": len(e.protocol.frozen),
        "speakers": len(e.protocol.n_speakers),
        "draw": e.protocol.n_draws,
        "seed": e.protocol.n_seeds,
    }
    for m, loss in enumerate(e.protocol.losses):
        for r, steps in enumerate(e.protocol.steps):
            parts = variance_components(uar[m, r], FACTORS)
            named = {" x ".join(effect): value for effect, value in zip(parts.effects, parts.components.tolist())}
            shares = {" x ".join(effect): 100 * value for effect, value in zip(parts.effects, parts.shares.tolist())}
            computable = not parts.note
            found.append({
                "source": plan.source.name, "target": plan.target.name, "head": head, "scaling": scope,
                "split": SPLIT, "loss": loss, "steps": steps,
                "n_draws": e.protocol.n_draws, "n_seeds": e.protocol.n_seeds, "levels": levels, "components": named,
                "shares": shares if computable else None, "note": parts.note,
            })  # fmt: skip
    return found

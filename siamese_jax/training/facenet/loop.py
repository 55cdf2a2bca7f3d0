"""Training FaceNet on the segments of a corpus: a Python loop over one compiled step."""

import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from siamese_jax.datasets.class_batches import BatchPlan, draw_batch, plan_batches
from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.models import facenet
from siamese_jax.runtime import interrupt
from siamese_jax.training.facenet import checkpoints
from siamese_jax.training.facenet import validation as validating
from siamese_jax.training.facenet.checkpoints import Progress
from siamese_jax.training.facenet.config import TrainConfig as TrainConfig
from siamese_jax.training.facenet.step import Programs, State, StepResult

log = logging.getLogger(__name__)

CURVES = ("loss", "triplets", "gradient_norm", "learning_rate")
VALIDATION_CURVES = ("validation_loss", "segment_uar", "clip_uar", "training_uar")
SCORE = "segment_uar"
"""The score that chooses the best epoch."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Fields:
      variables: of the best epoch (without validation the last), as `facenet.embed` takes them.
      history: curves [epochs] by name: `CURVES`, means over an epoch's steps, and with validation `VALIDATION_CURVES`.
      best_epoch: the epoch of `variables`, from 0.
    """

    variables: dict[str, Any]
    history: dict[str, np.ndarray]
    best_epoch: int


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """The rate at a time in epochs, a fraction between two steps."""
    rise = min(1.0, epoch / config.warmup) if config.warmup else 1.0
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / config.epochs))) if config.schedule == "cosine" else 1.0
    return config.learning_rate * rise * fall


def check_variables(config: TrainConfig, variables: facenet.Variables) -> None:
    """Raises InputError, naming the first array that differs, unless the variables are of `config`'s network."""
    expected = jax.eval_shape(lambda key: facenet.init(key, config.network), jax.random.key(0))
    want, have = (
        {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(dict(tree), sep=".").items()}
        for tree in (expected, variables)
    )
    for name in sorted({*want, *have}):
        if want.get(name) != have.get(name):
            raise InputError(
                f"variables to start from: {name} is {have.get(name, 'missing')}, the network of this config has "
                f"{want.get(name, 'none')}; give variables of the same width, depth and embedding"
            )


def train(
    config: TrainConfig, variables0: facenet.Variables, train: SegmentSource, validation: SegmentSource | None,
    key: jax.Array, checkpoint_dir: str | Path | None, on_progress: Callable[[int], None],
) -> Trained:  # fmt: skip
    """Trains until the epochs are over or validation has not improved for `config.patience` epochs.

    Args:
      variables0: the start: `facenet.init`, or another training's variables (fine-tuning; the optimiser is fresh, and
        the running batch-norm statistics continue). They are not changed.
      train, validation: segments; no speaker may be in both. None trains for all epochs.
      key: of batches, augmentation and dropout, folded by epoch and step: a step's draws depend on nothing else.
      checkpoint_dir: a folder of this training's own. Its state is saved there at each epoch's end and on a stop
        (`interrupt`), and resumed with the same bits. None saves nothing.
      on_progress: called with the number of steps done since the last call.

    Raises:
      InputError: variables and config, or train and validation, do not fit together; a class has a single speaker or
        clip or too few segments; the checkpoint is of another training; the loss is no longer finite.
      interrupt.Stopped: on a signal.
    """
    check_variables(config, variables0)
    program = Programs(config)
    labels = (train.emotion.tolist(), train.speaker.tolist(), train.clip.tolist())
    batches = plan_batches(*labels, config.classes_per_batch, config.segments_per_class)
    draw_key, plan_key = jax.random.split(key)
    validation_plan = validating.plan(config, train, validation, plan_key) if validation is not None else None
    keeper = checkpoints.Keeper(checkpoint_dir, checkpoints.identity(config, variables0, train, validation, key))
    state, progress = program.start(variables0), checkpoints.START
    best: facenet.Variables = jax.tree.map(np.array, state.variables)
    if checkpoint := keeper.find(state):
        state, best, progress = program.resume(checkpoint[0]), checkpoint[1], checkpoint[2]
        on_progress(progress.epoch * batches.steps + len(progress.steps))
    while progress.epoch < config.epochs and progress.epoch - 1 - progress.best_epoch < config.patience:
        state, progress = _epoch(config, program, state, train, batches, progress, draw_key, on_progress)
        if len(progress.steps) == batches.steps:
            progress = _finish_epoch(config, state, progress, validation_plan)
            if progress.best_epoch == progress.epoch - 1:
                best = jax.tree.map(np.array, state.variables)
        keeper.keep(state, best, progress)
        interrupt.check()
    curves = {name: np.array([row[name] for row in progress.history]) for name in progress.history[0]}
    return Trained(dict(best), curves, progress.best_epoch)


def _epoch(
    config: TrainConfig, program: Programs, state: State, source: SegmentSource, batches: BatchPlan,
    progress: Progress, key: jax.Array, on_progress: Callable[[int], None],
) -> tuple[State, Progress]:  # fmt: skip
    """The rest of the epoch's steps, up to a stop."""
    classes = np.array(batches.classes)
    results: list[tuple[StepResult, float]] = []
    for step in range(len(progress.steps), batches.steps):
        if interrupt.requested():
            break
        step_key = jax.random.fold_in(jax.random.fold_in(key, progress.epoch), step)
        batch_key, update_key = jax.random.split(step_key)
        rows = draw_batch(batch_key, batches)
        class_B = (source.emotion[rows][:, None] == classes[None]).argmax(axis=1)
        rate = learning_rate(config, progress.epoch + (step + 1) / batches.steps)
        if results:  # at most a step ahead of the device, so that a stop is heard within a step
            results[-1][0].loss.block_until_ready()
        state, result = program.step(state, source.segments(rows), class_B, rate, update_key)
        results.append((result, rate))
        on_progress(1)
    steps = tuple(dict(zip(CURVES, (*map(float, result), rate))) for result, rate in results)
    if not all(math.isfinite(value) for row in steps for value in row.values()):
        advice = "lower learning_rate in the configuration of this training"
        raise InputError(f"epoch {progress.epoch + 1}: the loss or its gradient is not finite; {advice}")
    return state, dataclasses.replace(progress, steps=progress.steps + steps)


def _finish_epoch(
    config: TrainConfig, state: State, progress: Progress, plan: validating.Validation | None
) -> Progress:
    """The progress with the finished epoch's row of curves, and whether it is the best."""
    row = {name: float(np.mean([step[name] for step in progress.steps])) for name in CURVES}
    if plan is not None:
        row |= validating.score(config, state.variables, plan)
    log.info("epoch %d: %s", progress.epoch + 1, ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
    better = plan is None or not progress.history or row[SCORE] > progress.history[progress.best_epoch][SCORE]
    return Progress((), (*progress.history, row), progress.epoch if better else progress.best_epoch)

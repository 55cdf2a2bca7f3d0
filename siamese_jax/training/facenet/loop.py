"""Training FaceNet on the segments of a corpus: a Python loop over one compiled step."""

import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
"""What the best epoch is chosen by."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Fields:
      variables: of the best epoch, or of the last one without validation; as `facenet.embed` takes them.
      history: curves [epochs] by name: `CURVES`, means over an epoch's steps, and with validation `VALIDATION_CURVES`.
      best_epoch: the epoch, from 0, that `variables` are of.
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
        {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}
        for leaves in (jax.tree.leaves_with_path(dict(tree)) for tree in (expected, variables))
    )
    for name in sorted({*want, *have}):
        if want.get(name) != have.get(name):
            raise InputError(
                f"variables to start from: {name} is {have.get(name, 'missing')}, the network of this config has "
                f"{want.get(name, 'none')}; give variables of the same width, depth and embedding"
            )


def train(
    config: TrainConfig,
    variables0: facenet.Variables,
    train: SegmentSource,
    validation: SegmentSource | None,
    key: jax.Array,
    checkpoint_dir: str | Path | None,
    on_progress: Callable[[int], None],
) -> Trained:
    """Trains until the epochs are over or validation has not improved for `config.patience` epochs.

    Args:
      config: every knob.
      variables0: where to start: `facenet.init`, or another training's variables (fine-tuning; the optimiser is fresh,
        and the running batch-norm statistics move on from where they are). They are left as they are.
      train, validation: segments; no speaker may be in both. None trains for all epochs.
      key: of batches, augmentation and dropout, folded by epoch and step: a step's draws depend on nothing else.
      checkpoint_dir: a folder of this training's own, where its state is kept at each epoch's end and when it is
        stopped (`interrupt`), and found again: it then ends with the same bits as one that was never stopped. None
        keeps nothing.
      on_progress: called with the number of steps done since the last call.

    Raises:
      InputError: variables and config, or train and validation, do not fit together; a class has one speaker or clip
        or too few segments; the checkpoint is of another training, or damaged; the loss is no longer finite.
      interrupt.Stopped: a signal has come.
    """
    check_variables(config, variables0)
    program = Programs(config)
    labels = (train.emotion.tolist(), train.speaker.tolist(), train.clip.tolist())
    batches = plan_batches(*labels, config.classes_per_batch, config.segments_per_class)
    drawing, watching = jax.random.split(key)
    watch = validating.plan(config, train, validation, watching) if validation is not None else None
    keeper = checkpoints.Keeper(checkpoint_dir, checkpoints.identity(config, variables0, train, validation, key))
    state = program.start(variables0)
    best: facenet.Variables = jax.tree.map(np.array, state.variables)
    at = checkpoints.START
    if found := keeper.find(state):
        state, best, at = program.resume(found[0]), found[1], found[2]
        on_progress(at.epoch * batches.steps + len(at.steps))
    while not _over(config, at):
        state, at = _epoch(config, program, state, train, batches, at, drawing, on_progress)
        if len(at.steps) == batches.steps:
            at = _judge(config, state, at, watch)
            if at.best_epoch == at.epoch - 1:
                best = jax.tree.map(np.array, state.variables)
        keeper.keep(state, best, at)
        interrupt.check()
    curves = {name: np.array([row[name] for row in at.history]) for name in at.history[0]}
    return Trained(dict(best), curves, at.best_epoch)


def _over(config: TrainConfig, at: Progress) -> bool:
    return at.epoch == config.epochs or at.epoch - 1 - at.best_epoch >= config.patience


def _epoch(
    config: TrainConfig,
    program: Programs,
    state: State,
    source: SegmentSource,
    batches: BatchPlan,
    at: Progress,
    key: jax.Array,
    on_progress: Callable[[int], None],
) -> tuple[State, Progress]:
    """The rest of the epoch's steps, or those until a stop is asked for."""
    classes = np.array(batches.classes)
    results: list[tuple[StepResult, float]] = []
    for step in range(len(at.steps), batches.steps):
        if interrupt.requested():
            break
        of_step = jax.random.fold_in(jax.random.fold_in(key, at.epoch), step)
        drawing, changing = jax.random.split(of_step)
        rows = draw_batch(drawing, batches)
        class_B = (source.emotion[rows][:, None] == classes[None]).argmax(axis=1)
        rate = learning_rate(config, at.epoch + (step + 1) / batches.steps)
        if results:  # one step ahead of the device and no more, so that a stop is heard within a step
            results[-1][0].loss.block_until_ready()
        state, result = program.step(state, source.segments(rows), class_B, rate, changing)
        results.append((result, rate))
        on_progress(1)
    steps = tuple(
        dict(zip(CURVES, (float(r.loss), float(r.triplets), float(r.gradient_norm), rate))) for r, rate in results
    )
    if not all(math.isfinite(value) for row in steps for value in row.values()):
        raise InputError(
            f"epoch {at.epoch + 1}: the loss or its gradient is not finite any more; lower TrainConfig.learning_rate"
        )
    return state, dataclasses.replace(at, steps=at.steps + steps)


def _judge(config: TrainConfig, state: State, at: Progress, watch: validating.Validation | None) -> Progress:
    """The progress after an epoch whose steps are done: its row of curves, and whether it is the best one."""
    row = {name: float(np.mean([step[name] for step in at.steps])) for name in CURVES}
    if watch is not None:
        row |= validating.score(config, state.variables, watch)
    log.info("epoch %d: %s", at.epoch + 1, ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
    better = watch is None or not at.history or row[SCORE] > at.history[at.best_epoch][SCORE]
    return Progress((), (*at.history, row), at.epoch if better else at.best_epoch)

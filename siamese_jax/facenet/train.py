"""Training FaceNet on the segments of a corpus: a Python loop over one compiled step."""

import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamese_jax.batches import BatchPlan, draw_batch, plan_batches
from siamese_jax.errors import InputError
from siamese_jax.facenet import validation as validating
from siamese_jax.facenet.config import TrainConfig as TrainConfig
from siamese_jax.facenet.source import SegmentSource
from siamese_jax.facenet.steps import Programs, State, StepResult, programs
from siamese_jax.models import facenet

log = logging.getLogger(__name__)

CURVES = ("loss", "triplets", "gradient_norm", "learning_rate")
VALIDATION_CURVES = ("validation_loss", "segment_uar", "clip_uar")
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
      checkpoint_dir: where the state is kept at each epoch's end, and found again; None keeps none.
      on_progress: called with the number of steps done since the last call.

    Raises: InputError where variables and config, or train and validation, do not fit together; where a class has one
      speaker or clip or too few segments; or where the loss is no longer finite.
    """
    check_variables(config, variables0)
    program = programs(config)
    labels = (train.emotion.tolist(), train.speaker.tolist(), train.clip.tolist())
    batches = plan_batches(*labels, config.classes_per_batch, config.segments_per_class)
    drawing, watching = jax.random.split(key)
    watch = validating.plan(config, train, validation, watching) if validation is not None else None
    state = program.start(variables0)
    history: list[dict[str, float]] = []
    best, best_epoch = state.variables, 0
    for epoch in range(config.epochs):
        state, row = _epoch(program, state, train, batches, epoch, jax.random.fold_in(drawing, epoch), on_progress)
        if watch is not None:
            row |= validating.score(config, state.variables, watch)
        history.append(row)
        log.info("epoch %d: %s", epoch + 1, ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        if watch is None or row[SCORE] > history[best_epoch][SCORE] or epoch == 0:
            best, best_epoch = jax.tree.map(np.array, state.variables), epoch
        if epoch - best_epoch >= config.patience:
            break
    curves = {name: np.array([row[name] for row in history]) for name in history[0]}
    return Trained(best, curves, best_epoch)


def _epoch(
    program: Programs,
    state: State,
    source: SegmentSource,
    batches: BatchPlan,
    epoch: int,
    key: jax.Array,
    on_progress: Callable[[int], None],
) -> tuple[State, dict[str, float]]:
    """All steps of an epoch, and the means of their results."""
    config = program.config
    classes = np.array(batches.classes)
    results: list[StepResult] = []
    rates = []
    for step in range(batches.steps):
        drawing, changing = jax.random.split(jax.random.fold_in(key, step))
        rows = draw_batch(drawing, batches)
        class_B = (source.emotion[rows][:, None] == classes[None]).argmax(axis=1)
        rates.append(learning_rate(config, epoch + (step + 1) / batches.steps))
        if results:  # one step ahead of the device and no more, so that a stop is heard within a step
            results[-1].loss.block_until_ready()
        state, result = program.step(state, source.segments(rows), class_B, rates[-1], changing)
        results.append(result)
        on_progress(1)
    means = {name: float(np.mean([getattr(r, name) for r in results])) for name in StepResult._fields}
    if not all(map(math.isfinite, means.values())):
        raise InputError(
            f"epoch {epoch + 1}: the loss or its gradient is not finite any more; lower TrainConfig.learning_rate"
        )
    return state, means | {"learning_rate": float(np.mean(rates))}

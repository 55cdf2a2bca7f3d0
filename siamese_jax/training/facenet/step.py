"""The compiled programs of a training: one step, and the embeddings of one batch.

Images are drawn inside them, from samples given as an argument. Each is compiled once for a config and a batch shape
and called from a Python loop (a convolution in a scan loses an order of magnitude on CPU). Where a batch is spread over
devices, batch norm, mining and loss still see all of it: the program is that of one device, and the compiler adds the
exchange.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.errors import InputError
from siamese_jax.features.augment import augment_images, augment_segments
from siamese_jax.features.images import view_images
from siamese_jax.losses.triplet import MININGS, triplet_loss
from siamese_jax.models import facenet
from siamese_jax.models.convolution import compile_options
from siamese_jax.training.facenet.config import SCHEDULES, TrainConfig

BATCH_AXIS = "batch"


class State(NamedTuple):
    """What a step changes. Fields: params and batch_stats of the network, moments of the optimiser."""

    params: Any
    batch_stats: Any
    moments: optax.OptState

    @property
    def variables(self) -> dict[str, Any]:
        """As `facenet.embed` takes them."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class StepResult(NamedTuple):
    """Fields, [] each: the batch's triplet loss, the share of its anchor-positive pairs that gave a triplet (more
    than 1 is possible where all triplets are mined), and the gradient's norm before clipping."""

    loss: jax.Array
    triplets: jax.Array
    gradient_norm: jax.Array


class Programs:
    """The compiled programs that a config needs, on its devices; configs that differ in no more than the length of
    training, its learning rates or its validation share them."""

    def __init__(self, config: TrainConfig):
        self.everywhere, self.spread = _placements(config.devices)
        self.optimizer = _optimizer(config.clip_norm)
        # What a program does not depend on has one value in the config that it is found again by.
        shared = dataclasses.replace(
            config, learning_rate=1.0, warmup=0.0, schedule=SCHEDULES[0], epochs=1, patience=1, validation_segments=2,
            embed_batch=config.devices,
        )  # fmt: skip
        self._step = _step_program(shared)
        self._embed = _embed_program(
            dataclasses.replace(
                shared, margin=1.0, mining=MININGS[0], weight_decay=0.0, clip_norm=1.0, frozen=(), classes_per_batch=2,
                segments_per_class=2 * config.devices,
            )
        )  # fmt: skip

    def start(self, variables: facenet.Variables) -> State:
        """A state of its own with a fresh optimiser."""
        own = jax.tree.map(lambda leaf: np.array(leaf, np.float32), dict(variables))
        return self.resume(State(own["params"], own["batch_stats"], self.optimizer.init(own["params"])))

    def resume(self, state: State) -> State:
        """A state on the devices of this config; a step uses it up, so it must be nobody else's."""
        return jax.device_put(state, self.everywhere)

    def place(self, variables: facenet.Variables) -> dict[str, Any]:
        """The variables on the devices of this config."""
        return jax.device_put({name: variables[name] for name in ("params", "batch_stats")}, self.everywhere)

    def step(
        self, state: State, segments_BxL: np.ndarray, class_B: np.ndarray, learning_rate: float, key: jax.Array
    ) -> tuple[State, StepResult]:
        """One update; `state` is used up. The key is consumed here."""
        return self._step(state, segments_BxL, class_B, np.float32(learning_rate), key)

    def embed(self, variables: facenet.Variables, segments_BxL: np.ndarray) -> jax.Array:
        """Embeddings [B, E] of one batch by the running statistics, without augmentation; variables of `place`."""
        return self._embed(variables, segments_BxL)


def _placements(devices: int) -> tuple[NamedSharding, NamedSharding]:
    """Copied to every device, and spread over them by the batch."""
    found = local_devices(devices)
    mesh = jax.make_mesh((len(found),), (BATCH_AXIS,), axis_types=(AxisType.Auto,), devices=found)
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(BATCH_AXIS))


def _optimizer(clip_norm: float) -> optax.GradientTransformation:
    # One long vector: a hundred arrays updated one by one take longer, to compile as well.
    return optax.flatten(optax.chain(optax.clip_by_global_norm(clip_norm), optax.scale_by_adam()))


@functools.cache
def _step_program(config: TrainConfig) -> Any:
    whole, spread = _placements(config.devices)
    return jax.jit(
        functools.partial(_train_step, config),
        in_shardings=(whole, spread, spread, whole, whole),
        out_shardings=whole,
        donate_argnums=0,
        compiler_options=compile_options(jax.default_backend()),
    )


@functools.cache
def _embed_program(config: TrainConfig) -> Any:
    whole, spread = _placements(config.devices)
    return jax.jit(
        functools.partial(_embed_step, config),
        in_shardings=(whole, spread),
        out_shardings=whole,
        compiler_options=compile_options(jax.default_backend()),
    )


def local_devices(count: int) -> list[jax.Device]:
    """The first `count` local devices. Raises InputError where there are fewer."""
    found = jax.local_devices()
    if count > len(found):
        raise InputError(
            f"TrainConfig.devices = {count}: this machine has {len(found)} ({found[0].platform}); take fewer, or "
            "on CPU set jax_num_cpu_devices before the first computation"
        )
    return found[:count]


def _moved(config: TrainConfig, params: Any, updates: Any, learning_rate: jax.Array) -> Any:
    """Parameters after AdamW's update: kernels decay, biases and batch norm do not, frozen modules stay."""

    def move(path: Any, param: jax.Array, update: jax.Array) -> jax.Array:
        if any(path[0].key.startswith(name) for name in config.frozen):
            return param
        decay = config.weight_decay if path[-1].key == "kernel" else 0.0
        return param - learning_rate * (update + decay * param)

    return jax.tree.map_with_path(move, params, updates)


def _train_step(
    config: TrainConfig,
    state: State,
    segments_BxL: jax.Array,
    class_B: jax.Array,
    learning_rate: jax.Array,
    key: jax.Array,
) -> tuple[State, StepResult]:
    sound, picture, dropout = jax.random.split(key, 3)
    segments_BxL = augment_segments(sound, segments_BxL, config.augment)
    images = augment_images(picture, view_images(segments_BxL, config.view, config.images), config.view, config.augment)

    def loss_of(params: Any) -> Any:
        variables = {"params": params, "batch_stats": state.batch_stats}
        emb_BxD, batch_stats = facenet.embed_train(config.network, variables, images, dropout)
        found = triplet_loss(emb_BxD, class_B, jnp.ones(class_B.shape, bool), config.margin, config.mining)
        return found.loss, (batch_stats, found.triplets / jnp.maximum(found.pairs, 1))

    (loss, (batch_stats, triplets)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, moments = _optimizer(config.clip_norm).update(grads, state.moments, state.params)
    params = _moved(config, state.params, updates, learning_rate)
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(grads)))
    return State(params, batch_stats, moments), StepResult(loss, triplets, norm)


def _embed_step(config: TrainConfig, variables: facenet.Variables, segments_BxL: jax.Array) -> jax.Array:
    return facenet.embed(config.network, variables, view_images(segments_BxL, config.view, config.images))

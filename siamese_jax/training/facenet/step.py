"""The compiled programs of a training, a step and the embeddings of a batch, and the embeddings of many segments.

Images are drawn inside them, from samples given as an argument. Each is compiled once for a config and a batch shape
and called from a Python loop (a convolution in a scan loses an order of magnitude on CPU). Batch norm, mining and loss
see all of a batch, also when it is spread over devices: the compiler adds the exchange.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.features.augment import augment_images, augment_segments
from siamese_jax.features.images import view_images
from siamese_jax.losses.triplet import MININGS, triplet_loss
from siamese_jax.models import facenet
from siamese_jax.models.convolution import compile_options
from siamese_jax.training.facenet.config import SCHEDULES, TrainConfig

BATCH_AXIS = "batch"


class State(NamedTuple):
    """The state that a step updates: params and batch_stats of the network, moments of the optimiser."""

    params: Any
    batch_stats: Any
    moments: optax.OptState

    @property
    def variables(self) -> dict[str, Any]:
        """As `facenet.embed` takes them."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class StepResult(NamedTuple):
    """[] each: the batch's triplet loss, triplets per anchor-positive pair, the gradient's norm before clipping."""

    loss: jax.Array
    triplets: jax.Array
    gradient_norm: jax.Array


class Programs:
    """The compiled programs of a config, on its devices; configs that differ only in the length of training, learning
    rates or validation share them."""

    def __init__(self, config: TrainConfig):
        self.everywhere, self.spread = _placements(config.devices)
        self.optimizer = _optimizer(config.clip_norm)
        # The programs are cached by config: settings that they do not depend on have a fixed value there.
        shared = dataclasses.replace(
            config, learning_rate=1.0, warmup=0.0, schedule=SCHEDULES[0], epochs=1, patience=1, validation_segments=2,
            embed_batch=config.devices,
        )  # fmt: skip
        self._step = _step_program(shared)
        self._embed = _embed_program(dataclasses.replace(
            shared, margin=1.0, mining=MININGS[0], weight_decay=0.0, clip_norm=1.0, frozen=(), classes_per_batch=2,
            segments_per_class=2 * config.devices,
        ))  # fmt: skip

    def start(self, variables: facenet.Variables) -> State:
        """A state of its own with a fresh optimiser."""
        own = jax.tree.map(lambda leaf: np.array(leaf, np.float32), dict(variables))
        return self.resume(State(own["params"], own["batch_stats"], self.optimizer.init(own["params"])))

    def resume(self, state: State) -> State:
        """A state on the devices of this config; a step donates it, so it must not be shared."""
        return jax.device_put(state, self.everywhere)

    def place(self, variables: facenet.Variables) -> dict[str, Any]:
        """The variables on the devices of this config."""
        return jax.device_put({name: variables[name] for name in ("params", "batch_stats")}, self.everywhere)

    def step(
        self, state: State, segments_BxL: np.ndarray, class_B: np.ndarray, learning_rate: float, key: jax.Array
    ) -> tuple[State, StepResult]:
        """An update; `state` is donated. The key is consumed here."""
        return self._step(state, segments_BxL, class_B, np.float32(learning_rate), key)

    def embed(self, variables: facenet.Variables, segments_BxL: np.ndarray) -> jax.Array:
        """Embeddings [B, E] of one batch by the running statistics, without augmentation; variables of `place`."""
        return self._embed(variables, segments_BxL)


def _placements(devices: int) -> tuple[NamedSharding, NamedSharding]:
    """Placements: copied to every device, and spread over them by the batch."""
    mesh = jax.make_mesh((devices,), (BATCH_AXIS,), axis_types=(AxisType.Auto,), devices=local_devices(devices))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(BATCH_AXIS))


def _optimizer(clip_norm: float) -> optax.GradientTransformation:
    # One long vector: a hundred arrays updated one by one take longer, to compile as well.
    return optax.flatten(optax.chain(optax.clip_by_global_norm(clip_norm), optax.scale_by_adam()))


@functools.cache
def _step_program(config: TrainConfig) -> Any:
    whole, spread = _placements(config.devices)
    return jax.jit(
        functools.partial(_train_step, config), in_shardings=(whole, spread, spread, whole, whole),
        out_shardings=whole, donate_argnums=0, compiler_options=compile_options(jax.default_backend()),
    )  # fmt: skip


@functools.cache
def _embed_program(config: TrainConfig) -> Any:
    whole, spread = _placements(config.devices)
    return jax.jit(
        functools.partial(_embed_step, config), in_shardings=(whole, spread), out_shardings=whole,
        compiler_options=compile_options(jax.default_backend()),
    )  # fmt: skip


def local_devices(count: int) -> list[jax.Device]:
    """The first `count` local devices. Raises InputError if there are fewer."""
    devices = jax.local_devices()
    if count > len(devices):
        raise InputError(
            f"TrainConfig.devices = {count}: this machine has {len(devices)} ({devices[0].platform}); lower it, or on "
            "CPU set jax_num_cpu_devices before the first computation"
        )
    return devices[:count]


def _moved(config: TrainConfig, params: Any, updates: Any, learning_rate: jax.Array) -> Any:
    """Parameters after AdamW's update: kernels decay, biases and batch norm do not, frozen modules stay."""

    def move(path: Any, param: jax.Array, update: jax.Array) -> jax.Array:
        if any(path[0].key.startswith(name) for name in config.frozen):
            return param
        decay = config.weight_decay if path[-1].key == "kernel" else 0.0
        return param - learning_rate * (update + decay * param)

    return jax.tree.map_with_path(move, params, updates)


def _train_step(
    config: TrainConfig, state: State, segments_BxL: jax.Array, class_B: jax.Array, learning_rate: jax.Array,
    key: jax.Array,
) -> tuple[State, StepResult]:  # fmt: skip
    sound, picture, dropout = jax.random.split(key, 3)
    segments_BxL = augment_segments(sound, segments_BxL, config.augment)
    images = augment_images(picture, view_images(segments_BxL, config.view, config.images), config.view, config.augment)

    def loss_of(params: Any) -> Any:
        variables = {"params": params, "batch_stats": state.batch_stats}
        emb_BxD, batch_stats = facenet.embed_train(config.network, variables, images, dropout)
        result = triplet_loss(emb_BxD, class_B, jnp.ones(class_B.shape, bool), config.margin, config.mining)
        return result.loss, (batch_stats, result.triplets / jnp.maximum(result.pairs, 1))

    (loss, (batch_stats, triplets)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, moments = _optimizer(config.clip_norm).update(grads, state.moments, state.params)
    params = _moved(config, state.params, updates, learning_rate)
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(grads)))
    return State(params, batch_stats, moments), StepResult(loss, triplets, norm)


def _embed_step(config: TrainConfig, variables: facenet.Variables, segments_BxL: jax.Array) -> jax.Array:
    return facenet.embed(config.network, variables, view_images(segments_BxL, config.view, config.images))


def embed_all(
    config: TrainConfig, variables: facenet.Variables, source: SegmentSource, rows: np.ndarray | None = None
) -> np.ndarray:
    """Embeddings [N, E] float32 of the segments at `rows`, all if None.

    The last batch of `config.embed_batch` is filled with silence, so that one program serves; an embedding depends on
    its segment alone.
    """
    program = Programs(config)
    rows = np.arange(len(source)) if rows is None else np.asarray(rows)
    variables = program.place(variables)
    out_NxD = np.zeros((len(rows), config.network.embedding), np.float32)
    for start in range(0, len(rows), config.embed_batch):
        batch = rows[start : start + config.embed_batch]
        segments_BxL = np.zeros((config.embed_batch, source.index.length), np.float32)
        segments_BxL[: len(batch)] = source.segments(batch)
        out_NxD[start : start + len(batch)] = np.asarray(program.embed(variables, segments_BxL))[: len(batch)]
    return out_NxD

"""The compiled programs of a training: one step, and the embeddings of one batch.

Images are drawn inside them, from samples given as an argument. Each is compiled once for a config and a batch shape
and called from a Python loop (a convolution in a scan loses an order of magnitude on CPU). Where a batch is spread over
devices, batch norm, mining and loss still see all of it: the program is that of one device, and the compiler adds the
exchange.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.errors import InputError
from siamese_jax.facenet.config import TrainConfig
from siamese_jax.features.augment import augment_images, augment_segments
from siamese_jax.features.images import view_images
from siamese_jax.mining import triplet_loss
from siamese_jax.models import facenet
from siamese_jax.models.convolution import compile_options

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
    """The compiled programs of one config; get them from `programs`."""

    def __init__(self, config: TrainConfig):
        self.config = config
        self.optimizer = optax.chain(
            optax.clip_by_global_norm(config.clip_norm),
            optax.scale_by_adam(),
            optax.add_decayed_weights(config.weight_decay, mask=_kernels),
        )
        devices = local_devices(config.devices)
        mesh = jax.make_mesh((len(devices),), (BATCH_AXIS,), axis_types=(AxisType.Auto,), devices=devices)
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.spread = NamedSharding(mesh, PartitionSpec(BATCH_AXIS))
        options = compile_options(devices[0].platform)
        whole, spread = self.everywhere, self.spread
        self._step = jax.jit(
            functools.partial(_train_step, config, self.optimizer),
            in_shardings=(whole, spread, spread, whole, whole),
            out_shardings=whole,
            donate_argnums=0,
            compiler_options=options,
        )
        self._embed = jax.jit(
            functools.partial(_embed_step, config),
            in_shardings=(whole, spread),
            out_shardings=whole,
            compiler_options=options,
        )

    def start(self, variables: facenet.Variables) -> State:
        """A state of its own with a fresh optimiser."""
        own = jax.tree.map(lambda leaf: np.array(leaf, np.float32), dict(variables))
        state = State(own["params"], own["batch_stats"], self.optimizer.init(own["params"]))
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


@functools.cache
def programs(config: TrainConfig) -> Programs:
    """The programs of a config, made once, so that trainings with the same config compile once."""
    return Programs(config)


def local_devices(count: int) -> list[jax.Device]:
    """The first `count` local devices. Raises InputError where there are fewer."""
    found = jax.local_devices()
    if count > len(found):
        raise InputError(
            f"TrainConfig.devices = {count}: this machine has {len(found)} ({found[0].platform}); take fewer, or "
            "on CPU set jax_num_cpu_devices before the first computation"
        )
    return found[:count]


def _kernels(params: Any) -> Any:
    """True where weights decay: kernels, not biases nor batch norm."""
    return jax.tree.map_with_path(lambda path, _: path[-1].key == "kernel", params)


def _trained(config: TrainConfig, params: Any) -> Any:
    """1 where a parameter is trained, 0 where its module is frozen."""
    return jax.tree.map_with_path(lambda path, _: float(not path[0].key.startswith(config.frozen or ("\0",))), params)


def _train_step(
    config: TrainConfig,
    optimizer: optax.GradientTransformation,
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
    updates, moments = optimizer.update(grads, state.moments, state.params)
    moved = jax.tree.map(lambda u, mask: -learning_rate * mask * u, updates, _trained(config, updates))
    params = optax.apply_updates(state.params, moved)
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(grads)))
    return State(params, batch_stats, moments), StepResult(loss, triplets, norm)


def _embed_step(config: TrainConfig, variables: facenet.Variables, segments_BxL: jax.Array) -> jax.Array:
    return facenet.embed(config.network, variables, view_images(segments_BxL, config.view, config.images))

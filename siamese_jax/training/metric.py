"""Training of the metric network by the supervised contrastive loss: pure, unbatched over trials."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from siamese_jax.losses.contrastive import supervised_contrastive
from siamese_jax.losses.pair_masks import pair_masks
from siamese_jax.models import metric
from siamese_jax.models.metric import Perturbation
from siamese_jax.models.siamese import Params
from siamese_jax.training import adam
from siamese_jax.training.adam import AdamState


class Batch(NamedTuple):
    """Clips of a step: features [B, F], classes [B], identities [B] int (a clip drawn twice is no pair), and weights
    [B] as anchors."""

    x: Array
    label: Array
    clip: Array
    weight: Array


class TrainingSettings(NamedTuple):
    """Adam's learning rate, the loss's temperature, noise and dropout."""

    learning_rate: Array | float
    temperature: Array | float
    perturbation: Perturbation


def loss(params: Params, batch: Batch, key: jax.Array, settings: TrainingSettings) -> jax.Array:
    """Returns the supervised contrastive loss [] of a batch under noise and dropout; consumes `key`."""
    emb_BxD = metric.embed_perturbed(params, batch.x, key, settings.perturbation)
    anyone_B = jnp.zeros(batch.label.shape, jnp.int32)
    masks = pair_masks(batch.label, batch.clip, anyone_B, anyone_B == 0, "any")
    return supervised_contrastive(emb_BxD, masks, batch.weight, settings.temperature)


def train(
    params: Params, batch_of: Callable[[jax.Array], Batch], key: jax.Array, steps: Array | int,
    settings: TrainingSettings,
) -> Params:  # fmt: skip
    """Returns the parameters after Adam steps; step i consumes fold_in(key, i), split for its batch and its noise.

    Args:
      batch_of: the batch of a key.
    """
    trainable = jax.tree.map(lambda p: jnp.ones((), p.dtype), params)

    def step(i: jax.Array, state: tuple[Params, AdamState]) -> tuple[Params, AdamState]:
        batch_key, noise_key = jax.random.split(jax.random.fold_in(key, i))
        grads = jax.grad(loss)(state[0], batch_of(batch_key), noise_key, settings)
        return adam.update(grads, state[1], state[0], trainable, settings.learning_rate, None)

    return jax.lax.fori_loop(0, steps, step, (params, adam.init(params)))[0]

"""Gradient steps of the Siamese network and the scans that run them: pure, unbatched over trials."""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from siamese_jax import losses
from siamese_jax.models import siamese
from siamese_jax.models.siamese import Params, SiameseSpec
from siamese_jax.pairs import PairMasks

SECOND_UPDATES = ("none", "ratio", "ratio_bounded", "cross_entropy_twice")
"""What follows the cross-entropy step of a batch; the names stand in the field `loss` of every result."""


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """What fixes a training step.

    Fields:
      learning_rate: Adam's, for the cross-entropy step.
      second_learning_rate: Adam's, for the second update (ratio loss or control), which keeps its own state.
      clip_norm: global norm to which the ratio loss's gradient is clipped before Adam.
      weighting: of same and different pairs, see `losses.pair_cross_entropy`.
      pairs_within: who pairs with whom, see `pairs.pair_masks`.
    """

    learning_rate: float
    second_learning_rate: float
    clip_norm: float
    weighting: str
    pairs_within: str


class TrainState(NamedTuple):
    """Parameters, both Adam states, and the count of ratio updates skipped because their gradient was not finite.

    The Adam states are over the parameters laid out as one vector (`_ravel`): one pass over one array instead of one
    for every layer, in the running and in the compiling.
    """

    params: Params
    adam: Any
    second_adam: Any
    skipped: jax.Array


class BatchLog(NamedTuple):
    """How a network stands on a batch: the pair cross entropy [] (nats) and D_s, D_d [] (embedding units)."""

    cross_entropy: jax.Array
    d_same: jax.Array
    d_different: jax.Array


def _ravel(tree: Params) -> jax.Array:
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def _unravel(vector: jax.Array, like: Params) -> Params:
    leaves, structure = jax.tree.flatten(like)
    ends = list(itertools.accumulate(leaf.size for leaf in leaves))
    parts = [vector[end - leaf.size : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends)]
    return jax.tree.unflatten(structure, parts)


def _ravel_mask(mask: Params, like: Params) -> jax.Array:
    """The mask's scalars [P], each repeated over its layer's parameters."""
    return _ravel(jax.tree.map(lambda m, leaf: jnp.broadcast_to(m, leaf.shape), mask, like))


def init_state(params: Params) -> TrainState:
    """Fresh Adam states; the second one covers the encoder only (paper, section 4.2)."""
    adam = optax.scale_by_adam()
    return TrainState(params, adam.init(_ravel(params)), adam.init(_ravel(params["encoder"])), jnp.zeros((), jnp.int32))


def _cross_entropy(spec: SiameseSpec, params: Params, x_BxF: jax.Array, masks: PairMasks, weighting: str) -> jax.Array:
    emb_BxD = siamese.encode(spec, params["encoder"], x_BxF)
    return losses.pair_cross_entropy(siamese.pair_logits(spec, params["head"], emb_BxD, None), masks, weighting)


def look(spec: SiameseSpec, training: TrainingSpec, params: Params, x_BxF: jax.Array, masks: PairMasks) -> BatchLog:
    """The losses of a batch as it stands; no update."""
    emb_BxD = siamese.encode(spec, params["encoder"], x_BxF)
    logit_BxB = siamese.pair_logits(spec, params["head"], emb_BxD, None)
    entropy = losses.pair_cross_entropy(logit_BxB, masks, training.weighting)
    return BatchLog(entropy, *losses.mean_distances(emb_BxD, masks))


def cross_entropy_step(
    spec: SiameseSpec,
    training: TrainingSpec,
    state: TrainState,
    x_BxF: jax.Array,
    masks: PairMasks,
    mask: Params,
) -> TrainState:
    """One Adam step of the pair cross entropy on all that `mask` (see `siamese.trainable_mask`) lets learn."""

    grads = jax.grad(_cross_entropy, argnums=1)(spec, state.params, x_BxF, masks, training.weighting)
    mask_P = _ravel_mask(mask, state.params)
    direction_P, adam = optax.scale_by_adam().update(_ravel(grads) * mask_P, state.adam)
    params_P = _ravel(state.params) - training.learning_rate * mask_P * direction_P
    return state._replace(params=_unravel(params_P, state.params), adam=adam)


def second_step(
    spec: SiameseSpec,
    training: TrainingSpec,
    kind: str,
    state: TrainState,
    x_BxF: jax.Array,
    masks: PairMasks,
    mask: Params,
) -> TrainState:
    """The update "at the end of a batch" (paper, section 4.2), of the unfrozen encoder layers only.

    Args:
      kind: "ratio" (equation 1), "ratio_bounded", or the control "cross_entropy_twice", which spends the same second
        update on the cross entropy. "none" changes nothing.
    """
    if kind == "none":
        return state

    def loss(encoder: Params) -> jax.Array:
        if kind == "cross_entropy_twice":
            return _cross_entropy(spec, {**state.params, "encoder": encoder}, x_BxF, masks, training.weighting)
        emb_BxD = siamese.encode(spec, encoder, x_BxF)
        return losses.ratio_loss(emb_BxD, masks, {"ratio": "literal", "ratio_bounded": "bounded"}[kind])

    encoder = state.params["encoder"]
    mask_P = _ravel_mask(mask["encoder"], encoder)
    grads_P = _ravel(jax.grad(loss)(encoder)) * mask_P
    finite = jnp.ones((), bool)
    if kind != "cross_entropy_twice":
        grads_P, finite = _clipped(grads_P, training.clip_norm)
    direction_P, adam = optax.scale_by_adam().update(grads_P, state.second_adam)
    step_P = jnp.where(finite, training.second_learning_rate * mask_P * direction_P, 0)
    adam = jax.tree.map(lambda new, old: jnp.where(finite, new, old), adam, state.second_adam)
    params = {"encoder": _unravel(_ravel(encoder) - step_P, encoder), "head": state.params["head"]}
    return TrainState(params, state.adam, adam, state.skipped + ~finite)


def _clipped(grads_P: jax.Array, norm: float) -> tuple[jax.Array, jax.Array]:
    """Gradients [P] clipped to a global norm, and whether they were finite; zeros where they were not."""
    # Scaled by the largest entry first: near the pole the squares alone would overflow a float32.
    largest = jnp.max(jnp.abs(grads_P))
    finite = jnp.isfinite(largest)
    unit_P = jnp.where(finite, grads_P, 0) / jnp.where(finite & (largest > 0), largest, 1)
    length = jnp.sqrt(jnp.sum(jnp.square(unit_P)))
    scale = jnp.minimum(jnp.where(finite, largest, 0), norm / jnp.where(length > 0, length, 1))
    return unit_P * scale, finite

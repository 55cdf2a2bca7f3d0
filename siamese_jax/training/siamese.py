"""Gradient steps of the Siamese network and the loop that runs them: pure, unbatched over trials."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from siamese_jax.losses import siamese as losses
from siamese_jax.losses.pair_masks import PairMasks
from siamese_jax.models import siamese
from siamese_jax.models.siamese import Params, SiameseSpec
from siamese_jax.training import adam
from siamese_jax.training.adam import AdamState, GradientScale

SECOND_UPDATES = ("none", "ratio", "ratio_bounded", "cross_entropy_twice")
"""The update after the cross-entropy step of a batch; the names stand in the field `loss` of every result."""


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """The settings of a training step.

    Fields:
      learning_rate, second_learning_rate: Adam's, for the cross-entropy step and the second update (own state).
      clip_norm: global norm to which the ratio loss's gradient is clipped before Adam.
      weighting, pairs_within: see `losses.siamese.pair_cross_entropy` and `losses.pair_masks.pair_masks`.
    """

    learning_rate: float
    second_learning_rate: float
    clip_norm: float
    weighting: str
    pairs_within: str


class TrainState(NamedTuple):
    """Parameters, both Adam states, and the count [] of ratio updates skipped for a gradient that was not finite."""

    params: Params
    adam: AdamState
    second_adam: AdamState
    skipped: jax.Array


class BatchLog(NamedTuple):
    """The losses of a batch: the pair cross entropy [] (nats) and D_s, D_d [] (embedding units)."""

    cross_entropy: jax.Array
    d_same: jax.Array
    d_different: jax.Array


def init_state(params: Params) -> TrainState:
    """Fresh Adam states; the second covers the encoder only (paper, section 4.2)."""
    return TrainState(params, adam.init(params), adam.init(params["encoder"]), jnp.zeros((), jnp.int32))


def run(
    step: Callable[[jax.Array, TrainState], TrainState], state: TrainState, first: jax.Array, last: jax.Array
) -> TrainState:
    """The state after `step(i, state)` for i in [first, last). Parameters are vectors between steps (see `adam`)."""

    def shaped(state_P: TrainState) -> TrainState:
        return state_P._replace(params=jax.tree.map(lambda v, p: v.reshape(p.shape), state_P.params, state.params))

    def flat(shaped: TrainState) -> TrainState:
        return shaped._replace(params=adam.vectors(shaped.params))

    return shaped(jax.lax.fori_loop(first, last, lambda i, state_P: flat(step(i, shaped(state_P))), flat(state)))


def _cross_entropy(
    spec: SiameseSpec, params: Params, x_BxF: jax.Array, pair_masks: PairMasks, weighting: str
) -> jax.Array:
    emb_BxD = siamese.encode(spec, params["encoder"], x_BxF)
    return losses.pair_cross_entropy(siamese.pair_logits(spec, params["head"], emb_BxD, None), pair_masks, weighting)


def evaluate(
    spec: SiameseSpec, training: TrainingSpec, params: Params, x_BxF: jax.Array, pair_masks: PairMasks
) -> BatchLog:
    """The losses of a batch, without an update."""
    emb_BxD = siamese.encode(spec, params["encoder"], x_BxF)
    logit_BxB = siamese.pair_logits(spec, params["head"], emb_BxD, None)
    entropy = losses.pair_cross_entropy(logit_BxB, pair_masks, training.weighting)
    return BatchLog(entropy, *losses.mean_distances(emb_BxD, pair_masks))


def cross_entropy_step(
    spec: SiameseSpec, training: TrainingSpec, state: TrainState, x_BxF: jax.Array, pair_masks: PairMasks,
    trainable: Params,
) -> TrainState:  # fmt: skip
    """An Adam step of the pair cross entropy on the trainable parameters (`siamese.trainable_mask`)."""
    grads = jax.grad(_cross_entropy, argnums=1)(spec, state.params, x_BxF, pair_masks, training.weighting)
    params, adam_state = adam.update(grads, state.adam, state.params, trainable, training.learning_rate, None)
    return state._replace(params=params, adam=adam_state)


def second_step(
    spec: SiameseSpec, training: TrainingSpec, kind: str, state: TrainState, x_BxF: jax.Array, pair_masks: PairMasks,
    trainable: Params,
) -> TrainState:  # fmt: skip
    """The update "at the end of a batch" (paper, section 4.2), of the unfrozen encoder layers only.

    `kind`: "ratio" (equation 1), "ratio_bounded", the control "cross_entropy_twice", or "none", which changes nothing.
    """
    if kind == "none":
        return state

    encoder, head = state.params["encoder"], state.params["head"]
    if kind == "cross_entropy_twice":
        grads = jax.grad(_cross_entropy, argnums=1)(spec, state.params, x_BxF, pair_masks, training.weighting)
        grads, scale = grads["encoder"], None
    else:
        form = {"ratio": "literal", "ratio_bounded": "bounded"}[kind]
        grads, steepness = _ratio_gradient(spec, encoder, x_BxF, pair_masks, form)
        scale = _clip(grads, steepness, trainable["encoder"], training.clip_norm)
    rate = training.second_learning_rate
    encoder, adam_state = adam.update(grads, state.second_adam, encoder, trainable["encoder"], rate, scale)
    skipped = state.skipped if scale is None else state.skipped + ~scale.finite
    return TrainState({"encoder": encoder, "head": head}, state.adam, adam_state, skipped)


def _ratio_gradient(
    spec: SiameseSpec, encoder: Params, x_BxF: jax.Array, pair_masks: PairMasks, form: str
) -> tuple[Params, jax.Array]:
    """The ratio loss's gradient as a direction, whose squares do not overflow near the pole, and a factor [] >= 0."""

    def distances(encoder: Params) -> jax.Array:
        return jnp.stack(losses.mean_distances(siamese.encode(spec, encoder, x_BxF), pair_masks))

    distance_2, pull_back = jax.vjp(distances, encoder)
    slope_2 = jax.grad(lambda d_2: losses.ratio_of_batch(d_2[0], d_2[1], pair_masks, form))(distance_2)
    steepness = jnp.max(jnp.abs(slope_2))
    usable = jnp.isfinite(steepness) & (steepness > 0)
    unit_2 = jnp.where(usable, slope_2, 0) / jnp.where(usable, steepness, 1)
    return pull_back(unit_2)[0], steepness


def _clip(direction: Params, steepness: jax.Array, trainable: Params, norm: float) -> GradientScale:
    """The scale that clips direction * steepness to a global norm over the trainable parameters."""
    squares = jax.tree.map(lambda g, k: k * jnp.sum(jnp.square(g)), direction, trainable)
    length = jnp.sqrt(jax.tree.reduce(jnp.add, squares))
    finite = jnp.isfinite(length) & jnp.isfinite(steepness)
    return GradientScale(jnp.minimum(steepness, norm / jnp.where(length > 0, length, 1)), finite)

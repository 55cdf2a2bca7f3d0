"""Gradient steps of the Siamese network and the scans that run them: pure, unbatched over trials."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from siamese_jax.losses import siamese as losses
from siamese_jax.losses.pair_masks import PairMasks
from siamese_jax.models import siamese
from siamese_jax.models.siamese import Params, SiameseSpec
from siamese_jax.runtime import xla

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


class AdamState(NamedTuple):
    """Adam's moments (Kingma & Ba 2015), one vector a parameter array, and the number of updates taken [] int.

    Vectors, since an update over [64, 64] arrays of many trials runs slower than over [4096].
    """

    updates: jax.Array
    mean: Params
    square: Params


class TrainState(NamedTuple):
    """Parameters, both Adam states, and the count of ratio updates skipped because their gradient was not finite."""

    params: Params
    adam: AdamState
    second_adam: AdamState
    skipped: jax.Array


class BatchLog(NamedTuple):
    """How a network stands on a batch: the pair cross entropy [] (nats) and D_s, D_d [] (embedding units)."""

    cross_entropy: jax.Array
    d_same: jax.Array
    d_different: jax.Array


ADAM_MEAN, ADAM_SQUARE, ADAM_FLOOR = 0.9, 0.999, 1e-8
"""Adam's decay rates of both moments, and what is added to the root of the second (Kingma & Ba 2015)."""


def _vectors(tree: Params) -> Params:
    return jax.tree.map(jnp.ravel, tree)


def _init_adam(params: Params) -> AdamState:
    zeros = jax.tree.map(jnp.zeros_like, _vectors(params))
    return AdamState(jnp.zeros((), jnp.int32), zeros, zeros)


class Clip(NamedTuple):
    """How a gradient is clipped: a factor [] of all of it, and whether it is finite []; one that is not is not used."""

    scale: jax.Array
    finite: jax.Array


def _adam(
    state: AdamState, params: Params, grads: Params, mask: Params, rate: float, clip: Clip | None
) -> tuple[Params, AdamState]:
    """An Adam update of what `mask` lets learn, from clipped gradients; none, in no part of the state, if not finite.

    It is `optax.adam`, with which the tests compare it; written out, a trial of eight clips takes a quarter less time.
    The bias corrections are one factor and one floor of the step, not two divisions a parameter: with
    c = sqrt(1 - b2^t), m / (1 - b1^t) over sqrt(v / c^2) + e is m c / (1 - b1^t) over sqrt(v) + c e. Clipping is a
    factor of the decay rates. And all arrays are read and written once: memory is what bounds an update.
    """
    dtype = jax.tree.leaves(params)[0].dtype
    updates = state.updates + 1
    correction = jnp.sqrt(1 - ADAM_SQUARE ** updates.astype(dtype))
    step = rate * correction / (1 - ADAM_MEAN ** updates.astype(dtype))
    add_mean, add_root = jnp.asarray(1 - ADAM_MEAN, dtype), jnp.asarray((1 - ADAM_SQUARE) ** 0.5, dtype)
    if clip is not None:
        step = jnp.where(clip.finite, step, 0)
        add_mean, add_root = add_mean * clip.scale, add_root * clip.scale
    # Computed once a trial, not once a parameter.
    step, floor, add_mean, add_root = jax.lax.optimization_barrier((step, ADAM_FLOOR * correction, add_mean, add_root))

    def kept(new: jax.Array, old: jax.Array) -> jax.Array:
        return new if clip is None else jnp.where(clip.finite, new, old)

    def mean(m_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return kept(ADAM_MEAN * m_P + (add_mean * k) * g_P, m_P)

    def square(v_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return kept(ADAM_SQUARE * v_P + jnp.square((add_root * k) * g_P), v_P)

    def moved(p_P: jax.Array, m_P: jax.Array, v_P: jax.Array, g_P: jax.Array, k: jax.Array) -> jax.Array:
        return p_P - (step * k) * mean(m_P, g_P, k) / (jnp.sqrt(square(v_P, g_P, k)) + floor)

    grads = _vectors(grads)
    means = jax.tree.map(mean, state.mean, grads, mask)
    squares = jax.tree.map(square, state.square, grads, mask)
    # From the old moments: see `compiling.unshared`.
    vectors = jax.tree.map(moved, *xla.unshared((_vectors(params), state.mean, state.square, grads)), mask)
    params = jax.tree.map(lambda v_P, param: v_P.reshape(param.shape), vectors, params)
    return params, AdamState(kept(updates, state.updates), means, squares)


def init_state(params: Params) -> TrainState:
    """Fresh Adam states; the second one covers the encoder only (paper, section 4.2)."""
    return TrainState(params, _init_adam(params), _init_adam(params["encoder"]), jnp.zeros((), jnp.int32))


def run(
    step: Callable[[jax.Array, TrainState], TrainState], state: TrainState, first: jax.Array, last: jax.Array
) -> TrainState:
    """The state after `step(i, state)` for i in [first, last).

    Between steps the parameters lie as vectors, for the same reason as Adam's moments.
    """

    def shaped(vectors: TrainState) -> TrainState:
        return vectors._replace(params=jax.tree.map(lambda v, p: v.reshape(p.shape), vectors.params, state.params))

    def flat(shaped: TrainState) -> TrainState:
        return shaped._replace(params=_vectors(shaped.params))

    return shaped(jax.lax.fori_loop(first, last, lambda i, vectors: flat(step(i, shaped(vectors))), flat(state)))


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
    params, adam = _adam(state.adam, state.params, grads, mask, training.learning_rate, None)
    return state._replace(params=params, adam=adam)


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

    encoder, head = state.params["encoder"], state.params["head"]
    if kind == "cross_entropy_twice":
        grads = jax.grad(_cross_entropy, argnums=1)(spec, state.params, x_BxF, masks, training.weighting)["encoder"]
        clip = None
    else:
        form = {"ratio": "literal", "ratio_bounded": "bounded"}[kind]
        grads, steepness = _ratio_gradient(spec, encoder, x_BxF, masks, form)
        clip = _clip(grads, steepness, mask["encoder"], training.clip_norm)
    encoder, adam = _adam(state.second_adam, encoder, grads, mask["encoder"], training.second_learning_rate, clip)
    skipped = state.skipped if clip is None else state.skipped + ~clip.finite
    return TrainState({"encoder": encoder, "head": head}, state.adam, adam, skipped)


def _ratio_gradient(
    spec: SiameseSpec, encoder: Params, x_BxF: jax.Array, masks: PairMasks, form: str
) -> tuple[Params, jax.Array]:
    """The ratio loss's gradient as a direction and a factor [] >= 0, its steepness in D_s and D_d.

    Near the pole the steepness alone grows without bound: the direction's squares do not overflow.
    """

    def distances(encoder: Params) -> jax.Array:
        return jnp.stack(losses.mean_distances(siamese.encode(spec, encoder, x_BxF), masks))

    distance_2, pull_back = jax.vjp(distances, encoder)
    slope_2 = jax.grad(lambda d_2: losses.ratio_of_batch(d_2[0], d_2[1], masks, form))(distance_2)
    steepness = jnp.max(jnp.abs(slope_2))
    usable = jnp.isfinite(steepness) & (steepness > 0)
    unit_2 = jnp.where(usable, slope_2, 0) / jnp.where(usable, steepness, 1)
    return pull_back(unit_2)[0], steepness


def _clip(direction: Params, steepness: jax.Array, mask: Params, norm: float) -> Clip:
    """Clips direction * steepness to a global norm over what may learn; `scale` is a factor of the direction."""
    squares = jax.tree.map(lambda g, k: k * jnp.sum(jnp.square(g)), direction, mask)
    length = jnp.sqrt(jax.tree.reduce(jnp.add, squares))
    finite = jnp.isfinite(length) & jnp.isfinite(steepness)
    return Clip(jnp.minimum(steepness, norm / jnp.where(length > 0, length, 1)), finite)

"""The training step as the paper says it: all pairs as [B, B, D] arrays, automatic differentiation, optax.

What the package's own step, which is written for speed, is compared with.
"""

import jax
import jax.numpy as jnp
import optax

from siamese_jax.models import siamese


def encode(encoder, x):
    for i in range(len(encoder)):
        layer = encoder[f"layer_{i}"]
        x = jnp.maximum(x @ layer["kernel"] + layer["bias"][None, :], 0)
    return x


def entropy(params, x, masks):
    emb = encode(params["encoder"], x)
    gap = emb[:, None, :] - emb[None, :, :]
    # At 0 the absolute value has no derivative: JAX's own takes 1 there, ours the symmetric choice 0.
    logit = jnp.where(gap == 0, 0.0, jnp.abs(gap)) @ params["head"]["kernel"][:, 0] + params["head"]["bias"][0]
    each = jnp.where(masks.same, jax.nn.softplus(-logit), jax.nn.softplus(logit))
    return (jnp.sum(each * masks.same) / masks.same.sum() + jnp.sum(each * masks.different) / masks.different.sum()) / 2


def ratio(encoder, x, masks):
    emb = encode(encoder, x)
    squared = jnp.sum((emb[:, None, :] - emb[None, :, :]) ** 2, axis=-1)
    distance = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)
    same, different = (jnp.sum(distance * mask) / mask.sum() for mask in masks)
    return (different + same) / (different - same)


def steps(training, params, batch, frozen, n_steps):
    """Both updates as the paper says them, by automatic differentiation and optax."""
    mask = siamese.trainable_mask(params, jnp.asarray(frozen))
    only = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, mask))
    encoder_only = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, mask["encoder"]))
    first = optax.chain(only, optax.adam(training.learning_rate), only)
    second = optax.chain(
        encoder_only,
        optax.clip_by_global_norm(training.clip_norm),
        optax.adam(training.second_learning_rate),
        encoder_only,
    )

    def step(carry, _):
        params, one, two = carry
        updates, one = first.update(jax.grad(entropy)(params, *batch), one)
        params = optax.apply_updates(params, updates)
        updates, two = second.update(jax.grad(ratio)(params["encoder"], *batch), two)
        return ({**params, "encoder": optax.apply_updates(params["encoder"], updates)}, one, two), None

    carry = (params, first.init(params), second.init(params["encoder"]))
    return jax.jit(lambda c: jax.lax.scan(step, c, length=n_steps))(carry)[0][0]

"""The training step as the paper says it: all pairs as [B, B, D] arrays, automatic differentiation, optax.

What the package's own step, which is written for speed, is compared with.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from siamese_jax.models import siamese


def encode(encoder, x):
    for i in range(len(encoder)):
        layer = encoder[f"layer_{i}"]
        # Its derivative at 0 is 0; that of the maximum is a half there.
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None, :])
    return x


def entropy(params, x, masks, weighting="balanced"):
    emb = encode(params["encoder"], x)
    gap = emb[:, None, :] - emb[None, :, :]
    # At 0 the absolute value has no derivative: JAX's own takes 1 there, ours the symmetric choice 0.
    logit = jnp.where(gap == 0, 0.0, jnp.abs(gap)) @ params["head"]["kernel"][:, 0] + params["head"]["bias"][0]
    each = jnp.where(masks.same, jax.nn.softplus(-logit), jax.nn.softplus(logit))
    same, different = jnp.sum(each * masks.same), jnp.sum(each * masks.different)
    if weighting == "uniform":
        return (same + different) / (masks.same.sum() + masks.different.sum())
    return (same / masks.same.sum() + different / masks.different.sum()) / 2


def mean_distances(encoder, x, masks):
    emb = encode(encoder, x)
    squared = jnp.sum((emb[:, None, :] - emb[None, :, :]) ** 2, axis=-1)
    distance = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)
    return [jnp.sum(distance * mask) / mask.sum() for mask in masks]


def ratio(encoder, x, masks):
    same, different = mean_distances(encoder, x, masks)
    return (different + same) / (different - same)


def ratio_bounded(encoder, x, masks):
    same, different = mean_distances(encoder, x, masks)
    return same / (same + different)


def optimisers(training, trainable, kind):
    """Adam of the cross entropy, and Adam of the second update with its own rate; frozen layers get no update."""
    mask = {"all": trainable, "encoder": trainable["encoder"]}
    only = {
        name: optax.stateless(lambda updates, _, m=m: jax.tree.map(jnp.multiply, updates, m))
        for name, m in mask.items()
    }
    clip = [] if kind == "cross_entropy_twice" else [optax.clip_by_global_norm(training.clip_norm)]
    first = optax.chain(only["all"], optax.adam(training.learning_rate), only["all"])
    second = optax.chain(only["encoder"], *clip, optax.adam(training.second_learning_rate), only["encoder"])
    return first, second


def steps(training, params, batches, frozen, n_steps, kind="ratio"):
    """Both updates as the paper says them, by automatic differentiation and optax.

    `batches`: one batch (x, masks) for all steps, or a function of the step's number.
    """
    mask = siamese.trainable_mask(params, jnp.asarray(frozen))
    first, second = optimisers(training, mask, kind)
    batch_of = batches if callable(batches) else lambda _: batches

    def of_encoder(encoder, params, x, masks):
        if kind == "cross_entropy_twice":
            return entropy({**params, "encoder": encoder}, x, masks, training.weighting)
        return {"ratio": ratio, "ratio_bounded": ratio_bounded}[kind](encoder, x, masks)

    def step(carry, i):
        params, one, two = carry
        x, masks = batch_of(i)
        updates, one = first.update(jax.grad(entropy)(params, x, masks, training.weighting), one)
        params = optax.apply_updates(params, updates)
        if kind == "none":
            return (params, one, two), None
        updates, two = second.update(jax.grad(of_encoder)(params["encoder"], params, x, masks), two)
        return ({**params, "encoder": optax.apply_updates(params["encoder"], updates)}, one, two), None

    carry = (params, first.init(params), second.init(params["encoder"]))
    return jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(n_steps)))(carry)[0][0]


def classes(params, query, reference, label, n_classes, pooling):
    """Classes by similarity to labelled clips, in NumPy."""
    encoder, head = jax.tree.map(np.asarray, (params["encoder"], params["head"]))
    query, reference = (np.asarray(encode(encoder, x)) for x in (query, reference))
    logit = np.abs(query[:, None] - reference[None]) @ head["kernel"][:, 0] + head["bias"][0]
    p = 1 / (1 + np.exp(-logit.astype(float)))
    each = p if pooling == "mean_probability" else np.log(p)
    pool = np.sum if pooling == "sum_log" else np.mean
    return np.argmax(np.stack([pool(each[:, label == c], axis=1) for c in range(n_classes)], axis=1), axis=1)

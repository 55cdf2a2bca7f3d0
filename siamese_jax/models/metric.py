"""A metric network: clips to embeddings on the unit sphere, classified by their similarity to class prototypes.

Parameters are a nested dict, {"encoder": {"layer_0": ...}, "projection": {"kernel"}}: the ReLU layers of the Siamese
network's encoder and a linear projection. All functions are unbatched over trials.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array
from flax import linen as nn

from siamese_jax.models.siamese import Encoder, Params

LEAST_LENGTH = 1e-6  # of an embedding before it is divided by its length


class Perturbation(NamedTuple):
    """Noise of a training step: the standard deviation of Gaussian noise on features, and the share of features and of
    the encoder's units that is dropped."""

    noise: Array | float
    dropout: Array | float


def init(key: jax.Array, n_features: int, widths: tuple[int, ...], n_dimensions: int) -> Params:
    """Returns fresh parameters; the key is split once, encoder and projection."""
    encoder_key, projection_key = jax.random.split(key)
    encoder = Encoder(widths).init(encoder_key, jnp.zeros((1, n_features), jnp.float32))["params"]
    kernel_WxD = nn.initializers.lecun_normal()(projection_key, (widths[-1], n_dimensions), jnp.float32)
    return {"encoder": encoder, "projection": {"kernel": kernel_WxD}}


def embed(params: Params, x_BxF: Array) -> jax.Array:
    """Returns embeddings [B, D] of length 1, of clips [B, F]."""
    return _project(params, _encode(params, x_BxF))


def embed_perturbed(params: Params, x_BxF: Array, key: jax.Array, perturbation: Perturbation) -> jax.Array:
    """Returns embeddings [B, D] under noise and dropout; the key is split once, noise and both dropouts."""
    noise_key, feature_key, unit_key = jax.random.split(key, 3)
    x_BxF = x_BxF + perturbation.noise * jax.random.normal(noise_key, x_BxF.shape, x_BxF.dtype)
    hidden_BxW = _encode(params, _dropped(feature_key, x_BxF, perturbation.dropout))
    return _project(params, _dropped(unit_key, hidden_BxW, perturbation.dropout))


def prototypes(emb_MxD: Array, weight_MxC: Array) -> jax.Array:
    """Returns class prototypes [C, D]: the means of labelled embeddings by the classes' columns, at length 1."""
    return _unit(jnp.matmul(weight_MxC.T, emb_MxD, precision="highest"))


def class_log_probabilities(emb_QxD: Array, prototype_CxD: Array, temperature: Array | float) -> jax.Array:
    """Returns log-probabilities [Q, C]: the softmax of similarities to class prototypes, over `temperature`."""
    similarity_QxC = jnp.matmul(emb_QxD, prototype_CxD.T, precision="highest")
    return jax.nn.log_softmax(similarity_QxC / temperature)


def _encode(params: Params, x_BxF: Array) -> jax.Array:
    layers = params["encoder"]
    widths = tuple(layers[f"layer_{i}"]["bias"].shape[0] for i in range(len(layers)))
    return jnp.asarray(Encoder(widths).apply({"params": layers}, x_BxF))


def _project(params: Params, hidden_BxW: jax.Array) -> jax.Array:
    return _unit(hidden_BxW @ params["projection"]["kernel"])


def _unit(x_BxD: jax.Array) -> jax.Array:
    square_Bx1 = jnp.sum(jnp.square(x_BxD), axis=1, keepdims=True)
    return x_BxD * jax.lax.rsqrt(jnp.maximum(square_Bx1, LEAST_LENGTH**2))


def _dropped(key: jax.Array, x_BxF: Array, share: Array | float) -> jax.Array:
    kept_BxF = jax.random.uniform(key, x_BxF.shape) >= share
    return jnp.where(kept_BxF, x_BxF, 0) / (1 - share)

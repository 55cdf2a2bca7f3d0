"""The Siamese network of Feng & Chaspari 2020, section 4: an encoder and a head on pairs, behind pure functions.

Parameters are a nested dict, {"encoder": {"layer_0": {"kernel", "bias"}, ...}, "head": {...}}. All functions are
unbatched over trials; `runtime.vectorize` maps them.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from siamese_jax.errors import InputError
from siamese_jax.models import pairwise

Params = dict[str, Any]

HEADS = ("abs_difference", "extra_layer")


@dataclasses.dataclass(frozen=True)
class SiameseSpec:
    """The network's shape.

    Fields:
      widths, head_width: nodes of the encoder's ReLU layers (the paper's: 64, 32, 16), and of the extra layer.
      head: "abs_difference" (|g(a) - g(b)| -> one logit) or "extra_layer" (a ReLU layer between the two).
    """

    widths: tuple[int, ...]
    head: str
    head_width: int

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise InputError(f"head is {self.head!r}; expected one of {', '.join(HEADS)}")
        if not self.widths or min(self.widths) < 1 or self.head_width < 1:
            raise InputError(f"layer widths must be positive, not {self.widths} and {self.head_width}")


@jax.custom_vjp
def _relu_layer(x_BxF: jax.Array, kernel_FxD: jax.Array, bias_D: jax.Array) -> jax.Array:
    return nn.relu(x_BxF @ kernel_FxD + bias_D[None, :])


def _relu_layer_forward(x_BxF: jax.Array, kernel_FxD: jax.Array, bias_D: jax.Array) -> tuple[jax.Array, tuple]:
    # Without the barrier XLA asks the sum before the ReLU for its sign, and keeps both.
    out_BxD = jax.lax.optimization_barrier(_relu_layer(x_BxF, kernel_FxD, bias_D))
    return out_BxD, (x_BxF, kernel_FxD, out_BxD)


def _relu_layer_backward(residuals: tuple, grad_BxD: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x_BxF, kernel_FxD, out_BxD = residuals
    grad_BxD = jnp.where(out_BxD > 0, grad_BxD, 0)
    # The transposed clips are laid out before the product: on CPU it is twice as fast then, batched over trials.
    grad_FxD = jax.lax.optimization_barrier(x_BxF.T) @ grad_BxD
    return grad_BxD @ kernel_FxD.T, grad_FxD, jnp.sum(grad_BxD, axis=0)


_relu_layer.defvjp(_relu_layer_forward, _relu_layer_backward)


class ReluLayer(nn.Module):
    """relu(x W + b), [B, F] -> [B, D]; its gradient needs the output alone, which the next layer keeps anyway."""

    width: int

    @nn.compact
    def __call__(self, x_BxF: jax.Array) -> jax.Array:
        kernel_FxD = self.param("kernel", nn.initializers.he_normal(), (x_BxF.shape[-1], self.width), x_BxF.dtype)
        bias_D = self.param("bias", nn.initializers.zeros, (self.width,), x_BxF.dtype)
        return _relu_layer(x_BxF, kernel_FxD, bias_D)


class Encoder(nn.Module):
    """ReLU layers, [B, F] -> [B, D]; he_normal kernels, zero biases."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths):
            x = ReluLayer(width, name=f"layer_{i}")(x)
        return x


class PairHead(nn.Module):
    """Logits [M, Q] of "same emotion" for all pairs of [M, D] and [Q, D], or within [M, D] with a faster gradient."""

    head: str
    head_width: int

    @nn.compact
    def __call__(self, a_MxD: jax.Array, b_QxD: jax.Array | None) -> jax.Array:
        width, dtype = a_MxD.shape[-1], a_MxD.dtype
        outputs = 1 if self.head == "abs_difference" else self.head_width
        kernel_DxK = self.param("kernel", nn.initializers.he_normal(), (width, outputs), dtype)
        bias_K = self.param("bias", nn.initializers.zeros, (outputs,), dtype)
        if self.head == "abs_difference":
            if b_QxD is None:
                return pairwise.abs_difference_within(a_MxD, kernel_DxK[:, 0]) + bias_K[0]
            return pairwise.abs_difference(a_MxD, b_QxD, kernel_DxK[:, 0]) + bias_K[0]
        gap_MxQxD = jnp.abs(a_MxD[:, None, :] - (a_MxD if b_QxD is None else b_QxD)[None, :, :])
        hidden_MxQxK = nn.relu(gap_MxQxD @ kernel_DxK + bias_K[None, None, :])
        out_K = self.param("out_kernel", nn.initializers.he_normal(), (outputs, 1), dtype)[:, 0]
        return hidden_MxQxK @ out_K + self.param("out_bias", nn.initializers.zeros, (), dtype)


def init(spec: SiameseSpec, key: jax.Array, n_features: int) -> Params:
    """Fresh parameters for clips of `n_features` features; the key is split once, encoder and head."""
    encoder_key, head_key = jax.random.split(key)
    encoder = Encoder(spec.widths).init(encoder_key, jnp.zeros((1, n_features), jnp.float32))["params"]
    embedding = jnp.zeros((1, spec.widths[-1]), jnp.float32)
    head = PairHead(spec.head, spec.head_width).init(head_key, embedding, embedding)["params"]
    return {"encoder": encoder, "head": head}


def encode(spec: SiameseSpec, encoder: Params, x_BxF: jax.Array) -> jax.Array:
    """Embeddings [B, D] of clips [B, F]; g_W of equation 1."""
    return jnp.asarray(Encoder(spec.widths).apply({"params": encoder}, x_BxF))


def pair_logits(spec: SiameseSpec, head: Params, a_MxD: jax.Array, b_QxD: jax.Array | None) -> jax.Array:
    """Logits [M, Q] of p(same emotion) for every pair of two sets of embeddings; [M, M] within one, for b = None."""
    return jnp.asarray(PairHead(spec.head, spec.head_width).apply({"params": head}, a_MxD, b_QxD))


def trainable_mask(params: Params, frozen: jax.Array) -> Params:
    """A scalar for each leaf of `params`: 1 if trainable, 0 if frozen.

    `frozen` [] int: frozen encoder layers from the input (paper, section 4.1); an array, so that trials share a
    program.
    """

    def scalar(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        part, name = path[0].key, path[1].key
        if part == "head":
            return jnp.ones((), leaf.dtype)
        return (int(name.removeprefix("layer_")) >= frozen).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(scalar, params)

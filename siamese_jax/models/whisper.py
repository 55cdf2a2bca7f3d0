"""The speech encoder of Whisper (Radford et al. 2022, section 2.2) on padded batches of clips at their own length.

Convolutions, attention and statistics use a clip's valid positions alone, so padding changes results by rounding only.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

EPSILON = 1e-5  # of the layer norms
WINDOW_FRAMES = 3000
"""The frames in 30 s, the window of Whisper's training: the most that `hidden_states` takes."""


@dataclasses.dataclass(frozen=True)
class WhisperConfig:
    """The sizes of a whole encoder, named as in the published config.json."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int
    max_source_positions: int


class Affine(NamedTuple):
    """A matrix [in, out] (or a norm's scale [D]) and a bias."""

    weight: Any
    bias: Any


class Layer(NamedTuple):
    """One transformer layer; `attention` [D, 3D] gives query, key and value side by side, the query already scaled."""

    attention_norm: Affine
    attention: Affine
    attention_output: Affine
    mlp_norm: Affine
    mlp_input: Affine
    mlp_output: Affine


class Params(NamedTuple):
    """A whole encoder or its first layers; `norm` is None unless all layers are there."""

    conv1: Affine
    conv2: Affine
    positions: Any
    layers: tuple[Layer, ...]
    norm: Affine | None


def position_count(frames: Any) -> Any:
    """Returns the number of positions of a clip of `frames`: the second convolution has stride 2."""
    return -(-frames // 2)


def hidden_states(
    params: Params, mel_BxTxM: jax.Array, frames_B: jax.Array, n_heads: int, layers: Sequence[int], precision: str
) -> list[jax.Array]:
    """Returns the hidden states [B, P, D] after each of `layers`; 0 is the convolutions' output with the positions.

    The last layer of a whole encoder is followed by its final norm (`params.norm`). Values past a clip's own positions
    have no meaning.

    Args:
      mel_BxTxM: as `log_mel` returns them, 0 after a clip's frames; T is even and at most `WINDOW_FRAMES`.
      frames_B: the number of frames of each clip, int.
      precision: of products on an accelerator, as `jax.lax.Precision`.
    """
    product = functools.partial(jnp.matmul, precision=precision)
    positions_B = position_count(frames_B)
    n_positions = mel_BxTxM.shape[1] // 2
    valid_BxP = jnp.arange(n_positions)[None] < positions_B[:, None]
    x_BxPxD = _convolutions(params, mel_BxTxM, frames_B, product) + params.positions[None, :n_positions]
    states = {0: x_BxPxD}
    for number, layer in enumerate(params.layers[: max(layers)], start=1):
        x_BxPxD = _layer(layer, x_BxPxD, valid_BxP, n_heads, product)
        states[number] = x_BxPxD
    if params.norm is not None and max(layers) == len(params.layers):
        states[len(params.layers)] = _norm(params.norm, x_BxPxD)
    return [states[number] for number in layers]


def statistics(state_BxPxD: jax.Array, positions_B: jax.Array) -> jax.Array:
    """Returns mean and standard deviation (ddof 0) over each clip's own positions, [B, 2, D] float32."""
    state = state_BxPxD.astype(jnp.float32)
    valid_BxPx1 = jnp.arange(state.shape[1])[None, :, None] < positions_B[:, None, None]
    count_Bx1 = positions_B[:, None].astype(jnp.float32)
    mean_BxD = jnp.where(valid_BxPx1, state, 0).sum(axis=1) / count_Bx1
    variance_BxD = jnp.where(valid_BxPx1, jnp.square(state - mean_BxD[:, None]), 0).sum(axis=1) / count_Bx1
    return jnp.stack([mean_BxD, jnp.sqrt(variance_BxD)], axis=1)


def _convolutions(params: Params, mel_BxTxM: jax.Array, frames_B: jax.Array, product: Any) -> jax.Array:
    """Returns [B, T / 2, D]: both convolutions as products over three neighbouring frames."""
    before, after = ((0, 0), (1, 0), (0, 0)), ((0, 0), (0, 1), (0, 0))
    neighbours = [jnp.pad(mel_BxTxM, before)[:, :-1], mel_BxTxM, jnp.pad(mel_BxTxM, after)[:, 1:]]
    x_BxTxD = _gelu(_affine(params.conv1, jnp.concatenate(neighbours, axis=2), product))
    valid_BxTx1 = jnp.arange(x_BxTxD.shape[1])[None, :, None] < frames_B[:, None, None]
    x_BxTxD = jnp.where(valid_BxTx1, x_BxTxD, 0)
    even, odd = x_BxTxD[:, ::2], x_BxTxD[:, 1::2]
    return _gelu(_affine(params.conv2, jnp.concatenate([jnp.pad(odd, before)[:, :-1], even, odd], axis=2), product))


def _layer(layer: Layer, x_BxPxD: jax.Array, valid_BxP: jax.Array, n_heads: int, product: Any) -> jax.Array:
    qkv = _affine(layer.attention, _norm(layer.attention_norm, x_BxPxD), product)
    q_BxHxPxE, k_BxHxPxE, v_BxHxPxE = jnp.moveaxis(qkv.reshape(*qkv.shape[:2], 3, n_heads, -1), (2, 3), (0, 2))
    scores_BxHxPxP = product(q_BxHxPxE, jnp.swapaxes(k_BxHxPxE, 2, 3)).astype(jnp.float32)
    scores_BxHxPxP = jnp.where(valid_BxP[:, None, None], scores_BxHxPxP, -jnp.inf)
    # The softmax's denominator divides the product, which is smaller than the scores.
    exp_BxHxPxP = jnp.exp(scores_BxHxPxP - scores_BxHxPxP.max(axis=-1, keepdims=True))
    mixed_BxHxPxE = product(exp_BxHxPxP.astype(qkv.dtype), v_BxHxPxE) / exp_BxHxPxP.sum(axis=-1, keepdims=True)
    mixed_BxPxD = jnp.swapaxes(mixed_BxHxPxE.astype(qkv.dtype), 1, 2).reshape(x_BxPxD.shape)
    x_BxPxD = x_BxPxD + _affine(layer.attention_output, mixed_BxPxD, product)
    hidden = _gelu(_affine(layer.mlp_input, _norm(layer.mlp_norm, x_BxPxD), product))
    return x_BxPxD + _affine(layer.mlp_output, hidden, product)


def _affine(affine: Affine, x: jax.Array, product: Any) -> jax.Array:
    return product(x, affine.weight) + affine.bias[None, None]


def _norm(norm: Affine, x: jax.Array) -> jax.Array:
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=-1, keepdims=True)
    return ((wide - mean) * jax.lax.rsqrt(variance + EPSILON)).astype(x.dtype) * norm.weight[None, None] + norm.bias[
        None, None
    ]


def _gelu(x: jax.Array) -> jax.Array:
    # By erf, as in torch: jax.nn.gelu uses erfc, which takes twice the time on a CPU.
    return 0.5 * x * (1 + jax.lax.erf(x * math.sqrt(0.5)))

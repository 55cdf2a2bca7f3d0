"""Operations on each channel by itself: sums, bias, batch norm, pooling; `sums` chooses their form.

"reduce" is XLA's own, for accelerators. "products" is for CPU, where it halves a training step of Inception-ResNet-v1:
sums are products with a row of ones, and a maximum over windows is that of strided slices. Values agree up to rounding.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

SUMS = ("reduce", "products")


def channel_sums(x: jax.Array, sums: str) -> jax.Array:
    """[..., C] summed over all axes but the last, in float32 or wider: [C]."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    if sums == "reduce":
        return jnp.sum(x, axis=tuple(range(x.ndim - 1)), dtype=wide)
    rows = x.reshape(-1, x.shape[-1])
    ones = jnp.ones((1, rows.shape[0]), x.dtype)
    return jnp.matmul(ones, rows, precision=lax.Precision.HIGHEST, preferred_element_type=wide)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def add_bias(x: jax.Array, bias_C: jax.Array, sums: str) -> jax.Array:
    """x [..., C] plus bias [C]; the bias' gradient is a `channel_sums`."""
    return x + _rows(bias_C, x)


def _add_bias_backward(sums: str, _: None, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    return grad, channel_sums(grad, sums).astype(grad.dtype)


add_bias.defvjp(lambda x, bias_C, sums: (add_bias(x, bias_C, sums), None), _add_bias_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise(
    x: jax.Array, scale_C: jax.Array, bias_C: jax.Array, epsilon: float, sums: str
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch norm of x [..., C] over all axes but the last: (y, mean [C], biased variance [C]).

    The gradient (Ioffe & Szegedy 2015, section 3) passes through y alone: the rest is for the running statistics.
    """
    return _normalise_forward(x, scale_C, bias_C, epsilon, sums)[0]


def _rows(v_C: jax.Array, like: jax.Array) -> jax.Array:
    return v_C.reshape((1,) * (like.ndim - 1) + (-1,))


def _normalise_forward(
    x: jax.Array, scale_C: jax.Array, bias_C: jax.Array, epsilon: float, sums: str
) -> tuple[Any, Any]:
    wide = jnp.promote_types(x.dtype, jnp.float32)
    count = x.size // x.shape[-1]
    mean_C = channel_sums(x, sums) / count
    # Two passes: the mean of squares less the squared mean loses all digits where the mean is large.
    variance_C = channel_sums(jnp.square(x.astype(wide) - _rows(mean_C, x)), sums) / count
    inverse_C = lax.rsqrt(variance_C + epsilon)
    y = (x.astype(wide) - _rows(mean_C, x)) * _rows(inverse_C * scale_C, x) + _rows(bias_C, x)
    return (y.astype(x.dtype), mean_C, variance_C), (x, scale_C, mean_C, inverse_C)


def _normalise_backward(epsilon: float, sums: str, residuals: Any, grads: Any) -> tuple[jax.Array, ...]:
    x, scale_C, mean_C, inverse_C = residuals
    grad = grads[0].astype(mean_C.dtype)
    count = x.size // x.shape[-1]
    centred = x.astype(mean_C.dtype) - _rows(mean_C, x)
    bias_grad_C = channel_sums(grad, sums)
    scale_grad_C = channel_sums(grad * centred, sums) * inverse_C
    slope_C = scale_grad_C * inverse_C / count
    x_grad = _rows(scale_C * inverse_C, x) * (grad - _rows(bias_grad_C / count, x) - centred * _rows(slope_C, x))
    return x_grad.astype(x.dtype), scale_grad_C.astype(scale_C.dtype), bias_grad_C.astype(scale_C.dtype)


normalise.defvjp(_normalise_forward, _normalise_backward)


class BatchNorm(nn.Module):
    """Batch norm over all axes but the last, variables as in `flax.linen.BatchNorm`, all float32.

    Training normalises by the batch and updates the running statistics: `decay` of the old stays, and the new variance
    is unbiased, as in PyTorch (the biased variance, zero, for a batch of a single value in each channel).
    """

    decay: float
    epsilon: float
    sums: str
    train: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        variance = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if not self.train:
            slope = scale * lax.rsqrt(variance.value + self.epsilon)
            wide = jnp.promote_types(x.dtype, jnp.float32)
            return (x.astype(wide) * _rows(slope, x) + _rows(bias - mean.value * slope, x)).astype(x.dtype)
        y, batch_mean, batch_variance = normalise(x, scale, bias, self.epsilon, self.sums)
        count = x.size // x.shape[-1]
        if not self.is_initializing():
            unbiased = batch_variance * (count / max(count - 1, 1))
            mean.value = self.decay * mean.value + (1 - self.decay) * lax.stop_gradient(batch_mean)
            variance.value = self.decay * variance.value + (1 - self.decay) * lax.stop_gradient(unbiased)
        return y


def max_pool(x_BxHxWxC: jax.Array, edge: int, sums: str) -> jax.Array:
    """3 x 3 maximum at stride 2 with `edge` pixels of minus infinity all around.

    The first of a window's ties in row-major order has the gradient: "products" takes columns first, then rows.
    """
    if sums == "reduce":
        return nn.max_pool(x_BxHxWxC, (3, 3), (2, 2), ((edge, edge), (edge, edge)))
    x = x_BxHxWxC
    if edge:
        x = jnp.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)), constant_values=-jnp.inf)
    return _pool_axis(_pool_axis(x, 2), 1)


def _taps(x: jax.Array, axis: int) -> list[jax.Array]:
    count = (x.shape[axis] - 3) // 2 + 1
    return [lax.slice_in_dim(x, i, i + 2 * count - 1, 2, axis) for i in range(3)]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pool_axis(x: jax.Array, axis: int) -> jax.Array:
    """Maximum of three neighbours at stride 2 along one axis."""
    return functools.reduce(jnp.maximum, _taps(x, axis))


def _pool_axis_backward(axis: int, x: jax.Array, grad: jax.Array) -> tuple[jax.Array]:
    # Even places are in two windows, odd places in one. Interleaving the two arrays is many times faster than the
    # padded additions that differentiating the slices would give.
    first, second, third = _taps(x, axis)
    top = jnp.maximum(jnp.maximum(first, second), third)
    zero = jnp.zeros_like(grad)
    to_first = jnp.where(first == top, grad, zero)
    to_second = jnp.where((first != top) & (second == top), grad, zero)
    to_third = grad - to_first - to_second
    count = grad.shape[axis]
    edge = jnp.zeros_like(lax.slice_in_dim(grad, 0, 1, 1, axis))
    even = jnp.concatenate([to_first, edge], axis) + jnp.concatenate([edge, to_third], axis)
    pairs = jnp.stack([lax.slice_in_dim(even, 0, count, 1, axis), to_second], axis + 1)
    shape = list(grad.shape)
    shape[axis] = 2 * count
    parts = [pairs.reshape(shape), lax.slice_in_dim(even, count, count + 1, 1, axis)]
    if x.shape[axis] > 2 * count + 1:  # an even length leaves a place that no window sees
        parts.append(edge)
    return (jnp.concatenate(parts, axis),)


_pool_axis.defvjp(lambda x, axis: (_pool_axis(x, axis), x), _pool_axis_backward)

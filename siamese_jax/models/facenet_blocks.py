"""The blocks of Inception-ResNet-v1, named as facenet-pytorch names them; see `facenet` for the whole."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from siamese_jax.models.convolution import Convolution

EPSILON = 1e-3
"""Batch-norm epsilon of the public implementations."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """What all blocks of one network share.

    Fields:
      width: multiplier of the channels.
      decay: share of the running statistics that a step keeps.
      same: whether the strided layers are padded.
      form: of the convolutions.
      dtype: of the activations.
      train: whether batch norm uses and updates the batch's statistics.
    """

    width: float
    decay: float
    same: bool
    form: str
    dtype: Any
    train: bool

    @property
    def edge(self) -> tuple[int, int]:
        """Padding of the layers that are unpadded in the published network."""
        return (1, 1) if self.same else (0, 0)


def scaled(channels: int, width: float) -> int:
    """The published number of channels times the width multiplier, rounded, at least 1."""
    return max(1, round(channels * width))


def batch_norm(decay: float, dtype: Any, train: bool, name: str) -> nn.BatchNorm:
    """Batch norm over all axes but the last, statistics and parameters in float32."""
    return nn.BatchNorm(
        use_running_average=not train, momentum=decay, epsilon=EPSILON, dtype=dtype, param_dtype=jnp.float32,
        name=name,
    )  # fmt: skip


def max_pool(x_BxHxWxI: jax.Array, same: bool) -> jax.Array:
    """3 x 3 maximum at stride 2; `same` pads one pixel of minus infinity all around."""
    edge = (1, 1) if same else (0, 0)
    return nn.max_pool(x_BxHxWxI, (3, 3), (2, 2), (edge, edge))


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    layout: Layout
    features: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        x = Convolution(
            self.features, self.kernel, self.stride, self.padding, False, layout.form, layout.dtype, name="conv"
        )(x)
        return nn.relu(batch_norm(layout.decay, layout.dtype, layout.train, "bn")(x))


class Branch(nn.Module):
    """Units one after the other, named as members of a sequence: 0, 1, ...

    `units` holds (channels at width 1, kernel, stride, padding) each.
    """

    layout: Layout
    units: tuple[tuple[int, tuple[int, int], int, tuple[int, int]], ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, (channels, kernel, stride, padding) in enumerate(self.units):
            features = scaled(channels, self.layout.width)
            x = Unit(self.layout, features, kernel, stride, padding, name=str(i))(x)
        return x


def residual(layout: Layout, x: jax.Array, branches: list[jax.Array], scale: float, relu: bool) -> jax.Array:
    """Branches side by side, a biased 1 x 1 convolution to the input's channels, scaled and added to the input."""
    joined = jnp.concatenate(branches, axis=-1)
    y = Convolution(x.shape[-1], (1, 1), 1, (0, 0), True, layout.form, layout.dtype, name="conv2d")(joined)
    y = y * jnp.asarray(scale, layout.dtype) + x
    return nn.relu(y) if relu else y


_POINT = ((1, 1), 1, (0, 0))
_SQUARE = ((3, 3), 1, (1, 1))


class Block35(nn.Module):
    """1x1 32 | 1x1-3x3 32 | 1x1-3x3-3x3 32 at 256 channels."""

    layout: Layout
    scale: float
    relu: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        point, square = (32, *_POINT), (32, *_SQUARE)
        branches = [
            Unit(layout, scaled(32, layout.width), *_POINT, name="branch0")(x),
            Branch(layout, (point, square), name="branch1")(x),
            Branch(layout, (point, square, square), name="branch2")(x),
        ]
        return residual(layout, x, branches, self.scale, self.relu)


class Block17(nn.Module):
    """1x1 128 | 1x1-1x7-7x1 128 at 896 channels."""

    layout: Layout
    scale: float
    relu: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        units = ((128, *_POINT), (128, (1, 7), 1, (0, 3)), (128, (7, 1), 1, (3, 0)))
        branches = [
            Unit(layout, scaled(128, layout.width), *_POINT, name="branch0")(x),
            Branch(layout, units, name="branch1")(x),
        ]
        return residual(layout, x, branches, self.scale, self.relu)


class Block8(nn.Module):
    """1x1 192 | 1x1-1x3-3x1 192 at 1792 channels."""

    layout: Layout
    scale: float
    relu: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        units = ((192, *_POINT), (192, (1, 3), 1, (0, 1)), (192, (3, 1), 1, (1, 0)))
        branches = [
            Unit(layout, scaled(192, layout.width), *_POINT, name="branch0")(x),
            Branch(layout, units, name="branch1")(x),
        ]
        return residual(layout, x, branches, self.scale, self.relu)


class ReductionA(nn.Module):
    """3x3/2 384 | 1x1 192-3x3 192-3x3/2 256 | max pool: 256 to 896 channels."""

    layout: Layout

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        units = ((192, *_POINT), (192, *_SQUARE), (256, (3, 3), 2, layout.edge))
        branches = [
            Unit(layout, scaled(384, layout.width), (3, 3), 2, layout.edge, name="branch0")(x),
            Branch(layout, units, name="branch1")(x),
            max_pool(x, layout.same),
        ]
        return jnp.concatenate(branches, axis=-1)


class ReductionB(nn.Module):
    """1x1 256-3x3/2 384 | 1x1 256-3x3/2 256 | 1x1 256-3x3 256-3x3/2 256 | max pool: 896 to 1792 channels."""

    layout: Layout

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        point, down = (256, *_POINT), (256, (3, 3), 2, layout.edge)
        branches = [
            Branch(layout, (point, (384, (3, 3), 2, layout.edge)), name="branch0")(x),
            Branch(layout, (point, down), name="branch1")(x),
            Branch(layout, (point, (256, *_SQUARE), down), name="branch2")(x),
            max_pool(x, layout.same),
        ]
        return jnp.concatenate(branches, axis=-1)

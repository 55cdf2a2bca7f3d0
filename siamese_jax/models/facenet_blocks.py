"""The blocks of Inception-ResNet-v1, with facenet-pytorch's names; `facenet` has the whole network."""

import dataclasses
import itertools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from siamese_jax.models.channels import BatchNorm, max_pool
from siamese_jax.models.convolution import Convolution

EPSILON = 1e-3
"""Batch-norm epsilon of the public implementations."""

Pair = tuple[int, int]
Window = tuple[Pair, int, Pair]
_POINT: Window = ((1, 1), 1, (0, 0))
_SQUARE: Window = ((3, 3), 1, (1, 1))


@dataclasses.dataclass(frozen=True)
class Layout:
    """The settings that all blocks of a network share.

    Fields:
      width, decay: multiplier of the channels; share of the running statistics that a step keeps.
      same, train: whether the strided layers are padded; whether batch norm uses and records the batch's statistics.
      form, sums, dtype: of `convolution.FORMS` and `channels.SUMS`; of the activations.
    """

    width: float
    decay: float
    same: bool
    form: str
    sums: str
    dtype: Any
    train: bool

    @property
    def edge(self) -> tuple[int, int]:
        """Padding of the layers that are unpadded in the published network."""
        return (1, 1) if self.same else (0, 0)


def scaled(channels: int, width: float) -> int:
    """The published number of channels times the width multiplier, rounded, at least 1."""
    return max(1, round(channels * width))


def convolution(
    layout: Layout, features: int, kernel: Pair, stride: int, padding: Pair, bias: bool, name: str
) -> Convolution:
    """A convolution in the layout's form, sums and dtype."""
    return Convolution(features, kernel, stride, padding, bias, layout.form, layout.sums, layout.dtype, name=name)


def batch_norm(layout: Layout, name: str) -> BatchNorm:
    """Batch norm with the published epsilon, by the batch's statistics in training, else by the running ones."""
    return BatchNorm(layout.decay, EPSILON, layout.sums, layout.train, name=name)


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
        x = convolution(layout, self.features, self.kernel, self.stride, self.padding, False, "conv")(x)
        return nn.relu(batch_norm(layout, "bn")(x))


class Branch(nn.Module):
    """A chain of units (channels at width 1, kernel, stride, padding), named by their place, from `first` on."""

    layout: Layout
    first: int
    units: tuple[tuple[int, Pair, int, Pair], ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, (channels, kernel, stride, padding) in enumerate(self.units, self.first):
            features = scaled(channels, self.layout.width)
            x = Unit(self.layout, features, kernel, stride, padding, name=str(i))(x)
        return x


def entries(layout: Layout, x: jax.Array, channels: tuple[int, ...]) -> list[jax.Array]:
    """The 1 x 1 units that open parallel branches (`channels` at width 1), as a single unit with the branches side by
    side: the same values, in one product."""
    features = [scaled(c, layout.width) for c in channels]
    joined = Unit(layout, sum(features), *_POINT, name="entry")(x)
    return jnp.split(joined, list(itertools.accumulate(features))[:-1], axis=-1)


def residual(layout: Layout, x: jax.Array, branches: list[jax.Array], scale: float, relu: bool) -> jax.Array:
    """Branches side by side, a biased 1 x 1 convolution to the input's channels, scaled and added to the input."""
    joined = jnp.concatenate(branches, axis=-1)
    y = convolution(layout, x.shape[-1], *_POINT, True, "conv2d")(joined)
    y = y * jnp.asarray(scale, layout.dtype) + x
    return nn.relu(y) if relu else y


class _Residual(nn.Module):
    layout: Layout
    scale: float
    relu: bool


class Block35(_Residual):
    """1x1 32 | 1x1-3x3 32 | 1x1-3x3-3x3 32 at 256 channels."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        square = (32, *_SQUARE)
        branch0, branch1, branch2 = entries(self.layout, x, (32, 32, 32))
        branch1 = Branch(self.layout, 1, (square,), name="branch1")(branch1)
        branch2 = Branch(self.layout, 1, (square, square), name="branch2")(branch2)
        return residual(self.layout, x, [branch0, branch1, branch2], self.scale, self.relu)


class _TwoBranches(_Residual):
    units: ClassVar[tuple[tuple[int, Pair, int, Pair], ...]]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = self.units[0][0]
        branch0, branch1 = entries(self.layout, x, (channels, channels))
        branch1 = Branch(self.layout, 1, self.units, name="branch1")(branch1)
        return residual(self.layout, x, [branch0, branch1], self.scale, self.relu)


class Block17(_TwoBranches):
    """1x1 128 | 1x1-1x7-7x1 128 at 896 channels."""

    units = ((128, (1, 7), 1, (0, 3)), (128, (7, 1), 1, (3, 0)))


class Block8(_TwoBranches):
    """1x1 192 | 1x1-1x3-3x1 192 at 1792 channels."""

    units = ((192, (1, 3), 1, (0, 1)), (192, (3, 1), 1, (1, 0)))


class ReductionA(nn.Module):
    """3x3/2 384 | 1x1 192-3x3 192-3x3/2 256 | max pool: 256 to 896 channels."""

    layout: Layout

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        units = ((192, *_POINT), (192, *_SQUARE), (256, (3, 3), 2, layout.edge))
        branches = [
            Unit(layout, scaled(384, layout.width), (3, 3), 2, layout.edge, name="branch0")(x),
            Branch(layout, 0, units, name="branch1")(x),
            max_pool(x, layout.edge[0], layout.sums),
        ]
        return jnp.concatenate(branches, axis=-1)


class ReductionB(nn.Module):
    """1x1 256-3x3/2 384 | 1x1 256-3x3/2 256 | 1x1 256-3x3 256-3x3/2 256 | max pool: 896 to 1792 channels."""

    layout: Layout

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layout = self.layout
        wide, down = (384, (3, 3), 2, layout.edge), (256, (3, 3), 2, layout.edge)
        branch0, branch1, branch2 = entries(layout, x, (256, 256, 256))
        branches = [
            Branch(layout, 1, (wide,), name="branch0")(branch0),
            Branch(layout, 1, (down,), name="branch1")(branch1),
            Branch(layout, 1, ((256, *_SQUARE), down), name="branch2")(branch2),
            max_pool(x, layout.edge[0], layout.sums),
        ]
        return jnp.concatenate(branches, axis=-1)

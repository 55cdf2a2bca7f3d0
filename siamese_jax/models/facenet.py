"""FaceNet's network, Inception-ResNet-v1, in Flax: images to points on the unit sphere.

Layers, strides and paddings are those of the public implementations (davidsandberg/facenet in TensorFlow,
facenet-pytorch in PyTorch). Modules have facenet-pytorch's names, so that weights map directly (`facenet_weights`).
`init`, `embed` and `embed_train` are pure.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, cast

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.errors import InputError, check_fields
from siamese_jax.models import facenet_blocks as blocks
from siamese_jax.models.channels import SUMS, max_pool
from siamese_jax.models.convolution import FORMS
from siamese_jax.models.facenet_blocks import Layout, Unit, scaled

REPEATS = (5, 10, 5)
"""Block35, Block17 and Block8 at depth 1; a last Block8 without ReLU follows at every depth."""
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

Variables = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class FaceNetConfig:
    """The network. The published one: 3 channels, 512, width 1, depth 1, dropout 0.6, "valid", stem stride 2.

    Fields:
      channels, embedding: of the images; dimensions of the sphere's space (the paper's 128; the public weights' 512).
      width, depth: multiply the channels of every layer but the embedding, and the repeats (5, 10, 5) of the three
        kinds of block; each product is rounded, at least 1.
      dropout: share of pooled features dropped in training.
      statistics_decay: share of the running batch-norm statistics that a training step keeps (facenet-pytorch 0.9).
      padding: "valid" as published (75 pixels or more a side at stem stride 2), or "same", for any size.
      stem_stride: of the first layer, 2 as published; 1 keeps resolution in small images at four times the cost (39
        pixels or more a side when "valid").
      convolution, sums: of `convolution.FORMS` and `channels.SUMS`: "lax" and "reduce" on accelerators, "mixed" and
        "products" on CPU.
      dtype: of the activations, "float32" or "bfloat16"; parameters, batch statistics and the last layers are float32.
    """

    channels: int
    embedding: int
    width: float
    depth: float
    dropout: float
    statistics_decay: float
    padding: str
    stem_stride: int
    convolution: str
    sums: str
    dtype: str

    def __post_init__(self) -> None:
        check_fields(self, {
            "channels": (self.channels >= 1, "1 or more"),
            "embedding": (self.embedding >= 1, "1 or more"),
            "width": (self.width > 0, "above 0"),
            "depth": (self.depth > 0, "above 0"),
            "dropout": (0 <= self.dropout < 1, "in [0, 1)"),
            "statistics_decay": (0 <= self.statistics_decay < 1, "in [0, 1)"),
            "padding": (self.padding in ("valid", "same"), '"valid" or "same"'),
            "stem_stride": (self.stem_stride in (1, 2), "1 or 2"),
            "convolution": (self.convolution in FORMS, f"one of {', '.join(FORMS)}"),
            "sums": (self.sums in SUMS, f"one of {', '.join(SUMS)}"),
            "dtype": (self.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
        })  # fmt: skip

    @property
    def repeats(self) -> tuple[int, int, int]:
        """The numbers of Block35, Block17 and Block8 (with ReLU)."""
        a, b, c = (max(1, round(count * self.depth)) for count in REPEATS)
        return a, b, c

    @property
    def smallest(self) -> int:
        """Pixels a side that an image needs for every layer to have an output."""
        if self.padding == "same":
            return 1
        return 75 if self.stem_stride == 2 else 39


class InceptionResnetV1(nn.Module):
    """The network as a module; use `init`, `embed` and `embed_train`, which are pure functions around it."""

    config: FaceNetConfig

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        config = self.config
        layout = Layout(
            width=config.width, decay=config.statistics_decay, same=config.padding == "same",
            form=config.convolution, sums=config.sums, dtype=DTYPES[config.dtype], train=train,
        )  # fmt: skip
        x = images.astype(layout.dtype)
        x = Unit(layout, scaled(32, config.width), (3, 3), config.stem_stride, layout.edge, name="conv2d_1a")(x)
        x = Unit(layout, scaled(32, config.width), (3, 3), 1, layout.edge, name="conv2d_2a")(x)
        x = Unit(layout, scaled(64, config.width), (3, 3), 1, (1, 1), name="conv2d_2b")(x)
        x = max_pool(x, layout.edge[0], layout.sums)
        x = Unit(layout, scaled(80, config.width), (1, 1), 1, (0, 0), name="conv2d_3b")(x)
        x = Unit(layout, scaled(192, config.width), (3, 3), 1, layout.edge, name="conv2d_4a")(x)
        x = Unit(layout, scaled(256, config.width), (3, 3), 2, layout.edge, name="conv2d_4b")(x)
        for i in range(config.repeats[0]):
            x = blocks.Block35(layout, 0.17, True, name=f"repeat_1_{i}")(x)
        x = blocks.ReductionA(layout, name="mixed_6a")(x)
        for i in range(config.repeats[1]):
            x = blocks.Block17(layout, 0.10, True, name=f"repeat_2_{i}")(x)
        x = blocks.ReductionB(layout, name="mixed_7a")(x)
        for i in range(config.repeats[2]):
            x = blocks.Block8(layout, 0.20, True, name=f"repeat_3_{i}")(x)
        x = blocks.Block8(layout, 1.0, False, name="block8")(x)
        x = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        x = nn.Dropout(config.dropout, deterministic=not train)(x)
        x = nn.Dense(config.embedding, use_bias=False, name="last_linear")(x)
        x = blocks.batch_norm(layout, "last_bn")(x)
        return on_sphere(x)


def on_sphere(x_BxD: jax.Array) -> jax.Array:
    """[B, D] scaled to length 1. The guard is inside the root: a zero row stays zero with a finite gradient."""
    squared = jnp.sum(jnp.square(x_BxD), axis=-1, keepdims=True)
    return x_BxD * jax.lax.rsqrt(jnp.maximum(squared, 1e-24))


@functools.partial(jax.jit, static_argnames="config")
def init(key: jax.Array, config: FaceNetConfig) -> dict[str, Any]:
    """Fresh variables: {"params": ..., "batch_stats": ...}, all float32. The key is consumed here.

    Kernels are normal with variance 2 / fan-in before a ReLU (He et al. 2015) and 1 / fan-in in the last layer, from
    a single draw: a draw for each of a hundred kernels takes a minute to compile.
    """
    # No shape depends on the size of the images, so the smallest serves.
    images = jax.ShapeDtypeStruct((1, config.smallest, config.smallest, config.channels), jnp.float32)
    network = InceptionResnetV1(config)
    shapes = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), images)
    leaves, structure = jax.tree.flatten_with_path(dict(shapes))
    sizes = [leaf.size if path[-1].key == "kernel" else 0 for path, leaf in leaves]
    drawn = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    filled = []
    for (path, leaf), values in zip(leaves, drawn):
        if path[-1].key == "kernel":
            gain = 1 if path[-2].key == "last_linear" else 2
            filled.append(values.reshape(leaf.shape) * math.sqrt(gain / math.prod(leaf.shape[:-1])))
        else:
            filled.append(jnp.full(leaf.shape, float(path[-1].key in ("scale", "var"))))
    return jax.tree.unflatten(structure, filled)


def embed(config: FaceNetConfig, variables: Variables, images_BxHxWxI: jax.Array) -> jax.Array:
    """Embeddings [B, E] float32, of length 1, by the running batch-norm statistics.

    Image values are as in training, about [-1, 1] or [0, 1]. Raises InputError for other channels or too small images.
    """
    check_images(config, images_BxHxWxI)
    return cast(jax.Array, InceptionResnetV1(config).apply(variables, images_BxHxWxI, train=False))


def embed_train(
    config: FaceNetConfig, variables: Variables, images_BxHxWxI: jax.Array, key: jax.Array
) -> tuple[jax.Array, Any]:
    """Embeddings [B, E] by the batch's own statistics, with dropout (the key is consumed here), and the new running
    statistics ("batch_stats"). Differentiable in variables["params"]. Raises as `embed`."""
    check_images(config, images_BxHxWxI)
    emb, changed = InceptionResnetV1(config).apply(
        variables, images_BxHxWxI, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
    )
    return emb, changed["batch_stats"]


def check_images(config: FaceNetConfig, images: jax.Array) -> None:
    """Raises InputError unless `images` is [B, H, W, config.channels] with H and W large enough."""
    chex.assert_rank(images, 4)
    height, width, channels = images.shape[1:]
    if channels != config.channels:
        raise InputError(f"images have {channels} channel(s), the network was made for {config.channels}")
    if min(height, width) < config.smallest:
        needed = f"this network needs {config.smallest} pixels a side"
        raise InputError(
            f'images are {height} x {width}: {needed}; take larger images, or FaceNetConfig.padding = "same"'
        )


def parameter_counts(variables: Variables) -> dict[str, int]:
    """Numbers of parameters (without running statistics): stem, block35, reduction_a, block17, reduction_b, block8 (all
    of a kind together), embedding, and "total"."""
    part_of = {
        "conv2d": "stem", "repeat_1": "block35", "mixed_6a": "reduction_a", "repeat_2": "block17",
        "mixed_7a": "reduction_b", "repeat_3": "block8", "block8": "block8", "last": "embedding",
    }  # fmt: skip
    counts = dict.fromkeys(part_of.values(), 0)
    for name, module in variables["params"].items():
        part = next(part for prefix, part in part_of.items() if name.startswith(prefix))
        counts[part] += sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(module))
    return counts | {"total": sum(counts.values())}

"""A 2-D convolution whose form can be chosen, since no one form is fast everywhere.

On accelerators the compiler's own convolution ("lax") is right. On CPU the compiler decides by default between
two libraries, and for convolutions the newer one was 1.5 to 5 times slower here; `compile_options` asks for the
other. With it "lax" wins for every layer of the network but the first, where one or three input channels leave
its inner product short and "patches" is 1.4 times faster. Without it, on a version where the option does not exist,
"patches" is the form to take: it makes every convolution a matrix product. `benchmarks/facenet_cpu.py` measures.

A convolution inside `lax.scan` loses an order of magnitude on CPU, and `vmap` over kernels becomes a grouped
convolution: call a jitted step from a Python loop.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from siamese_jax.errors import InputError

FORMS = ("lax", "patches", "shifts", "auto")
NARROW = 4
"""Up to so many input channels "auto" takes "patches" where the kernel is larger than 1 x 1."""

_YNN = "xla_cpu_experimental_ynn_fusion_type"


@functools.cache
def compile_options(platform: str) -> dict[str, Any]:
    """Options for `jax.jit(..., compiler_options=...)` of a program with convolutions on `platform`.

    On CPU they keep convolutions and products with Eigen; elsewhere, or where this version of XLA knows no such
    option, there are none. They hold for the outermost jit alone, which JAX demands.
    """
    if platform != "cpu":
        return {}
    options = {_YNN: ""}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(jax.ShapeDtypeStruct((), jnp.float32)).compile()
    except jax.errors.JaxRuntimeError as error:
        if _YNN not in str(error):
            raise
        return {}
    return options


def shifted(x_BxHxWxI: jax.Array, kernel: tuple[int, int], stride: int) -> list[jax.Array]:
    """What each tap of the kernel sees: kh * kw arrays [B, H', W', I], taps in row-major order, no padding."""
    batch, height, width, channels = x_BxHxWxI.shape
    rows = (height - kernel[0]) // stride
    columns = (width - kernel[1]) // stride
    return [
        lax.slice(
            x_BxHxWxI,
            (0, i, j, 0),
            (batch, i + rows * stride + 1, j + columns * stride + 1, channels),
            (1, stride, stride, 1),
        )
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def convolve(
    x_BxHxWxI: jax.Array, kernel_hxwxIxO: jax.Array, stride: int, padding: tuple[int, int], form: str
) -> jax.Array:
    """Cross-correlation of images with a kernel; the same value, up to rounding, in every form.

    Args:
      x_BxHxWxI: images [B, H, W, I].
      kernel_hxwxIxO: kernel [h, w, I, O].
      stride: of both axes.
      padding: zeros before and after, for rows and for columns.
      form: "lax", "patches" (all taps side by side, one product), "shifts" (a product a tap, summed; least memory)
        or "auto" (patches for the first layer, lax for the rest).
    Returns [B, (H + 2 padding[0] - h) // stride + 1, (W + 2 padding[1] - w) // stride + 1, O].
    Raises: InputError for an unknown form.
    """
    if form not in FORMS:
        raise InputError(f"convolution form {form!r}: expected one of {', '.join(FORMS)}")
    height, width, channels, features = kernel_hxwxIxO.shape
    if form == "auto":
        form = "patches" if channels <= NARROW and height * width > 1 else "lax"
    if form == "lax":
        return lax.conv_general_dilated(
            x_BxHxWxI,
            kernel_hxwxIxO,
            (stride, stride),
            [(padding[0], padding[0]), (padding[1], padding[1])],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    padded = jnp.pad(x_BxHxWxI, ((0, 0), (padding[0], padding[0]), (padding[1], padding[1]), (0, 0)))
    taps = shifted(padded, (height, width), stride)
    if form == "patches":
        return jnp.concatenate(taps, axis=-1) @ kernel_hxwxIxO.reshape(-1, features)
    products = [tap @ weight for tap, weight in zip(taps, kernel_hxwxIxO.reshape(-1, channels, features))]
    return functools.reduce(jnp.add, products)


class Convolution(nn.Module):
    """`convolve` with its own kernel (float32, He-initialised by fan-in) and, where asked for, a bias."""

    features: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]
    bias: bool
    form: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding, self.form)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(self.dtype)
        return y

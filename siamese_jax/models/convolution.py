"""A 2-D convolution in a chosen form, since no form is fast on every platform.

"lax" is the compiler's own, for accelerators. "mixed" is for CPU: products for 1 x 1 kernels, as XLA transposes images
and gradient for their kernel gradient, and "lax" for the rest. "patches" and "shifts" make every convolution a product,
for versions of XLA without `compile_options`. `benchmarks/facenet_cpu.py` measures the whole network.

On CPU a convolution inside `lax.scan` loses an order of magnitude, and `vmap` over kernels becomes a grouped
convolution: call a jitted step from a Python loop. Images must be an argument of the step: as constants they slow it
six times.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from siamese_jax.errors import InputError
from siamese_jax.models.channels import add_bias
from siamese_jax.runtime import xla

FORMS = ("lax", "patches", "shifts", "mixed")


def compile_options(platform: str) -> dict[str, Any]:
    """Options for `jax.jit(..., compiler_options=...)` of a program with convolutions: on CPU, if this version of XLA
    can, they select Eigen, 1.3 to 5 times faster than the default library; elsewhere none."""
    return dict(xla.cpu_option(platform, xla.LIBRARY_OPTION, ""))


def shifted(x_BxHxWxI: jax.Array, kernel: tuple[int, int], stride: int) -> list[jax.Array]:
    """The input of each tap of the kernel: kh * kw arrays [B, H', W', I], taps in row-major order, no padding."""
    batch, height, width, channels = x_BxHxWxI.shape
    rows, columns = ((size - taps) // stride * stride + 1 for size, taps in zip((height, width), kernel))

    def tap(i: int, j: int) -> jax.Array:
        return lax.slice(x_BxHxWxI, (0, i, j, 0), (batch, i + rows, j + columns, channels), (1, stride, stride, 1))

    return [tap(i, j) for i in range(kernel[0]) for j in range(kernel[1])]


def convolve(
    x_BxHxWxI: jax.Array, kernel_hxwxIxO: jax.Array, stride: int, padding: tuple[int, int], form: str
) -> jax.Array:
    """Cross-correlation of images [B, H, W, I] with a kernel [h, w, I, O]; equal up to rounding in every form.

    Args:
      stride, padding: of both axes; zeros before and after, for rows and for columns.
      form: "lax"; "patches" (all taps side by side, one product); "shifts" (a product a tap, summed; less memory);
        "mixed" ("shifts", then a plain product, for 1 x 1 kernels, else "lax").
    Returns [B, (H + 2 padding[0] - h) // stride + 1, (W + 2 padding[1] - w) // stride + 1, O].
    Raises: InputError for an unknown form.
    """
    if form not in FORMS:
        raise InputError(f"convolution form {form!r}: expected one of {', '.join(FORMS)}")
    height, width, channels, features = kernel_hxwxIxO.shape
    if form == "mixed":
        form = "shifts" if height * width == 1 else "lax"
    edges = [(padding[0], padding[0]), (padding[1], padding[1])]
    if form == "lax":
        return lax.conv_general_dilated(
            x_BxHxWxI, kernel_hxwxIxO, (stride, stride), edges, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    padded = jnp.pad(x_BxHxWxI, [(0, 0), *edges, (0, 0)])
    taps = shifted(padded, (height, width), stride)
    if form == "patches":
        return jnp.concatenate(taps, axis=-1) @ kernel_hxwxIxO.reshape(-1, features)
    products = [tap @ weight for tap, weight in zip(taps, kernel_hxwxIxO.reshape(-1, channels, features))]
    return functools.reduce(jnp.add, products)


class Convolution(nn.Module):
    """`convolve` with its own kernel (float32) and an optional bias."""

    features: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]
    bias: bool
    form: str
    sums: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding, self.form)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = add_bias(y, bias.astype(self.dtype), self.sums)
        return y

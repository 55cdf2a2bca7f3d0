"""Options for XLA's compiler, asked for only where the platform and this version of XLA know them."""

import functools

import jax
import jax.numpy as jnp

LIBRARY_OPTION = "xla_cpu_experimental_ynn_fusion_type"
"""Which operations one of the two libraries for convolutions and products takes; none, if empty (jaxlib 0.10.2)."""

VECTOR_OPTION = "xla_cpu_prefer_vector_width"
"""Bits of the vectors that loops are written for; 256 by default, even where the processor has 512."""


@functools.cache
def cpu_option(platform: str, name: str, value: str | int) -> dict[str, str | int]:
    """{name: value} for `jax.jit(..., compiler_options=...)`; {} on accelerators, or where XLA knows no such option.

    JAX takes compiler options at the outermost jit alone.
    """
    if platform != "cpu":
        return {}
    options = {name: value}
    probe = jax.jit(lambda x: x + 1, compiler_options=options)
    try:
        probe.lower(jax.ShapeDtypeStruct((), jnp.float32)).compile()
    except jax.errors.JaxRuntimeError as error:
        if name not in str(error):
            raise
        return {}
    return options

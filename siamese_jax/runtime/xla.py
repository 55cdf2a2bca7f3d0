"""Options for XLA's compiler, asked for only where the platform and this version of XLA know them."""

import functools
import os
from typing import TypeVar

import jax
import jax.numpy as jnp

LIBRARY_OPTION = "xla_cpu_experimental_ynn_fusion_type"
"""Which operations one of the two libraries for convolutions and products takes; none, if empty (jaxlib 0.10.2)."""

VECTOR_OPTION = "xla_cpu_prefer_vector_width"
"""Bits of the vectors that loops are written for; 256 by default, even where the processor has 512."""

ONE_PASS_FLAG = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
"""Lets one loop on CPU write several arrays; XLA takes it from the environment alone (jaxlib 0.10.2)."""

Tree = TypeVar("Tree")


def ask_for_one_pass() -> None:
    """Adds `ONE_PASS_FLAG` to XLA_FLAGS, unless backend options stand there already; before the first compilation."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {ONE_PASS_FLAG}".strip()


@functools.cache
def one_pass(platform: str) -> bool:
    """Whether XLA lets one loop on this CPU write two arrays; False on accelerators, which need no help with it."""
    if platform != "cpu":
        return False
    x = jax.ShapeDtypeStruct((64,), jnp.float32)
    program = jax.jit(lambda a, b: (a * b, a + b)).lower(x, x).compile().as_text()
    return program is not None and program.count(" fusion(") == 1


def unshared(tree: Tree) -> Tree:
    """The arrays again, as others to the compiler: it computes from them anew what it has from the originals.

    For a result that is updated and used in one place: computed twice, the updated arrays and what is made of them are
    written in one loop over memory. Where XLA cannot do so, the arrays themselves: it computes each result once.
    """
    return jax.lax.optimization_barrier(tree) if one_pass(jax.default_backend()) else tree


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

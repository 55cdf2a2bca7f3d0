"""Options of XLA's compiler, set only where the platform and this version of XLA know them."""

import functools
import os
from typing import TypeVar

import jax
import jax.numpy as jnp

LIBRARY_OPTION = "xla_cpu_experimental_ynn_fusion_type"
"""Operations that one of the two libraries for convolutions and products takes; none if empty (jaxlib 0.10.2)."""

VECTOR_OPTION = "xla_cpu_prefer_vector_width"
"""Bits of the vectors that loops are written for; 256 by default, even where the processor has 512."""

ONE_PASS_FLAG = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
"""Lets one loop on CPU write several arrays; XLA reads it from the environment alone (jaxlib 0.10.2)."""

Tree = TypeVar("Tree")


def ask_for_one_pass() -> None:
    """Adds `ONE_PASS_FLAG` to XLA_FLAGS, unless it has backend options; call it before the first compilation."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {ONE_PASS_FLAG}".strip()


@functools.cache
def one_pass(platform: str) -> bool:
    """Returns whether one loop on this CPU may write two arrays; False on accelerators, which do so anyway."""
    if platform != "cpu":
        return False
    x = jax.ShapeDtypeStruct((64,), jnp.float32)
    program = jax.jit(lambda a, b: (a * b, a + b)).lower(x, x).compile().as_text()
    return program is not None and program.count(" fusion(") == 1


def unshared(tree: Tree) -> Tree:
    """Returns the arrays, distinct to the compiler, which then computes results of them again instead of sharing them.

    For a result that is updated and used in one place: computed twice, the updated arrays and their results are
    written in one loop over memory. Where XLA cannot do so, returns the arrays themselves.
    """
    return jax.lax.optimization_barrier(tree) if one_pass(jax.default_backend()) else tree


@functools.cache
def cpu_option(platform: str, name: str, value: str | int) -> dict[str, str | int]:
    """Returns {name: value} for the `compiler_options` of an outermost jit; {} on accelerators or if XLA lacks it."""
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

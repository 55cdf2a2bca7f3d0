"""Devices of this process: CPU cores as devices, and compiled programs cached on disk."""

import contextlib
import logging
import os
from pathlib import Path

import jax

from siamese_jax.errors import InputError, first_line
from siamese_jax.runtime import xla

MOST_DEVICES = 4096


def available_cores() -> int:
    """Returns the number of CPU cores of this process; on systems without affinity, of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores(one_pass: bool = True) -> None:
    """Makes every CPU core a device, and caches compiled programs on disk; call it before the first computation.

    With a device a core, trials run side by side and do not wait for one another inside an operation.
    JAX_NUM_CPU_DEVICES sets another number; GPU and TPU devices are unchanged. The cache is JAX_COMPILATION_CACHE_DIR,
    by default siamese_jax in the user's cache folder.

    Args:
      one_pass: whether XLA may write several arrays in one loop, see `xla`: trials and features gain a tenth to a
        fifth, FaceNet's convolutions lose a seventh. Not for programs with collectives between devices: with it
        FaceNet's loss is the same to the bit on one device and 0.5 % off on two (jaxlib 0.10.2).
    """
    if one_pass:
        xla.ask_for_one_pass()
    # An accelerator's missing library is not worth a warning.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    cores = getattr(jax.config, "jax_num_cpu_devices")  # noqa: B009 - the stubs lack it
    if cores != -1 and not 1 <= cores <= MOST_DEVICES:
        raise InputError(f"JAX_NUM_CPU_DEVICES is {cores}; expected 1 to {MOST_DEVICES}, or unset it for all cores")
    if cores == -1:
        jax.config.update("jax_num_cpu_devices", available_cores())
    if getattr(jax.config, "jax_compilation_cache_dir") is None:  # noqa: B009 - the stubs lack it
        # A user without a home, as in some containers, has no cache.
        with contextlib.suppress(RuntimeError):
            home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            jax.config.update("jax_compilation_cache_dir", str(home / "siamese_jax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def require_platforms() -> None:
    """Raises InputError where JAX_PLATFORMS names a platform that JAX cannot use here; initialises the platforms."""
    wanted = getattr(jax.config, "jax_platforms")  # noqa: B009 - the stubs lack it
    if not wanted:
        return
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error).rstrip(".") if str(error) else "no plugin for it is installed"
        raise InputError(
            f"JAX_PLATFORMS is {wanted!r}, which JAX cannot use here ({reason}); install JAX's plugin for it, such as "
            "jax[cuda13], or unset JAX_PLATFORMS"
        ) from error


def compile_quickly() -> None:
    """Makes XLA optimise less, and caches every program; for a process of many small programs that run once each."""
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

"""What this process may use of the machine: CPU cores as devices, and compiled programs kept on disk."""

import logging
import os
from pathlib import Path

import jax

from siamese_jax.runtime import xla


def available_cores() -> int:
    """The CPU cores that this process may run on; on systems that cannot say, all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores(one_pass: bool = True) -> None:
    """Makes every CPU core a device, and keeps compiled programs on disk; call it before the first computation.

    One device a core runs whole trials side by side, without waiting for one another inside an operation. On GPU and
    TPU the devices are what they are. The cache's folder is JAX_COMPILATION_CACHE_DIR where that is set, else
    siamese_jax in the user's cache folder. JAX_NUM_CPU_DEVICES sets another number.

    Args:
      one_pass: whether XLA is asked for loops that write several arrays, see `compiling`: trials and features gain a
        tenth to a fifth, FaceNet's convolutions lose a seventh. Not for programs whose devices talk to one another:
        with it FaceNet's loss is the same to the bit on one device and 0.5 % off on two (jaxlib 0.10.2).
    """
    if one_pass:
        xla.ask_for_one_pass()
    # That an accelerator's library is absent is no news to a user without one.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    if getattr(jax.config, "jax_num_cpu_devices") == -1:  # noqa: B009 - the stubs lack it
        jax.config.update("jax_num_cpu_devices", available_cores())
    if getattr(jax.config, "jax_compilation_cache_dir") is None:  # noqa: B009 - the stubs lack it
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(home / "siamese_jax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

"""Tests run strict: no silent broadcasting over ranks, no key used twice, two CPU devices whatever the machine."""

import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs beside pytest's own cache: tests that use the same program compile it once."""
    jax.config.update("jax_compilation_cache_dir", str(Path(config.rootpath) / ".pytest_cache" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real recordings and tables; the test is skipped where SIAMESE_JAX_DATA does not name it."""
    folder = os.environ.get("SIAMESE_JAX_DATA")
    if not folder:
        pytest.skip("SIAMESE_JAX_DATA does not name a folder of real recordings")
    return Path(folder)

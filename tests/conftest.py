"""Tests run strict: no silent broadcasting over ranks, no key used twice, two CPU devices whatever the machine."""

import fnmatch
import os
from pathlib import Path
from typing import Any

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

GROUPS = {
    "facenet": ("experiments/test_cross_training.py", "training/test_facenet_loop.py", "*/test_facenet_checkpoints.py"),
    "processes": ("launch/test_launchers_distributed.py", "runtime/test_distributed.py"),
    "report": ("report/*",),
    "coverage": ("stats/test_coverage.py",),
    "reproduce": ("experiments/test_reproduce.py",),
    "rerun": ("experiments/test_rerun.py", "experiments/test_retrain.py", "experiments/test_crossed.py"),
    "kills": ("experiments/test_kills.py",),
    "trials": ("protocols/test_trials.py",),
    "logistic": ("protocols/test_logistic.py",),
    "grid": (
        "protocols/test_leaks.py",
        "protocols/test_axes.py",
        "protocols/test_trial_steps.py",
        "protocols/test_stages.py",
        "protocols/test_plan.py",
        "protocols/test_baselines.py",
    ),
}
"""Files that share fixtures or compiled programs: `pytest -n` runs a group in one process, the longest groups first."""

OPTIMISED = (
    "trials", "processes", "kills", "coverage", "losses/*", "models/test_whisper.py", "training/test_siamese*"
)  # fmt: skip
"""Groups and files whose programs are compiled as users' are; SIAMESE_JAX_OPTIMISED=1 compiles all so."""

CACHE = Path(os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache/xla")))
"""Compiled programs: processes and tests that use the same one compile it once."""


def pytest_configure() -> None:
    """Keeps compiled programs on disk, for the processes that tests start too."""
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def group_of(nodeid: str) -> str:
    """The group in `GROUPS` that a test belongs to, or its file."""
    file = nodeid.split("::")[0].removeprefix("tests/")
    return next((name for name, globs in GROUPS.items() if any(fnmatch.fnmatch(file, g) for g in globs)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the groups first, in the order of `GROUPS`; scripts/mutate.py gives an order of its own."""
    if "SIAMESE_JAX_ORDER_AS_GIVEN" in os.environ:
        return
    order = {name: i for i, name in enumerate(GROUPS)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid), len(order)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Turns XLA's optimisations off or on; programs that were compiled the other way are forgotten."""
    group = group_of(item.nodeid)
    quickly = "SIAMESE_JAX_OPTIMISED" not in os.environ and not any(fnmatch.fnmatch(group, g) for g in OPTIMISED)
    if quickly != jax.config.read("jax_disable_most_optimizations"):
        jax.config.update("jax_disable_most_optimizations", quickly)
        jax.clear_caches()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    """Escapes file names that are no UTF-8 in captured texts: `pytest -n` cannot send them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives a group to one process of `pytest -n`. (Marks of --dist loadgroup have no effect in pytest 9.2.)"""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LoadGroups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return LoadGroups(config, log)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real recordings and tables; the test is skipped where SIAMESE_JAX_DATA does not name it."""
    folder = os.environ.get("SIAMESE_JAX_DATA")
    if not folder:
        pytest.skip("SIAMESE_JAX_DATA does not name a folder of real recordings")
    return Path(folder)

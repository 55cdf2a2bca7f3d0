"""The order of the house: each package imports only from those before it."""

import ast
from pathlib import Path

import pytest

import siamese_jax

ORDER = (
    "errors", "runtime", "stats", "features", "corpora", "models", "datasets", "losses", "training", "protocols",
    "recognizer", "experiments", "report",
)  # fmt: skip
"""From the first to the last; data flows the same way."""

ROOT = Path(siamese_jax.__file__).parent


def imports(source: str, module: str) -> list[tuple[int, str]]:
    """(line, module) of every import of the package, at the top or inside a function, with relative ones resolved."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, node.module] if node.module else parents)
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "siamese_jax" else [base]
            found.extend((node.lineno, name) for name in names)
    return [(line, name) for line, name in found if name.split(".")[0] == "siamese_jax"]


def upward(source: str, module: str) -> list[str]:
    """The imports of `module` that run up, or go to the root, or to what is no entry of the house."""
    own = ORDER.index(module.split(".")[1])
    wrong = []
    for line, name in imports(source, module):
        entry = name.split(".")[1] if "." in name else ""
        if entry not in ORDER or ORDER.index(entry) > own:
            wrong.append(f"{module}:{line} imports {name}")
    return wrong


def modules() -> dict[str, Path]:
    return {
        ".".join(("siamese_jax", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }


def test_the_package_has_these_entries_and_no_others():
    entries = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert entries - {"__init__"} == set(ORDER)


def test_no_import_runs_up():
    found = [line for name, path in modules().items() if "." in name for line in upward(path.read_text(), name)]
    assert found == []


@pytest.mark.parametrize(
    ("source", "module", "n_wrong"),
    [
        ("from siamese_jax.report import page", "siamese_jax.experiments.rerun", 1),
        ("def f():\n    import siamese_jax.report.page", "siamese_jax.stats.metrics", 1),
        ("from siamese_jax import report", "siamese_jax.stats.metrics", 1),
        ("from ..report import page", "siamese_jax.stats.metrics", 1),
        ("import siamese_jax", "siamese_jax.stats.metrics", 1),
        ("from siamese_jax.nowhere import x", "siamese_jax.report.page", 1),
        ("from siamese_jax.stats import metrics\nfrom . import page", "siamese_jax.report.page", 0),
    ],
)
def test_the_check_sees_an_import_that_runs_up(source, module, n_wrong):
    assert len(upward(source, module)) == n_wrong


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by it."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) > 100
    assert sorted(names) == sorted(set(names))

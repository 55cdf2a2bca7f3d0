"""The public names: documented, importable, and imported only when they are used."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import siamese_jax

ROOT = Path(__file__).parent.parent


def test_the_page_lists_the_public_names():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == siamese_jax.__all__
    assert all(line.endswith(".") for _, line in rows)


@pytest.mark.parametrize("name", siamese_jax.__all__)
def test_a_public_name_is_callable_and_has_a_docstring(name):
    assert callable(getattr(siamese_jax, name))
    assert getattr(siamese_jax, name).__doc__


def test_the_package_lists_its_names_and_version():
    assert {*siamese_jax.__all__, "__version__"} <= set(dir(siamese_jax))
    assert siamese_jax.__version__ == version("siamese_jax")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        siamese_jax.nothing  # noqa: B018 - the access raises


def test_importing_the_package_imports_nothing_heavy():
    code = "import siamese_jax, sys; print({'jax', 'numpy', 'matplotlib', 'ml_collections'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "set()\n"


def test_from_import_gives_the_function():
    from siamese_jax import load_config
    from siamese_jax.runtime import config_files

    assert load_config is config_files.load

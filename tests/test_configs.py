"""The configurations that ship: they resolve, say their command, and have the settings of the pages' numbers."""

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import configs
from siamese_jax.experiments.cross_training import config as settings
from siamese_jax.protocols import config

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_settings


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(configs.__path__)])
def test_every_shipped_configuration_resolves_and_says_its_command(name):
    module = importlib.import_module(f"configs.{name}")
    if name.startswith("facenet"):
        settings.resolve(settings.with_audio(module.get_config(), ["mine=clips.csv"]))
    else:
        config.resolve(module.get_config())
    assert f"--config={name}" in module.__doc__ or name in ("reproduce", "facenet")  # the launchers' defaults
    assert re.search("^ *siamese-jax ", module.__doc__, re.MULTILINE)


@pytest.mark.parametrize("name", make_settings.NAMES)
def test_numbers_of_the_pages_were_made_with_these_settings(name):
    """See tests/golden/make_settings.py before you change a setting."""
    stored = json.loads(make_settings.FILE.read_text(encoding="utf-8"))
    assert make_settings.settings_of(name) == stored[name]
    assert set(stored) == set(make_settings.NAMES)

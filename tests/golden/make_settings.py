"""Writes settings.json: the settings of every configuration that the numbers of the pages were made with.

    python tests/golden/make_settings.py

A setting that changes gives other numbers: run the records of its configurations again before this file.
"""

import json
import pkgutil
from pathlib import Path
from typing import Any

import configs
from siamese_jax import load_config
from siamese_jax.runtime.config_dict import flat

FILE = Path(__file__).with_name("settings.json")
NAMES = [module.name for module in pkgutil.iter_modules(configs.__path__)]
WHOLE = ("reproduce", "facenet")
"""Configurations with all settings; of the others, those that differ from the one with the same fields."""


def settings_of(name: str) -> dict[str, Any]:
    """The settings of a configuration by dotted name, as JSON has them."""
    own, base = (
        json.loads(json.dumps(flat(load_config(of).to_dict()))) for of in (name, WHOLE[name.startswith(WHOLE[1])])
    )
    return own if name in WHOLE else {key: value for key, value in own.items() if key not in base or base[key] != value}


def text() -> str:
    """The file's content, a line for each setting."""
    of_each = {
        name: ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in settings_of(name).items())
        for name in NAMES
    }
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {{\n{lines}\n }}" for name, lines in of_each.items()) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

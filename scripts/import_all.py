"""Imports every module of this checkout from the installed package: python -I scripts/import_all.py

Prints their number and where the package was found. `-I` keeps the checkout itself out of the search.
"""

import importlib
import sys
from pathlib import Path

from absl import flags

ROOT = Path(__file__).parent.parent
FOLDERS = {"siamese_jax": "siamese_jax", "siamese_jax.launch": "launch", "siamese_jax.configs": "configs"}


def modules() -> list[str]:
    """Returns the installed names of all modules of the checkout."""
    names = []
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            names.append(".".join([package, *parts]).removesuffix(".__init__"))
    return names


def main() -> None:
    names = modules()
    before = set(flags.FLAGS)
    for name in names:
        importlib.import_module(name)
        # Two launchers may have a flag of the same name.
        flags.FLAGS.remove_flag_values([flag for flag in flags.FLAGS if flag not in before])
    print(f"{len(names)} modules of {Path(sys.modules['siamese_jax'].__file__ or '').parent}")


if __name__ == "__main__":
    main()

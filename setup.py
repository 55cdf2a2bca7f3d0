"""The packages of the wheel: `siamese_jax`, and `launch/` and `configs/` as packages inside it."""

from setuptools import find_packages, setup

INSIDE = {"siamese_jax.launch": "launch", "siamese_jax.configs": "configs"}

# setup.cfg's `find:` cannot name a package that lies elsewhere; all else stands in setup.cfg.
setup(packages=[*find_packages(include=["siamese_jax*"]), *INSIDE], package_dir=INSIDE)

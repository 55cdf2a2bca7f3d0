"""A work directory: one experiment's configuration, where its numbers come from, and its finished arrays.

A stage whose file is there is not run again, so an interrupted run goes on where it stopped.
"""

import dataclasses
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import xarray as xr

import siamese_jax
from siamese_jax.config import Experiment
from siamese_jax.errors import InputError
from siamese_jax.io import atomic_path, write_json

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "xarray")


class WorkDir:
    """The folder of one experiment. Raises InputError where it holds another experiment's results."""

    def __init__(self, path: str | Path, experiment: Experiment, inputs: dict[str, str], kind: str):
        """`inputs`: digests of the tables that are read, by role; `kind`: of run ("reproduce", "rerun")."""
        self.path = Path(path)
        self.experiment = experiment
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; give a folder for the results")
        config = json.loads(json.dumps({**dataclasses.asdict(experiment), "tables": inputs}))
        config["kind"] = kind
        config["version"] = siamese_jax.__version__
        self._check(config)
        write_json(self.path / "config.json", config)

    def _check(self, config: dict[str, Any]) -> None:
        file = self.path / "config.json"
        if not file.exists():
            if self.path.exists() and any(self.path.iterdir()):
                raise InputError(f"{self.path}: holds files but no config.json; give an empty or a new folder")
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file}: not readable as JSON ({error}); give another folder") from error
        differing = sorted(key for key in {*config, *found} if config.get(key) != found.get(key))
        if differing:
            shown = "; ".join(f"{key}: {found.get(key)!r} there, {config.get(key)!r} now" for key in differing[:4])
            raise InputError(
                f"{self.path}: holds the results of another configuration ({shown}). Give another folder, or remove it"
            )

    def has(self, name: str) -> bool:
        """Whether the arrays of this name are there already."""
        return self._file(name).exists()

    def _file(self, name: str) -> Path:
        return self.path / "arrays" / f"{name}.nc"

    def arrays(self, name: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The arrays kept under `name`, made and written now where they are not there; `seconds` is added to them.

        Raises InputError where the file there cannot be read.
        """
        file = self._file(name)
        if not file.exists():
            start = time.perf_counter()
            made = make()
            made.attrs["seconds"] = time.perf_counter() - start
            with atomic_path(file) as temporary:
                encoding = {v: {"zlib": True, "complevel": 4} for v in made.data_vars if made[v].ndim}
                made.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        try:
            with xr.open_dataset(file, engine="h5netcdf") as kept:
                return kept.load()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{file}: cannot be read ({error}); remove this file and run again") from error

    def write_provenance(self, seconds: float) -> None:
        """Writes where the numbers come from: versions, revision, devices, command and time."""
        write_json(self.path / "provenance.json", {**provenance(), "seconds": seconds})


def provenance() -> dict[str, Any]:
    """Versions, code revision, machine and command of this process, as plain JSON values."""
    devices = jax.devices()
    return {
        "siamese_jax": siamese_jax.__version__,
        "revision": revision(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": {"system": platform.platform(terse=True), "processor": _processor()},
        "devices": [f"{device.platform}:{device.device_kind}" for device in devices],
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def revision() -> str:
    """The code's git revision, with "+changes" where files differ from it; "unknown" outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no", "--", str(folder))
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Provenance of results: versions, code revision, machine, devices and command."""

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from siamese_jax.errors import InputError
from siamese_jax.runtime import distributed

VERSION = importlib.metadata.version("siamese_jax")
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "xarray")


def check_version(place: Path, version: Any) -> None:
    """Raises InputError where the `version` that made a work directory lays out its files differently."""
    if str(version).split(".")[:2] != VERSION.split(".")[:2]:
        raise InputError(
            f"{place}: made by siamese_jax {version}, but this is {VERSION}, which uses other files; give a new "
            "folder and run the experiment again, or use the version that made it"
        )


def provenance() -> dict[str, Any]:
    """Returns versions, code revision, machine and command of this process, as plain JSON values."""
    devices = jax.devices()
    return {
        "siamese_jax": VERSION,
        "revision": revision(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": {"system": platform.platform(terse=True), "processor": _processor()},
        "processes": distributed.count(),
        "devices": [f"{device.platform}:{device.device_kind}" for device in devices],
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def revision() -> str:
    """Returns the code's git revision, with "+changes" where files differ from it; "unknown" outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no", "--", str(folder))
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

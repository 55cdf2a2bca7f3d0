"""Times keeping finished trials: saving and restoring a part, compared with a plain npz file.

    python -m benchmarks.checkpoints --record=checkpoints.json

A trial's results are those of fine-tuning at six evaluation steps on RAVDESS. Both ways end with the data on the disk
(fsync) under a name that appears whole; the checkpoint is versioned, named and checked against its digest on reading.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from siamese_jax.experiments import workdir
from siamese_jax.runtime import checkpoints, files, partial_results
from siamese_jax.runtime.devices import use_all_cores

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_TRIALS = flags.DEFINE_list("trials", ["30", "1000", "10000"], "Trials in a part.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timings of each; the median counts.", lower_bound=1)

_READOUTS, _CLIPS, _CLASSES = 6, 768, 4
_IDENTITY = {"config": "benchmark", "stage": "fine_tuning"}


def _results(n_trials: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "rows": np.arange(n_trials),
        "predictions": rng.integers(0, _CLASSES, (n_trials, _READOUTS, _CLIPS)).astype(np.int8),
        "losses": rng.normal(size=(n_trials, 3, _READOUTS)).astype(np.float32),
        "distances": rng.normal(size=(n_trials, _READOUTS, _CLASSES, _CLASSES)).astype(np.float32),
    }


def _save_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with files.atomic_path(path.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)


def _load_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with np.load(path.with_suffix(".npz")) as found:
        for name in arrays:
            found[name]


WAYS: dict[str, tuple[Callable[[Path, Any], Any], Callable[[Path, Any], Any]]] = {
    "checkpoint": (
        lambda path, arrays: checkpoints.save(path, arrays, _IDENTITY, {}),
        lambda path, arrays: checkpoints.load(path, _IDENTITY, arrays),
    ),
    "npz": (_save_npz, _load_npz),
}


def _timed(work: Callable[[Path, Any], Any], path: Path, arrays: dict[str, np.ndarray]) -> float:
    begun = time.perf_counter()
    work(path, arrays)
    return time.perf_counter() - begun


def _import_seconds() -> float:
    """What orbax adds to a process that has JAX."""
    code = "import time, jax; t = time.perf_counter(); import orbax.checkpoint; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores()
    found: dict[str, Any] = {"import": statistics.median(_import_seconds() for _ in range(_REPEATS.value))}
    print(f"importing orbax: {found['import']:.2f} s, once, when something is first kept or found")
    with tempfile.TemporaryDirectory() as folder:
        for n in map(int, _TRIALS.value):
            arrays = _results(n)
            megabytes = sum(array.nbytes for array in arrays.values()) / 1e6
            times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for repeat in range(_REPEATS.value + 1):  # the first warms up
                for way, (save, load) in WAYS.items():
                    path = Path(folder) / f"{way}_{n}_{repeat}"
                    times[way].append((_timed(save, path, arrays), _timed(load, path, arrays)))
            for way, pairs in times.items():
                save, load = (statistics.median(values) for values in zip(*pairs[1:]))
                share = 100 * save / (partial_results.SAVE_SECONDS + save)
                found[f"{way}, {n} trials"] = {"megabytes": megabytes, "save": save, "load": load, "share": share}
                print(
                    f"{n} trials ({megabytes:.1f} MB), {way}: saved in {save:.3f} s ({share:.1f} % of the time where "
                    f"they took {partial_results.SAVE_SECONDS:g} s), found again in {load:.3f} s"
                )
    if _RECORD.value:
        files.write_json(_RECORD.value, {"medians": found, "repeats": _REPEATS.value, **workdir.provenance()})


if __name__ == "__main__":
    app.run(main)

"""Times 10,000 clustered bootstrap resamples, compared with loops, or measures the coverage of intervals and tests.

    python -m benchmarks.resampling --record=resampling.json
    python -m benchmarks.resampling --coverage --units=8,10,15,24,50

(With -m: run by its path, this file would stand in for the standard library's module of the same name.)

The data are 768 predictions, 24 speakers by 4 emotions by 8 clips, as in RAVDESS; what is estimated is the UAR,
its 95 % percentile interval over speakers. The package confidence-intervals is timed where it is installed.
"""

import datetime
import functools
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from absl import app, flags

from benchmarks import coverage
from siamese_jax.errors import InputError
from siamese_jax.runtime import files
from siamese_jax.stats import bootstrap, estimands, metrics

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_RESAMPLES = flags.DEFINE_integer("resamples", 10_000, "Bootstrap resamples.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timings of each way; the median counts.", lower_bound=1)
_COVERAGE = flags.DEFINE_bool("coverage", False, "Measure coverage instead of time.")
_UNITS = flags.DEFINE_list("units", ["10", "24"], "Numbers of units for --coverage.")
_CROSSED = flags.DEFINE_list("crossed", [], "Further numbers of speakers and seeds for --coverage, such as 24x10.")
_SIMULATIONS = flags.DEFINE_integer("simulations", 10_000, "Experiments a number of units.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of all random numbers.")

_SPEAKERS, _CLASSES, _CLIPS = 24, 4, 8
_LIMITS = (2.5, 97.5)


def _predictions(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, labels and speakers of 768 clips, the speakers recognised unequally well."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(_SPEAKERS), _CLASSES * _CLIPS)
    labels = np.tile(np.repeat(np.arange(_CLASSES), _CLIPS), _SPEAKERS)
    right = rng.random(labels.size) < rng.beta(6, 6, _SPEAKERS)[speakers]
    return np.where(right, labels, rng.integers(0, _CLASSES, labels.size)), labels, speakers


@functools.partial(jax.jit, static_argnames="n_resamples")
def _compiled(
    key: jax.Array, predictions: jax.Array, labels: jax.Array, speakers: jax.Array, n_resamples: int
) -> jax.Array:
    counted = jnp.ones(labels.shape, bool)
    counts = metrics.confusion_by_group(predictions, labels, counted, speakers, _SPEAKERS, _CLASSES)
    resampled = bootstrap.clustered_bootstrap(key, counts, estimands.uar, n_resamples, over="speakers")
    interval = bootstrap.percentile_interval(resampled)
    return jnp.stack([interval.low, interval.high])


def _uar(predictions: np.ndarray, labels: np.ndarray) -> float:
    counts = np.bincount(labels * _CLASSES + predictions, minlength=_CLASSES**2).reshape(_CLASSES, _CLASSES)
    return float(np.mean(np.diag(counts) / counts.sum(axis=1)))


def _numpy_loop(predictions: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clips = [np.flatnonzero(speakers == speaker) for speaker in range(_SPEAKERS)]
    values = []
    for _ in range(_RESAMPLES.value):
        drawn = np.concatenate([clips[speaker] for speaker in rng.integers(0, _SPEAKERS, _SPEAKERS)])
        values.append(_uar(predictions[drawn], labels[drawn]))
    return np.percentile(values, _LIMITS)


def _scipy_loop(predictions: np.ndarray, labels: np.ndarray, speakers: np.ndarray, seed: int) -> np.ndarray:
    clips = [np.flatnonzero(speakers == speaker) for speaker in range(_SPEAKERS)]

    def statistic(drawn: np.ndarray) -> float:
        rows = np.concatenate([clips[speaker] for speaker in drawn])
        return _uar(predictions[rows], labels[rows])

    result = scipy.stats.bootstrap(
        (np.arange(_SPEAKERS),), statistic, n_resamples=_RESAMPLES.value, vectorized=False,
        method="percentile", rng=seed,
    )  # fmt: skip
    return np.array(result.confidence_interval)


def _package(predictions: np.ndarray, labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """The package, handed speakers as its samples.

    Its own `conditions` also resample the clips within each speaker, with one seed for all of them: another
    quantity than the UAR's uncertainty over speakers, and NaN where that leaves out a class.
    """
    from confidence_intervals import evaluate_with_conf_int

    clips = [np.flatnonzero(speakers == speaker) for speaker in range(_SPEAKERS)]

    def statistic(drawn: np.ndarray) -> float:
        rows = np.concatenate([clips[speaker] for speaker in drawn])
        return _uar(predictions[rows], labels[rows])

    _, limits = evaluate_with_conf_int(np.arange(_SPEAKERS), statistic, num_bootstraps=_RESAMPLES.value, alpha=5)
    return np.array(limits)


def _time(run: Callable[[], Any]) -> tuple[float, list[float]]:
    seconds, limits = [], np.full(2, np.nan)
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        limits = np.asarray(run())
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), limits.tolist()


def measure_time() -> dict[str, Any]:
    """Seconds (median) and limits of each way to resample."""
    data = _predictions(_SEED.value)
    key = jax.random.key(_SEED.value)
    start = time.perf_counter()
    jax.block_until_ready(_compiled(key, *data, n_resamples=_RESAMPLES.value))
    first = time.perf_counter() - start
    ways: dict[str, Callable[[], Any]] = {
        "siamese_jax.stats, compiled": lambda: _compiled(key, *data, n_resamples=_RESAMPLES.value),
        "NumPy loop": lambda: _numpy_loop(*data, _SEED.value),
        "scipy.stats.bootstrap": lambda: _scipy_loop(*data, _SEED.value),
    }
    if importlib.util.find_spec("confidence_intervals"):
        ways["confidence-intervals"] = lambda: _package(*data)
    rows = []
    for name, run in ways.items():
        seconds, limits = _time(run)
        rows.append({"way": name, "seconds": seconds, "low": limits[0], "high": limits[1]})
        print(f"{name:30s} {seconds:9.4f} s   UAR {100 * limits[0]:.2f} .. {100 * limits[1]:.2f} %")
    print(f"{'first call, with compilation':30s} {first:9.4f} s")
    return {"resamples": _RESAMPLES.value, "repeats": _REPEATS.value, "first_call_seconds": first, "rows": rows}


def _cells() -> list[tuple[str, int, int | None]]:
    """(over, units, seeds) of the simulations that the flags ask for."""
    cells: list[tuple[str, int, int | None]] = [
        (over, int(n), None) for n in _UNITS.value for over in ("draws", "speakers", "speakers+seeds")
    ]
    return cells + [("speakers+seeds", *map(int, pair.split("x"))) for pair in _CROSSED.value]


def measure_coverage(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yields how often, in per cent, each 95 % interval covers and each 5 % test rejects a true null.

    Each yield has the rows of one more number of units, of those that `rows` lacks.
    """
    done = {(row["over"], row["n_units"], row["n_seeds"]) for row in rows}
    for over, n_units, n_seeds in [cell for cell in _cells() if cell not in done]:
        shares = []
        # The crossed percentile interval is not offered; measuring it takes most of the time at many units.
        resamples = 1000 if over == "speakers" or n_units <= 10 else 0
        for balanced in (True, False):
            measured = coverage.measure(
                jax.random.key(_SEED.value + n_units), n_units=n_units, n_simulations=_SIMULATIONS.value,
                n_resamples=resamples, over=over, balanced=balanced, n_seeds=n_seeds,
            )  # fmt: skip
            shares.append({rate.name: round(100 * rate.share, 2) for rate in measured})
        where = {"over": over, "n_units": n_units, "n_seeds": n_seeds}
        for name, share in shares[0].items():
            rows = [*rows, {**where, "name": name, "balanced": share, "unbalanced": shares[1][name]}]
            print(f"{over:15s} {n_units:4d} {n_seeds or '':3}  {name:42s} {share:6.2f} {shares[1][name]:6.2f} %")
        yield rows


def _coverage() -> None:
    """Measures coverage; the record is written after each number of units, and a later call resumes from it."""
    settings = {"simulations": _SIMULATIONS.value, "resamples": 1000, "seed": _SEED.value}
    path, rows = Path(_RECORD.value or ""), []
    if _RECORD.value and path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if any(stored[name] != value for name, value in settings.items()):
            raise InputError(f"{path}: measured with other settings than {settings}; give another --record")
        rows = stored["rows"]
    for measured in measure_coverage(rows):
        if _RECORD.value:
            files.write_json(path, {**settings, **_where(), "date": f"{datetime.date.today()}", "rows": measured})


def _where() -> dict[str, Any]:
    device = {"device": jax.devices()[0].device_kind, "cores": os.cpu_count()}
    return {**device, "jax": jax.__version__, "python": platform.python_version()}


def main(argv: Sequence[str]) -> None:
    """Runs what the flags ask for and writes the record."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if _COVERAGE.value:
        _coverage()
        return
    result = measure_time()
    if _RECORD.value:
        files.write_json(_RECORD.value, result | _where())


if __name__ == "__main__":
    app.run(main)

"""Does the source matter more than the number of frozen layers? Several experiments on one target, compared.

The units are the target's speakers: each speaker's UAR, averaged over all draws without that speaker's clips.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments.claims import plain
from siamese_jax.experiments.stored_results import CONFIG, stored_arrays, stored_config
from siamese_jax.runtime.files import user_path
from siamese_jax.runtime.labels import labels
from siamese_jax.stats.scoring import counts_by_speaker, uar
from siamese_jax.stats.variance_components import contrasts, spread_difference


@dataclasses.dataclass(frozen=True)
class SpeakerScores:
    """One experiment's fine-tuning at one evaluation step and loss, named by its source and work directory.

    Fields:
      uar: [frozen, n_speakers, S speakers], per cent; NaN for a speaker who was never tested.
      frozen, n_speakers: the levels of the axes.
    """

    name: str
    speakers: tuple[str, ...]
    uar: np.ndarray
    frozen: tuple[int, ...]
    n_speakers: tuple[int, ...]


def read_all(workdirs: Sequence[str | Path], head: str, scope: str, loss: str, steps: int) -> list[SpeakerScores]:
    """Reads reproductions, each named by its source and folder. Raises InputError as `read`, and for a repeated one."""
    return [read(path, label, head, scope, loss, steps) for path, label in zip(workdirs, labels(workdirs), strict=True)]


def read(
    workdir: str | Path, label: str, head: str, scope: str, loss: str, steps: int,
    arrays_of: Callable[[str], xr.Dataset] | None = None,
) -> SpeakerScores:  # fmt: skip
    """Reads a reproduction, named by its source and `label`; `arrays_of` gives arrays by name if they are read already.

    Raises InputError if `workdir` lacks the experiment, setting, loss or evaluation step.
    """
    workdir = user_path(workdir)
    files = sorted((workdir / "arrays" / head / scope).glob("fine_tuning_*.nc"))
    if not (workdir / CONFIG).exists() or not files:
        raise InputError(
            f"{workdir}: no fine-tuning with head {head} and scaling by {scope}; give another --head or --scaling, or "
            "run siamese-jax reproduce there"
        )
    config = stored_config(workdir)
    losses, evaluated = config["protocol"]["losses"], config["protocol"]["steps"]
    if loss not in losses or steps not in evaluated:
        raise InputError(
            f"{workdir}: has losses {losses} at {evaluated} steps, not {loss!r} at {steps}; give another --loss "
            "or --steps"
        )
    scores = []
    speakers: tuple[str, ...] = ()
    for stage in files:
        name = f"{head}/{scope}/{stage.stem}"
        arrays = arrays_of(name) if arrays_of else stored_arrays(workdir, name, xr.load_dataset)
        speakers, by_cell = _score(arrays, loss, steps)
        scores.append(by_cell)
    sources = "+".join(Path(name.strip()).stem for name in config["data"]["source"].split(","))
    name = f"{sources} ({label})"
    n_speakers = tuple(int(stage.stem.rpartition("_")[2]) for stage in files)
    return SpeakerScores(name, speakers, np.stack(scores, axis=1), tuple(config["protocol"]["frozen"]), n_speakers)


def _score(arrays: xr.Dataset, loss: str, steps: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Speakers, and their UAR [frozen, S] over the draws that did not draw them."""
    emotions = [str(emotion) for emotion in np.atleast_1d(arrays.attrs["emotions"])]
    label = np.array([emotions.index(emotion) for emotion in arrays.emotion.values])
    names, speaker = np.unique(arrays.speaker.values.astype(str), return_inverse=True)
    tested = np.stack([~np.isin(speaker, speaker[rows]) for rows in arrays.support.values])
    predictions = arrays.predictions.sel(loss=loss, step=steps).transpose("frozen", "draw", "clip").values
    counts = counts_by_speaker(predictions, label, tested, speaker, len(names), len(emotions))
    return tuple(names.tolist()), uar(counts.sum(axis=1)).astype(np.float32)


def compare(experiments: list[SpeakerScores], level: float) -> dict[str, Any]:
    """Contrasts between the sources, and the sources' variance minus that of the frozen layers, over target speakers.

    Speakers are matched by name without the corpus's prefix ("ravdess_07" and "07" are the same person). Both are
    averaged over the numbers of speakers drawn.

    Raises InputError for fewer than two experiments, other levels, or fewer than three speakers in common.
    """
    if len(experiments) < 2:
        raise InputError(f"{len(experiments)} work directories; give at least two to compare their sources")
    if doubled := [name for name, count in Counter(scores.name for scores in experiments).items() if count > 1]:
        raise InputError(f"several experiments are called {', '.join(doubled)}; give each a name of its own")
    first, *rest = experiments
    for other in rest:
        if (other.frozen, other.n_speakers) != (first.frozen, first.n_speakers):
            raise InputError(
                f"{other.name} has {other.frozen} frozen layers and {other.n_speakers} speakers, {first.name} has "
                f"{first.frozen} and {first.n_speakers}; run both with the same config.protocol.frozen and n_speakers"
            )
    names = [[name.rpartition("_")[2] for name in scores.speakers] for scores in experiments]
    common = sorted(set.intersection(*map(set, names)))
    by_cell = np.stack([s.uar[:, :, [known.index(name) for name in common]] for s, known in zip(experiments, names)])
    tested = np.isfinite(by_cell).all(axis=(0, 1, 2))
    n_tested = int(tested.sum())
    if n_tested < 3:
        raise InputError(f"{n_tested} speakers were tested in every experiment; give experiments that share at least 3")
    by_source, by_frozen = (by_cell[..., tested].mean(axis=axes) for axes in ((1, 2), (0, 2)))
    sources = [scores.name for scores in experiments]
    n_pairs = len(list(itertools.combinations(experiments, 2)))
    by_pair = contrasts(by_source, sources, 1 - (1 - level) / n_pairs, over="speakers")
    record: dict[str, Any] = {
        "speakers": n_tested,
        "source_means": dict(zip(sources, by_source.mean(axis=1).tolist())),
        "frozen_means": dict(zip(map(str, first.frozen), by_frozen.mean(axis=1).tolist())),
        "source_contrasts": [{"first": a, "second": b, **plain(i, 1.0)} for (a, b), i in by_pair.items()],
    }
    if len(first.frozen) > 1:
        difference = spread_difference(by_source, by_frozen, level, over="speakers")
        record["source_variance_minus_frozen_variance"] = plain(difference, 1.0)
    return record

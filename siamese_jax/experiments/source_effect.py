"""Does the source matter more than the number of frozen layers? Several experiments on one target, side by side.

The sources may differ in their features, their clips and their draws; the target's speakers are the same people, and
they are the units here: each speaker's UAR, averaged over all draws in which that speaker's clips were not drawn.
"""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.errors import InputError
from siamese_jax.experiments import claims
from siamese_jax.runtime.files import user_path
from siamese_jax.stats.scoring import counts_by_speaker, uar
from siamese_jax.stats.variance_components import contrasts, spread_difference


@dataclasses.dataclass(frozen=True)
class SpeakerScores:
    """One experiment's fine-tuning at one readout and loss.

    Fields:
      name: of the source and of the work directory.
      speakers: S names.
      uar: [frozen, speakers drawn, S], per cent; NaN for a speaker who was never tested.
      frozen, n_speakers: the levels of the axes.
    """

    name: str
    speakers: tuple[str, ...]
    uar: np.ndarray
    frozen: tuple[int, ...]
    n_speakers: tuple[int, ...]


def read(workdir: str | Path, head: str, scope: str, loss: str, steps: int) -> SpeakerScores:
    """Reads the arrays of a reproduction.

    Raises:
      InputError: there is no such experiment, setting, loss or readout in `workdir`.
    """
    workdir = user_path(workdir)
    config = workdir / "config.json"
    files = sorted((workdir / "arrays" / head / scope).glob("fine_tuning_*.nc"))
    if not config.exists() or not files:
        raise InputError(
            f"{workdir}: no fine-tuning with head {head} and scaling by {scope}; run launch.reproduce there"
        )
    e = json.loads(config.read_text(encoding="utf-8"))
    if loss not in e["losses"] or steps not in e["steps"]:
        raise InputError(f"{workdir}: has losses {e['losses']} read at {e['steps']} steps, not {loss!r} at {steps}")
    scores = []
    speakers: tuple[str, ...] = ()
    for file in files:
        with xr.open_dataset(file, engine="h5netcdf") as arrays:
            speakers, found = _score(arrays.load(), loss, steps)
        scores.append(found)
    n_speakers = tuple(int(file.stem.rpartition("_")[2]) for file in files)
    return SpeakerScores(
        f"{Path(e['source']).stem} ({workdir.name})", speakers, np.stack(scores, axis=1), tuple(e["frozen"]), n_speakers
    )


def _score(arrays: xr.Dataset, loss: str, steps: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Speakers, and their UAR [frozen, S] over the draws that did not draw them."""
    emotions = [str(e) for e in np.atleast_1d(arrays.attrs["emotions"])]
    label = np.array([emotions.index(e) for e in arrays.emotion.values])
    names, speaker = np.unique(arrays.speaker.values.astype(str), return_inverse=True)
    tested = np.stack([~np.isin(speaker, speaker[rows]) for rows in arrays.support.values])
    predictions = arrays.predictions.sel(loss=loss, step=steps).transpose("frozen", "draw", "clip").values
    counts = counts_by_speaker(predictions, label, tested, speaker, len(names), len(emotions))
    return tuple(names.tolist()), uar(counts.sum(axis=1)).astype(np.float32)


def compare(experiments: list[SpeakerScores], level: float) -> dict[str, Any]:
    """Contrasts between the sources, and the sources' variance minus that of the frozen layers, over target speakers.

    Speakers are matched by name without the corpus's prefix ("ravdess_07" and "07" are the same person). Both are
    averaged over the numbers of speakers drawn.

    Raises:
      InputError: fewer than two experiments, other levels, or fewer than three speakers in common.
    """
    if len(experiments) < 2:
        raise InputError("comparing sources needs at least two work directories")
    first = experiments[0]
    for other in experiments[1:]:
        if (other.frozen, other.n_speakers) != (first.frozen, first.n_speakers):
            raise InputError(
                f"{other.name} froze {other.frozen} layers on {other.n_speakers} speakers, "
                f"{first.name} {first.frozen} on {first.n_speakers}; run both with the same levels"
            )
    keys = [[name.rpartition("_")[2] for name in one.speakers] for one in experiments]
    common = sorted(set.intersection(*map(set, keys)))
    uar = np.stack([one.uar[:, :, [key.index(c) for c in common]] for one, key in zip(experiments, keys)])
    known = np.isfinite(uar).all(axis=(0, 1, 2))
    if known.sum() < 3:
        raise InputError(f"{int(known.sum())} speakers were tested in every experiment; expected at least 3")
    by_source = uar[..., known].mean(axis=(1, 2))
    by_frozen = uar[..., known].mean(axis=(0, 2))
    n_pairs = len(list(itertools.combinations(experiments, 2)))
    by_pair = contrasts(by_source, [one.name for one in experiments], 1 - (1 - level) / n_pairs, over="speakers")
    found: dict[str, Any] = {
        "speakers": int(known.sum()),
        "source_means": {one.name: float(mean) for one, mean in zip(experiments, by_source.mean(axis=1))},
        "frozen_means": {str(f): float(mean) for f, mean in zip(first.frozen, by_frozen.mean(axis=1))},
        "source_contrasts": [{"first": a, "second": b, **claims.plain(i, 1.0)} for (a, b), i in by_pair.items()],
    }
    if len(first.frozen) > 1:
        found["source_variance_minus_frozen_variance"] = claims.plain(
            spread_difference(by_source, by_frozen, level, over="speakers"), 1.0
        )
    return found

"""Training scalars as TensorBoard event files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import xarray as xr
from tensorboardX import SummaryWriter

CURVES = ("cross_entropy", "d_same", "d_different")


def write(folder: Path, source: xr.Dataset, tuned: Mapping[int, xr.Dataset]) -> None:
    """Writes means over seeds and over draws into `folder`, whose former content is removed.

    The curves of `source` are (seed, source_step); of `tuned`, by number of speakers, (loss, frozen, draw, step).
    """
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / "source", source, "source_step")
    for n_speakers, arrays in tuned.items():
        for loss in arrays.loss.values:
            for frozen in arrays.frozen.values:
                cell = folder / f"fine_tuning/{n_speakers:02d}_speakers/{frozen}_frozen/{loss}"
                _write(cell, arrays.sel(loss=loss, frozen=frozen), "step")


def _write(folder: Path, arrays: xr.Dataset, dim: str) -> None:
    with SummaryWriter(str(folder)) as writer:
        for curve in CURVES:
            for step in arrays[dim].values:
                writer.add_scalar(curve, float(arrays[curve].sel({dim: step}).mean()), int(step))

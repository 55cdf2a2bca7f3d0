"""Training scalars as TensorBoard event files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import xarray as xr
from tensorboardX import SummaryWriter

CURVES = ("cross_entropy", "d_same", "d_different")


def write(folder: Path, source: xr.Dataset, tuned: Mapping[int, xr.Dataset]) -> None:
    """Writes means over seeds and over draws into `folder`, whose former content is removed.

    Args:
      source: arrays of source training; curves (seed, source_step).
      tuned: arrays of fine-tuning by number of speakers; curves (loss, frozen, draw, step).
    """
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder / "source")) as writer:
        for curve in CURVES:
            for step in source.source_step.values:
                writer.add_scalar(curve, float(source[curve].sel(source_step=step).mean()), int(step))
    for n_speakers, arrays in tuned.items():
        for loss in arrays.loss.values:
            for frozen in arrays.frozen.values:
                name = f"fine_tuning/{n_speakers:02d}_speakers/{frozen}_frozen/{loss}"
                with SummaryWriter(str(folder / name)) as writer:
                    chosen = arrays.sel(loss=loss, frozen=frozen)
                    for curve in CURVES:
                        for step in arrays.step.values:
                            writer.add_scalar(curve, float(chosen[curve].sel(step=step).mean()), int(step))

"""Training scalars as TensorBoard event files."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr
from tensorboardX import SummaryWriter

from siamese_jax.runtime.plain_files import remove_tree

CURVES = ("cross_entropy", "d_same", "d_different")


def write(workdir: Path, name: str, source: xr.Dataset, tuned: Mapping[int, xr.Dataset]) -> None:
    """Writes means over seeds and over draws into the folder `name` of tensorboard/, whose former content is removed.

    The curves of `source` are (seed, source_step); of `tuned`, by number of speakers, (loss, frozen, draw, step).
    """
    folder = workdir / "tensorboard" / name
    remove_tree(workdir, folder.relative_to(workdir))
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

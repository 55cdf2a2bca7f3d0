"""The progress of a training, and the checkpoints that it resumes from."""

import dataclasses
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.models import facenet_weights
from siamese_jax.models.facenet import Variables
from siamese_jax.runtime import checkpoints
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import State

log = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints kept: if the last is damaged, the one before still serves."""

_PREFIX, _DAMAGED = "epoch_", "damaged_"

# These change how a training is computed: they may differ between runs, and rounding with them.
_FREE = ("devices", "embed_batch", "network.convolution", "network.sums")

Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of a training.

    Fields:
      steps: results of the steps of the epoch in progress, by name.
      history: a row of curves for every finished epoch.
      best_epoch: the epoch whose variables count, from 0; -1 before the first.
    """

    steps: tuple[Row, ...]
    history: tuple[Row, ...]
    best_epoch: int

    @property
    def epoch(self) -> int:
        """The epoch in progress, from 0."""
        return len(self.history)


START = Progress((), (), -1)


def identity(
    config: TrainConfig, variables0: Variables, train: SegmentSource, validation: SegmentSource | None, key: jax.Array
) -> dict[str, Any]:
    """All that a training depends on, as plain values by name."""
    values = flax.traverse_util.flatten_dict(dataclasses.asdict(config), sep=".")
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: value for name, value in values.items() if name not in _FREE} | {
        "training segments": train.fingerprint(),
        "validation segments": validation.fingerprint() if validation is not None else "none",
        "variables to start from": facenet_weights.digest(variables0),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


class Keeper:
    """The checkpoints of a training in a folder; without a folder nothing is kept or found."""

    def __init__(self, folder: str | Path | None, identity: Mapping[str, Any]):
        self._folder = None if folder is None else Path(folder)
        self._identity = identity

    def find(self, like: State) -> tuple[State, Variables, Progress] | None:
        """The state, best variables and progress of the newest whole checkpoint, or None.

        A damaged checkpoint is set aside, with a warning: its steps are computed again. Raises InputError if another
        training wrote the checkpoint (the first settings that differ are named); it is left in place.
        """
        for folder in reversed(self._folders()):
            try:
                arrays, notes = checkpoints.load(folder, self._identity, {"state": like, "best": like.variables})
            except checkpoints.DamagedError as error:
                aside = folder.with_name(f"{_DAMAGED}{folder.name}")
                log.warning("%s. It is now %s; its steps are computed again", error, aside.name)
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
                continue
            progress = Progress(tuple(notes["steps"]), tuple(notes["history"]), notes["best_epoch"])
            log.info("resuming from %s", folder)
            return State(*arrays["state"]), arrays["best"], progress
        return None

    def keep(self, state: State, best: Variables, progress: Progress) -> None:
        """Writes a checkpoint atomically, then removes all but the last `KEPT`."""
        if self._folder is None:
            return
        folder = self._folder / f"{_PREFIX}{progress.epoch:05d}_step_{len(progress.steps):06d}"
        if not folder.exists():
            checkpoints.save(folder, {"state": state, "best": best}, self._identity, dataclasses.asdict(progress))
        for old in self._folders()[:-KEPT]:
            shutil.rmtree(old)

    def _folders(self) -> list[Path]:
        if self._folder is None:
            return []
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"{self._folder}: is a file; give a folder for checkpoints")
        return sorted(self._folder.glob(f"{_PREFIX}*"))

"""How far a training is, and the checkpoints that it goes on from."""

import dataclasses
import hashlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.models.facenet import Variables
from siamese_jax.runtime import checkpoints
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import State

log = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints kept: should the last one be damaged, the one before it still serves."""

_PREFIX = "epoch_"

# How a training is computed, not what: it may change from one run to the next, and rounding with it.
_FREE = ("devices", "embed_batch", "network.convolution", "network.sums")

Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a training is.

    Fields:
      steps: of the results so far in the epoch that is under way, by name.
      history: a row of curves for every epoch that is over.
      best_epoch: the epoch whose variables count, from 0; -1 before the first.
    """

    steps: tuple[Row, ...]
    history: tuple[Row, ...]
    best_epoch: int

    @property
    def epoch(self) -> int:
        """The epoch under way, from 0."""
        return len(self.history)


START = Progress((), (), -1)


def identity(
    config: TrainConfig, variables0: Variables, train: SegmentSource, validation: SegmentSource | None, key: jax.Array
) -> dict[str, Any]:
    """What a training depends on, as plain values by name."""
    values = _flat(dataclasses.asdict(config), "")
    digest = hashlib.blake2b(digest_size=16)
    for leaf in jax.tree.leaves(dict(variables0)):
        digest.update(np.asarray(leaf, np.float32).tobytes())
    return {name: value for name, value in values.items() if name not in _FREE} | {
        "training segments": train.fingerprint(),
        "validation segments": validation.fingerprint() if validation is not None else "none",
        "variables to start from": digest.hexdigest(),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


class Keeper:
    """The checkpoints of one training in a folder; without a folder nothing is kept or found."""

    def __init__(self, folder: str | Path | None, identity: Mapping[str, Any]):
        self._folder = None if folder is None else Path(folder)
        self._identity = identity

    def find(self, like: State) -> tuple[State, Variables, Progress] | None:
        """The state, best variables and progress of the newest checkpoint, or None.

        Raises: InputError where it was written by another training (the first settings that differ are named) or is
          damaged; what is there stays.
        """
        there = self._there()
        if not there:
            return None
        wanted = {"state": like, "best": like.variables}
        found, notes = checkpoints.load(there[-1], self._identity, wanted)
        progress = Progress(tuple(notes["steps"]), tuple(notes["history"]), notes["best_epoch"])
        log.info("going on from %s", there[-1])
        return State(*found["state"]), found["best"], progress

    def keep(self, state: State, best: Variables, progress: Progress) -> None:
        """Writes a checkpoint, whole or not at all, then removes all but the last `KEPT`."""
        if self._folder is None:
            return
        folder = self._folder / f"{_PREFIX}{progress.epoch:05d}_step_{len(progress.steps):06d}"
        if not folder.exists():
            checkpoints.save(folder, {"state": state, "best": best}, self._identity, dataclasses.asdict(progress))
        for old in self._there()[:-KEPT]:
            shutil.rmtree(old)

    def _there(self) -> list[Path]:
        if self._folder is None:
            return []
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"{self._folder}: is a file; give a folder for checkpoints")
        return sorted(self._folder.glob(f"{_PREFIX}*"))

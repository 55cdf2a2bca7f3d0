"""Confusion counts behind the report, by target speaker: from these every per-clip number of it is read.

Letters as in `siamese_jax`; D stands for draws here. All counts are [..., S, C, C], rows the true class.
"""

import dataclasses

import numpy as np
import xarray as xr

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.stats.scoring import counts_by_speaker

SHORT_NAMES = {
    "none": "fine-tuning",
    "ratio": "+ ratio loss",
    "ratio_bounded": "+ bounded ratio loss",
    "cross_entropy_twice": "+ second cross entropy (control)",
}
"""The losses in few words, for labels."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """Counts of one method's repetitions.

    Fields:
      key: the loss, "oodt" or "idt".
      name: for labels.
      per_run: [D, S, C, C], one a draw or seed.
      over: what the repetitions are, "draws" or "seeds".
    """

    key: str
    name: str
    per_run: np.ndarray
    over: str

    @property
    def pooled(self) -> np.ndarray:
        """[S, C, C] over all repetitions."""
        return self.per_run.sum(axis=0)


def by_speaker(target: Dataset, predictions: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """[..., S, C, C] of predicted classes [..., N] on the clips of `mask` [..., N]."""
    n_classes = int(target.label.max()) + 1
    return counts_by_speaker(predictions, target.label, mask, target.speaker, len(target.speakers), n_classes)


def masks(target: Dataset, arrays: xr.Dataset, split: str) -> np.ndarray:
    """[D, N] the clips that each draw is tested on."""
    return evaluation_masks(target, arrays.support.values)[split]


def tuned(
    loaded: Loaded, setting: Setting, n_speakers: int, frozen: int, steps: int, split: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Counts [D, S, C, C] by loss in one cell, and the source seed [D] of each draw."""
    target = _target(loaded)
    with loaded.fine_tuning(setting.head, setting.scope, n_speakers) as arrays:
        cell = arrays.predictions.sel(frozen=frozen, step=steps).transpose("loss", "draw", "clip")
        counts = by_speaker(target, cell.values, masks(target, arrays, split)[None])
        return dict(zip(cell.loss.values.tolist(), counts)), arrays.seed_of_draw.values


def fixed_cell(loaded: Loaded, setting: Setting, split: str) -> list[Counted]:
    """The cell that the configuration names, one entry a loss."""
    e = loaded.experiment
    counts, _ = tuned(loaded, setting, e.report.fixed_n_speakers, e.report.fixed_frozen, e.report.fixed_steps, split)
    return [Counted(loss, SHORT_NAMES[loss], found, "draws") for loss, found in counts.items()]


def references(loaded: Loaded, setting: Setting) -> list[Counted]:
    """Training on the source alone (OODT) and on the target alone (IDT)."""
    target, found = _target(loaded), []
    if setting.scope != "train":
        with loaded.arrays(f"{setting.head}/{setting.scope}/out_of_domain") as arrays:
            everyone = np.ones(len(target), bool)
            found.append(Counted("oodt", "OODT", by_speaker(target, arrays.predictions.values, everyone), "seeds"))
    if setting.scope in IN_DOMAIN_SCOPE:
        with loaded.arrays(f"{setting.head}/{setting.scope}/in_domain") as arrays:
            counts = by_speaker(target, arrays.predictions.values, arrays.tested.values)
            found.append(Counted("idt", "IDT", counts, "seeds"))
    return found


def few_shot(loaded: Loaded, setting: Setting, split: str) -> dict[str, np.ndarray]:
    """Counts [D, S, C, C] of each classifier on source and target clips, at the fixed number of speakers."""
    e, target = loaded.experiment, _target(loaded)
    with loaded.fine_tuning(setting.head, setting.scope, e.report.fixed_n_speakers) as arrays:
        mask = masks(target, arrays, split)
    with loaded.arrays(f"alternatives/{setting.scope}") as arrays:
        found = arrays.few_shot.sel(data="source+target", n_speakers=e.report.fixed_n_speakers)
        return {
            CLASSIFIER_NAMES[method]: by_speaker(target, found.sel({"method": method}).values, mask)
            for method in found.method.values.tolist()
        }


def _target(loaded: Loaded) -> Dataset:
    # Sections ask `loaded.missing` first; this is the programmer's error, not the user's.
    assert loaded.target is not None, loaded.missing
    return loaded.target


def cell_name(loaded: Loaded) -> str:
    """The fixed cell in words."""
    e = loaded.experiment
    layers = "no frozen layer" if e.report.fixed_frozen == 0 else f"{e.report.fixed_frozen} frozen layers"
    return f"{layers}, {e.report.fixed_n_speakers} target speakers, {e.report.fixed_steps} steps"

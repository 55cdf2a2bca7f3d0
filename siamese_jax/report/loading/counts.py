"""Confusion counts by target speaker: every per-clip number of the report is computed from these.

Letters as in `siamese_jax`; D stands for draws here. All counts are [..., S, C, C], rows the true class.
"""

import dataclasses

import numpy as np
import xarray as xr

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper.figure2 import STYLES
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.report.render import text
from siamese_jax.stats.scoring import counts_by_speaker

SHORT_NAMES = {loss: style[3] for loss, style in STYLES.items()}
"""The losses' labels."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """Counts [D, S, C, C] of one method's repetitions `over` "draws" or "seeds"; `key`: the loss, "oodt" or "idt"."""

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
    run: Loaded, setting: Setting, split: str, n_speakers: int | None = None, steps: int | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Counts [D, S, C, C] by loss in one cell, by default the fixed one, and the source seed [D] of each draw."""
    fixed, target = run.experiment.report, _target(run)
    n_speakers = fixed.fixed_n_speakers if n_speakers is None else n_speakers
    steps = fixed.fixed_steps if steps is None else steps
    with run.fine_tuning(setting.head, setting.scope, n_speakers) as arrays:
        cell = arrays.predictions.sel(frozen=fixed.fixed_frozen, step=steps).transpose("loss", "draw", "clip")
        counts = by_speaker(target, cell.values, masks(target, arrays, split)[None])
        return dict(zip(cell.loss.values.tolist(), counts)), arrays.seed_of_draw.values


def fixed_cell(run: Loaded, setting: Setting, split: str) -> list[Counted]:
    """The cell that the configuration names, one entry a loss."""
    by_loss, _ = tuned(run, setting, split)
    return [Counted(loss, SHORT_NAMES[loss], counts, "draws") for loss, counts in by_loss.items()]


def references(run: Loaded, setting: Setting) -> list[Counted]:
    """Out-of-domain training (OODT, on the source alone) and in-domain training (IDT, on the target alone)."""
    target, counted = _target(run), []
    if setting.scope != "train":
        with run.arrays(f"{setting.head}/{setting.scope}/out_of_domain") as arrays:
            counts = by_speaker(target, arrays.predictions.values, np.ones(len(target), bool))
            counted.append(Counted("oodt", "OODT", counts, "seeds"))
    if setting.scope in IN_DOMAIN_SCOPE:
        with run.arrays(f"{setting.head}/{setting.scope}/in_domain") as arrays:
            counts = by_speaker(target, arrays.predictions.values, arrays.tested.values)
            counted.append(Counted("idt", "IDT", counts, "seeds"))
    return counted


def few_shot(run: Loaded, setting: Setting, split: str) -> dict[str, np.ndarray]:
    """Counts [D, S, C, C] of each classifier on source and target clips, at the fixed number of speakers."""
    n_speakers, target = run.experiment.report.fixed_n_speakers, _target(run)
    with run.fine_tuning(setting.head, setting.scope, n_speakers) as arrays:
        mask = masks(target, arrays, split)
    with run.arrays(f"alternatives/{setting.scope}") as arrays:
        cell = arrays.few_shot.sel(data="source+target", n_speakers=n_speakers)
        return {
            CLASSIFIER_NAMES[method]: by_speaker(target, cell.sel({"method": method}).values, mask)
            for method in cell.method.values.tolist()
        }


def _target(run: Loaded) -> Dataset:
    # Sections check `run.missing` first; this is the programmer's error, not the user's.
    assert run.target is not None, run.missing
    return run.target


def cell_name(run: Loaded) -> str:
    """The fixed cell in words."""
    fixed = run.experiment.report
    layers = "no frozen layer" if fixed.fixed_frozen == 0 else text.plural(fixed.fixed_frozen, "frozen layer")
    return f"{layers}, {fixed.fixed_n_speakers} target speakers, {fixed.fixed_steps} steps"

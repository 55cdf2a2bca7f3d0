"""A finished reproduction, read back. D: draws; all counts are [..., S, C, C], rows the true class."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.errors import InputError
from siamese_jax.experiments.records import Row
from siamese_jax.experiments.stored_results import NOT_FINISHED, stored_json
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.loading import workdir
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.report.render import text
from siamese_jax.stats.scoring import counts_by_speaker

KIND = "reproduce"  # the kind of run in config.json


@dataclasses.dataclass(frozen=True)
class Setting:
    """A head and a scaling scope: one network, one way of standardising."""

    head: str
    scope: str

    @property
    def name(self) -> str:
        """For headings."""
        return f"head {self.head}, features scaled by {self.scope}"


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


@dataclasses.dataclass(frozen=True)
class Loaded(Folder):
    """A work directory of `reproduce`, with its summary: see `records.Row` and `summary.optimism`."""

    rows: list[Row]
    optimism: list[dict[str, Any]]
    _tuned: dict[tuple[Any, ...], Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        return f"{self.rows[0].source} to {self.rows[0].target}"

    def fine_tuning(self, head: str, scope: str, n_speakers: int) -> xr.Dataset:
        """The fine-tuning trials with this many speakers."""
        return self.arrays(f"{head}/{scope}/fine_tuning_{n_speakers:02d}")

    @property
    def fixed_name(self) -> str:
        """The fixed cell in words."""
        fixed = self.experiment.report
        layers = "no frozen layer" if fixed.fixed_frozen == 0 else text.plural(fixed.fixed_frozen, "frozen layer")
        return f"{layers}, {fixed.fixed_n_speakers} target speakers, {fixed.fixed_steps} steps"

    def tuned(
        self, setting: Setting, split: str, n_speakers: int | None = None, steps: int | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Counts [D, S, C, C] by loss in one cell, by default the fixed one, and the source seed [D] of each draw."""
        fixed = self.experiment.report
        n_speakers = fixed.fixed_n_speakers if n_speakers is None else n_speakers
        steps = fixed.fixed_steps if steps is None else steps
        key = (setting, split, n_speakers, steps)
        if key not in self._tuned:  # several sections show a cell
            arrays = self.fine_tuning(setting.head, setting.scope, n_speakers)
            cell = arrays.predictions.sel(frozen=fixed.fixed_frozen, step=steps).transpose("loss", "draw", "clip")
            counts = self._counts(cell.values, self._tested(arrays, split)[None])
            self._tuned[key] = dict(zip(cell.loss.values.tolist(), counts)), arrays.seed_of_draw.values
        return self._tuned[key]

    def fixed_cell(self, setting: Setting, split: str) -> list[Counted]:
        """The cell that the configuration names, one entry a loss."""
        by_loss, _ = self.tuned(setting, split)
        return [Counted(loss, SHORT_NAMES[loss], counts, "draws") for loss, counts in by_loss.items()]

    def references(self, setting: Setting) -> list[Counted]:
        """Out-of-domain training (OODT, on the source alone) and in-domain training (IDT, on the target alone)."""
        counted = []
        if setting.scope != "train":
            with self.arrays(f"{setting.head}/{setting.scope}/out_of_domain") as arrays:
                counts = self._counts(arrays.predictions.values, np.ones(arrays.predictions.shape[-1], bool))
                counted.append(Counted("oodt", "OODT", counts, "seeds"))
        if setting.scope in IN_DOMAIN_SCOPE:
            with self.arrays(f"{setting.head}/{setting.scope}/in_domain") as arrays:
                counts = self._counts(arrays.predictions.values, arrays.tested.values)
                counted.append(Counted("idt", "IDT", counts, "seeds"))
        return counted

    def few_shot(self, setting: Setting, split: str) -> dict[str, np.ndarray]:
        """Counts [D, S, C, C] of each classifier on source and target clips, at the fixed number of speakers."""
        n_speakers = self.experiment.report.fixed_n_speakers
        with self.fine_tuning(setting.head, setting.scope, n_speakers) as arrays:
            tested = self._tested(arrays, split)
        with self.arrays(f"baselines/{setting.scope}") as arrays:
            cell = arrays.few_shot.sel(data="source+target", n_speakers=n_speakers)
            return {
                CLASSIFIER_NAMES[method]: self._counts(cell.sel({"method": method}).values, tested)
                for method in cell.method.values.tolist()
            }

    def _counts(self, predictions: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """[..., S, C, C] of predicted classes [..., N] on the clips of `mask` [..., N]."""
        assert self.target is not None, self.missing  # sections check `missing` first
        label, speaker, n_speakers = self.target.label, self.target.speaker, len(self.target.speakers)
        return counts_by_speaker(predictions, label, mask, speaker, n_speakers, int(label.max()) + 1)

    def _tested(self, arrays: xr.Dataset, split: str) -> np.ndarray:
        """[D, N] the clips that each draw is tested on."""
        assert self.target is not None, self.missing
        return evaluation_masks(self.target, arrays.support.values)[split]


def settings(experiment: Experiment) -> list[Setting]:
    """The settings of an experiment in which something was fine-tuned."""
    scopes = [scope for scope in experiment.data.scalings if scope != "train"]
    return [Setting(head, scope) for head in experiment.network.heads for scope in scopes]


def load(path: str | Path, label: str) -> Loaded:
    """Reads one work directory; raises InputError if it is missing, of another kind, unfinished or unreadable."""
    path = Path(path)
    kind = workdir.kind_of(path)
    if kind != KIND:
        raise InputError(f"{path}: holds a run of the kind {kind!r}; give a folder of siamese-jax {KIND}")
    shared = workdir.fields(path, label)
    return Loaded(**shared, rows=rows_of(path), optimism=stored_json(path / "optimism.json", list))


def rows_of(path: Path) -> list[Row]:
    """The rows of a reproduction's summary.json. Raises InputError if there is none, or a row does not fit."""
    rows = workdir.read_records(path / "summary.json", Row)
    if not rows:
        raise InputError(f"{path / 'summary.json'}: holds no result; {NOT_FINISHED}")
    return rows

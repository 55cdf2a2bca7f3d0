"""The cells of the cross-training matrix: material of pre-training (corpus and view, or none) x of fine-tuning."""

import dataclasses
from collections.abc import Sequence

from siamese_jax.errors import InputError

COMPARISON, MATRIX = "comparison", "matrix"
"""Names for several cells: the two that show the effect of spectrogram pre-training on the waveform, and all."""


@dataclasses.dataclass(frozen=True, order=True)
class Material:
    """Training material: the images of one view of one corpus."""

    corpus: str
    view: str

    def __str__(self) -> str:
        return f"{self.corpus}/{self.view}"

    @property
    def file_name(self) -> str:
        """In names of files."""
        return f"{self.corpus}-{self.view}"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell: the material of pre-training (None: from scratch), and of fine-tuning and testing."""

    pretraining: Material | None
    fine_tuning: Material

    def __str__(self) -> str:
        return f"{self.pretraining or 'none'} to {self.fine_tuning}"

    @property
    def folder(self) -> str:
        """The folder of its folds, below arrays/."""
        return f"cells/{self.pretraining.file_name if self.pretraining else 'none'}/{self.fine_tuning.file_name}"

    @property
    def shares_corpus(self) -> bool:
        """Whether both stages train on one corpus, so that pre-training must leave out a fold's test clips."""
        return self.pretraining is not None and self.pretraining.corpus == self.fine_tuning.corpus


def cell_name(cell: Cell) -> str:
    """A cell in words."""
    before = "not pre-trained" if cell.pretraining is None else f"pre-trained on {cell.pretraining}"
    return f"FaceNet on the {cell.fine_tuning.view}, {before}"


def comparison(corpora: Sequence[str], target: str) -> list[Cell]:
    """The waveform of `target` without pre-training, and after the spectrogram of another corpus (the next in the list,
    as in Liu et al. 2021), or of its own if there is no other."""
    source = corpora[(list(corpora).index(target) + 1) % len(corpora)]
    waveform = Material(target, "waveform")
    return [Cell(None, waveform), Cell(Material(source, "spectrogram"), waveform)]


def matrix(corpora: Sequence[str], views: Sequence[str]) -> list[Cell]:
    """All cells, the most informative first: by corpus the comparison, the other cells of its waveform, the rest."""
    materials = [Material(corpus, view) for corpus in corpora for view in views]
    cells = [Cell(before, after) for after in materials for before in (None, *materials)]
    first = [cell for corpus in corpora for cell in comparison(corpora, corpus) if cell in cells]
    waveform = [cell for cell in cells if cell.fine_tuning.view == "waveform"]
    return list(dict.fromkeys([*first, *waveform, *cells]))


def chosen(names: Sequence[str], corpora: Sequence[str], views: Sequence[str]) -> list[Cell]:
    """The cells to run, in this order, each once.

    Names are "comparison" (of the first corpus), "matrix", or cells such as "emodb/spectrogram to ravdess/waveform" and
    "none to ravdess/waveform". Raises InputError for no name, or a name that is no cell of these corpora and views.
    """
    known = matrix(corpora, views)
    groups = {COMPARISON: [cell for cell in comparison(corpora, corpora[0]) if cell in known], MATRIX: known}
    groups |= {str(cell): [cell] for cell in known}
    cells: list[Cell] = []
    for name in names:
        words = " ".join(name.split())
        if words not in groups:
            raise InputError(
                f"config.cells holds {name!r}; expected {COMPARISON!r}, {MATRIX!r} or a cell such as "
                f"{str(known[-1])!r}, of the corpora {', '.join(corpora)} and the views {', '.join(views)}"
            )
        cells += groups[words]
    if not cells:
        raise InputError(
            f"config.cells is {tuple(names)}: no cell to run; expected {COMPARISON!r}, {MATRIX!r} or names of cells, "
            f"such as {str(known[-1])!r}"
        )
    return list(dict.fromkeys(cells))

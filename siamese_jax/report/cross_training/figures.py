"""Figures of a cross-training: confusion matrices, training curves and embeddings."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator
from sklearn.manifold import TSNE

from siamese_jax.experiments.cross_training.matrix import MATRIX, Cell, cell_name, chosen, comparison
from siamese_jax.experiments.cross_training.plan import PARTS, fold_name
from siamese_jax.experiments.cross_training.records import Row
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.loading.workdir import cached
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Fold, Gallery, Heading, Paragraph, Picture, Table
from siamese_jax.report.sections import confusion
from siamese_jax.report.sections.embeddings import principal_plane

CURVES = (("loss", "triplet loss, training"), ("validation_loss", "triplet loss, validation"),
          ("segment_uar", "UAR of validation segments"), ("triplets", "triplets by anchor and positive"))  # fmt: skip


def cells(run: Matrix) -> list[Cell]:
    """The finished cells, in the matrix's order."""
    finished = {(row.corpus, row.name) for row in run.rows if row.system == "facenet"}
    every = chosen((MATRIX,), list(run.described), run.config["views"])
    return [cell for cell in every if (cell.fine_tuning.corpus, cell_name(cell)) in finished]


def compared(run: Matrix) -> list[Cell]:
    """The finished cells of the comparisons, corpus by corpus."""
    cells_of_interest = [cell for corpus in run.described for cell in comparison(list(run.described), corpus)]
    return [cell for cell in cells_of_interest if cell in cells(run)]


def _key(cell: Cell) -> str:
    before = cell.pretraining.file_name if cell.pretraining else "none"
    return f"{before}_{cell.fine_tuning.file_name}".replace("-", "_")


def confusions(run: Matrix, number: int, full: bool) -> Iterator[Block]:
    """The compared cells and the best baseline; the others folded. Recalls with intervals in a table."""
    compared_names = {(cell.fine_tuning.corpus, cell_name(cell)) for cell in compared(run)}
    for corpus in run.described:
        rows = run.chosen(corpus)
        baselines = [row for row in rows if row.system != "facenet" and row.trained_on == "folds"]
        best = max(baselines, key=lambda row: row.uar or 0.0, default=None)
        first = [row for row in rows if (corpus, row.name) in compared_names or row is best]
        others = [row for row in rows if row not in first] if full else []
        pictures = [_confusion(run, row, f"confusion_{number}_{corpus}_{i}") for i, row in enumerate(first + others)]
        yield Heading(f"Tested on {corpus}")
        yield Gallery(pictures[: len(first)])
        yield Table(
            f"Recall in per cent on {corpus}; {rows[0].interval}, n = {text.plural(rows[0].n_speakers, 'speaker')}. "
            "The interval is as wide on both sides, so that near 0 and 100 it may reach beyond what a recall can be.",
            ("system", *run.emotions),
            [(row.name, *(text.bounded(*recall, note="no interval") for recall in row.recalls)) for row in rows],
        )
        if others:
            yield Fold(f"{corpus}: the other systems", [Gallery(pictures[len(first) :])])


def _confusion(run: Matrix, row: Row, name: str) -> Picture:
    pooled = f"n = {row.n_clips:,} clips of {row.corpus}"
    if row.n_runs > 1:
        pooled += f", {row.n_runs} seeds pooled"
    return confusion.matrix_picture(name, row.name, run.emotions, np.array(row.confusion), pooled)


def _others(run: Matrix, full: bool) -> list[Cell]:
    return [cell for cell in cells(run) if cell not in compared(run)] if full else []


def curves(run: Matrix, number: int, full: bool) -> Iterator[Block]:
    """Curves of the cells, a line a fold; those that are not compared are folded."""
    yield from _curves(run, number, compared(run))
    if others := _others(run, full):
        yield Fold("Training curves of the other cells", list(_curves(run, number, others)))


def _curves(run: Matrix, number: int, of_cells: Sequence[Cell]) -> Iterator[Block]:
    for cell in of_cells:
        folds = [run.arrays(fold_name(cell, i)) for i in range(len(run.described[cell.fine_tuning.corpus]["folds"]))]
        yield Paragraph(f"{cell_name(cell)} ({cell.fine_tuning.corpus}), fine-tuning:")
        yield Gallery([
            _curve(folds, name, title, f"curve_{number}_{_key(cell)}_{name}", f"{cell}: {title}")
            for name, title in CURVES if name in folds[0]
        ])  # fmt: skip


def _curve(folds: list[xr.Dataset], quantity: str, y_label: str, name: str, title: str) -> Picture:
    values = [fold[quantity].values for fold in folds]
    best = [int(fold.attrs["best_epoch"]) for fold in folds]

    def draw() -> figures.Figure:
        figure, axis = figures.panel(2.5)
        for curve, at in zip(values, best):
            axis.plot(np.arange(1, len(curve) + 1), curve, color="#0072B2", linewidth=0.8, alpha=0.7)
            axis.plot([at + 1], [curve[at]], color="#D55E00", marker="o", markersize=3.5, linestyle="")
        axis.set(xlabel="epoch", ylabel=y_label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="y", linewidth=0.3)
        return figure

    ends = "; ".join(
        f"fold {i}: {c[0]:.3f} to {c[-1]:.3f}, best epoch {at + 1}" for i, (c, at) in enumerate(zip(values, best))
    )
    caption = f"{y_label} by epoch, a line for each fold, n = {len(values)}; the dot is the epoch that was kept."
    return Picture(name, figures.png(draw), f"{title} by epoch. {ends}.", caption)


def embeddings(run: Matrix, number: int, full: bool) -> Iterator[Block]:
    """The clips of fold 0 of the cells in the plane; those that are not compared are folded."""
    tsne = "t-SNE (perplexity 30 or a quarter of the clips, scikit-learn, from principal components)"
    yield Paragraph(
        "Fold 0 of each cell: the mean embedding of each clip's segments, in the plane of "
        + (tsne if run.config["projection"] == "tsne" else "the first two principal components")
        + ". Hollow marks are training clips, filled marks are test clips of other people. Distances between far "
        "groups mean little in t-SNE; a plane shows how an embedding looks, not whether a method is better."
    )
    yield _planes(run, number, compared(run))
    if others := _others(run, full):
        yield Fold("Embeddings of the other cells", [_planes(run, number, others)])


def _planes(run: Matrix, number: int, of_cells: Sequence[Cell]) -> Gallery:
    return Gallery([_plane(run, cell, f"embedding_{number}_{_key(cell)}") for cell in of_cells])


def _plane(run: Matrix, cell: Cell, name: str) -> Picture:
    arrays = run.arrays(fold_name(cell, 0))
    part = arrays.part.values
    rows = np.flatnonzero(np.isin(part, (PARTS.index("train"), PARTS.index("test"))))
    plane = projected(run, arrays.embedding.values[rows], name)
    emotion, tested = arrays.emotion.values[rows], part[rows] == PARTS.index("test")

    def draw() -> figures.Figure:
        figure, axis = figures.panel(3.7)
        for emotion_name, (color, marker) in zip(run.emotions, figures.EMOTION_STYLES):
            for which, face, legend in ((~tested, "none", None), (tested, color, emotion_name)):
                at = which & (emotion == emotion_name)
                axis.scatter(plane[at, 0], plane[at, 1], s=14 if face != "none" else 8, facecolors=face,
                             edgecolors=color, linewidths=0.5, marker=marker, label=legend,
                             alpha=1 if face != "none" else 0.45)  # fmt: skip
        axis.set(xticks=[], yticks=[], title=figures.literal(str(cell)))
        figures.legend_below(figure, axis, 4, markerscale=1.6)
        return figure

    n_test = int(tested.sum())
    return Picture(
        name, figures.png(draw),
        f"Embeddings of {len(rows)} clips under {cell}, fold 0, marked by emotion; {n_test} of them are test clips.",
        f"{cell}, fold 0, n = {text.plural(n_test, 'test clip')} (filled) and {len(rows) - n_test} training clips "
        "(hollow); one network, no interval."
    )  # fmt: skip


def projected(run: Matrix, emb_NxE: np.ndarray, name: str) -> np.ndarray:
    """Embeddings in the plane [N, 2], kept in the work directory, since t-SNE takes seconds."""
    method = run.config["projection"]
    made_from = hashlib.sha256(method.encode() + np.ascontiguousarray(emb_NxE).tobytes()).hexdigest()
    file = run.path / "report" / f"{name.partition('_')[2].partition('_')[2]}.nc"
    return np.asarray(cached(file, made_from, lambda: _plane_of(method, emb_NxE)).plane.values)


def _plane_of(method: str, emb_NxE: np.ndarray) -> xr.Dataset:
    if method == "pca" or len(emb_NxE) < 8:
        plane = principal_plane(emb_NxE)[0]
    else:
        perplexity = min(30.0, len(emb_NxE) / 4)
        plane = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(emb_NxE)
    return xr.Dataset({"plane": (("clip", "axis"), plane)})

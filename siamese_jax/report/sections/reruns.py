"""Reruns and crossings on the page: what thousands of draws, or many trainings, say of the paper's claims."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.report.loading import workdir
from siamese_jax.report.loading.workdir import NOT_FINISHED, Folder, read_json
from siamese_jax.report.paper import claims, crossed
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Alert, Block, Gallery, Heading, Picture, Section

KINDS = {
    "rerun": "claims.json",
    "rerun of out_of_domain": "claims.json",
    "rerun of in_domain": "claims.json",
    "crossed": "crossed.json",
}
"""Kinds of runs that are reported here, and the file that holds what they found."""

BARS = (("over_draws", "#0072B2", "o", 0.14), ("over_speakers_and_seeds", "#D55E00", "s", -0.14))


@dataclasses.dataclass(frozen=True)
class Rerun(Folder):
    """A work directory of launch.rerun.

    Fields, beside those of `Folder`:
      found: a record for each setting, see `claims.examine`, `retraining.examine` and `crossing.run`.
    """

    found: list[dict[str, Any]]

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        return f"{self.found[0]['source']} to {self.found[0]['target']}"


def load(path: str | Path, label: str) -> Rerun:
    """Reads one work directory. Raises InputError where it is of another kind, unfinished or damaged."""
    shared = workdir.fields(path, label)
    if shared["kind"] not in KINDS:
        raise InputError(f"{path}: holds a run of the kind {shared['kind']!r}; expected one of {', '.join(KINDS)}")
    file = Path(path) / KINDS[shared["kind"]]
    found = read_json(file, list)
    if not found:
        raise InputError(f"{file}: holds no result; {NOT_FINISHED}")
    run = Rerun(**shared, found=found)
    try:
        list(_blocks(run, 0))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{file}: does not fit this version ({error!r}); run launch.rerun again") from error
    return run


def section(runs: list[Rerun]) -> Section:
    """What the reruns found, a part for each work directory."""
    blocks: list[Block] = []
    for i, run in enumerate(runs):
        blocks.append(Heading(f"{run.label}: {run.corpora}"))
        blocks.extend(Alert(note) for note in run.notes)
        blocks.extend(_blocks(run, i))
    return Section("The claims put to the test", blocks)


def _blocks(run: Rerun, number: int) -> Iterator[Block]:
    if run.kind == "crossed":
        yield from crossed.blocks(run.found)
        yield Gallery([crossed.picture(one, f"crossing_{number}_{i}") for i, one in enumerate(run.found)])
    elif run.kind == "rerun":
        pictures = [_forest(run, one, f"claims_{number}_{i}") for i, one in enumerate(run.found)]
        yield Gallery([picture for picture in pictures if picture is not None])
        yield from claims.blocks(run.found)
    else:
        yield from claims.trainings(run.found)


def _forest(run: Rerun, one: dict[str, Any], name: str) -> Picture | None:
    """The gains of the fixed depth and readout with both kinds of uncertainty; None where nothing was compared."""
    e = run.experiment
    gains = [g for g in one["gains"] if (g["frozen"], g["steps"]) == (e.report.fixed_frozen, e.report.fixed_steps)]
    if not gains:
        return None

    def draw() -> figures.Figure:
        figure, axis = figures.panel(0.9 + 0.34 * len(gains))
        for kind, color, marker, shift in BARS:
            y = np.arange(len(gains))[::-1] + shift
            value, low, high = (
                np.array([np.nan if g[kind][key] is None else g[kind][key] for g in gains], float)
                for key in ("estimate", "low", "high")
            )
            bars = np.stack([np.nan_to_num(value - low), np.nan_to_num(high - value)])
            label = f"{kind.replace('_', ' ')} (n = {gains[0][kind]['n_units']:,})"
            axis.errorbar(value, y, xerr=bars, color=color, marker=marker, linestyle="none", label=label,
                          markersize=3.5, elinewidth=1.1, capsize=2)  # fmt: skip
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_yticks(np.arange(len(gains))[::-1], [_short(g) for g in gains])
        axis.set_xlabel("difference of UAR (points)")
        axis.grid(axis="x", linewidth=0.3)
        figures.legend_below(figure, axis, 1)
        return figure

    ends = "; ".join(f"{_short(g)}: {claims.estimate(g['over_draws'])} over draws" for g in gains)
    return Picture(
        name,
        figures.png(draw),
        f"Paired differences with intervals over draws and over speakers and seeds. {ends}.",
        f"Head {one['head']}, scaled by {one['scaling']}: paired differences of UAR (points), {e.report.fixed_frozen} "
        f"frozen layers, {e.report.fixed_steps} steps, other speakers' clips, {text.plural(one['n_draws'], 'draw')}; "
        f"{gains[0]['over_draws']['kind']} and {gains[0]['over_speakers_and_seeds']['kind']} interval.",
    )


def _short(gain: dict[str, Any]) -> str:
    names = {"none": "none", "ratio": "ratio", "ratio_bounded": "bounded", "cross_entropy_twice": "control"}
    method, minus = (names.get(gain[key], gain[key]) for key in ("method", "minus"))
    return f"{method} − {minus}, {gain['n_speakers']} sp."

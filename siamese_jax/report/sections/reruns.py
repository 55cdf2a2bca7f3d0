"""Reruns and crossings on the page: tests of the paper's claims by thousands of draws, or by many trainings."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.experiments.stored_results import NOT_FINISHED, stored_json
from siamese_jax.report.loading import workdir
from siamese_jax.report.loading.workdir import Folder
from siamese_jax.report.paper import claims, crossed
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Alert, Block, Gallery, Heading, Picture, Section

KINDS = {"rerun": "claims.json", "rerun of out_of_domain": "claims.json", "rerun of in_domain": "claims.json",
         "crossed": "crossed.json"}  # fmt: skip
"""Kinds of runs that are reported here, and the file that holds their results."""

BARS = (("over_draws", "#0072B2", "o", 0.14), ("over_speakers_and_seeds", "#D55E00", "s", -0.14))


@dataclasses.dataclass(frozen=True)
class Rerun(Folder):
    """A work directory of a rerun, with a record a setting: see `claims`, `retrain` and `crossed`."""

    records: list[dict[str, Any]]

    @property
    def corpora(self) -> str:
        """ "emodb to ravdess"."""
        return f"{self.records[0]['source']} to {self.records[0]['target']}"


def load(path: str | Path, label: str) -> Rerun:
    """Reads one work directory. Raises InputError if it is of another kind, unfinished or damaged."""
    shared = workdir.fields(path, label)
    if shared["kind"] not in KINDS:
        raise InputError(f"{path}: holds a run of the kind {shared['kind']!r}; expected one of {', '.join(KINDS)}")
    file = Path(path) / KINDS[shared["kind"]]
    records = stored_json(file, list)
    if not records:
        raise InputError(f"{file}: holds no result; {NOT_FINISHED}")
    run = Rerun(**shared, records=records)
    try:
        list(_blocks(run, 0))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{file}: does not fit this version ({error!r}); run siamese-jax rerun again") from error
    return run


def section(runs: list[Rerun]) -> Section:
    """The reruns' results, a part for each work directory."""
    blocks: list[Block] = []
    for i, run in enumerate(runs):
        blocks.append(Heading(f"{run.label}: {run.corpora}"))
        blocks.extend(Alert(note) for note in run.notes)
        blocks.extend(_blocks(run, i))
    return Section("Tests of the paper's claims", blocks)


def _blocks(run: Rerun, number: int) -> Iterator[Block]:
    if run.kind == "crossed":
        yield from crossed.blocks(run.records)
        yield Gallery([crossed.picture(record, f"crossing_{number}_{i}") for i, record in enumerate(run.records)])
    elif run.kind == "rerun":
        pictures = [_forest(run, record, f"claims_{number}_{i}") for i, record in enumerate(run.records)]
        yield Gallery([picture for picture in pictures if picture is not None])
        yield from claims.blocks(run.records)
    else:
        yield from claims.trainings(run.records)


def _forest(run: Rerun, record: dict[str, Any], name: str) -> Picture | None:
    frozen, steps = run.experiment.report.fixed_frozen, run.experiment.report.fixed_steps
    gains = [gain for gain in record["gains"] if (gain["frozen"], gain["steps"]) == (frozen, steps)]
    if not gains:
        return None

    def draw() -> figures.Figure:
        figure, axis = figures.panel(0.9 + 0.34 * len(gains))
        places = np.arange(len(gains))[::-1]
        for kind, color, marker, shift in BARS:
            value, low, high = (
                np.array([np.nan if gain[kind][key] is None else gain[kind][key] for gain in gains], float)
                for key in ("estimate", "low", "high")
            )
            lengths = np.stack([np.nan_to_num(value - low), np.nan_to_num(high - value)])
            label = f"{kind.replace('_', ' ')} (n = {gains[0][kind]['n_units']:,})"
            axis.errorbar(value, places + shift, xerr=lengths, color=color, marker=marker, linestyle="none",
                          label=label, markersize=3.5, elinewidth=1.1, capsize=2)  # fmt: skip
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_yticks(places, [_short(gain) for gain in gains])
        axis.set_xlabel("difference of UAR (points)")
        axis.grid(axis="x", linewidth=0.3)
        figures.legend_below(figure, axis, 1)
        return figure

    ends = "; ".join(f"{_short(gain)}: {claims.estimate(gain['over_draws'])} over draws" for gain in gains)
    return Picture(
        name,
        figures.png(draw),
        f"Paired differences with intervals over draws and over speakers and seeds. {ends}.",
        f"Head {record['head']}, scaled by {record['scaling']}: paired differences of UAR (points), "
        f"{text.plural(frozen, 'frozen layer')}, {steps} steps, other speakers' clips, "
        f"{text.plural(record['n_draws'], 'draw')}; {gains[0]['over_draws']['kind']} and "
        f"{gains[0]['over_speakers_and_seeds']['kind']} interval.",
    )


def _short(gain: dict[str, Any]) -> str:
    names = {"none": "none", "ratio": "ratio", "ratio_bounded": "bounded", "cross_entropy_twice": "control"}
    method, minus = (names.get(gain[key], gain[key]) for key in ("method", "minus"))
    return f"{method} − {minus}, {gain['n_speakers']} sp."

"""Several sources for one target: each alone, all together, and the one that pair distances choose on each draw."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.mixture import part
from siamese_jax.errors import InputError
from siamese_jax.experiments import summary
from siamese_jax.experiments.records import Row, joined, number
from siamese_jax.experiments.run_context import Run, open_run
from siamese_jax.protocols import source_ranking
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.scoring import counts_by_speaker, score_counts

KIND = "source_ranking"


def run(experiment: Experiment, workdir: str | Path) -> list[Row]:
    """Runs the classifiers of `config.protocol.baselines` and writes summary.json and source_ranking.json.

    The field `source` of a row names the corpora, or says "nearest of" them where each draw takes the source with the
    smallest D_s / D_d to its labelled clips. source_ranking.json holds the differences to all sources together, paired
    by draw, and how often each source is the nearest.

    Raises InputError for fewer than two sources, and as `run_context.open_run`.
    """
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    with open_run(experiment, workdir, KIND) as run:
        if len(run.source.corpora) < 2:
            raise InputError(
                f"config.data.source is {experiment.data.source}: one source; give several, separated by commas"
            )
        plan = run.plan()
        for scope in (scope for scope in experiment.data.scalings if scope != "train"):
            of_scope, compared = _scope(run, plan, scope)
            rows += of_scope
            records += compared
        run.write(summary=rows, source_ranking=records)
    return rows


def _scope(run: Run, plan: Plan, scope: str) -> tuple[list[Row], list[dict[str, Any]]]:
    parts = ("source_only", "few_shot")
    everything = run.baselines(plan, scope, parts, "/all")
    alone = [dataclasses.replace(plan, source=part(plan.source, k), source_note="") for k in range(_n_sources(plan))]
    results = [run.baselines(of_one, scope, parts, f"/source_{k}") for k, of_one in enumerate(alone)]
    rows = list(summary.baseline_rows(plan, scope, everything))
    for of_one, arrays in zip(alone, results):
        # The target's clips alone have no source.
        rows += [row for row in summary.baseline_rows(of_one, scope, arrays) if row.data != "target"]
    ratio = run.arrays(plan, f"ratios/{scope}", lambda: _ratios(plan, scope)).ratio.values
    nearest = ratio.argmin(axis=2)
    chosen = np.stack([arrays.few_shot.values for arrays in results])
    chosen = np.take_along_axis(chosen, nearest[None, None, None, :, :, None], axis=0)[0]
    name = f"nearest of {plan.source.name}"
    by_ratio = dataclasses.replace(plan, source=dataclasses.replace(plan.source, name=name), source_note="")
    records = []
    for i, method in enumerate(plan.experiment.protocol.baselines):
        scores = summary.score_few_shot(by_ratio, chosen[i])
        of_method = list(summary.few_shot_rows(by_ratio, scope, method, scores, 0.0))
        rows += [_with_shares(row, plan, nearest) for row in of_method if row.data != "target"]
        others = {p.source.name: arrays.few_shot.values[i, 1] for p, arrays in zip(alone, results)}
        for other, predictions in {**others, name: chosen[i, 1]}.items():
            both = np.stack([predictions, everything.few_shot.values[i, 1]], axis=1)
            records += list(_differences(plan, scope, method, other, both))
    return rows, [{**record, **_choices(plan, nearest, ratio, record["n_speakers"])} for record in records]


def _n_sources(plan: Plan) -> int:
    return len(plan.source.corpora)


def _ratios(plan: Plan, scope: str) -> xr.Dataset:
    n_speakers = plan.experiment.protocol.n_speakers
    ratio = np.stack([source_ranking.ratios(plan, scope, k) for k in n_speakers])
    coords = {"n_speakers": list(n_speakers), "source": list(plan.source.corpora)}
    return xr.Dataset({"ratio": (("n_speakers", "draw", "source"), ratio)}, coords=coords)


def _choices(plan: Plan, nearest: np.ndarray, ratio: np.ndarray, n_speakers: int) -> dict[str, Any]:
    """The share of the draws that chose each source, and its mean ratio."""
    k = plan.experiment.protocol.n_speakers.index(n_speakers)
    shares = np.bincount(nearest[k], minlength=_n_sources(plan)) / nearest.shape[1]
    return {
        "share_nearest": dict(zip(plan.source.corpora, shares.tolist())),
        "mean_ratio": dict(zip(plan.source.corpora, ratio[k].mean(axis=0).tolist())),
    }


def _with_shares(row: Row, plan: Plan, nearest: np.ndarray) -> Row:
    k = plan.experiment.protocol.n_speakers.index(row.n_speakers)
    counts = np.bincount(nearest[k], minlength=_n_sources(plan)).tolist()
    chosen = ", ".join(f"{name} {count}" for name, count in zip(plan.source.corpora, counts))
    return dataclasses.replace(row, remarks=joined(f"draws by source: {chosen}", row.remarks))


def _differences(plan: Plan, scope: str, method: str, source: str, predictions: np.ndarray) -> Iterator[dict[str, Any]]:
    """Records of a source's UAR minus that of all sources, by split and number of speakers.

    `predictions` [speakers, 2, draw, clip] are those of the source and of all, trained on source and target clips.
    """
    target, level, n_classes = plan.target, plan.experiment.report.level, len(plan.experiment.data.emotions)
    for n_speakers, of_both in zip(plan.experiment.protocol.n_speakers, predictions):
        for split, mask in evaluation_masks(target, plan.draws.support(n_speakers)).items():
            counts_2xDxSxCxC = counts_by_speaker(
                of_both, target.label, mask, target.speaker, len(target.speakers), n_classes
            )
            uar_2xD = score_counts(counts_2xDxSxCxC.sum(axis=2)).uar
            pooled_Sx2xCxC = counts_2xDxSxCxC.sum(axis=1).swapaxes(0, 1)
            pair = PairedDifference.make(uar_2xD[0] - uar_2xD[1], pooled_Sx2xCxC[None])
            draws, speakers = pair.over_draws(level), pair.over_speakers(level)
            yield {
                "source": source, "minus": plan.source.name, "target": target.name, "method": method,
                "scaling": scope, "split": split, "n_speakers": n_speakers, "n_draws": uar_2xD.shape[1],
                "uar_difference": number(pair.by_draw.mean()),
                "ci_low": number(np.asarray(draws.low)), "ci_high": number(np.asarray(draws.high)),
                "speakers_low": number(100 * np.asarray(speakers.low)),
                "speakers_high": number(100 * np.asarray(speakers.high)),
                "interval": f"{draws.label}; {speakers.label}",
            }  # fmt: skip

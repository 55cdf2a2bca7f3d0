"""The rows and paired differences of one setting, from its labelled arrays."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.experiments import rows
from siamese_jax.experiments.rows import Difference, Row
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats.scoring import Scored, score, stacked

COMPARISONS = (("ratio", "none"), ("ratio_bounded", "none"), ("cross_entropy_twice", "none"),
               ("ratio", "cross_entropy_twice"), ("ratio_bounded", "cross_entropy_twice"))  # fmt: skip

FEW_SHOT_DATA = ("target", "source+target")
"""What the classifiers learn from on the draws, in the order of their arrays."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """The fine-tuning results of one setting: a score for every repetition, and what the rows share.

    Fields:
      scored: by split, UAR and WA [speakers, loss, frozen, step, draw].
      seconds: [speakers] wall time of each stage.
    """

    scored: dict[str, Scored]
    seconds: np.ndarray


def score_grid(plan: Plan, stages: Mapping[int, xr.Dataset]) -> Grid:
    """Scores every fine-tuning repetition on both splits; `stages` maps numbers of speakers to their arrays."""
    by_split: dict[str, list[Scored]] = {split: [] for split in rows.SPLITS}
    for n_speakers, arrays in stages.items():
        predictions = arrays.predictions.transpose("loss", "frozen", "step", "draw", "clip").values
        for split, mask in evaluation_masks(plan.target, plan.draws.support(n_speakers)).items():
            by_split[split].append(score(predictions, plan.target.label, mask))
    scored = {split: stacked(each) for split, each in by_split.items()}
    return Grid(scored, np.array([arrays.attrs["seconds"] for arrays in stages.values()]))


def labelled(experiment: Experiment, grid: Grid) -> xr.Dataset:
    """`uar` and `wa` in per cent, with the dims (split, n_speakers, loss, frozen, step, draw) named."""
    dims = ("split", "n_speakers", "loss", "frozen", "step", "draw")
    coords: dict[str, Any] = {"split": list(grid.scored), "n_speakers": list(experiment.protocol.n_speakers)}
    coords |= {
        "loss": list(experiment.protocol.losses),
        "frozen": list(experiment.protocol.frozen),
        "step": list(experiment.protocol.steps),
    }
    coords["draw"] = np.arange(next(iter(grid.scored.values())).uar.shape[-1])
    arrays = {name: (dims, np.stack([getattr(s, name) for s in grid.scored.values()])) for name in ("uar", "wa")}
    return xr.Dataset(arrays, coords=coords)


def _base(plan: Plan) -> dict[str, Any]:
    return {
        "source": plan.source.name, "target": plan.target.name, "loss": None, "head": None, "frozen": None,
        "n_speakers": None, "steps": None, "selection": "cell", "split": "paper", "n_seeds": 0, "n_draws": 0,
    }  # fmt: skip


def siamese_rows(
    plan: Plan, head: str, scope: str, ood: xr.Dataset | None, idt: xr.Dataset | None, grid: Grid | None
) -> Iterator[Row]:
    """All rows of the Siamese network under one head and scaling scope, of what was run."""
    e = plan.experiment
    base = {**_base(plan), "head": head, "loss": "none", "n_seeds": e.protocol.n_seeds}
    ood_scope = out_of_domain_scope(plan.source, plan.target, scope)
    for method, arrays, data, scaling, n_seeds in (
        ("oodt", ood, "source", ood_scope, e.protocol.n_seeds),
        ("idt", idt, "loso", IN_DOMAIN_SCOPE[scope], e.protocol.n_in_domain_seeds),
    ):
        if arrays is not None:
            mask = arrays.tested.values if method == "idt" else np.ones(len(plan.target), bool)
            fields = rows.over_runs(
                score(arrays.predictions.values, plan.target.label, mask), e.report.level, "seeds"
            )()
            # Nothing is drawn, so no clip of a training speaker can be tested: both splits are the same clips.
            for split in rows.SPLITS:
                shared = {"method": method, "data": data, "scaling": scaling, "split": split, "n_seeds": n_seeds}
                yield Row(**{**base, **fields, **shared, "seconds": arrays.attrs["seconds"]})
    if grid is not None:
        yield from grid_rows(plan, head, scope, grid)


def grid_rows(plan: Plan, head: str, scope: str, grid: Grid) -> Iterator[Row]:
    """The rows of fine-tuning: every cell, readout and split, and again the best and the fixed cells."""
    e = plan.experiment
    base = {**_base(plan), "head": head, "n_seeds": e.protocol.n_seeds, "n_draws": e.protocol.n_draws, "scaling": scope}
    base |= {"method": "fine_tuning", "data": "source+target"}
    for split, scored in grid.scored.items():
        fields = rows.over_runs(scored, e.report.level, "draws")
        means = scored.uar.mean(axis=-1)
        for m, loss in enumerate(e.protocol.losses):
            for r, steps in enumerate(e.protocol.steps):
                best = np.unravel_index(np.argmax(means[:, m, :, r]), means[:, m, :, r].shape)
                for k, n_speakers in enumerate(e.protocol.n_speakers):
                    for f, frozen in enumerate(e.protocol.frozen):
                        row = Row(
                            **{**base, **fields(k, m, f, r), "loss": loss, "split": split, "frozen": frozen,
                               "n_speakers": n_speakers, "steps": steps,
                               "seconds": grid.seconds[k] / (len(e.protocol.losses) * len(e.protocol.frozen))}
                        )  # fmt: skip
                        yield row
                        if (k, f) == best:
                            yield dataclasses.replace(row, selection="best")
                        if (frozen, n_speakers, steps) == (
                            e.report.fixed_frozen,
                            e.report.fixed_n_speakers,
                            e.report.fixed_steps,
                        ):
                            yield dataclasses.replace(row, selection="fixed")


def optimism(plan: Plan, head: str, scope: str, grid: Grid) -> list[dict[str, Any]]:
    """How much choosing the best cell on the test clips flatters: beside it, the best cell of all other draws.

    For each draw the cell with the best mean over the other draws is taken; the mean over draws of what it scores is
    free of the choice's own luck with the draws (not of its luck with the target's speakers). Empty for one draw.
    """
    e = plan.experiment
    found: list[dict[str, Any]] = []
    if e.protocol.n_draws < 2:
        return found
    for split, scored in grid.scored.items():
        for m, loss in enumerate(e.protocol.losses):
            for r, steps in enumerate(e.protocol.steps):
                cells = scored.uar[:, m, :, r, :].reshape(-1, e.protocol.n_draws)
                others = (cells.sum(axis=1, keepdims=True) - cells) / (e.protocol.n_draws - 1)
                chosen = cells[others.argmax(axis=0), np.arange(e.protocol.n_draws)]
                found.append({
                    "head": head, "scaling": scope, "split": split, "loss": loss, "steps": steps,
                    "n_draws": e.protocol.n_draws, "best": float(cells.mean(axis=1).max()),
                    "best_chosen_on_other_draws": float(chosen.mean()),
                })  # fmt: skip
    return found


def alternative_rows(plan: Plan, scope: str, arrays: xr.Dataset) -> Iterator[Row]:
    """All rows of the classifiers under one scaling scope, of the parts that were run."""
    e, target = plan.experiment, plan.target
    everyone = np.ones(len(target), bool)
    for i, method in enumerate(e.protocol.baselines):
        base = {**_base(plan), "method": method, "seconds": float(arrays.fit_seconds[i])}
        fixed = []
        if "loso" in arrays:
            fixed.append(("loso", arrays.loso.values[i], arrays.tested.values, IN_DOMAIN_SCOPE[scope]))
        if "source_only" in arrays:
            fixed.append(
                ("source", arrays.source_only.values[i], everyone, out_of_domain_scope(plan.source, target, scope))
            )
        for data, predictions, mask, scaling in fixed:
            fields = rows.over_speakers(predictions, target, mask, e.report.level)
            for split in rows.SPLITS:
                yield Row(**{**base, **fields, "data": data, "scaling": scaling, "split": split})
        if "few_shot" in arrays:
            scored = score_few_shot(plan, arrays.few_shot.values[i])
            yield from few_shot_rows(plan, scope, method, scored, base["seconds"])


def score_few_shot(plan: Plan, predictions: np.ndarray) -> dict[str, Scored]:
    """Scores [data, speakers, draw] by split of a classifier's predictions [data, speakers, draw, clip]."""
    masks = [evaluation_masks(plan.target, plan.draws.support(k)) for k in plan.experiment.protocol.n_speakers]
    return {
        split: score(predictions, plan.target.label, np.stack([m[split] for m in masks])[None]) for split in rows.SPLITS
    }


def few_shot_rows(plan: Plan, scope: str, method: str, scored: Mapping[str, Scored], seconds: float) -> Iterator[Row]:
    """A classifier's rows on the draws, from its scores [data, speakers, draw] by split; the best over speakers too."""
    e = plan.experiment
    base = {**_base(plan), "method": method, "scaling": scope, "seconds": seconds}
    for split, each in scored.items():
        fields = rows.over_runs(each, e.report.level, "draws")
        base["n_draws"] = each.uar.shape[-1]
        for d, data in enumerate(FEW_SHOT_DATA):
            best = int(each.uar[d].mean(axis=-1).argmax())
            for k, n_speakers in enumerate(e.protocol.n_speakers):
                row = Row(**{**base, **fields(d, k), "data": data, "split": split, "n_speakers": n_speakers})
                yield row
                if k == best:
                    yield dataclasses.replace(row, selection="best")
                if n_speakers == e.report.fixed_n_speakers:
                    yield dataclasses.replace(row, selection="fixed")


def differences(
    plan: Plan, head: str, scope: str, grid: Grid, few_shot: Mapping[str, np.ndarray]
) -> Iterator[Difference]:
    """Paired differences between the losses, and of each loss to the classifiers on source plus target clips.

    Args:
      few_shot: predictions [speakers, draw, clip] by classifier.
    """
    e = plan.experiment
    masks = [evaluation_masks(plan.target, plan.draws.support(k)) for k in e.protocol.n_speakers] if few_shot else []
    for split, scored in grid.scored.items():
        uar = {loss: scored.uar[:, m] for m, loss in enumerate(e.protocol.losses)}
        pairs = [(a, b, uar[a] - uar[b]) for a, b in COMPARISONS if a in uar and b in uar]
        for name, predictions in few_shot.items():
            mask = np.stack([m[split] for m in masks])
            other = score(predictions, plan.target.label, mask).uar[:, None, None, :]
            pairs += [(loss, name, uar[loss] - other) for loss in uar]
        for method, minus, gain in pairs:
            yield from _difference_rows(plan, head, scope, split, method, minus, gain)


def _difference_rows(
    plan: Plan, head: str, scope: str, split: str, method: str, minus: str, gain: np.ndarray
) -> Iterable[Difference]:
    e = plan.experiment
    fields = rows.over_runs(Scored(gain, gain), e.report.level, "draws")
    for k, n_speakers in enumerate(e.protocol.n_speakers):
        for f, frozen in enumerate(e.protocol.frozen):
            for r, steps in enumerate(e.protocol.steps):
                found = fields(k, f, r)
                yield Difference(
                    source=plan.source.name, target=plan.target.name, method=method, minus=minus, head=head,
                    frozen=frozen, n_speakers=n_speakers, steps=steps, split=split, scaling=scope,
                    interval=found["interval"], n_seeds=e.protocol.n_seeds, n_draws=e.protocol.n_draws,
                    uar_difference=found["uar_mean"], sd=found["uar_sd"],
                    ci_low=found["ci_low"], ci_high=found["ci_high"],
                )  # fmt: skip

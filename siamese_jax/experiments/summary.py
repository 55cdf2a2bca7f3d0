"""The rows and paired differences of one setting, from its labelled arrays. All scores are in per cent."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.experiments.records import Difference, Row, diverged, joined, number
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.stats import intervals
from siamese_jax.stats.records import within
from siamese_jax.stats.scoring import Scored, counts_by_speaker, score, score_counts, stacked

SPLITS = ("paper", "speaker_disjoint")

COMPARISONS = (("ratio", "none"), ("ratio_bounded", "none"), ("cross_entropy_twice", "none"),
               ("ratio", "cross_entropy_twice"), ("ratio_bounded", "cross_entropy_twice"))  # fmt: skip

FEW_SHOT_DATA = ("target", "source+target")
"""The classifiers' training data on the draws, in the order of their arrays."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Fine-tuning results: UAR and WA by split [speakers, loss, frozen, step, draw], and which trainings have diverged,
    of that shape; stages' wall times [speakers]."""

    scored: dict[str, Scored]
    diverged: np.ndarray
    seconds: np.ndarray


def score_grid(plan: Plan, tuned: Mapping[int, xr.Dataset]) -> Grid:
    """Scores every fine-tuning repetition on both splits; `tuned` maps numbers of speakers to their arrays."""
    by_split: dict[str, list[Scored]] = {split: [] for split in SPLITS}
    for n_speakers, arrays in tuned.items():
        predictions = arrays.predictions.transpose("loss", "frozen", "step", "draw", "clip").values
        for split, mask in evaluation_masks(plan.target, plan.draws.support(n_speakers)).items():
            by_split[split].append(score(predictions, plan.target.label, mask))
    scored = {split: stacked(scores) for split, scores in by_split.items()}
    of_trainings = np.stack([diverged_trainings(arrays) for arrays in tuned.values()])
    return Grid(scored, of_trainings, np.array([arrays.attrs["seconds"] for arrays in tuned.values()]))


def diverged_trainings(tuned: xr.Dataset) -> np.ndarray:
    """Which fine-tuning trainings of a stage have diverged by each evaluation step, [loss, frozen, step, draw]."""
    by_step = stages.diverged(tuned.transpose("loss", "frozen", "step", "draw", ...))
    return np.logical_or.accumulate(by_step, axis=2)


def labelled(experiment: Experiment, grid: Grid) -> xr.Dataset:
    """`uar` and `wa` in per cent, with the dims (split, n_speakers, loss, frozen, step, draw) named."""
    protocol, scored = experiment.protocol, grid.scored
    coords: dict[str, Any] = {"split": list(scored), "n_speakers": list(protocol.n_speakers)}
    coords |= {"loss": list(protocol.losses), "frozen": list(protocol.frozen), "step": list(protocol.steps)}
    coords["draw"] = np.arange(next(iter(scored.values())).uar.shape[-1])
    arrays = {name: (tuple(coords), np.stack([getattr(s, name) for s in scored.values()])) for name in ("uar", "wa")}
    return xr.Dataset(arrays, coords=coords)


PER_CENT, POINTS = (0.0, 100.0), (-100.0, 100.0)
"""The possible values of UAR and of its differences."""


def over_runs(
    scored: Scored, level: float, over: str, possible: tuple[float, float] = PER_CENT
) -> Callable[..., dict[str, Any]]:
    """Summaries of repetitions on the last axis: a function of the other axes' index, giving a row's score fields.

    Limits are clipped to the `possible` values.
    """
    interval = within(intervals.t_interval(scored.uar, level, over=over), *possible)
    limits, clipped = (np.asarray(interval.low), np.asarray(interval.high)), np.asarray(interval.clipped)
    labels = [dataclasses.replace(interval, clipped=jnp.asarray(moved)).label for moved in (False, True)]
    mean, wa = scored.uar.mean(axis=-1), scored.wa.mean(axis=-1)
    sd = scored.uar.std(axis=-1, ddof=1) if scored.uar.shape[-1] > 1 else np.full(mean.shape, np.nan)

    def fields(*index: int) -> dict[str, Any]:
        scores = {"uar_mean": number(mean[index]), "uar_sd": number(sd[index]), "wa_mean": number(wa[index])}
        low, high = (number(limit[index]) for limit in limits)
        return scores | {"ci_low": low, "ci_high": high, "interval": labels[int(clipped[index])]}

    return fields


def _over_speakers(predictions: np.ndarray, target: Dataset, mask: np.ndarray, level: float) -> dict[str, Any]:
    """The score fields of one set of predictions [N], with a jackknife t interval over the target's speakers."""
    n_classes, n_speakers = int(target.label.max()) + 1, len(target.speakers)
    counts = counts_by_speaker(predictions, target.label, mask, target.speaker, n_speakers, n_classes)
    scored = score_counts(counts.sum(axis=0))
    interval = within(intervals.jackknife_t_interval(counts, level), 0.0, 1.0)
    low, high = (number(100.0 * np.asarray(limit)) for limit in (interval.low, interval.high))
    limits = {"ci_low": low, "ci_high": high, "interval": interval.label}
    return {"uar_mean": number(scored.uar), "uar_sd": None, "wa_mean": number(scored.wa), **limits}


def _base(plan: Plan) -> dict[str, Any]:
    return {
        "source": plan.source.name, "target": plan.target.name, "loss": None, "head": None, "frozen": None,
        "n_speakers": None, "steps": None, "selection": "cell", "split": "paper", "n_seeds": 0, "n_draws": 0,
        "n_speaker_sets": None, "remarks": plan.source_note,
    }  # fmt: skip


def _drawn(plan: Plan, n_speakers: int, *remarks: str) -> dict[str, Any]:
    """The fields of a row on draws of this many speakers."""
    remark = joined(plan.source_note, plan.draws_note(n_speakers), *remarks)
    return {"n_speakers": n_speakers, "n_speaker_sets": plan.speaker_sets[n_speakers].number, "remarks": remark}


def siamese_rows(
    plan: Plan, head: str, scope: str, ood: xr.Dataset | None, idt: xr.Dataset | None, grid: Grid | None
) -> Iterator[Row]:
    """All rows of the Siamese network under one head and scaling scope, of the stages given."""
    protocol, level = plan.experiment.protocol, plan.experiment.report.level
    base = {**_base(plan), "head": head, "loss": "none"}
    ood_scope = out_of_domain_scope(plan.source, plan.target, scope)
    for method, arrays, data, scaling, n_seeds in (
        ("oodt", ood, "source", ood_scope, protocol.n_seeds),
        ("idt", idt, "loso", IN_DOMAIN_SCOPE[scope], protocol.n_in_domain_seeds),
    ):
        if arrays is not None:
            mask = arrays.tested.values if method == "idt" else np.ones(len(plan.target), bool)
            fields = over_runs(score(arrays.predictions.values, plan.target.label, mask), level, "seeds")()
            fields |= {"method": method, "data": data, "scaling": scaling, "n_seeds": n_seeds}
            n_diverged = int(arrays.diverged.sum())
            fields["remarks"] = joined(plan.source_note, diverged(n_diverged, arrays.sizes["seed"]))
            # Nothing is drawn, so no clip of a training speaker can be tested: both splits are the same clips.
            for split in SPLITS:
                yield Row(**{**base, **fields, "split": split, "seconds": arrays.attrs["seconds"]})
    if grid is not None:
        yield from grid_rows(plan, head, scope, grid)


def grid_rows(plan: Plan, head: str, scope: str, grid: Grid) -> Iterator[Row]:
    """The rows of fine-tuning: every cell, evaluation step and split, and again the best and the fixed cells."""
    protocol, report = plan.experiment.protocol, plan.experiment.report
    base = {**_base(plan), "head": head, "n_seeds": protocol.n_seeds, "n_draws": protocol.n_draws, "scaling": scope}
    base |= {"method": "fine_tuning", "data": "source+target"}
    seconds = grid.seconds / (len(protocol.losses) * len(protocol.frozen))
    fixed_cell = (report.fixed_frozen, report.fixed_n_speakers, report.fixed_steps)
    for split, scored in grid.scored.items():
        fields = over_runs(scored, report.level, "draws")
        means = scored.uar.mean(axis=-1)
        for m, loss in enumerate(protocol.losses):
            for r, steps in enumerate(protocol.steps):
                best = np.unravel_index(np.argmax(means[:, m, :, r]), means[:, m, :, r].shape)
                for k, f in np.ndindex(means[:, m, :, r].shape):
                    cell = {"frozen": protocol.frozen[f], "n_speakers": protocol.n_speakers[k], "steps": steps}
                    scores = {**fields(k, m, f, r), "loss": loss, "split": split, "seconds": seconds[k]}
                    remark = diverged(int(grid.diverged[k, m, f, r].sum()), protocol.n_draws)
                    row = Row(**{**base, **cell, **scores, **_drawn(plan, cell["n_speakers"], remark)})
                    yield row
                    if (k, f) == best:
                        yield dataclasses.replace(row, selection="best")
                    if tuple(cell.values()) == fixed_cell:
                        yield dataclasses.replace(row, selection="fixed")


def optimism(plan: Plan, head: str, scope: str, grid: Grid) -> list[dict[str, Any]]:
    """The best cell of fine-tuning, chosen on the test clips and on the other draws (`chosen_on_other_draws`)."""
    protocol, records = plan.experiment.protocol, []
    base = {"method": "fine_tuning", "data": "source+target", "head": head, "scaling": scope}
    for split, scored in grid.scored.items():
        for m, loss in enumerate(protocol.losses):
            for r, steps in enumerate(protocol.steps):
                key = {**base, "split": split, "loss": loss, "steps": steps}
                cells = scored.uar[:, m, :, r, :].reshape(-1, protocol.n_draws)
                records += [{**key, **chosen} for chosen in chosen_on_other_draws(cells)]
    return records


def chosen_on_other_draws(cells: np.ndarray) -> list[dict[str, Any]]:
    """One record: the mean of the best of the cells [cells, draws], and of each draw's score in the other draws' best.

    The latter is free of luck with the draws, but not with the target's speakers. Empty for one draw.
    """
    n_draws = cells.shape[-1]
    if n_draws < 2:
        return []
    mean_without = (cells.sum(axis=1, keepdims=True) - cells) / (n_draws - 1)
    chosen = cells[mean_without.argmax(axis=0), np.arange(n_draws)]
    best = float(cells.mean(axis=1).max())
    return [{"n_draws": n_draws, "best": best, "best_chosen_on_other_draws": float(chosen.mean())}]


def baseline_rows(plan: Plan, scope: str, arrays: xr.Dataset) -> Iterator[Row]:
    """All rows of the classifiers under one scaling scope, of the parts in `arrays`."""
    experiment, target = plan.experiment, plan.target
    for i, method in enumerate(experiment.protocol.baselines):
        base = {**_base(plan), "method": method, "seconds": float(arrays.fit_seconds[i])}
        undrawn = []
        if "loso" in arrays:
            undrawn.append(("loso", arrays.loso.values[i], arrays.tested.values, IN_DOMAIN_SCOPE[scope]))
        if "source_only" in arrays:
            ood_scope = out_of_domain_scope(plan.source, target, scope)
            undrawn.append(("source", arrays.source_only.values[i], np.ones(len(target), bool), ood_scope))
        for data, predictions, mask, scaling in undrawn:
            fields = _over_speakers(predictions, target, mask, experiment.report.level)
            for split in SPLITS:
                yield Row(**{**base, **fields, "data": data, "scaling": scaling, "split": split})
        if "few_shot" in arrays:
            scored = score_few_shot(plan, arrays.few_shot.values[i])
            yield from few_shot_rows(plan, scope, method, scored, base["seconds"])


def baseline_optimism(plan: Plan, scope: str, arrays: xr.Dataset) -> list[dict[str, Any]]:
    """The best number of speakers of each classifier on the draws, as in `optimism`."""
    records = []
    for i, method in enumerate(plan.experiment.protocol.baselines):
        for split, scored in score_few_shot(plan, arrays.few_shot.values[i]).items():
            for d, data in enumerate(FEW_SHOT_DATA):
                key = {"method": method, "data": data, "scaling": scope, "split": split}
                records += [{**key, **chosen} for chosen in chosen_on_other_draws(scored.uar[d])]
    return records


def score_few_shot(plan: Plan, predictions: np.ndarray) -> dict[str, Scored]:
    """Scores by split of a classifier's predictions [..., speakers, draw, clip]."""
    masks = [evaluation_masks(plan.target, plan.draws.support(k)) for k in plan.experiment.protocol.n_speakers]
    by_split = {split: np.stack([mask[split] for mask in masks]) for split in SPLITS}
    return {split: score(predictions, plan.target.label, mask) for split, mask in by_split.items()}


def few_shot_rows(plan: Plan, scope: str, method: str, scored: Mapping[str, Scored], seconds: float) -> Iterator[Row]:
    """A classifier's rows on the draws, from its scores [data, speakers, draw] by split; the best over speakers too."""
    experiment = plan.experiment
    base = {**_base(plan), "method": method, "scaling": scope, "seconds": seconds}
    for split, scores in scored.items():
        fields = over_runs(scores, experiment.report.level, "draws")
        base |= {"split": split, "n_draws": scores.uar.shape[-1]}
        for d, data in enumerate(FEW_SHOT_DATA):
            best = int(scores.uar[d].mean(axis=-1).argmax())
            for k, n_speakers in enumerate(experiment.protocol.n_speakers):
                row = Row(**{**base, **fields(d, k), "data": data, **_drawn(plan, n_speakers)})
                yield row
                if k == best:
                    yield dataclasses.replace(row, selection="best")
                if n_speakers == experiment.report.fixed_n_speakers:
                    yield dataclasses.replace(row, selection="fixed")


def differences(
    plan: Plan, head: str, scope: str, grid: Grid, few_shot: Mapping[str, np.ndarray]
) -> Iterator[Difference]:
    """Paired differences between the losses, and of each loss to the classifiers on source plus target clips.

    `few_shot` holds their predictions [speakers, draw, clip] by classifier.
    """
    baselines = {name: score_few_shot(plan, predictions) for name, predictions in few_shot.items()}
    for split, scored in grid.scored.items():
        losses = plan.experiment.protocol.losses
        uar = {loss: scored.uar[:, m] for m, loss in enumerate(losses)}
        lost = {loss: grid.diverged[:, m] for m, loss in enumerate(losses)}
        pairs = [(a, b, uar[a] - uar[b], lost[a] | lost[b]) for a, b in COMPARISONS if a in uar and b in uar]
        for name, scores in baselines.items():
            pairs += [(loss, name, uar[loss] - scores[split].uar[:, None, None, :], lost[loss]) for loss in uar]
        for method, minus, gain, diverged_draws in pairs:
            yield from _difference_rows(plan, head, scope, split, method, minus, gain, diverged_draws)


def _difference_rows(
    plan: Plan, head: str, scope: str, split: str, method: str, minus: str, gain: np.ndarray, diverged_draws: np.ndarray
) -> Iterator[Difference]:
    protocol = plan.experiment.protocol
    fields = over_runs(Scored(gain, gain), plan.experiment.report.level, "draws", POINTS)
    for k, f, r in np.ndindex(gain.shape[:3]):
        scores = fields(k, f, r)
        remark = diverged(int(diverged_draws[k, f, r].sum()), protocol.n_draws)
        yield Difference(
            source=plan.source.name, target=plan.target.name, method=method, minus=minus, head=head,
            frozen=protocol.frozen[f], n_speakers=protocol.n_speakers[k], steps=protocol.steps[r], split=split,
            scaling=scope, interval=scores["interval"], n_seeds=protocol.n_seeds, n_draws=protocol.n_draws,
            uar_difference=scores["uar_mean"], sd=scores["uar_sd"],
            ci_low=scores["ci_low"], ci_high=scores["ci_high"],
            remarks=_drawn(plan, protocol.n_speakers[k], remark)["remarks"],
        )  # fmt: skip

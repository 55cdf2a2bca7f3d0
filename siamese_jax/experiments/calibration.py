"""Are few-shot probabilities right, and are accepted labels as right as stated? Two corpora, each the other's target.

The prior of a target's temperature is the best temperature on the other target, so no temperature is chosen on the
corpus that is reported. All test clips are by speakers who are not drawn.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from siamese_jax.datasets.draws import FewShotDraws, evaluation_masks
from siamese_jax.experiments import run_context
from siamese_jax.experiments.records import number
from siamese_jax.protocols import calibration as rule
from siamese_jax.protocols.calibration import PRIOR_SD, STATED_ERRORS, Fitted, Prior
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import settings as transfer_settings
from siamese_jax.protocols.transfer.draws import TRANSDUCTIVE_SCOPES, TransferDraws
from siamese_jax.stats import calibration

SPLIT = "speaker_disjoint"
COVERAGES = np.linspace(0.05, 1, 20)
_SIMULATIONS = 10  # of the calibration error of perfectly calibrated probabilities


@dataclasses.dataclass(frozen=True)
class CalibrationRow:
    """The calibration of one method and number of labelled clips, pooled over draws.

    Fields:
      temperature, temperature_sd: median over draws, and standard deviation of the logarithm over draws.
      prior: the median of the prior, from the other target. best: the temperature of the least log loss, by the test
        clips' labels; for the other target's prior.
      n: predictions pooled over draws. n_clips: distinct test clips.
      *_before: without a temperature. ece: expected calibration error, 15 bins of equal mass.
      ece_ideal: what perfectly calibrated probabilities show whose labels are drawn for each prediction;
        ece_ideal_clips: where a clip's predictions in several draws share its label.
      bins: of the reliability diagram. coverage, risk: error of the most confident clips, mean over draws.
    """

    source: str
    target: str
    method: str
    c: float
    adaptation: str
    strength: float
    within: str
    scaling: str
    n_speakers: int
    n_labelled: int
    n_draws: int
    split: str
    temperature: float
    temperature_sd: float
    prior: float
    best: float
    n: int
    n_clips: int
    accuracy: float
    ece_before: float
    ece: float
    ece_ideal: float
    ece_ideal_clips: float
    log_loss_before: float
    log_loss: float
    brier_before: float
    brier: float
    labels_changed: int
    bins_before: dict[str, list[float]]
    bins: dict[str, list[float]]
    coverage: list[float]
    risk: list[float]


@dataclasses.dataclass(frozen=True)
class AcceptedRow:
    """The labels that a rule accepts at a stated error; means and standard deviations over draws.

    Fields:
      rule: "set" accepts the largest set of the unlabelled clips of the stated mean confidence; "held_out" the clips
        above the threshold that the set rule has on the held-out labelled clips; "single" the clips whose own
        confidence is at least 1 - stated.
      error, error_sd, error_p90: of the accepted, over draws that accept any (`n_none` draws do not). share: accepted.
      oracle: the share that a threshold accepts which knows the labels and keeps the stated error.
      error_all: of all clips.
    """

    source: str
    target: str
    method: str
    c: float
    adaptation: str
    strength: float
    within: str
    scaling: str
    n_speakers: int
    n_labelled: int
    n_draws: int
    rule: str
    stated: float
    error: float | None
    error_sd: float | None
    error_p90: float | None
    share: float
    share_sd: float
    oracle: float
    n_none: int
    error_all: float


class Recipe(NamedTuple):
    """A method and C, an adaptation ("none", "balanced", "self_trained") to the unlabelled clips, and its strength.

    `within` is the group, "corpus" or "speaker", whose class proportions are balanced.
    """

    method: str
    c: float
    adaptation: str
    strength: float
    within: str = "corpus"


@dataclasses.dataclass(frozen=True)
class _Cell:
    """A method and number of labelled speakers on a plan's draws.

    Fields:
      log_p: [D, N, C] log-probabilities of the target's clips. held_out, held_out_label: [D, M, C], [D, M] of the
        labelled clips, each by a fit without its fold.
      mask: [D, N], the test clips.
    """

    plan: Plan
    names: dict[str, Any]
    log_p: np.ndarray
    held_out: np.ndarray
    held_out_label: np.ndarray
    mask: np.ndarray


def run(experiments: Sequence[Experiment], recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """Returns {"calibration": rows, "accepted": rows, "priors": rows} of experiments, each with another target.

    Raises InputError for tables that do not suit the protocol.
    """
    cells = [list(_cells(experiment, recipes)) for experiment in experiments]
    best = [{_key(cell): _best(cell) for cell in of_target} for of_target in cells]
    rows: dict[str, list[Any]] = {"calibration": [], "accepted": [], "priors": []}
    for i, of_target in enumerate(cells):
        others = [values for j, values in enumerate(best) if j != i] or [best[i]]
        for cell in of_target:
            prior = Prior(_prior_mean(others, _key(cell)), PRIOR_SD)
            temperature_D = temperatures(cell.held_out, cell.held_out_label, prior)
            held_out = np.exp(_tempered(cell.held_out, temperature_D)).max(axis=-1)
            rows["calibration"].append(_calibration_row(cell, temperature_D, prior, best[i][_key(cell)]))
            rows["accepted"].extend(_accepted_rows(cell, temperature_D, held_out))
    for key in sorted({key for of in best for key in of}):
        names = {**key[0]._asdict(), "n_labelled": key[1]}
        rows["priors"].append({**names, "temperature": round(float(np.exp(_prior_mean(best, key))), 3)})
    return rows


_Key = tuple[Fitted, int]
"""What a temperature belongs to, and the number of labelled clips."""


def _key(cell: _Cell) -> _Key:
    return Fitted(*(cell.names[name] for name in Fitted._fields)), cell.names["n_labelled"]


def _prior_mean(best: Sequence[dict[_Key, float]], key: _Key) -> float:
    """Returns the mean over targets of the log temperature, interpolated in the log of the number of clips.

    Beyond a target's numbers of clips the nearest counts.
    """
    means = []
    for of_target in best:
        points = sorted((n, t) for (same, n), t in of_target.items() if same == key[0])
        means.append(np.interp(np.log(key[1]), np.log([n for n, _ in points]), np.log([t for _, t in points])))
    return float(np.mean(means))


def temperatures(log_p_DxMxC: np.ndarray, label_DxM: np.ndarray, prior: Prior) -> np.ndarray:
    """Returns the temperature [D] of each draw from its held-out labelled clips."""
    weight_DxM = np.ones(label_DxM.shape, np.float32)
    return np.asarray(_FIT(log_p_DxMxC, label_DxM, weight_DxM, *prior))


_FIT = jax.jit(jax.vmap(calibration.fit_temperature, (0, 0, 0, None, None)))


def _tempered(log_p_DxNxC: np.ndarray, temperature_D: np.ndarray) -> np.ndarray:
    return np.asarray(calibration.tempered(log_p_DxNxC, temperature_D[:, None]))


def _cells(experiment: Experiment, recipes: Sequence[Recipe]) -> Iterator[_Cell]:
    plan = Plan.make(experiment, *run_context.load(experiment))
    for scope in experiment.data.scalings:
        for k in experiment.protocol.n_speakers:
            inductive: dict[tuple[str, float], tuple[np.ndarray, np.ndarray]] = {}
            for recipe in recipes:
                if recipe.adaptation == "none" or scope in TRANSDUCTIVE_SCOPES:
                    yield _cell(plan, scope, k, recipe, inductive)


def _cell(
    plan: Plan, scope: str, k: int, recipe: Recipe, inductive: dict[tuple[str, float], tuple[np.ndarray, np.ndarray]]
) -> _Cell:
    """Returns the log-probabilities of a recipe; those of inductive methods are kept in `inductive`."""
    logging.info("%s: %s, scaled by %s, %d speakers", plan.target.name, "/".join(map(str, recipe)), scope, k)
    without, left_out = _without_folds(plan, k)
    k_left = without.draws.clips.shape[1]
    settings = transfer_settings.of_config(plan.experiment.transfer, recipe.within, recipe.strength, recipe.c)
    both = TransferDraws(plan, scope, settings), TransferDraws(without, scope, settings)
    key = recipe.method, recipe.c
    if key not in inductive:
        inductive[key] = both[0].inductive(recipe.method, k), both[1].inductive(recipe.method, k_left)
    log_p, of_folds = inductive[key]
    n_draws, _, n_classes = log_p.shape
    if recipe.adaptation != "none":
        even = np.full(n_classes, 1 / n_classes)
        log_p = both[0].adapted(recipe.adaptation, log_p, k, even)
        of_folds = both[1].adapted(recipe.adaptation, of_folds, k_left, even)
    held_out = np.take_along_axis(of_folds, left_out[:, :, None], axis=1).reshape(n_draws, -1, n_classes)
    names = {
        "source": plan.source.name, "target": plan.target.name, **recipe._asdict(), "scaling": scope,
        "n_speakers": k, "n_labelled": k * n_classes, "n_draws": n_draws
    }  # fmt: skip
    mask = evaluation_masks(plan.target, plan.draws.support(k))[SPLIT]
    return _Cell(plan, names, log_p, held_out, plan.target.label[left_out].reshape(n_draws, -1), mask)


def _without_folds(plan: Plan, n_speakers: int) -> tuple[Plan, np.ndarray]:
    """Returns the plan of all draws without each of their folds of speakers, [D * folds], and the rows left out."""
    clips_DxKxC = plan.draws.clips[:, :n_speakers]
    n_folds = max(n for n in range(1, rule.MOST_FOLDS + 1) if n_speakers % n == 0)
    fold_K = np.arange(n_speakers) % n_folds
    kept = np.stack([clips_DxKxC[:, fold_K != fold] for fold in range(n_folds)], axis=1)
    left_out = np.stack([clips_DxKxC[:, fold_K == fold] for fold in range(n_folds)], axis=1)
    n_draws = len(kept) * n_folds
    kept = kept.reshape(n_draws, -1, kept.shape[-1])
    # The speakers of these draws are not used.
    draws = FewShotDraws(np.zeros((n_draws, kept.shape[1]), int), kept)
    return dataclasses.replace(plan, draws=draws), left_out.reshape(n_draws, -1)


def _pooled(cell: _Cell, log_p_DxNxC: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns log-probabilities [n, C], labels [n] and clips [n] of all draws' test clips."""
    _, clip_n = np.nonzero(cell.mask)
    return log_p_DxNxC[cell.mask], cell.plan.target.label[clip_n], clip_n


def _best(cell: _Cell) -> float:
    log_p, label, _ = _pooled(cell, cell.log_p)
    return float(calibration.fit_temperature(log_p, label, np.ones(len(label), np.float32), 0.0, np.inf))


def _calibration_row(cell: _Cell, temperature_D: np.ndarray, prior: Prior, best: float) -> CalibrationRow:
    measures: dict[str, Any] = {}
    predicted = []
    for suffix, log_p_DxNxC in (("_before", cell.log_p), ("", _tempered(cell.log_p, temperature_D))):
        log_p, label, clip = _pooled(cell, log_p_DxNxC)
        p = np.exp(log_p.astype(np.float64))
        confidence, correct = p.max(axis=1), p.argmax(axis=1) == label
        predicted.append(p.argmax(axis=1))
        bins = calibration.reliability(confidence, correct)
        measures |= {
            f"ece{suffix}": calibration.calibration_error(confidence, correct),
            f"log_loss{suffix}": float(calibration.log_losses(log_p, label).mean()),
            f"brier{suffix}": float(calibration.brier_scores(p, label).mean()),
            f"bins{suffix}": {name: np.round(values, 5).tolist() for name, values in bins._asdict().items()},
        }
    ideal = [
        calibration.ideal_calibration_error(confidence, 0, _SIMULATIONS, clip=clip_or_none)
        for clip_or_none in (None, clip)
    ]
    risks = _risks(cell, temperature_D)
    return CalibrationRow(
        **cell.names, split=SPLIT, temperature=float(np.median(temperature_D)),
        temperature_sd=float(np.log(temperature_D).std()), prior=float(np.exp(prior.log_mean)), best=best,
        n=len(label), n_clips=int(cell.mask.any(axis=0).sum()), accuracy=float(correct.mean()), ece_ideal=ideal[0],
        ece_ideal_clips=ideal[1], labels_changed=int((predicted[0] != predicted[1]).sum()),
        coverage=np.round(COVERAGES, 3).tolist(), risk=np.round(risks, 5).tolist(), **measures,
    )  # fmt: skip


def _draws(cell: _Cell, temperature_D: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the confidences of each draw's test clips, and whether their labels are right."""
    p_DxNxC = np.exp(_tempered(cell.log_p, temperature_D).astype(np.float64))
    for p_NxC, inside in zip(p_DxNxC, cell.mask):
        yield p_NxC[inside].max(axis=1), p_NxC[inside].argmax(axis=1) == cell.plan.target.label[inside]


def _risks(cell: _Cell, temperature_D: np.ndarray) -> np.ndarray:
    return np.mean([calibration.risk_coverage(*draw, COVERAGES).risk for draw in _draws(cell, temperature_D)], axis=0)


def _accepted_rows(cell: _Cell, temperature_D: np.ndarray, held_out_DxM: np.ndarray) -> Iterator[AcceptedRow]:
    draws = list(_draws(cell, temperature_D))
    for stated in STATED_ERRORS:
        oracle = [np.mean(conf >= rule.oracle_threshold(conf, right, stated)) for conf, right in draws]
        thresholds = {
            "set": [rule.threshold(confidence, stated) for confidence, _ in draws],
            "held_out": [rule.threshold(confidence, stated) for confidence in held_out_DxM],
            "single": [1 - stated] * len(draws),
        }
        for name, of_draws in thresholds.items():
            inside = [confidence >= least for (confidence, _), least in zip(draws, of_draws)]
            errors = [np.mean(~right[rows]) for (_, right), rows in zip(draws, inside) if rows.any()]
            shares = [np.mean(rows) for rows in inside]
            some = np.array(errors or [np.nan])
            yield AcceptedRow(
                **cell.names, rule=name, stated=stated, error=number(some.mean()), error_sd=number(some.std()),
                error_p90=number(np.quantile(some, 0.9)), share=float(np.mean(shares)), share_sd=float(np.std(shares)),
                oracle=float(np.mean(oracle)), n_none=len(draws) - len(errors),
                error_all=float(np.mean([np.mean(~right) for _, right in draws])),
            )  # fmt: skip

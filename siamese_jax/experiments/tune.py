"""Settings of the transfer methods, chosen without the reported corpus as a target.

With several sources, each in turn is the target of the others. With one source, its speakers in two halves are source
and target, and the reported target is the source of the reported source (the reverse direction).
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.datasets.mixture import mixture
from siamese_jax.datasets.subsets import minorities, speaker_halves, thinned
from siamese_jax.errors import InputError
from siamese_jax.experiments.run_context import open_run
from siamese_jax.experiments.transfer import features_name
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import settings as transfer_settings
from siamese_jax.protocols.transfer.draws import TRANSDUCTIVE_SCOPES, TransferDraws
from siamese_jax.stats.scoring import score


@dataclasses.dataclass(frozen=True)
class Step:
    """A setting's choice: the field of `config.transfer`, its values, and the methods and adaptation that judge it.

    The criterion is the mean UAR over methods, transfers, scaling scopes and numbers of labelled clips; and then over
    `ratios` of classes, to which the target is thinned, with equal weight.
    """

    field: str
    values: tuple[Any, ...]
    methods: tuple[str, ...]
    adaptation: str
    ratios: tuple[float, ...] = (1.0,)


KIND = "tune"
WITHIN = "speakers within the source"

BOTH = ("logistic_regression", "adapted_discriminant")
STEPS = (
    Step("transfer_c", (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), BOTH[:1], "none"),
    Step("shrinkage", (0.1, 0.3, 0.5, 0.7, 0.9), BOTH[1:], "none"),
    Step("source_clips", (1.0, 3.0, 10.0, 30.0, 100.0), BOTH[1:], "none"),
    Step("covariance_clips", (10.0, 30.0, 100.0, 300.0), BOTH[1:], "none"),
    Step("temperature", (0.03, 0.1, 0.3, 1.0), BOTH[1:], "balanced"),
    Step("balance_strength", (0.0, 0.3, 0.5, 0.7, 0.9, 1.0), BOTH, "balanced", (1.0, 10.0)),
    Step("unlabelled_clips", (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), BOTH, "self_trained"),
    Step("own_shrinkage", (0.1, 0.3, 0.5, 0.7, 0.9), BOTH, "self_trained"),
    Step("own_temperature", (0.03, 0.1, 0.3, 1.0), BOTH, "self_trained"),
    Step("own_source_clips", (1.0, 10.0, 30.0, 100.0), BOTH, "self_trained"),
    Step("target_covariance_clips", (30.0, 100.0, 300.0), BOTH, "self_trained"),
    Step("unlabelled_clips", (30.0, 100.0, 300.0, 1000.0), BOTH, "self_trained"),
    Step("own_shrinkage", (0.1, 0.3, 0.5, 0.7, 0.9), BOTH, "self_trained"),
    Step("own_temperature", (0.03, 0.1, 0.3, 1.0), BOTH, "self_trained"),
    Step("rounds", (1, 2, 3, 5), BOTH, "self_trained"),
)
"""In this order; each step keeps the values chosen before."""

START = {
    "transfer_c": 0.1, "shrinkage": 0.5, "source_clips": 10.0, "covariance_clips": 100.0, "temperature": 0.3,
    "balance_strength": (0.5,), "rounds": 2, "unlabelled_clips": 30.0, "own_shrinkage": 0.5, "own_temperature": 0.3,
    "own_source_clips": 10.0, "own_covariance_clips": 100.0, "target_covariance_clips": 100.0,
}  # fmt: skip
"""Values before the first step, near the middle of those tried; the same for every target and feature set."""


@dataclasses.dataclass(frozen=True)
class Transfer:
    """A validation transfer: its kind, and the plan with the numbers of speakers that its target can bear."""

    kind: str
    plan: Plan

    def record(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "kind": self.kind, "source": plan.source.name, "target": plan.target.name,
            "n_target_speakers": len(plan.target.speakers), "n_speakers": list(plan.experiment.protocol.n_speakers),
        }  # fmt: skip


def validation_transfers(experiment: Experiment, sources: Sequence[Dataset], target: Dataset) -> list[Transfer]:
    """Returns the transfers that judge settings; none has the reported target as its target.

    Raises InputError where a corpus has too few speakers.
    """
    if len(sources) > 1:
        transfers = []
        for own in sources:
            others = [source for source in sources if source is not own]
            mixed = mixture(others, [source.name for source in others], ())
            transfers.append(_transfer("corpus left out", experiment, mixed, own))
        return transfers
    (source,) = sources
    first, second = speaker_halves(source)
    return [
        _transfer(WITHIN, experiment, first, second),
        _transfer(WITHIN, experiment, second, first),
        _transfer("reverse direction", experiment, target, source),
    ]


def _transfer(kind: str, experiment: Experiment, source: Dataset, target: Dataset) -> Transfer:
    most = len(target.speakers) - 3  # enough test speakers that a draw does not decide
    n_speakers = tuple(k for k in experiment.protocol.n_speakers if k <= most)
    if not n_speakers:
        raise InputError(
            f"{target.name} has {len(target.speakers)} speakers to choose settings on ({kind}); with "
            f"{min(experiment.protocol.n_speakers)} labelled ones expected 3 more. Lower "
            "config.protocol.n_speakers"
        )
    own = experiment.replace(n_speakers=n_speakers, fixed_n_speakers=n_speakers[0])
    return Transfer(kind, Plan.make(own, source, target))


def run(experiment: Experiment, workdir: str | Path) -> dict[str, Any]:
    """Chooses settings for the target of `experiment`, and writes tune.json; see `tune` for its content.

    Raises InputError if a table cannot be used, or the folder holds another experiment.
    """
    with open_run(experiment, workdir, KIND) as run:
        transfers = validation_transfers(experiment, run.sources, run.target)
        result = tune(experiment, transfers, run.bars.start("settings", n_values()))
        result = {"source": run.source.name, "target": run.target.name, "features": features_name(experiment), **result}
        run.write(tune=[result])
    return result


def tune(experiment: Experiment, transfers: Sequence[Transfer], on_value: Callable[[int], None]) -> dict[str, Any]:
    """Returns the chosen values, the values tried with their UAR in per cent, and the validation transfers.

    `on_value` is called with 1 after each value.
    """
    evaluate = _Evaluation(transfers)
    chosen = experiment.replace(**START)
    steps = []
    for step in STEPS:
        scores = []
        for value in step.values:
            scores.append(evaluate(_with(chosen, step.field, value), step))
            on_value(1)
        best = step.values[int(np.argmax(scores))]
        chosen = _with(chosen, step.field, best)
        steps.append({**dataclasses.asdict(step), "uar": scores, "chosen": best})
    fields = dict.fromkeys(step.field for step in STEPS)
    return {
        "chosen": {field: _value(chosen, field) for field in fields}, "steps": steps,
        "transfers": [transfer.record() for transfer in transfers], "n_draws": experiment.protocol.n_draws,
    }  # fmt: skip


def n_values() -> int:
    """Returns the number of values that `tune` tries."""
    return sum(len(step.values) for step in STEPS)


def _with(experiment: Experiment, field: str, value: Any) -> Experiment:
    return experiment.replace(**{field: (value,) if field == "balance_strength" else value})


def _value(experiment: Experiment, field: str) -> Any:
    value = getattr(experiment.transfer, field)
    return value[0] if field == "balance_strength" else value


class _Evaluation:
    """The criterion of settings; what they do not change is kept."""

    def __init__(self, transfers: Sequence[Transfer]):
        self._transfers = transfers
        self._kept: dict[Any, Any] = {}
        self._inductive: dict[Any, np.ndarray] = {}
        self._plans: dict[tuple[int, float], list[Plan]] = {}

    def __call__(self, experiment: Experiment, step: Step) -> float:
        return float(np.mean([self._of_ratio(experiment, step, ratio) for ratio in step.ratios]))

    def _of_ratio(self, experiment: Experiment, step: Step, ratio: float) -> float:
        uar = [
            self._uar(experiment, plan, scope, k, method, step.adaptation)
            for i in range(len(self._transfers)) for plan in self._thinned(i, ratio)
            for scope in experiment.data.scalings if scope in TRANSDUCTIVE_SCOPES
            for k in plan.experiment.protocol.n_speakers for method in step.methods
        ]  # fmt: skip
        return float(np.mean(uar))

    def _thinned(self, i: int, ratio: float) -> list[Plan]:
        if (i, ratio) not in self._plans:
            self._plans[i, ratio] = list(_thinned_plans(self._transfers[i], ratio))
        return self._plans[i, ratio]

    def _uar(
        self, experiment: Experiment, plan: Plan, scope: str, n_speakers: int, method: str, adaptation: str
    ) -> float:
        """The mean UAR over draws, on other speakers' clips; draws that leave no clip of a class do not count."""
        transfer = experiment.transfer
        settings = transfer_settings.of_config(
            transfer, transfer.balance_within[-1], transfer.balance_strength[0], transfer.transfer_c
        )
        draws = TransferDraws(plan, scope, settings, self._kept)
        own = settings.discriminant if method == "adapted_discriminant" else settings.c
        key = (id(plan), scope, n_speakers, method, own)
        if key not in self._inductive:
            self._inductive[key] = draws.inductive(method, n_speakers)
        log_p_DxNxC = self._inductive[key]
        support = plan.draws.support(n_speakers)
        if adaptation != "none":
            log_p_DxNxC = draws.adapted(adaptation, log_p_DxNxC, n_speakers, draws.proportions(n_speakers))
        mask = evaluation_masks(plan.target, support)["speaker_disjoint"]
        return float(np.mean(score(log_p_DxNxC.argmax(axis=-1).astype(np.int8), plan.target.label, mask).uar))


def _thinned_plans(transfer: Transfer, ratio: float) -> Iterator[Plan]:
    """The plan itself at ratio 1; else plans on the target with half of the classes thinned, with fewest labels.

    A half of a corpus's speakers has too few clips to be thinned.
    """
    plan = transfer.plan
    if ratio == 1:
        yield plan
        return
    if transfer.kind == WITHIN:
        return
    fewest = plan.experiment.protocol.n_speakers[0]
    experiment = plan.experiment.replace(n_speakers=(fewest,), fixed_n_speakers=fewest)
    for half in minorities(len(experiment.data.emotions)):
        target = thinned(plan.target, half, ratio, experiment.protocol.seed)
        yield Plan.make(experiment, plan.source, target)


def text(result: dict[str, Any]) -> str:
    """Returns the choice in words: the transfers, the values tried, and the lines of a configuration."""
    lines = [f"Settings for {result['source']} to {result['target']} ({result['features']}), chosen on:"]
    for transfer in result["transfers"]:
        speakers = ", ".join(map(str, transfer["n_speakers"]))
        lines.append(f"  {transfer['source']} to {transfer['target']} ({transfer['kind']}; {speakers} speakers)")
    for step in result["steps"]:
        tried = ", ".join(f"{value:g}: {uar:.1f}" for value, uar in zip(step["values"], step["uar"]))
        lines.append(f"{step['field']} ({', '.join(step['methods'])}; {step['adaptation']}): {tried}")
    lines += [f"config.transfer.{field} = {value}" for field, value in result["chosen"].items()]
    return "\n".join(lines)

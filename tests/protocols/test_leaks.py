"""No method learns from a clip that it must not learn from, and none sees a clip that its scaling scope hides.

Poison: the clips that a result must not depend on get wrong labels, and those that its scope may not see get features
10,000 times as large. Nothing else may change. What is registered is tested: heads, baselines, solvers, transfer
methods and their adaptations, scopes.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset, scaling_scopes
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.models.siamese import HEADS
from siamese_jax.protocols import baselines, config, stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import methods as transfer_methods
from siamese_jax.protocols.transfer import metric_network
from siamese_jax.protocols.transfer.draws import TRANSDUCTIVE_SCOPES, TransferDraws
from siamese_jax.protocols.transfer.settings import (
    BalanceSettings,
    DiscriminantSettings,
    SelfTrainingSettings,
    TransferSettings,
)  # fmt: skip

N_SPEAKERS, SPEAKER = 5, 4
"""The target's speakers; the last is in no support set of draw 0 and is the tested one of its fold."""


class Sets(NamedTuple):
    """Rows of the target: the labels that a result may depend on, and the clips that are classified."""

    learned: np.ndarray
    classified: np.ndarray


SEEN: dict[str, Callable[[Plan, Sets], np.ndarray]] = {
    "corpus": lambda plan, sets: np.arange(len(plan.target.full_table)),
    "speaker": lambda plan, sets: np.flatnonzero(
        np.isin(plan.target.full_table.speaker, plan.target.table.speaker[np.concatenate(sets)])
    ),
    **dict.fromkeys(("support", "source", "train"), lambda plan, sets: plan.target.rows[np.concatenate(sets)]),
}
"""The rows of the whole table whose features a result may depend on, by scaling scope; a new scope needs an entry."""


def few_shot(plan: Plan) -> Sets:
    drawn = plan.draws.support(2)[0]
    return Sets(drawn, np.flatnonzero(np.isin(plan.target.speaker, plan.target.speaker[drawn])))


def loso(plan: Plan) -> Sets:
    own = np.flatnonzero(plan.target.speaker == SPEAKER)
    return Sets(np.flatnonzero(plan.target.speaker != SPEAKER), own[::2])


def source_only(plan: Plan) -> Sets:
    return Sets(np.zeros(0, int), np.flatnonzero(plan.target.speaker == 0)[::2])


PARTS = {"few_shot": few_shot, "loso": loso, "source_only": source_only}
"""The rows of each part of a result: draw 0, the fold of SPEAKER, the source alone."""


def table(name: str, seed: int) -> FeatureTable:
    """Clips in columns of two layers."""
    names = tuple(f"encoder.layer{1 + i // 4}.mean.{i}" for i in range(7))
    return dataclasses.replace(make_table(name, N_SPEAKERS, seed=seed, apart=0.6, n_features=7), feature_names=names)


def make_plan(**changes: Any) -> Plan:
    given = smoke.get_config()
    given.protocol.update({"n_speakers": (2,), "n_draws": 2, "n_seeds": 1, "n_in_domain_seeds": 1, "frozen": (0,)})
    given.protocol.update({"steps": (3,), "losses": ("ratio",), "pad_speakers": 1, **changes})
    given.report.update({"fixed_n_speakers": 2, "fixed_steps": 3, "fixed_frozen": 0})
    given.network.update({"encoder_widths": (8, 6), "head_width": 4})
    given.training.update({"source_steps": 20, "in_domain_steps": 20, "batch_size": 8, "learning_rate": 0.03})
    given.metric_network.update({"layer_widths": (8,), "dimensions": 4, "members": 2, "source_batch": 8})
    given.metric_network.update({"pretraining_steps": 3, "joint_steps": 3})
    source, target = (
        dataset.from_table(table(name, seed), EMOTIONS, name) for name, seed in (("source", 1), ("target", 2))
    )
    plan = Plan.make(config.resolve(given), source, target)
    assert not (plan.target.speaker[plan.draws.support(2)[0]] == SPEAKER).any()
    return plan


def poisoned(plan: Plan, part: str, scope: str) -> Plan:
    """The plan, with its draws, after poisoning what the part's result must not depend on."""
    sets, target = PARTS[part](plan), plan.target
    label, x = (target.label + 1) % len(EMOTIONS), target.full_table.features.copy()
    label[sets.learned] = target.label[sets.learned]
    hidden = np.setdiff1d(np.arange(len(x)), SEEN[scope](plan, sets))
    # Every speaker trains or is tested in a fold, so that scaling by speaker sees all clips.
    assert scope == "corpus" or (scope, part) == ("speaker", "loso") or len(hidden) > 3
    x[hidden] *= 1e4
    table = dataclasses.replace(target.full_table, features=x)
    return dataclasses.replace(plan, target=dataclasses.replace(target, label=label, full_table=table))


Results = dict[str, np.ndarray]
"""By part the predictions [..., clip], draws in front; and under "PART, whole" arrays no entry of which may change."""


def classifier(name: str, solver: str, plan: Plan, scope: str, parts: list[str]) -> Results:
    protocol = dataclasses.replace(plan.experiment.protocol, baselines=(name,), logistic_solver=solver)
    plan = dataclasses.replace(plan, experiment=dataclasses.replace(plan.experiment, protocol=protocol))
    arrays = baselines.run(plan, scope, parts, lambda _: None, 1)
    return {
        part: np.moveaxis(arrays[part].values, -2, 0) if part == "few_shot" else arrays[part].values for part in parts
    }


@functools.cache
def fine_tuning(head: str) -> stages.FineTuning:
    with ThreadPoolExecutor(1) as executor:
        return stages.FineTuning(make_plan(), head, (2,), executor)


def siamese(head: str, plan: Plan, scope: str, parts: list[str]) -> Results:
    out = {}
    if "loso" in parts:
        splits = leave_one_speaker_out(plan.target)
        out["loso"] = stages.in_domain(plan, head, scope, splits, lambda _: None).predictions.values
    if "source_only" in parts or "few_shot" in parts:
        trained = stages.source_training(plan, head, scope, lambda _: None)
        out["source_only, whole"] = trained["params.head.kernel"].values
    if "source_only" in parts:
        ood_scope = scaling_scopes.out_of_domain_scope(plan.source, plan.target, scope)
        out["source_only"] = stages.out_of_domain(plan, head, ood_scope, trained, lambda _: None).predictions.values
    if "few_shot" in parts:
        params = stages.params_from_arrays(trained)
        tuned = fine_tuning(head).run(plan, 2, scope, params, lambda _: None)
        out["few_shot"] = tuned.predictions.transpose("draw", ...).values
        out["few_shot, whole"] = tuned.cross_entropy.sel(draw=0).values
    return out


TRANSFER = TransferSettings(
    0.5, DiscriminantSettings(2.0, 20.0, 0.3, 0.7), BalanceSettings("corpus", 0.6),
    SelfTrainingSettings(2, 2.0, 5.0, 20.0, 10.0, 0.3, 0.7),
)  # fmt: skip


def transfer(name: str, adaptation: str, plan: Plan, scope: str, parts: list[str]) -> Results:
    if "few_shot" not in parts:
        return {}
    draws = TransferDraws(plan, scope, TRANSFER)
    log_p = draws.inductive(name, 2)
    if adaptation != "none":
        log_p = draws.adapted(adaptation, log_p, 2, np.full(len(EMOTIONS), 1 / len(EMOTIONS)))
    return {"few_shot": np.moveaxis(log_p, 1, -1)}


class Method(NamedTuple):
    """Runs parts of PARTS; under these scopes; and whether it uses the features of all unlabelled clips."""

    run: Callable[[Plan, str, list[str]], Results]
    parts: tuple[str, ...] = tuple(PARTS)
    scopes: tuple[str, ...] = config.SCALINGS
    transductive: bool = False


METHODS = {f"siamese, {head}": Method(functools.partial(siamese, head)) for head in HEADS}
METHODS |= {
    f"{name}, {solver}": Method(functools.partial(classifier, name, solver))
    for name, solver in itertools.product(config.BASELINES, config.LOGISTIC_SOLVERS)
    if name == "logistic_regression" or solver == "scikit-learn"
}
METHODS |= {
    f"{name}, {adaptation}": Method(
        functools.partial(transfer, name, adaptation), ("few_shot",),
        TRANSDUCTIVE_SCOPES if adaptation != "none" else tuple(scope for scope in config.SCALINGS if scope != "train"),
        adaptation != "none",
    )
    for name, adaptation in itertools.product((*transfer_methods.METHODS, metric_network.NAME), config.ADAPTATIONS)
}  # fmt: skip
QUICK = {"logistic_regression, scikit-learn", "svm, scikit-learn"}


def mark(method: str) -> Any:
    return () if method in QUICK else pytest.mark.long


@functools.cache
def clean(method: str, scope: str) -> Results:
    return METHODS[method].run(make_plan(), scope, parts_under(method, scope))


def parts_under(method: str, scope: str) -> list[str]:
    return [part for part in METHODS[method].parts if part == "loso" or scope != "train"]


CASES = [
    pytest.param(method, scope, part, marks=mark(method))
    for method in METHODS
    for scope in METHODS[method].scopes
    for part in parts_under(method, scope)
]


@pytest.mark.parametrize(("method", "scope", "part"), CASES)
def test_poison_in_what_must_not_be_learned_from_or_seen_changes_nothing(method, scope, part):
    plan = make_plan()
    # In-domain training has no source and no support set, see `scaling_scopes.IN_DOMAIN_SCOPE`.
    seen = scaling_scopes.IN_DOMAIN_SCOPE[scope] if part == "loso" else scope
    seen = "corpus" if METHODS[method].transductive else seen
    after = METHODS[method].run(poisoned(plan, part, seen), scope, [part])
    before, rows = clean(method, scope), PARTS[part](plan).classified
    assert part in after
    for name, values in after.items():
        if name == part:
            old, new = (v[0] if part == "few_shot" else v for v in (before[name], values))
            np.testing.assert_array_equal(old[..., rows], new[..., rows])
        else:
            np.testing.assert_array_equal(before[name], values)


@pytest.mark.parametrize("method", [pytest.param(method, marks=mark(method)) for method in METHODS])
def test_the_poison_would_be_seen(method):
    """It changes the results that may depend on it: other draws and folds, and the scope that sees all clips."""
    plan, run, before = make_plan(), METHODS[method].run, clean(method, "corpus")
    others = run(poisoned(plan, "few_shot", "corpus"), "corpus", ["few_shot", "loso"])
    assert (others["few_shot"][1] != before["few_shot"][1]).any()
    if "loso" in METHODS[method].parts:
        assert (others["loso"] != before["loso"]).any()
        seen = run(poisoned(plan, "source_only", "source"), "corpus", ["source_only"])
        rows = source_only(plan).classified
        assert (seen["source_only"][..., rows] != before["source_only"][..., rows]).any()


def test_every_registered_method_and_scope_has_an_entry():
    assert {name.split(",")[0] for name in METHODS} == {*config.METHODS, *config.BASELINES}
    assert set(SEEN) == set(config.SCALINGS)

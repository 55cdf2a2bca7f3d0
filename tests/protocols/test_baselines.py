"""The classifiers are scikit-learn's on plainly standardised clips: their scaling, training data, weights and C."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from tables_for_tests import EMOTIONS, make_table
from tiny_plan import PLAN, SOURCE, TARGET, scaled, settings

from siamese_jax.datasets import dataset
from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.datasets.mixture import mixture
from siamese_jax.datasets.scaling_scopes import out_of_domain_scope
from siamese_jax.protocols import baselines, config
from siamese_jax.protocols.plan import Plan

MODELS = {"logistic_regression": lambda: LogisticRegression(C=0.3, max_iter=2000), "svm": lambda: SVC()}

IN_DOMAIN = {"corpus": "corpus", "speaker": "speaker", "support": "train", "source": "train", "train": "train"}


def classes(name, x, label, weight, query):
    return MODELS[name]().fit(x.astype(float), label, sample_weight=weight).predict(query.astype(float))


def agree(found, expected):
    """Nearly all classes are equal; fits stop at their tolerance."""
    assert (found == expected).mean() > 0.97


@pytest.mark.parametrize("scope", config.SCALINGS)
def test_classifiers_are_those_of_the_library_on_plainly_scaled_clips(scope):
    parts = [part for part in baselines.PARTS if part == "loso" or scope != "train"]
    found = baselines.run(PLAN, scope, parts, lambda _: None, 1)
    label = TARGET.label
    for i, name in enumerate(PLAN.experiment.protocol.baselines):
        for train, test in leave_one_speaker_out(TARGET):
            x = scaled(TARGET, IN_DOMAIN[scope], train)
            agree(found.loso.values[i, test], classes(name, x[train], label[train], None, x[test]))
        if scope == "train":
            continue
        source = scaled(SOURCE, "speaker" if scope == "speaker" else "corpus")
        query = scaled(TARGET, out_of_domain_scope(SOURCE, TARGET, scope))
        agree(found.source_only.values[i], classes(name, source, SOURCE.label, None, query))
        for draw, rows in enumerate(PLAN.draws.support(2)):
            x = scaled(TARGET, scope, rows)
            few = found.few_shot.sel(n_speakers=2).isel(method=i, draw=draw)
            agree(few.sel(data="target").values, classes(name, x[rows], label[rows], None, x))
            n, m = len(source), len(rows)
            weight = np.repeat([(n + m) / (2 * n), (n + m) / (2 * m)], [n, m])
            both, labels = np.concatenate([source, x[rows]]), np.concatenate([SOURCE.label, label[rows]])
            agree(few.sel(data="source+target").values, classes(name, both, labels, weight, x))


def test_nothing_of_a_classifier_is_tuned_but_c_and_the_iterations_of_the_regression():
    made = {name: make(0.3).get_params() for name, make in baselines.CLASSIFIERS.items()}
    regression = LogisticRegression().get_params() | {"C": 0.3, "max_iter": 2000}
    assert made == {"svm": SVC().get_params(), "logistic_regression": regression}


def test_each_of_several_sources_has_its_share_of_the_weight():
    sources = [
        dataset.from_table(make_table(name, n_speakers, seed=9, n_features=9), EMOTIONS, name)
        for name, n_speakers in (("few", 2), ("many", 6))
    ]
    plan = Plan.make(settings(), mixture(sources, ["few", "many"], (3.0, 1.0)), TARGET)
    weight = baselines.source_task(plan, "corpus").weight
    np.testing.assert_allclose(weight, [3.0] * 16 + [1 / 3] * 48)


@pytest.mark.parametrize("solver", config.LOGISTIC_SOLVERS)
def test_the_logistic_regression_is_fitted_by_the_solver_of_the_configuration(solver, monkeypatch):
    asked = []
    for name, module in (("predictions", baselines.logistic), ("_by_tasks", baselines)):
        answer = {"source_only": np.zeros(len(TARGET), np.int8)}
        monkeypatch.setattr(module, name, lambda *given, name=name, answer=answer: asked.append(name) or answer)
    plan = Plan.make(settings(logistic_solver=solver), SOURCE, TARGET)
    baselines.run(plan, "corpus", ("source_only",), lambda _: None, 1)
    # The support vector machine is scikit-learn's always.
    assert asked == [{"jax": "predictions", "scikit-learn": "_by_tasks"}[solver], "_by_tasks"]

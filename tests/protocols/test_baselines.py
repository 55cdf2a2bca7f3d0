"""The classifiers are scikit-learn's on plainly standardised clips: their scaling, training data, weights and C."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from tiny_plan import PLAN, SOURCE, TARGET, scaled

from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE, out_of_domain_scope
from siamese_jax.protocols import baselines, config

MODELS = {"logistic_regression": lambda: LogisticRegression(C=0.3, max_iter=2000), "svm": lambda: SVC()}


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
            x = scaled(TARGET, IN_DOMAIN_SCOPE[scope], train)
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

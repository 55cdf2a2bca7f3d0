"""What the transfer methods are given on each draw: clips, scaling, sources, weights and settings; nothing compiles."""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from tables_for_tests import EMOTIONS, make_table
from tiny_plan import PLAN, SOURCE, TARGET, scaled, settings

from siamese_jax.datasets import dataset
from siamese_jax.datasets.mixture import mixture
from siamese_jax.errors import InputError
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import adaptations, draws, metric_network
from siamese_jax.protocols.transfer import methods as transfer_methods
from siamese_jax.protocols.transfer import settings as transfer_settings
from siamese_jax.protocols.transfer.adaptations import Balance, TargetWhitening
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.protocols.transfer.methods import METHODS, Sources

OWN = transfer_settings.of_config(PLAN.experiment.transfer, "corpus", 0.3, 0.7)


@pytest.fixture
def calls(monkeypatch):
    """The calls of programs, (trial, mapped axes, arguments, whether with loops of their own)."""
    calls = []

    class Program:
        def __init__(self, trial, axes, chunk, own_loops=False):
            self.given = trial, axes, own_loops

        def __call__(self, *arguments, on_chunk=None):
            trial, axes, own_loops = self.given
            calls.append((trial, axes, arguments, own_loops))
            return np.zeros((3, len(TARGET), 4))

    monkeypatch.setattr(draws, "TrialProgram", Program)
    return calls


@pytest.fixture
def prepared(monkeypatch):
    """The arguments of a method's `prepare`."""
    noted = []
    method = METHODS["adapted_discriminant"]
    stub = method._replace(prepare=lambda *given: noted.append(given) or "shared")
    monkeypatch.setitem(METHODS, "adapted_discriminant", stub)
    return noted


@pytest.mark.parametrize("scope", ["corpus", "speaker", "support", "source"])
def test_a_draw_has_its_clips_and_scaling_and_the_sources_theirs(calls, prepared, scope):
    TransferDraws(PLAN, scope, OWN).inductive("adapted_discriminant", 2)
    ((_, axes, (rows, shift, scale, target, shared), own_loops),) = calls
    ((sources, n_classes, n_labelled, given),) = prepared
    assert (axes, own_loops, shared) == ((0, 0, 0, None, None), True, "shared")
    assert (n_classes, n_labelled, given) == (4, 8, OWN)
    np.testing.assert_array_equal(rows, PLAN.draws.support(2))
    np.testing.assert_array_equal(target.label, TARGET.label)
    for draw in range(3):
        x = (target.x - shift[draw]) / scale[draw]
        np.testing.assert_allclose(x, scaled(TARGET, scope, rows[draw]), atol=2e-3)
    ((x, label),) = sources.corpora
    np.testing.assert_allclose(x, scaled(SOURCE, "speaker" if scope == "speaker" else "corpus"), atol=2e-3)
    np.testing.assert_array_equal(label, SOURCE.label)


def test_sources_have_their_weights(calls, prepared):
    sources = [
        dataset.from_table(make_table(name, n_speakers, seed=9, n_features=9), EMOTIONS, name)
        for name, n_speakers in (("few", 2), ("many", 6))
    ]
    plan = Plan.make(settings(), mixture(sources, ["few", "many"], (3.0, 1.0)), TARGET)
    TransferDraws(plan, "corpus", OWN).inductive("adapted_discriminant", 2)
    found = prepared[0][0]
    assert found.weights == (0.75, 0.25)
    assert [len(label) for _, label in found.corpora] == [16, 48]
    x, label, weight = found.clips()
    np.testing.assert_allclose(weight, [3.0] * 16 + [1 / 3] * 48, rtol=1e-6)
    np.testing.assert_array_equal(label, np.concatenate([label for _, label in found.corpora]))
    assert x.shape == (64, 9)


def test_a_trial_fits_its_scaled_clips_and_scores_all_by_its_scaling():
    rng = np.random.default_rng(0)
    weights, intercepts = (rng.normal(size=(1, 4, *rest)).astype(np.float32) for rest in ((9,), ()))
    shift, scale = (rng.uniform(1, 2, 9).astype(np.float32) for _ in range(2))
    target, seen = PLAN.target_clips("source"), []

    def fit(shared, x, label):
        seen.append((shared, x, label))
        return LinearScorer(weights, intercepts)

    rows = np.array([3, 9, 14])
    log_p = draws.inductive_trial(fit, rows, shift, scale, target, "shared")
    x = (target.x - shift) / scale
    ((shared, given, label),) = seen
    assert shared == "shared"
    np.testing.assert_allclose(given, x[rows], rtol=1e-6)
    np.testing.assert_array_equal(label, target.label[rows])
    np.testing.assert_allclose(log_p, jax.nn.log_softmax(x @ weights[0].T + intercepts[0]), atol=1e-4)


@pytest.mark.parametrize("within", ["corpus", "speaker"])
def test_an_adaptation_has_its_groups_proportions_and_strength(calls, within):
    own = dataclasses.replace(OWN, balance=OWN.balance._replace(within=within))
    log_p = np.zeros((3, len(TARGET), 4), np.float32)
    TransferDraws(PLAN, "corpus", own).adapted("balanced", log_p, 2, np.array([0.4, 0.3, 0.2, 0.1]))
    ((trial, axes, (given, rows, balance), own_loops),) = calls
    assert trial is adaptations.balanced_trial
    assert (axes, own_loops, given is log_p) == ((0, 0, None), False, True)
    np.testing.assert_array_equal(rows, PLAN.draws.support(2))
    groups = np.ones((len(TARGET), 1)) if within == "corpus" else np.eye(5)[TARGET.speaker]
    np.testing.assert_array_equal(balance.groups, groups)
    np.testing.assert_allclose(balance.proportions, [0.4, 0.3, 0.2, 0.1], rtol=1e-6)
    assert float(balance.strength) == pytest.approx(0.3)


@pytest.mark.parametrize("adaptation", ["balanced", "self_trained"])
@pytest.mark.parametrize("scope", ["support", "source"])
def test_no_scope_that_excludes_unlabelled_clips_adapts_to_them(scope, adaptation):
    with pytest.raises(InputError, match=f"which scaling by '{scope}' excludes"):
        TransferDraws(PLAN, scope, OWN).adapted(adaptation, np.zeros((3, 1, 4)), 2, np.full(4, 0.25))


def test_a_round_of_self_training_has_the_true_labels_and_balanced_probabilities_of_the_others(monkeypatch):
    log_p, rows, label = np.log(np.full((5, 2), 0.5, np.float32)), np.array([1, 4]), np.array([1, 0])
    balances, fits = [], []

    def balanced(log_p, groups, proportions, strength):
        balances.append((groups, proportions, strength))
        return jnp.asarray(log_p) + 0.125 * len(balances)

    def self_trained(whitening, clips, present, responsibility, labelled, source_clips, unlabelled_clips, temperature):
        fits.append((responsibility, labelled, (source_clips, unlabelled_clips, temperature)))
        return None, jnp.full((5, 2), -1.0 * len(fits))

    monkeypatch.setattr(adaptations, "balanced", balanced)
    monkeypatch.setattr(adaptations.discriminant, "self_trained", self_trained)
    own = OWN.self_training._replace(rounds=3, source_clips=5.0, unlabelled_clips=7.0, temperature=0.2)
    balance, target = Balance(np.ones((5, 1)), np.array([0.4, 0.6]), 0.3), TargetWhitening("white", "clips", "present")
    with jax.disable_jit():
        found = adaptations.self_trained_trial(log_p, rows, label, balance, target, adaptations.scalars(own))
        adaptations.balanced_trial(log_p, rows, balance)
    assert len(fits) == 3
    for number, (responsibility, labelled, scalars) in enumerate(fits):
        np.testing.assert_array_equal(labelled, [0, 1, 0, 0, 1])
        np.testing.assert_allclose(scalars, (5, 7, 0.2))
        expected = np.exp((np.log(0.5) if number == 0 else -number) + 0.125 * (number + 1))
        np.testing.assert_allclose(
            responsibility, [[expected] * 2, [0, 1], [expected] * 2, [expected] * 2, [1, 0]], rtol=1e-6
        )
    # The last fit's are balanced as well, and no labelled clip counts.
    np.testing.assert_allclose(found, -3 + 0.5)
    for groups, proportions, strength in balances:
        np.testing.assert_array_equal(groups, [[1], [0], [1], [1], [0]])
        assert (proportions.tolist(), strength) == ([0.4, 0.6], 0.3)


def test_fits_have_the_c_of_their_settings_and_a_layer_its_own_columns(monkeypatch):
    asked, of_source = [], []

    def few_shot_fit(x, label, source, basis, start, own):
        asked.append((np.asarray(x), own.c))
        return LinearScorer(np.full((1, 2, x.shape[1]), len(asked)), np.full((1, 2), 10.0 * len(asked))), None

    def fit_source(clips, n_classes, c):
        of_source.append((clips.x, c))
        return clips, np.eye(2), np.zeros((n_classes, 3))

    monkeypatch.setattr(transfer_methods.logistic, "few_shot_fit", few_shot_fit)
    monkeypatch.setattr(transfer_methods.logistic, "fit_source", fit_source)
    x, label = np.arange(24.0, dtype=np.float32).reshape(4, 6), np.array([0, 1, 0, 1])
    sources = Sources(((-x, label),), (1.0,), 6, (np.array([0, 3]), np.array([1, 4])))
    method = METHODS["layer_ensemble"]
    scorer = method.fit(method.prepare(sources, 2, 4, OWN), x, label)
    assert [float(c) for _, c in asked] == pytest.approx([0.7, 0.7])
    for (given, c), columns in zip(of_source, ([0, 3], [1, 4]), strict=True):
        np.testing.assert_array_equal(given, -x[:, columns])
        assert c == 0.7
    np.testing.assert_array_equal(asked[0][0], x[:, [0, 3]])
    np.testing.assert_array_equal(asked[1][0], x[:, [1, 4]])
    np.testing.assert_array_equal(scorer.weights[:, 0], [[1, 0, 0, 1, 0, 0], [0, 2, 0, 0, 2, 0]])
    np.testing.assert_array_equal(scorer.intercepts, [[10, 10], [20, 20]])


def test_the_discriminant_has_its_settings(monkeypatch):
    seen = {}
    fake = transfer_methods.discriminant
    monkeypatch.setattr(fake, "source_moments", lambda corpora, weights, n: seen.update(weights=weights) or MOMENTS)
    monkeypatch.setattr(fake, "adapted_whitening", lambda *given: seen.update(whitening=given) or "whitening")
    monkeypatch.setattr(fake, "adapted", lambda *given: seen.update(fit=given))
    own = dataclasses.replace(OWN, discriminant=OWN.discriminant._replace(source_clips=3.0, temperature=0.2))
    method = METHODS["adapted_discriminant"]
    sources = Sources(((np.zeros((4, 2)), np.arange(4)),), (2.0,), 2)
    method.fit(method.prepare(sources, 4, 8, own), "x", "label")
    assert seen["weights"] == (2.0,)
    assert seen["whitening"] == (MOMENTS, own.discriminant.covariance_clips, 8, own.discriminant.shrinkage)
    assert seen["fit"][3:5] == ("x", "label")
    assert [float(value) for value in seen["fit"][5:]] == pytest.approx([3.0, 0.2])


MOMENTS = transfer_methods.SourceMoments(np.zeros((4, 2)), np.ones(4), np.eye(2))


def test_draws_of_the_metric_network_have_keys_of_their_own(calls, monkeypatch):
    shared = metric_network.Shared(jnp.zeros((9, 2)), "source", {})
    monkeypatch.setattr(TransferDraws, "_metric_source", lambda self, own, key: calls.append(key) or shared)
    plan = dataclasses.replace(PLAN, first_draw=4)
    TransferDraws(plan, "support", OWN).inductive("metric_network", 2)
    of_source, (_, axes, (keys, rows, shift, scale, target, _), _) = calls
    seed = jax.random.fold_in(jax.random.key(5), 3)
    of_draws = jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(seed, 1), i))(jnp.arange(4, 7))
    for found, expected in ((of_source, jax.random.fold_in(seed, 0)), (keys, of_draws)):
        np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(expected))
    assert axes == (0, 0, 0, 0, None, None)
    for draw in range(3):
        x = (target.x - shift[draw]) / scale[draw]
        np.testing.assert_allclose(x, scaled(TARGET, "support", rows[draw]), atol=2e-3)


def test_each_setting_of_the_configuration_is_the_methods():
    names = [field.name for field in dataclasses.fields(PLAN.experiment.transfer)]
    numbers = {name: 0.01 * (i + 1) for i, name in enumerate(names) if name != "rounds"}
    given = dataclasses.replace(PLAN.experiment.transfer, **numbers, rounds=7)
    made = transfer_settings.of_config(given, "speaker", 0.4, 0.6)
    assert (made.c, *made.balance) == (0.6, "speaker", 0.4)
    n = numbers
    expected = (n["source_clips"], n["covariance_clips"], n["shrinkage"], n["temperature"])
    assert tuple(made.discriminant) == expected
    own = ("own_source_clips", "unlabelled_clips", "own_covariance_clips", "target_covariance_clips", "own_shrinkage")
    assert tuple(made.self_training) == (7, *(n[name] for name in own), n["own_temperature"])

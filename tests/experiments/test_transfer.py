"""The experiment on transfer methods: its rows against the predictions it stored, and the choice of its settings."""

import contextlib
import dataclasses
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))
from tables_for_tests import EMOTIONS, make_table
from tiny_plan import PLAN, TARGET

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.datasets.subsets import minorities
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.experiments import run_context, transfer, tune
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import transfer as report

long = pytest.mark.long


def experiment_of(folder, **changes):
    given = smoke.get_config()
    for role, seed in (("source", 1), ("target", 2)):
        path = folder / f"{role}.npz"
        if not path.exists():
            write_table(path, make_table(role, n_speakers=7, seed=seed, apart=0.6))
        given.data[role] = str(path)
    given.protocol.update({"n_speakers": (2,), "n_draws": 6})
    given.report.fixed_n_speakers = 2
    given.data.scalings = ("corpus", "support")
    given.transfer.balance_strength = (0.5, 1.0)
    for name, value in changes.items():
        given.transfer[name] = value
    return config.resolve(given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with a thinned target beside the target as it is."""
    folder = tmp_path_factory.mktemp("transfer")
    experiment = experiment_of(folder, thinned=(1.0, 2.0))
    return experiment, folder / "work", transfer.run(experiment, folder / "work")


@long
def test_rows_name_mode_and_settings_and_inductive_scopes_have_no_transductive_row(finished):
    _, _, rows = finished
    assert {row.mode for row in rows if row.scaling == "support"} == {"inductive"}
    modes = {(row.adaptation, row.mode) for row in rows}
    assert modes == {("none", "inductive"), ("balanced", "transductive"), ("self_trained", "transductive")}
    assert all((row.within, row.strength) == ("", 0.0) for row in rows if row.mode == "inductive")
    assert {row.strength for row in rows if row.mode == "transductive"} == {0.5, 1.0}
    names = [(report.name_of(row), row.scaling, row.thinned) for row in rows]
    assert len(set(names)) == len(names)


@long
def test_rows_are_the_scores_of_the_stored_predictions(finished):
    experiment, work, rows = finished
    source, target = run_context.load(experiment)
    plan = Plan.make(experiment, source, target)
    stored = xr.load_dataset(work / "arrays/transfer/corpus_02_1_0.nc")
    of_cell = [row for row in rows if (row.scaling, row.thinned) == ("corpus", 1.0)]
    assert len(of_cell) == stored.sizes["setting"]
    for row, predictions in zip(of_cell, stored.predictions.values):
        uar = []
        for classes, rows_M in zip(predictions, plan.draws.support(2)):
            tested = ~np.isin(target.speaker, target.speaker[rows_M])
            uar.append(np.mean([np.mean(classes[tested & (target.label == c)] == c) for c in range(4)]))
        np.testing.assert_allclose(row.uar_mean, 100 * np.mean(uar), rtol=1e-6)
    best = max((row for row in of_cell if row.method == transfer.BASELINE and row.mode == "inductive"),
               key=lambda row: row.uar_mean)  # fmt: skip
    assert [row.gain is None for row in of_cell] == [row is best for row in of_cell]
    for row in of_cell:
        if row is not best:
            np.testing.assert_allclose(row.gain, row.uar_mean - best.uar_mean, atol=1e-6)
            assert row.baseline_c == best.c
            assert row.p_holm >= row.p_value


@long
def test_a_thinned_target_has_a_draw_for_every_half_of_the_classes(finished):
    experiment, _, rows = finished
    assert {row.n_draws for row in rows if row.thinned == 2.0} == {6 * experiment.protocol.n_draws}


@long
def test_a_second_run_computes_nothing_and_gives_the_same_rows(finished, monkeypatch):
    experiment, work, rows = finished
    monkeypatch.setattr(transfer, "_classes", None)
    again = transfer.run(experiment, work)
    assert [dataclasses.replace(row, seconds=0.0) for row in again] == [
        dataclasses.replace(row, seconds=0.0) for row in rows
    ]


@long
def test_the_page_holds_every_row_and_escapes_names(finished):
    _, work, rows = finished
    page = report.write(work)
    assert page == (work / "transfer.md").read_text()
    for row in rows:
        assert report.name_of(row) in page
        assert f"{row.uar_mean:.1f}" in page
    hostile = report.markdown([dataclasses.replace(rows[0], source="a|b<script>")])
    assert "<script>" not in hostile


def predicted(shares):
    """Classes [setting, draw, clip] of the tiny plan's target, of which these shares are right by setting."""
    rng = np.random.default_rng(0)
    wrong = rng.random((len(shares), 3, len(TARGET))) >= np.array(shares)[:, None, None]
    return ((TARGET.label + wrong * rng.integers(1, 4, wrong.shape)) % 4).astype(np.int8)


def test_a_row_is_scored_on_other_speakers_and_gains_on_the_better_inductive_regression():
    settings = transfer.settings_of(PLAN.experiment, "corpus")
    assert [s.mode for s in settings[:3]] == ["inductive", "inductive", "transductive"]
    # The second regression is better than the first, and an adapted one is the best of all.
    classes = predicted([0.3, 0.5, 0.9, 0.4, 0.6, 0.2, 0.7])
    part = xr.Dataset({"predictions": (("setting", "draw", "clip"), classes), "seconds": ("setting", np.arange(7.0))})
    rows = list(transfer._rows([PLAN], [part], "corpus", 2, 1.0))
    uar = np.zeros((7, 3))
    for i, draw in np.ndindex(7, 3):
        tested = ~np.isin(TARGET.speaker, TARGET.speaker[PLAN.draws.support(2)[draw]])
        right = classes[i, draw] == TARGET.label
        uar[i, draw] = np.mean([right[tested & (TARGET.label == c)].mean() for c in range(4)])
    assert uar.mean(axis=1).argmax() == 2
    for i, (row, setting) in enumerate(zip(rows, settings, strict=True)):
        assert (row.method, row.c, row.adaptation, row.mode) == (
            setting.method, setting.c, setting.adaptation, setting.mode
        )  # fmt: skip
        np.testing.assert_allclose(row.uar_mean, 100 * uar[i].mean(), rtol=1e-5)
        assert (row.n_speakers, row.n_labelled, row.n_draws, row.thinned, row.scaling) == (2, 8, 3, 1.0, "corpus")
        assert row.interval.startswith("90 % t over draws; 90 % jackknife t over speakers")
        assert row.baseline_c == (None if i == 1 else settings[1].c)
        if i != 1:
            np.testing.assert_allclose(row.gain, 100 * (uar[i] - uar[1]).mean(), rtol=1e-4, atol=1e-4)
            # The interval over speakers is of the same difference.
            assert row.gain_speakers_low < row.gain_speakers_high
            assert (row.gain_speakers_low + row.gain_speakers_high) * row.gain > 0


@pytest.mark.parametrize("scope", ["corpus", "support"])
def test_settings_are_every_method_with_every_adaptation_that_the_scope_allows(scope):
    experiment = PLAN.experiment.replace(
        methods=("logistic_regression", "adapted_discriminant", "siamese"), balance_strength=(0.5, 1.0)
    )
    settings = transfer.settings_of(experiment, scope)
    inductive = [(s.method, s.loss, s.c) for s in settings if s.mode == "inductive"]
    assert inductive == [
        ("logistic_regression", "", 0.3), ("logistic_regression", "", 0.1), ("adapted_discriminant", "", 0.0),
        *(("siamese", loss, 0.0) for loss in experiment.protocol.losses),
    ]  # fmt: skip
    transductive = [(s.method, s.c, s.adaptation, s.within, s.strength) for s in settings if s.mode == "transductive"]
    expected = [
        (method, c, adaptation, "speaker", strength)
        for method, c in (("logistic_regression", 0.1), ("adapted_discriminant", 0.0))
        for adaptation in ("balanced", "self_trained")
        for strength in (0.5, 1.0)
    ]
    assert transductive == (expected if scope == "corpus" else [])


def test_each_setting_has_the_probabilities_of_its_method_and_adaptation(monkeypatch):
    asked = []

    class Draws:
        def __init__(self, plan, scope, settings, kept):
            self.settings = settings

        def inductive(self, method, n_speakers):
            asked.append((method, self.settings.c))
            return np.eye(4)[np.full((3, len(TARGET)), len(asked) - 1)]

        def proportions(self, n_speakers):
            return "proportions"

        def adapted(self, adaptation, log_p, n_speakers, proportions):
            asked.append((adaptation, log_p.argmax(axis=-1).max(), *self.settings.balance, n_speakers, proportions))
            return log_p

    monkeypatch.setattr(transfer, "TransferDraws", Draws)
    kept = {}
    settings = [
        transfer.Setting("logistic_regression", "", 0.1, "none", "", 0.0),
        transfer.Setting("logistic_regression", "", 0.3, "none", "", 0.0),
        transfer.Setting("adapted_discriminant", "", 0.3, "balanced", "speaker", 0.7),
        transfer.Setting("logistic_regression", "", 0.1, "self_trained", "corpus", 0.2),
    ]
    classes = [transfer._classes(PLAN, "corpus", 2, setting, kept, {}) for setting in settings]
    assert asked == [
        ("logistic_regression", 0.1), ("logistic_regression", 0.3), ("adapted_discriminant", 0.3),
        ("balanced", 2, "speaker", 0.7, 2, "proportions"), ("self_trained", 0, "corpus", 0.2, 2, "proportions"),
    ]  # fmt: skip
    assert [int(c.max()) for c in classes] == [0, 1, 2, 0]


def test_each_setting_of_the_network_has_its_own_loss(monkeypatch):
    experiment = PLAN.experiment.replace(methods=("siamese", "logistic_regression"), adaptations=("none",))
    plan = dataclasses.replace(PLAN, experiment=experiment)
    losses = experiment.protocol.losses
    of_losses = np.broadcast_to(np.arange(len(losses), dtype=np.int8)[:, None, None], (len(losses), 3, len(TARGET)))
    monkeypatch.setattr(transfer, "_network", lambda *given: of_losses)
    monkeypatch.setattr(transfer, "_classes", lambda *given: np.full((3, len(TARGET)), 9, np.int8))

    class Run:
        class bars:
            start = staticmethod(lambda *given: lambda n: None)

        def arrays(self, plan, name, make):
            return make()

    found = transfer._predictions(Run(), plan, "corpus", 2, "1_0", {}).predictions
    settings = transfer.settings_of(experiment, "corpus")
    expected = [losses.index(setting.loss) if setting.method == "siamese" else 9 for setting in settings]
    assert set(expected) == {9, *range(len(losses))}
    for of_setting, number in zip(found, expected, strict=True):
        assert (of_setting == number).all()


def test_the_networks_of_a_run_are_its_losses_after_the_last_step(monkeypatch):
    losses = PLAN.experiment.protocol.losses
    shape = (len(losses), 3, 3, 3, len(TARGET))
    number = np.arange(np.prod(shape[:-1])).reshape(*shape[:-1], 1)
    tuned = xr.Dataset({"predictions": (("loss", "frozen", "draw", "step", "clip"), number * np.ones(shape))})

    class Tuning:
        def __init__(self, plan, head, n_speakers, executor):
            pass

        def run(self, plan, n_speakers, scope, params, on_done):
            return tuned

    class Run:
        executor = None

        def source_training(self, plan, head, scope):
            return xr.Dataset()

    monkeypatch.setattr(transfer.stages, "FineTuning", Tuning)
    found = transfer._network(Run(), PLAN, "corpus", 2)
    np.testing.assert_array_equal(found[:, :, 0], number[:, 0, :, -1, 0])


def test_p_values_of_a_run_are_adjusted_together_by_holms_method(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Row:
        p_value: float | None
        p_holm: float | None = None

    by_speakers, written = {2: [Row(0.01), Row(None)], 3: [Row(0.03), Row(0.02)]}, {}
    run = types.SimpleNamespace(write=lambda **results: written.update(results))
    monkeypatch.setattr(transfer, "open_run", lambda *_: contextlib.nullcontext(run))
    monkeypatch.setattr(transfer, "_plans", lambda run, ratio: [])
    monkeypatch.setattr(transfer, "_rows", lambda plans, parts, scope, k, ratio: by_speakers[k])
    monkeypatch.setattr(transfer.paired_tests, "adjusted", lambda p: {"holm": len(p) * p, "bh": p})
    rows = transfer.run(PLAN.experiment.replace(n_speakers=(2, 3)), "unused")
    assert [row.p_holm for row in rows] == [pytest.approx(0.04), None, pytest.approx(0.12), pytest.approx(0.08)]
    assert written["transfer"] == rows


@pytest.mark.parametrize("module", [transfer, tune])
def test_a_target_is_thinned_by_the_seed_of_the_configuration(module, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "thinned", lambda target, half, ratio, seed: asked.append((half, ratio, seed)))
    monkeypatch.setattr(module.Plan, "make", lambda *_: None)
    if module is transfer:
        transfer._plans(types.SimpleNamespace(experiment=PLAN.experiment, source=None, target=TARGET), 4.0)
    else:
        list(tune._thinned_plans(tune.Transfer("corpus left out", PLAN), 4.0))
    assert asked == [(half, 4.0, 5) for half in minorities(4)]


def test_a_page_of_another_kind_of_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no config\.json"):
        report.write(tmp_path)


def test_scaling_by_training_speakers_is_refused(tmp_path):
    experiment = experiment_of(tmp_path).replace(scalings=("train",))
    with pytest.raises(InputError, match="'train', which draws no clips"):
        transfer.run(experiment, tmp_path / "work")


def test_the_layer_ensemble_of_features_without_layers_is_refused(tmp_path):
    experiment = experiment_of(tmp_path, methods=("layer_ensemble",))
    with pytest.raises(InputError, match="needs the features of a speech encoder"):
        transfer.run(experiment, tmp_path / "work")


def datasets_of(*seeds):
    return [
        dataset.from_table(make_table(f"corpus{seed}", n_speakers=8, seed=seed, apart=0.6), EMOTIONS, "x")
        for seed in seeds
    ]


def test_no_validation_transfer_has_the_target_as_its_target(tmp_path):
    experiment, (source, other, target) = experiment_of(tmp_path), datasets_of(1, 2, 3)
    single = tune.validation_transfers(experiment.replace(n_speakers=(1,), fixed_n_speakers=1), [source], target)
    assert [(t.plan.source.name, t.plan.target.name) for t in single] == [
        ("corpus1", "corpus1"), ("corpus1", "corpus1"), ("corpus3", "corpus1"),
    ]  # fmt: skip
    assert not set(single[0].plan.source.speakers) & set(single[0].plan.target.speakers)
    several = tune.validation_transfers(experiment, [source, other], target)
    assert [(t.plan.source.name, t.plan.target.name) for t in several] == [
        ("corpus2", "corpus1"), ("corpus1", "corpus2"),
    ]  # fmt: skip


def test_each_step_chooses_the_best_value_given_the_values_chosen_before(tmp_path, monkeypatch):
    steps = (
        tune.Step("shrinkage", (0.3, 0.7, 0.9), tune.BOTH[1:], "none"),
        tune.Step("rounds", (1, 2, 5), tune.BOTH, "self_trained"),
    )
    seen = []

    def score(experiment, step):
        seen.append((experiment.transfer.shrinkage, experiment.transfer.rounds))
        return {"shrinkage": -abs(seen[-1][0] - 0.7), "rounds": -abs(seen[-1][1] - 5)}[step.field]

    monkeypatch.setattr(tune, "STEPS", steps)
    monkeypatch.setattr(tune, "_Evaluation", lambda transfers: score)
    result = tune.tune(experiment_of(tmp_path), [], lambda _: None)
    assert result["chosen"] == {"shrinkage": 0.7, "rounds": 5}
    assert seen == [(0.3, 2), (0.7, 2), (0.9, 2), (0.7, 1), (0.7, 2), (0.7, 5)]


def test_settings_are_judged_on_other_speakers_clips(monkeypatch):
    classes = predicted([0.5])[0]

    class Draws:
        def __init__(self, *given):
            pass

        def inductive(self, method, n_speakers):
            return np.eye(4)[classes]

    monkeypatch.setattr(tune, "TransferDraws", Draws)
    found = tune._Evaluation([])._uar(PLAN.experiment, PLAN, "corpus", 2, "logistic_regression", "none")
    uar = []
    for right, rows in zip(classes == TARGET.label, PLAN.draws.support(2)):
        tested = ~np.isin(TARGET.speaker, TARGET.speaker[rows])
        uar.append(np.mean([right[tested & (TARGET.label == c)].mean() for c in range(4)]))
    assert found == pytest.approx(100 * np.mean(uar), rel=1e-5)


def test_settings_are_judged_by_the_mean_over_scopes_and_ratios_each_with_its_own_predictions(monkeypatch):
    """The share of right classes tells the scope of a probability; a thinned target has other labels here."""
    by_scope, asked = {"corpus": predicted([0.2])[0], "speaker": predicted([0.9])[0]}, []

    class Draws:
        def __init__(self, plan, scope, *given):
            self.scope = scope
            asked.append((given[0].c, *given[0].balance))

        def inductive(self, method, n_speakers):
            return np.eye(4)[by_scope[self.scope]]

    thinned = dataclasses.replace(PLAN, target=dataclasses.replace(TARGET, label=(TARGET.label + 1) % 4))
    monkeypatch.setattr(tune, "TransferDraws", Draws)
    monkeypatch.setattr(tune, "_thinned_plans", lambda _, ratio: [PLAN if ratio == 1 else thinned])
    experiment = PLAN.experiment.replace(
        scalings=("corpus", "support", "speaker"), balance_within=("corpus", "speaker"), balance_strength=(0.7, 1.0),
        transfer_c=0.2,
    )  # fmt: skip
    step = tune.Step("transfer_c", (0.1,), tune.BOTH[:1], "none")
    evaluate = tune._Evaluation(["transfer"])
    of_ratios = []
    for plan in (PLAN, thinned):
        for classes in by_scope.values():
            for of_draw, rows in zip(classes == plan.target.label, PLAN.draws.support(2)):
                tested = ~np.isin(TARGET.speaker, TARGET.speaker[rows])
                of_ratios.append(np.mean([of_draw[tested & (plan.target.label == c)].mean() for c in range(4)]))
    expected = 100 * np.array(of_ratios).reshape(2, 6).mean(axis=1)
    assert evaluate(experiment, step) == pytest.approx(expected[0], rel=1e-5)
    assert set(asked) == {(0.2, "speaker", 0.7)}
    assert evaluate(experiment, dataclasses.replace(step, ratios=(1.0, 10.0))) == pytest.approx(
        expected.mean(), rel=1e-5
    )


@long
def test_settings_are_chosen_by_the_best_mean_and_labels_of_the_target_change_nothing(tmp_path, monkeypatch):
    """With several sources the target is not read at all; each step's choice is the best of the values tried."""
    steps = (
        tune.Step("shrinkage", (0.3, 0.9), tune.BOTH[1:], "none"),
        tune.Step("balance_strength", (0.0, 0.5), tune.BOTH, "balanced", (1.0, 2.0)),
        tune.Step("rounds", (1, 2), tune.BOTH, "self_trained"),
    )
    monkeypatch.setattr(tune, "STEPS", steps)
    experiment, (source, other, target) = experiment_of(tmp_path), datasets_of(1, 2, 3)
    poisoned = dataclasses.replace(target, label=(target.label + 1) % 4)
    results = [
        tune.tune(experiment, tune.validation_transfers(experiment, [source, other], of_target), lambda _: None)
        for of_target in (target, poisoned)
    ]
    assert results[0] == results[1]
    for step in results[0]["steps"]:
        assert step["chosen"] == step["values"][int(np.argmax(step["uar"]))]
        assert results[0]["chosen"][step["field"]] == step["chosen"]
    assert len({round(uar, 3) for step in results[0]["steps"] for uar in step["uar"]}) > 3
    assert "config.transfer.rounds = " in tune.text({"source": "a", "target": "b", "features": "f", **results[0]})


def test_a_source_of_too_few_speakers_to_choose_on_is_refused(tmp_path):
    (source, target) = datasets_of(1, 2)
    with pytest.raises(InputError, match="to choose settings on"):
        tune.validation_transfers(experiment_of(tmp_path), [source], target)

"""The calibration experiment on the shipped tables: its rows, tables and figures."""

import dataclasses
import json

import numpy as np
import pytest
from tiny_plan import PLAN, TARGET

from launch import calibration as launcher
from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import calibration
from siamese_jax.experiments.calibration import Recipe
from siamese_jax.protocols import config
from siamese_jax.report.paper import calibration as report

RECIPES = (Recipe("adapted_discriminant", 0.1, "none", 0.0), Recipe("adapted_discriminant", 0.1, "balanced", 1.0))


@pytest.fixture(scope="module")
def rows():
    """Four draws of two speakers, both directions, on the paper's 64 features."""
    experiments = []
    for source, target in (("emodb", "ravdess"), ("ravdess", "emodb")):
        given = load_config("transfer")
        given.data.update({"source": source, "target": target, "features": "is09", "scalings": ("speaker",)})
        given.protocol.update({"n_speakers": (2,), "n_draws": 4})
        given.report.fixed_n_speakers = 2
        experiments.append(config.resolve(given))
    return calibration.run(experiments, RECIPES)


@pytest.mark.long
def test_each_target_has_the_other_targets_best_temperature_as_prior(rows):
    table = rows["calibration"]
    assert len(table) == 4
    best = {(row.target, row.adaptation): row.best for row in table}
    for row in table:
        other = "ravdess" if row.target == "emodb" else "emodb"
        assert row.prior == pytest.approx(best[other, row.adaptation])
        assert row.n_labelled == 8
        assert row.labels_changed == 0
        assert 0 < row.ece < 1
    means = {r["adaptation"]: np.log(r["temperature"]) for r in rows["priors"]}
    expected = np.mean([np.log(t) for (_, adaptation), t in best.items() if adaptation == "none"])
    assert means["none"] == pytest.approx(expected, abs=2e-3)


@pytest.mark.long
def test_accepted_labels_have_their_error_share_and_oracle(rows):
    for row in rows["accepted"]:
        assert 0 <= row.share <= 1
        assert row.error is None or 0 <= row.error <= 1
        if row.rule == "set" and row.error_all <= row.stated:
            assert row.oracle == 1
    assert {row.rule for row in rows["accepted"]} == {"set", "held_out", "single"}


@pytest.mark.long
def test_the_report_holds_a_line_for_each_row_and_two_figures(rows, tmp_path):
    page = report.write(rows, tmp_path)
    assert page.count("\n| ") == len(rows["calibration"]) + len(rows["accepted"]) + 2
    stored = json.loads((tmp_path / "calibration.json").read_text())
    assert stored["calibration"][0] == json.loads(json.dumps(dataclasses.asdict(rows["calibration"][0])))
    for name in ("reliability", "risk_coverage"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_draw_is_fitted_without_each_of_its_folds_of_speakers():
    clips = np.arange(2 * 4 * 3).reshape(2, 4, 3)

    @dataclasses.dataclass(frozen=True)
    class Drawn:
        draws: calibration.FewShotDraws

    without, left_out = calibration._without_folds(Drawn(calibration.FewShotDraws(np.zeros((2, 4), int), clips)), 4)
    assert without.draws.clips.shape == (8, 3, 3)
    for i in range(8):
        both = np.concatenate([without.draws.clips[i].ravel(), left_out[i]])
        assert sorted(both) == sorted(clips[i // 4].ravel())


def cell_of(plan, target, seed):
    """Random probabilities of a target; half of the labels of test clips and held-out clips are right."""
    rng = np.random.default_rng(seed)

    def log_p(label):
        z = 3 * np.eye(4)[(label + rng.integers(0, 2, label.shape)) % 4] + rng.normal(size=(*label.shape, 4))
        return (z - np.log(np.exp(z).sum(axis=-1, keepdims=True))).astype(np.float32)

    held_out = np.tile(np.arange(4), (3, 4))
    names = {
        "source": "a", "target": target, "method": "logistic_regression", "c": 0.01, "adaptation": "none",
        "strength": 0.0, "within": "corpus", "scaling": "support", "n_speakers": 2, "n_labelled": 8, "n_draws": 3,
    }  # fmt: skip
    mask = ~np.isin(np.arange(len(TARGET)), np.arange(8)) & np.ones((3, 1), bool)
    return calibration._Cell(plan, names, log_p(np.tile(TARGET.label, (3, 1))), log_p(held_out), held_out, mask)


def test_a_temperature_is_of_held_out_clips_and_the_other_target(monkeypatch):
    plans = {name: dataclasses.replace(PLAN, target=dataclasses.replace(TARGET, name=name)) for name in "xy"}
    cells = {name: cell_of(plan, name, seed) for seed, (name, plan) in enumerate(plans.items())}
    monkeypatch.setattr(calibration, "_cells", lambda name, recipes: [cells[name]])
    found = calibration.run(["x", "y"], ())
    for row, other in zip(found["calibration"], "yx", strict=True):
        cell, prior = cells[row.target], calibration._best(cells[other])
        assert row.prior == pytest.approx(prior)
        assert row.best == pytest.approx(calibration._best(cell))
        own = calibration.Prior(np.log(prior), calibration.PRIOR_SD)
        temperature = calibration.temperatures(cell.held_out, cell.held_out_label, own)
        assert row.temperature == pytest.approx(np.median(temperature))
    # The labels of the tested clips choose no temperature of their own target.
    wrong = dataclasses.replace(TARGET, label=(TARGET.label + 1) % 4)
    cells["x"] = dataclasses.replace(cells["x"], plan=dataclasses.replace(PLAN, target=wrong))
    poisoned = calibration.run(["x", "y"], ())["calibration"]
    assert poisoned[0].temperature == found["calibration"][0].temperature
    assert poisoned[1].temperature != found["calibration"][1].temperature


def test_each_rule_accepts_by_its_own_confidences():
    cell = cell_of(PLAN, "x", 0)
    held_out = np.full((3, 16), 0.55)
    held_out[:, 0] = 0.9999
    one = np.ones(3, np.float32)
    rows = {(row.rule, row.stated): row for row in calibration._accepted_rows(cell, one, held_out)}
    draws = list(calibration._draws(cell, one))
    for stated in (0.2, 0.1):
        least = {
            "set": [calibration.rule.threshold(confidence, stated) for confidence, _ in draws],
            "held_out": [0.9999] * 3,
            "single": [1 - stated] * 3,
        }
        for name, of_draws in least.items():
            shares = [np.mean(confidence >= at) for (confidence, _), at in zip(draws, of_draws)]
            assert rows[name, stated].share == pytest.approx(np.mean(shares)), name


@pytest.mark.parametrize("adaptation", ["none", "balanced"])
def test_held_out_clips_are_those_of_fits_without_their_fold(monkeypatch, adaptation):
    """Fits have the number of their plan's draws as probability."""
    given = []

    class Draws:
        def __init__(self, plan, scope, settings):
            self.support = plan.draws.clips
            given.append((settings.c, *settings.balance))

        def inductive(self, method, n_speakers):
            drawn = self.support[:, :n_speakers].reshape(len(self.support), -1)
            labelled = [np.isin(np.arange(len(TARGET)), rows) for rows in drawn]
            return np.repeat(np.array(labelled)[..., None], 4, axis=-1).astype(np.float32)

        def adapted(self, adaptation, log_p, n_speakers, proportions):
            return log_p

    monkeypatch.setattr(calibration, "TransferDraws", Draws)
    cell = calibration._cell(PLAN, "corpus", 2, Recipe("logistic_regression", 0.01, adaptation, 0.7, "speaker"), {})
    assert given == [(0.01, "speaker", 0.7)] * 2
    assert cell.held_out.shape == (3, 8, 4)
    assert not cell.held_out.any()
    for inside, log_p, rows in zip(cell.mask, cell.log_p, PLAN.draws.support(2)):
        assert log_p[rows].all()
        np.testing.assert_array_equal(inside, ~np.isin(TARGET.speaker, TARGET.speaker[rows]))


@pytest.mark.parametrize(
    "text",
    [
        "", "nearest/1/none/0", "logistic_regression/-1/none/0", "logistic_regression/1/none/2",
        "logistic_regression/1/some/0", "logistic_regression/1/none/0/0", "layer_ensemble/x",
    ],
)  # fmt: skip
def test_a_method_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="expected METHOD/C/ADAPTATION/STRENGTH"):
        launcher.recipe_of(text)
    assert launcher.recipe_of("layer_ensemble/0.1/balanced/0.5") == Recipe("layer_ensemble", 0.1, "balanced", 0.5)
    within = Recipe("layer_ensemble", 0.1, "balanced", 0.5, "speaker")
    assert launcher.recipe_of("layer_ensemble/0.1/balanced/0.5/speaker") == within

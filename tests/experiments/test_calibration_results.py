"""The calibration experiment on the shipped tables: its rows, tables and figures."""

import dataclasses
import json

import numpy as np
import pytest

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

"""Experiments on several feature sets: one run each, their tables side by side."""

import json

import pytest

from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import reproduce
from siamese_jax.protocols import config, runs
from siamese_jax.report.paper import results


def small():
    given = load_config("speech_encoder")
    given.data.scalings = ("corpus",)
    given.protocol.update({"n_speakers": (2,), "steps": (0, 2), "n_draws": 2, "n_seeds": 1, "n_in_domain_seeds": 1})
    given.report.update({"fixed_n_speakers": 2, "fixed_steps": 2})
    given.training.update({"source_steps": 5, "in_domain_steps": 2})
    given.network.encoder_widths = (8, 4)
    return given


def test_an_experiment_for_each_feature_set():
    experiments = runs.resolve_each(small())
    assert {name: (e.data.features, e.data.layers) for name, e in experiments.items()} == {
        "is09": ("is09", ()), "whisper": ("whisper", (2,))
    }  # fmt: skip
    assert runs.resolve_each(load_config("reproduce")) == {"": config.resolve(load_config("reproduce"))}


def test_an_unknown_feature_set_is_named():
    given = small()
    given.feature_sets = ("is09", "egemaps")
    with pytest.raises(InputError, match=r"config\.feature_sets holds 'egemaps'; expected one of is09, whisper"):
        runs.resolve_each(given)


@pytest.mark.long
def test_every_system_runs_on_both_and_stands_side_by_side(tmp_path):
    folders = {}
    for name, experiment in runs.resolve_each(small()).items():
        folders[name] = tmp_path / name
        reproduce.run(experiment, folders[name])
    page = results.write_side_by_side(tmp_path, folders)
    assert (tmp_path / "table1.md").read_text(encoding="utf-8") == page
    assert "| method | training data | cell | UAR %, is09 | UAR %, whisper |" in page
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert {"OODT, Siamese", "logistic regression", "RBF SVM"} <= {line[0].removeprefix("| ") for line in lines}
    assert all(len(line) == 5 and all(cell.strip(" |") for cell in line[3:]) for line in lines[1:])
    rows = {name: json.loads((folder / "summary.json").read_text()) for name, folder in folders.items()}
    assert [len(of_run) for of_run in rows.values()] == [len(rows["is09"])] * 2
    uar = {name: [row["uar_mean"] for row in of_run] for name, of_run in rows.items()}
    assert uar["is09"] != uar["whisper"]

"""What rows say beside their numbers: diverged trainings, shared recordings, draws by class, clipped intervals."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax.datasets import dataset
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.experiments import records, reproduce, summary
from siamese_jax.experiments.summary import Grid
from siamese_jax.protocols import config, stages
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import differences, results, table1
from siamese_jax.stats.scoring import Scored

TARGET = dataset.from_table(make_table(n_speakers=4, per_cell=4), EMOTIONS, "t")
EXPERIMENT = config.resolve(smoke.get_config()).replace(
    n_speakers=(2,), fixed_n_speakers=2, frozen=(0,), losses=("none", "ratio"), n_draws=4
)
NO_DRAWS = FewShotDraws(np.zeros((0, 0), int), np.zeros((0, 0, 0), int))
PLAN = Plan(EXPERIMENT, TARGET, TARGET, NO_DRAWS, 0, source_note="shared")


def log_of(**fields):
    values = {"cross_entropy": [0.5, 0.5], "d_same": [1.0, 1.0], "d_different": [2.0, 2.0], **fields}
    return xr.Dataset({name: ("seed", value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [False, False]),
        ({"cross_entropy": [np.nan, 0.5]}, [True, False]),
        ({"d_different": [2.0, np.inf]}, [False, True]),
        ({"d_same": [0.0, 0.0], "d_different": [0.0, 1.0]}, [True, False]),  # all clips have one embedding
    ],
)
def test_a_training_has_diverged_where_losses_are_not_finite_or_embeddings_collapse(fields, expected):
    assert stages.diverged(log_of(**fields)).tolist() == expected


def test_rows_of_diverged_trainings_say_so():
    n = len(TARGET)
    ood = xr.Dataset({"predictions": (("seed", "clip"), np.zeros((2, n), np.int8))})
    ood["diverged"] = ("seed", [True, False])
    idt = ood.assign(tested=("clip", np.ones(n, bool)), diverged=("seed", [False, False]))
    ood, idt = (arrays.assign_attrs(seconds=1.0) for arrays in (ood, idt))
    rows = list(summary.siamese_rows(PLAN, "abs_difference", "corpus", ood, idt, None))
    assert {(row.method, row.remarks) for row in rows} == {
        ("oodt", "shared; 1 of 2 trainings diverged (lower config.training.learning_rate)"), ("idt", "shared")
    }  # fmt: skip
    # The scope is named that a protocol was trained under, and the number of its own seeds.
    plan = dataclasses.replace(PLAN, experiment=EXPERIMENT.replace(n_seeds=3, n_in_domain_seeds=5))
    named = summary.siamese_rows(plan, "abs_difference", "support", ood, idt, None)
    assert {(row.method, row.scaling, row.n_seeds) for row in named} == {("oodt", "source", 3), ("idt", "train", 5)}
    line = records.marked([row.remarks for row in rows])
    assert line.startswith("Mind: 4 of 4 rows have a remark: shared; 1 of 2 trainings diverged")
    assert records.marked(["", ""]) == ""


def test_a_training_that_diverges_is_marked_from_that_step_on():
    steps = EXPERIMENT.protocol.steps
    shape = (2, 1, len(steps), 4)  # loss, frozen, step, draw
    loss = np.ones(shape)
    loss[1, 0, 1, 2] = np.nan
    tuned = xr.Dataset(dict.fromkeys(("cross_entropy", "d_same"), (("loss", "frozen", "step", "draw"), loss)))
    tuned["d_different"] = tuned.d_same
    lost = summary.diverged_trainings(tuned.transpose("draw", "step", "loss", "frozen"))
    assert lost.sum(axis=(0, 1, 3)).tolist() == [0, 1, 1]
    uar = np.random.default_rng(0).uniform(20, 90, (1, *shape))
    grid = Grid({"paper": Scored(uar, uar)}, lost[None], np.ones(1))
    rows = list(summary.grid_rows(PLAN, "abs_difference", "corpus", grid))
    cells = [row for row in rows if row.selection == "cell"]
    marked = [(row.loss, row.steps) for row in cells if "1 of 4 trainings diverged" in row.remarks]
    assert marked == [("ratio", step) for step in steps[1:]]
    assert all(row.remarks.startswith("shared") and row.n_speaker_sets == 6 for row in rows)
    gains = list(summary.differences(PLAN, "abs_difference", "corpus", grid, {}))
    assert [("diverged" in gain.remarks) for gain in gains] == [False, True, True]
    swapped = dataclasses.replace(grid, diverged=grid.diverged[:, ::-1])  # of the loss that is subtracted
    gains = list(summary.differences(PLAN, "abs_difference", "corpus", swapped, {}))
    assert [("diverged" in gain.remarks) for gain in gains] == [False, True, True]
    assert "2; shared" in differences.markdown(gains)
    assert "2 speakers; shared" in table1.markdown(EXPERIMENT, rows, [])


def test_more_draws_than_sets_of_speakers_are_said_in_the_row():
    plan = dataclasses.replace(PLAN, experiment=EXPERIMENT.replace(n_draws=7), source_note="")
    uar = np.random.default_rng(0).uniform(20, 90, (2, 1, 7))
    rows = list(summary.few_shot_rows(plan, "corpus", "svm", {"paper": Scored(uar, uar)}, 1.0))
    assert {row.remarks for row in rows} == {"7 draws of 6 distinct sets of speakers"}


def test_intervals_of_rows_at_four_speakers_are_possible_values():
    uar = np.array([99.0, 100.0, 70.0, 99.0]) * np.ones((2, 1, 1))
    plan = dataclasses.replace(PLAN, experiment=EXPERIMENT.replace(level=0.9))
    rows = list(summary.few_shot_rows(plan, "corpus", "svm", {"paper": Scored(uar, uar)}, 1.0))
    assert all(row.ci_high == 100.0 and row.ci_low > 0 for row in rows)
    assert rows[0].interval == "90 % t over draws, clipped to the possible values"
    assert rows[0].uar_sd == pytest.approx(np.std(uar[0, 0], ddof=1))
    gains = np.array([99.0, -100.0, 70.0, 99.0]) * np.ones((1, 1, 1, 1))
    fields = summary.over_runs(Scored(gains, gains), 0.95, "draws", summary.POINTS)(0, 0, 0)
    assert fields["ci_high"] == 100.0
    assert -100.0 <= fields["ci_low"] < 0


@pytest.mark.long
@pytest.mark.parametrize("rate", [30.0, 1e10])
def test_a_run_whose_trainings_all_diverge_stops(rate, tmp_path):
    diverging = EXPERIMENT.replace(learning_rate=rate, second_learning_rate=rate, n_in_domain_seeds=1)
    with pytest.raises(InputError, match=r"all 2 trainings on the source diverged .*Lower config\.training\."):
        reproduce.run(diverging, tmp_path / "run")


@pytest.mark.long
def test_a_corpus_without_a_complete_speaker_runs_to_its_results(tmp_path):
    table = make_table(n_speakers=12, n_features=64)
    lacking = np.array([EMOTIONS[int(speaker[-2:]) % 4] for speaker in table.speaker.tolist()])
    write_table(tmp_path / "t.npz", table.select(table.emotion != lacking))
    write_table(tmp_path / "source.npz", make_table("source", n_features=64, seed=3))
    experiment = EXPERIMENT.replace(source=str(tmp_path / "source.npz"), target=str(tmp_path / "t.npz"))
    found = reproduce.run(experiment, tmp_path / "run")
    drawn = [row for row in found.rows if row.n_draws]
    assert all(row.remarks.startswith("each class drawn from the speakers who have it (0 of 12") for row in drawn)
    assert "each class drawn" in results.write(tmp_path / "run")
    assert results.last_line(tmp_path / "run").startswith("Mind: ")

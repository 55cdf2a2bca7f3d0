"""The context of a job: the digests of its data, and inputs that are refused before anything is computed."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from tables_for_tests import EMOTIONS, make_table
from tiny_plan import PLAN, SOURCE, TARGET

from siamese_jax.datasets.mixture import mixture
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.experiments import run_context
from siamese_jax.experiments.run_context import Run


def changed(field):
    """The source's table with another value in the last row of a field."""
    table = SOURCE.full_table
    values = np.array(getattr(table, field))
    values[-1] = values[-1] + 1 if field == "features" else "x"
    values = tuple(values.tolist()) if field == "feature_names" else values
    return dataclasses.replace(SOURCE, full_table=dataclasses.replace(table, **{field: values}))


@pytest.mark.parametrize("field", ["features", "clip", "emotion", "speaker", "feature_names"])
def test_a_digest_is_of_all_that_results_depend_on(field):
    given = run_context.digests(SOURCE, TARGET)
    assert given == run_context.digests(SOURCE, TARGET)
    other, swapped = run_context.digests(changed(field), TARGET), run_context.digests(TARGET, changed(field))
    assert other["source"] not in given.values()
    assert other["target"] == given["target"]
    assert swapped == {"source": given["target"], "target": other["source"]}


def test_a_mixture_has_a_digest_of_each_corpus():
    both = mixture([SOURCE, TARGET], ["source", "target"], ())
    alone = run_context.digests(SOURCE, TARGET)
    found = run_context.digests(both, TARGET)
    assert (found["source source"], found["source target"]) == (alone["source"], alone["target"])


def test_each_table_is_read_with_the_corpus_and_companion_of_its_role(monkeypatch):
    given = {
        f"{role}{field}": f"{role}{field or '_table'}"
        for role in ("source", "target")
        for field in ("", "_corpus", "_companion")
    }
    experiment = PLAN.experiment.replace(**given, features="whisper", layers=(1, 2))
    monkeypatch.setattr(run_context.datasets, "read", lambda *of_table: of_table)
    for role, table in (
        ("source", run_context._source_tables(experiment)["source_table"]),
        ("target", run_context._target_table(experiment)),
    ):
        assert table == (f"{role}_table", f"{role}_corpus", f"{role}_companion", "whisper", (1, 2))


def test_predictions_that_take_more_memory_than_machines_have_are_refused(monkeypatch):
    protocol = PLAN.experiment.protocol
    size = len(protocol.losses) * len(protocol.frozen) * len(protocol.steps) * protocol.n_draws * len(TARGET)
    monkeypatch.setattr(run_context, "LARGEST_STAGE", size)
    run_context._check_size(PLAN.experiment, len(TARGET))
    with pytest.raises(InputError, match=r"n_draws is 3: the predictions of 36 cells on 41 clips"):
        run_context._check_size(PLAN.experiment, len(TARGET) + 1)


def test_no_scope_of_several_needs_the_scale_of_a_table_that_came_standardised(tmp_path):
    tables = {"source": make_table("source", n_features=9), "target": make_table("target", seed=1, n_features=9)}
    for name, table in tables.items():
        write_table(tmp_path / f"{name}.npz", dataclasses.replace(table, made={"scaled": "corpus"}))
    files = {role: str(tmp_path / f"{role}.npz") for role in tables}
    experiment = PLAN.experiment.replace(scalings=("corpus", "source"), **files)
    with pytest.raises(InputError, match="holds 'source', which needs unscaled features"):
        run_context.load_each(experiment)
    sources, target = run_context.load_each(experiment.replace(scalings=("corpus", "support")))
    assert [*(source.name for source in sources), target.name] == ["source", "target"]


@pytest.mark.parametrize(("lost", "refused"), [([[0, 0], [1, 1]], True), ([[1, 1], [0, 1]], False)])
def test_networks_are_refused_where_all_have_diverged_by_the_last_step(monkeypatch, lost, refused):
    loss = np.where(np.array(lost, bool).T, np.nan, 1.0)  # of seeds and steps
    log = dict.fromkeys(("cross_entropy", "d_same", "d_different"), (("seed", "source_step"), loss))
    monkeypatch.setattr(Run, "stage", lambda *_: xr.Dataset(log))
    run = Run(PLAN.experiment, [SOURCE], SOURCE, TARGET, *[None] * 4)
    if refused:
        with pytest.raises(InputError, match="all 2 trainings on the source diverged"):
            run.source_training(PLAN, "abs_difference", "corpus")
    else:
        assert run.source_training(PLAN, "abs_difference", "corpus").sizes["seed"] == 2


def test_the_labels_of_a_table_are_those_of_the_experiments_emotions():
    arrays = xr.Dataset({"predictions": (("seed", "clip"), np.zeros((2, len(TARGET)), np.int8))})
    named = run_context.label(PLAN, arrays)
    assert named.attrs["emotions"] == list(EMOTIONS)
    assert [EMOTIONS.index(name) for name in named.emotion.values] == TARGET.label.tolist()
    assert named.speaker.values.tolist() == [TARGET.speakers[s] for s in TARGET.speaker]

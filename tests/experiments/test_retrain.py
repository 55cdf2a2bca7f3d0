"""Repeated trainings: blocks that append, agree with a plain run, compared with the classifiers."""

import contextlib
import dataclasses
import json
import types

import numpy as np
import pytest
import xarray as xr
from tiny_plan import PLAN, TARGET

from configs import rerun as rerun_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import reproduce, retrain
from siamese_jax.protocols import config
from siamese_jax.report.paper import results
from siamese_jax.stats import estimands


@pytest.fixture(scope="module")
def settings():
    given = rerun_config.get_config()
    given.protocol.update({"n_draws": 2})
    given.training.update({"source_steps": 20, "in_domain_steps": 6})
    return config.resolve(given)


def reproduced(settings, folder):
    """The same trainings from a plain run: four seeds, hardly any fine-tuning."""
    whole = settings.replace(
        n_draws=2, n_seeds=4, n_in_domain_seeds=4, n_speakers=(2,), fixed_n_speakers=2, steps=(0, 1),
        fixed_steps=1, losses=("none",),
    )  # fmt: skip
    reproduce.run(whole, folder)
    return folder / "arrays" / "abs_difference" / "corpus"


@pytest.mark.long
def test_trainings_are_those_of_a_plain_run_whatever_the_block(settings, tmp_path):
    plain = reproduced(settings, tmp_path / "plain")
    for protocol in retrain.PROTOCOLS:
        folder = tmp_path / protocol
        retrain.run(settings, folder, protocol, 2)
        files = lambda f=folder, p=protocol: sorted(f.glob(f"arrays/abs_difference/corpus/{p}/*.nc"))  # noqa: E731
        before = {path.name: path.stat().st_mtime_ns for path in files()}
        found = retrain.run(settings, folder, protocol, 3)[0]
        after = {path.name: path.stat().st_mtime_ns for path in files()}
        assert list(after) == ["block_00000.nc", "block_00001.nc"]
        assert all(after[name] == time for name, time in before.items())
        assert found["n_trainings"] == 4
        kept = [xr.load_dataset(path) for path in files()]
        expected = xr.load_dataset(plain / f"{protocol}.nc")
        # Chunks of other shapes round otherwise, so a clip at the border may fall on the other side.
        same = np.concatenate([one.predictions.values for one in kept]) == expected.predictions.values
        assert same.mean() > 0.99
        rows = json.loads((folder / "summary.json").read_text())
        method = {"out_of_domain": "oodt", "in_domain": "idt"}[protocol]
        assert {(r["method"], r["n_seeds"]) for r in rows} == {(method, 4), ("logistic_regression", 0)}
        mine = next(r for r in rows if r["method"] == method)
        np.testing.assert_allclose(mine["uar_mean"], found["uar"]["over_seeds"]["estimate"], rtol=1e-6)
        other = next(r for r in rows if r["method"] == "logistic_regression")
        np.testing.assert_allclose(found["against_baselines"][0]["minus_uar"], other["uar_mean"], rtol=1e-6)
        text = results.write(folder)
        assert "not offered at 4 units" in text
        assert "logistic_regression" in text


def test_one_training_is_honestly_not_computable(settings, tmp_path):
    one = settings.replace(n_draws=1)
    found = retrain.run(one, tmp_path / "one", "out_of_domain", 1)[0]
    assert found["sd"] is None
    assert found["uar"]["over_seeds"]["low"] is None
    assert "fewer than two units" in found["uar"]["over_seeds"]["note"]
    assert found["uar"]["over_speakers"]["low"] < found["uar"]["over_speakers"]["estimate"]


def test_bad_requests(settings, tmp_path):
    with pytest.raises(InputError, match="'out_of_domain' or 'in_domain'"):
        retrain.run(settings, tmp_path / "x", "fine_tuning", 2)
    with pytest.raises(InputError, match="0 trainings"):
        retrain.run(settings, tmp_path / "x", "in_domain", 0)
    with pytest.raises(InputError, match="no source to train on"):
        retrain.run(settings.replace(scalings=("train",)), tmp_path / "x", "out_of_domain", 2)


def test_a_training_counts_tested_clips_and_may_be_worse_than_a_classifier(monkeypatch):
    rng = np.random.default_rng(0)
    seen = []

    def intervals_of(sums_JxS, statistic, level, least):
        seen.append((sums_JxS, statistic, least))
        return {}

    monkeypatch.setattr(retrain, "_over_speakers", intervals_of)
    tested = np.arange(len(TARGET)) % 5 > 0
    right = rng.random((3, len(TARGET))) < np.array([[0.5], [0.3], [0.7]])
    right[:, ~tested] = True
    network, svm = np.where(right, TARGET.label, (TARGET.label + 1) % 4)[:2], (TARGET.label + ~right[2]) % 4
    trainings = xr.Dataset({"predictions": (("seed", "clip"), network), "tested": ("clip", tested)})
    trainings["diverged"] = ("seed", [False, False])
    compared = xr.Dataset({"loso": (("method", "clip"), svm[None])})
    plan = dataclasses.replace(PLAN, experiment=PLAN.experiment.replace(baselines=("svm",)))
    found = retrain.examine(plan, "in_domain", "abs_difference", "corpus", trainings, compared)
    uar = [100 * np.mean([of[tested & (TARGET.label == c)].mean() for c in range(4)]) for of in right]
    assert found["uar"]["over_seeds"]["estimate"] == pytest.approx(np.mean(uar[:2]), rel=1e-5)
    assert found["uar"]["over_seeds"]["kind"].startswith("90 % t over seeds")
    assert found["sd"] == pytest.approx(np.std(uar[:2], ddof=1), rel=1e-5)
    (against,) = found["against_baselines"]
    assert (against["minus"], against["minus_uar"]) == ("svm", pytest.approx(uar[2], rel=1e-5))
    (both, difference, least), (alone, uar_of, least_uar) = seen
    assert (difference, least, uar_of, least_uar) == (estimands.uar_difference, -1.0, estimands.uar, 0.0)
    assert alone.sum() == 2 * tested.sum()
    np.testing.assert_array_equal(both[:, :, 0], alone)
    assert both[:, :, 1, np.arange(4), np.arange(4)].sum() == 2 * (right[2] & tested).sum()


def test_an_interval_over_speakers_is_of_all_trainings(monkeypatch):
    given = []

    def interval(sums, statistic, level, over=""):
        given.append(sums)

    monkeypatch.setattr(retrain.intervals, "jackknife_interval", interval)
    monkeypatch.setattr(retrain.two_way, "crossed_interval", interval)
    monkeypatch.setattr(retrain, "within", lambda interval, low, high: (low, high))
    monkeypatch.setattr(retrain.claims, "plain", lambda interval, factor: (*interval, factor))
    sums = np.random.default_rng(0).integers(0, 9, (3, 5, 4, 4))
    found = retrain._over_speakers(sums, estimands.uar, 0.95, -1.0)
    assert set(found.values()) == {(-1.0, 1.0, 100.0)}
    np.testing.assert_array_equal(given[0], sums.sum(axis=0))
    np.testing.assert_array_equal(given[1], sums)


def test_trainings_of_all_blocks_are_those_of_consecutive_seeds(monkeypatch):
    """Each block has predictions of its first seed; a clip that no split tests is tested in none."""
    tested, size = np.arange(len(TARGET)) > 3, PLAN.experiment.protocol.n_draws

    class Run:
        source, target, bars = PLAN.source, PLAN.target, types.SimpleNamespace(start=lambda *_: None)

        def arrays(self, plan, name, make):
            classes = np.full((size, len(TARGET)), int(name[-5:])) + plan.first_seed * 10
            arrays = xr.Dataset({"predictions": (("seed", "clip"), classes), "tested": ("clip", tested)})
            return arrays.assign(diverged=("seed", np.zeros(size, bool))).assign_attrs(seconds=1.0)

        def write(self, **results):
            pass

    seen = []
    monkeypatch.setattr(retrain, "open_run", lambda *_: contextlib.nullcontext(Run()))
    plan_of = lambda experiment, *_: dataclasses.replace(PLAN, experiment=experiment)  # noqa: E731
    monkeypatch.setattr(retrain.Plan, "make", plan_of)
    monkeypatch.setattr(retrain, "examine", lambda *given: seen.append(given) or {})
    monkeypatch.setattr(retrain, "_rows", lambda *_: [])
    experiment = PLAN.experiment.replace(baselines=())
    retrain.run(experiment, "unused", "in_domain", 2 * size + 1)
    (plan, _, _, _, trainings, _) = seen[0]
    assert (
        trainings.predictions.values[:, 0].tolist() == np.repeat([10 * size * b + b for b in range(3)], size).tolist()
    )
    np.testing.assert_array_equal(trainings.tested.values, tested)
    assert plan.experiment.protocol.n_in_domain_seeds == plan.experiment.protocol.n_seeds == size

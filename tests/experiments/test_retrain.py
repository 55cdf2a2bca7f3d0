"""Repeated trainings: blocks that append, agree with a plain run, compared with the classifiers."""

import json

import numpy as np
import pytest
import xarray as xr

from configs import rerun as rerun_config
from siamese_jax.errors import InputError
from siamese_jax.experiments import reproduce, retrain
from siamese_jax.protocols import config
from siamese_jax.report.paper import results


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

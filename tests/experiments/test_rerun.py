"""Reruns: blocks that append, agree with a plain run, and keep the two kinds of uncertainty apart."""

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
from siamese_jax.experiments import reproduce, rerun, run_context, summary
from siamese_jax.experiments.claims import Baselines
from siamese_jax.protocols import baselines, config
from siamese_jax.protocols.plan import Plan
from siamese_jax.report.paper import results
from siamese_jax.stats.scoring import Scored


@pytest.fixture(scope="module")
def settings():
    given = rerun_config.get_config()
    given.protocol.update({"n_draws": 4, "n_seeds": 3, "n_speakers": (2, 3)})
    given.report.update({"fixed_n_speakers": 2})
    given.training.update({"source_steps": 20})
    given.protocol.update({"steps": (0, 4), "pad_speakers": 4, "baselines": ("logistic_regression", "svm")})
    given.report.update({"fixed_steps": 4, "level": 0.9})
    return config.resolve(given)


@pytest.fixture(scope="module")
def ran(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerun") / "run"
    rerun.run(settings, folder, 8, 3)
    return folder


def blocks(folder):
    return sorted(folder.glob("arrays/abs_difference/corpus/fine_tuning_02/*.nc"))


def test_asking_for_more_adds_blocks_and_changes_none(settings, ran):
    before = {path.name: path.stat().st_mtime_ns for path in blocks(ran)}
    assert list(before) == ["block_00000.nc", "block_00001.nc"]
    found = rerun.run(settings, ran, 9, 3)
    after = {path.name: path.stat().st_mtime_ns for path in blocks(ran)}
    assert list(after) == ["block_00000.nc", "block_00001.nc", "block_00002.nc"]
    assert all(after[name] == time for name, time in before.items())
    assert found[0].grid.scored["paper"].uar.shape == (2, 3, 1, 2, 12)
    drawn = [row for row in json.loads((ran / "summary.json").read_text()) if row["method"] == "fine_tuning"]
    assert {row["n_draws"] for row in drawn} == {12}


def test_draws_are_those_of_one_long_plan(settings, ran):
    source, target = run_context.load(settings)
    whole = Plan.make(settings.replace(n_draws=8), source, target)
    with xr.open_dataset(blocks(ran)[1]) as second:
        np.testing.assert_array_equal(second.support.values, whole.draws.support(2)[4:])
        np.testing.assert_array_equal(second.seed_of_draw.values, [1, 2, 0, 1])


def test_counts_pooled_over_seeds_add_up_to_the_tested_clips(settings, ran):
    found = rerun.run(settings, ran, 8, 3)[0]
    counts = found.counts["paper"]
    assert counts.shape == (2, 3, 1, 2, 3, 24, 4, 4)
    n_draws = found.plan.experiment.protocol.n_draws
    tested = counts.sum(axis=(4, 5, 6, 7))
    # At 2 speakers 8 of 768 clips are drawn; the duplicate of a drawn clip is not tested either.
    assert (tested[0] <= n_draws * 760).all()
    assert (tested[0] >= n_draws * 759).all()


def test_labelled_scores_carry_the_names_of_their_axes(settings, ran):
    found = rerun.run(settings, ran, 8, 3)[0]
    arrays = found.labelled()
    assert arrays.uar.dims == ("split", "n_speakers", "loss", "frozen", "step", "draw")
    cell = arrays.uar.sel(split="paper", n_speakers=3, loss="ratio", frozen=0, step=4)
    np.testing.assert_array_equal(cell, found.grid.scored["paper"].uar[1, 1, 0, 1])
    np.testing.assert_array_equal(arrays.start_ratio.sel(n_speakers=2), found.start_ratio[0])
    assert arrays.attrs == {"head": "abs_difference", "scaling": "corpus"}


def test_claims_name_both_kinds_of_uncertainty(ran):
    claimed = json.loads((ran / "claims.json").read_text())[0]
    kinds = {(g["over_draws"]["kind"], g["over_speakers"]["kind"]) for g in claimed["gains"]}
    assert all("over draws" in a and "over speakers" in b for a, b in kinds)
    assert all(kind.startswith("90 % ") for both in kinds for kind in both)
    assert {(g["method"], g["minus"]) for g in claimed["gains"]} == {
        ("ratio", "none"), ("cross_entropy_twice", "none"), ("ratio", "cross_entropy_twice")
    }  # fmt: skip
    assert len(claimed["trade_off"]) == 3 * 2
    shares = [s["share"]["estimate"] for s in claimed["beyond_the_pole"]]
    assert all(0 <= share <= 1 for share in shares)
    text = results.write(ran)
    assert "over speakers and seeds" in text
    for gain in claimed["gains"]:
        assert gain["over_draws"]["low"] <= gain["gain"] <= gain["over_draws"]["high"]
        assert gain["sign_flip_p_holm"] >= gain["sign_flip_p"]


def test_the_classifiers_are_those_of_a_plain_run_and_are_paired_with_the_network(settings, ran):
    found = rerun.run(settings, ran, 8, 3)[0]
    source, target = run_context.load(settings)
    plan = Plan.make(settings, source, target)
    arrays = baselines.run(plan, "corpus", ("few_shot",), lambda _: None, 1)
    for m in range(2):
        expected = summary.score_few_shot(plan, arrays.few_shot.values[m])
        for split in summary.SPLITS:
            np.testing.assert_array_equal(found.baselines.scored[split].uar[m], expected[split].uar)
    # Three draws were asked for: a whole block of four, and the network's counts on the same draws.
    assert found.baselines.n_draws == 4
    tuned, other = found.baselines.tuned_counts["paper"], found.baselines.counts["paper"]
    np.testing.assert_array_equal(tuned[:, 0, 0, 1].sum(axis=(1, 3, 4)), other[0].sum(axis=(1, 3, 4)))
    claimed = json.loads((ran / "claims.json").read_text())[0]
    gain = next(g for g in claimed["against_baselines"] if (g["method"], g["minus"]) == ("ratio", "svm"))
    uar = found.grid.scored["speaker_disjoint"].uar[0, 1, 0, 1, :4]
    np.testing.assert_allclose(gain["gain"], (uar - found.baselines.scored["speaker_disjoint"].uar[1, 1, 0]).mean())
    written = {(row["method"], row["data"]) for row in json.loads((ran / "summary.json").read_text())}
    methods = ("logistic_regression", "svm")
    assert written == {("fine_tuning", "source+target")} | {(m, d) for m in methods for d in summary.FEW_SHOT_DATA}


def test_what_does_not_hold_its_error_rate_is_not_offered(ran):
    # Eight draws from three seeds: too few seeds for a claim over seeds, enough draws for a t interval.
    text = results.write(ran)
    assert "not offered at 3 units" in text
    assert "over draws" in text


@pytest.mark.long
def test_one_draw_is_honestly_not_computable(settings, tmp_path):
    one = settings.replace(n_draws=1, n_seeds=1)
    rerun.run(one, tmp_path / "one", 1, 1)
    gain = json.loads((tmp_path / "one" / "claims.json").read_text())[0]["gains"][0]
    assert gain["over_draws"]["low"] is None
    assert "fewer than two units" in gain["over_draws"]["note"]
    assert gain["planning_note"].startswith("not computable")
    assert "not computable" in results.write(tmp_path / "one")


def test_a_reproduction_and_a_rerun_do_not_share_a_folder(settings, ran):
    with pytest.raises(InputError, match="another configuration"):
        reproduce.run(settings, ran)


def test_bad_requests(settings, tmp_path):
    with pytest.raises(InputError, match="expected 1 to 10,000,000 draws"):
        rerun.run(settings, tmp_path / "x", 0, 0)
    with pytest.raises(InputError, match="not 'train'"):
        rerun.run(settings.replace(scalings=("train",)), tmp_path / "x", 5, 0)


def test_draws_of_a_block_are_counted_by_their_own_seeds():
    later = dataclasses.replace(PLAN, first_draw=1)
    assert later.seed_of_draw.tolist() == [1, 0, 1]
    rng, n_classes = np.random.default_rng(0), 4
    predictions, mask = rng.integers(0, n_classes, (3, len(TARGET))), rng.random((3, len(TARGET))) < 0.7
    scored, counts = rerun._counted(later, predictions, mask)
    for seed, draws in enumerate(([1], [0, 2])):
        expected = np.zeros(counts.shape[1:])
        for draw in draws:
            rows = np.flatnonzero(mask[draw])
            np.add.at(expected, (TARGET.speaker[rows], TARGET.label[rows], predictions[draw, rows]), 1)
        np.testing.assert_array_equal(counts[seed], expected)
    right = predictions == TARGET.label
    uar = [np.mean([right[i, mask[i] & (TARGET.label == c)].mean() for c in range(4)]) for i in range(3)]
    np.testing.assert_allclose(scored.uar, 100 * np.array(uar), rtol=1e-5)


@pytest.mark.parametrize("first", [0, 2])
def test_the_ratio_at_the_start_is_read_before_the_first_step_alone(first, monkeypatch):
    monkeypatch.setattr(rerun, "_counted", lambda *_: (None, None))
    dims, shape = ("loss", "frozen", "step", "draw"), (2, 1, 2, 3)
    same = np.arange(1.0, 13).reshape(shape)
    arrays = xr.Dataset(
        {"cross_entropy": (dims, same), "d_same": (dims, same), "d_different": (dims, np.full(shape, 2.0)),
         "predictions": ((*dims, "clip"), np.zeros((*shape, len(TARGET)), np.int8))},
        coords={"step": [first, 4]}, attrs={"seconds": 1.0},
    )  # fmt: skip
    found = rerun._read_block(PLAN, 2, arrays).start_ratio
    np.testing.assert_array_equal(found, [0.5, 1.0, 1.5] if first == 0 else [np.nan] * 3)


def test_counts_of_a_classifier_are_those_on_source_and_target_clips(monkeypatch):
    """A score and a count is the first predicted class of its draws."""
    monkeypatch.setattr(
        rerun, "_counted", lambda _, classes, __: (Scored(classes[..., 0], classes[..., 0]), classes[..., 0])
    )
    classes = np.arange(2 * 2 * 1 * 3)[:, None].reshape(2, 2, 1, 3, 1) * np.ones(len(TARGET), int)
    arrays = xr.Dataset({"few_shot": (("method", "data", "n_speakers", "draw", "clip"), classes)})
    scored, counts = rerun._read_baselines(PLAN, arrays)
    for split in summary.SPLITS:
        np.testing.assert_array_equal(scored[split].uar, classes[..., 0])
        np.testing.assert_array_equal(counts[split], classes[:, 1, :, :, 0])


def test_blocks_begin_where_the_one_before_ended_and_the_first_have_classifiers(monkeypatch):
    starts, seen = [], {}

    class Run:
        def plan(self, first_draw):
            starts.append(first_draw)
            return dataclasses.replace(PLAN, first_draw=first_draw)

        def fine_tuning(self, plan, head, parts):
            seen["parts"] = parts

    monkeypatch.setattr(rerun, "open_run", lambda *_: contextlib.nullcontext(Run()))
    monkeypatch.setattr(rerun, "_baselines", lambda run, plans, scope: [plan.first_draw for plan in plans])
    monkeypatch.setattr(rerun, "_setting", lambda run, plans, tuning, head, scope, compared: compared)
    monkeypatch.setattr(rerun, "_write", lambda run, settings: None)
    assert rerun.run(PLAN.experiment, "unused", 7, 4) == [[0, 3]]
    assert starts == [0, 3, 6]
    assert seen["parts"] == ["/block_00000", "/block_00001", "/block_00002"]


def test_a_setting_joins_all_blocks_and_compares_those_that_have_classifiers(monkeypatch):
    """The UAR of a block's draws is its number, and a count of it is a digit."""
    plans = [dataclasses.replace(PLAN, first_draw=3 * block) for block in range(3)]

    def read(plan, n_speakers, number):
        uar = np.full((4, 3, 3, 3), float(number))
        scored, counts = Scored(uar, uar), np.full((4, 3, 3, 2, 5, 4, 4), 10**number)
        of_splits = (dict.fromkeys(summary.SPLITS, of) for of in (scored, counts))
        draws = [next(of_splits), uar > 1, next(of_splits), np.full(3, float(number)), 1.0]
        return rerun._Draws(*draws)

    class Run:
        bars = types.SimpleNamespace(start=lambda *_: None)

        def source_training(self, plan, head, scope):
            return xr.Dataset()

        def arrays(self, plan, name, make):
            assert name == f"abs_difference/corpus/fine_tuning_02/block_{plan.first_draw // 3:05d}"
            return plan.first_draw // 3

    monkeypatch.setattr(rerun, "_read_block", read)
    scores = dict.fromkeys(summary.SPLITS, Scored(*np.zeros((2, 1, 2, 1, 6))))
    compared = Baselines(("svm",), scores, {}, {}, np.zeros(1))
    found = rerun._setting(Run(), plans, None, "abs_difference", "corpus", compared)
    for split in summary.SPLITS:
        assert (found.counts[split] == 111).all()
        assert (found.baselines.tuned_counts[split] == 11).all()  # of the first six draws
        assert found.grid.scored[split].uar[0, 0, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.start_ratio.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]]
    assert found.grid.diverged[0, 0, 0, 0].sum() == 3
    assert found.plan.experiment.protocol.n_draws == 9

"""The claims of many draws: whose scores are compared, on which clips, and which p values are one family."""

import types

import numpy as np
import pytest
from scipy import stats
from tiny_plan import PLAN

from siamese_jax.experiments import claims
from siamese_jax.experiments.claims import Baselines, Reruns
from siamese_jax.experiments.summary import FEW_SHOT_DATA, SPLITS, Grid
from siamese_jax.stats.scoring import Scored

EXPERIMENT = PLAN.experiment
LOSSES = EXPERIMENT.protocol.losses
SHAPE = (1, len(LOSSES), 3, 3)
"""Numbers of speakers, losses, frozen layers and evaluation steps; 0 is the first step."""


def reruns():
    """Scores that tell split, cell and draw apart; the classifiers were run on the first two of three draws."""
    rng = np.random.default_rng(0)

    def scored(*shape):
        return {split: Scored(uar, uar) for split in SPLITS for uar in [rng.uniform(20, 80, shape)]}

    def counts(*shape):
        return {split: rng.integers(1, 9, (*shape, 2, 5, 4, 4)) for split in SPLITS}

    baselines = Baselines(
        ("svm",), scored(1, 2, 1, 2), {split: of[None] for split, of in counts(1).items()}, counts(*SHAPE), np.ones(1)
    )
    grid = Grid(scored(*SHAPE, 3), np.zeros((*SHAPE, 3), bool), np.ones(1))
    ratio = np.array([[0.5, 1.5, 0.7]])
    return Reruns(PLAN, "abs_difference", "corpus", grid, counts(*SHAPE), ratio, baselines)


@pytest.fixture
def examined(monkeypatch):
    """The record of `reruns`, and the pairs whose differences were tested; p values by the number of the pair."""
    pairs = []

    def gain(experiment, pair):
        pairs.append(pair)
        return {
            **pair.names,
            **dict.fromkeys(("sign_flip_p", "wilcoxon_p", "speakers_sign_flip_p"), 0.001 * len(pairs)),
        }

    monkeypatch.setattr(claims, "_gain", gain)
    monkeypatch.setattr(claims.paired_tests, "adjusted", lambda p: {"holm": p * len(p)})
    for name in ("_plan_draws", "_best_cell", "_trade_off", "_beyond_the_pole"):
        monkeypatch.setattr(claims, name, lambda *_: {})
    setting = reruns()
    return setting, claims.examine(setting), pairs


def test_pairs_are_of_the_same_cell_and_draws_on_other_speakers_clips(examined):
    setting, record, pairs = examined
    assert record["split"] == "speaker_disjoint"
    uar, counts, compared = setting.grid.scored["speaker_disjoint"].uar, setting.counts, setting.baselines
    for pair in pairs:
        f, r = (EXPERIMENT.protocol.frozen.index(pair.names["frozen"]), (0, 2, 4).index(pair.names["steps"]))
        m, minus = LOSSES.index(pair.names["method"]), pair.names["minus"]
        if minus == "svm":
            own, own_counts = uar[0, m, f, r, :2], compared.tuned_counts["speaker_disjoint"][0, m, f, r]
            other = compared.scored["speaker_disjoint"].uar[0, FEW_SHOT_DATA.index("source+target"), 0]
            other_counts = compared.counts["speaker_disjoint"][0, 0]
        else:
            own, own_counts = uar[0, m, f, r], counts["speaker_disjoint"][0, m, f, r]
            other, other_counts = (x["speaker_disjoint"][0, LOSSES.index(minus), f, r] for x in (
                {split: s.uar for split, s in setting.grid.scored.items()}, counts))  # fmt: skip
        np.testing.assert_array_equal(pair.uar, np.stack([own, other]))
        np.testing.assert_array_equal(pair.counts, np.stack([own_counts, other_counts]))
    # Before the first step there is nothing to compare.
    assert {pair.names["steps"] for pair in pairs} == {2, 4}
    assert {(pair.names["method"], pair.names["minus"]) for pair in pairs if pair.names["minus"] == "svm"} == {
        (loss, "svm") for loss in LOSSES
    }


def test_gains_and_comparisons_with_classifiers_are_two_families(examined):
    _, record, _ = examined
    for family in (record["gains"], record["against_baselines"]):
        least = min(one["sign_flip_p"] for one in family)
        assert min(one["sign_flip_p_holm"] for one in family) == pytest.approx(least * len(family), rel=1e-5)


def test_speakers_are_added_to_the_same_draws():
    experiment = EXPERIMENT.replace(n_speakers=(4, 2), losses=("none",), frozen=(0,), steps=(2,), fixed_steps=2)
    uar = np.random.default_rng(1).uniform(20, 60, (2, 1, 1, 1, 8))
    uar[0] = uar[1] + uar[0] / 9  # the draws' own scores are common to both numbers of speakers
    (record,) = claims._trade_off(experiment, uar)
    gain = (uar[0] - uar[1])[0, 0, 0] / 2
    half = stats.t.ppf(0.95, 7) * gain.std(ddof=1) / np.sqrt(8)
    found = record["gain_per_speaker"]
    assert (record["from"], record["to"]) == (2, 4)
    assert (found["estimate"], found["high"] - found["low"]) == pytest.approx((gain.mean(), 2 * half), rel=1e-3)


def test_a_draw_is_beyond_the_pole_where_its_same_pairs_are_farther_apart():
    (record,) = claims._beyond_the_pole(EXPERIMENT, np.array([[0.5, 1.5, 0.7, 0.9]]))
    assert record["share"]["estimate"] == 0.25
    assert record["share"]["kind"].startswith("90 %")
    assert claims._beyond_the_pole(EXPERIMENT, np.full((1, 4), np.nan)) == []


def test_a_gain_is_of_the_first_method_with_every_interval_at_the_level_of_the_configuration(monkeypatch):
    asked, made = [], []

    class Difference:
        def __init__(self, by_draw, counts):
            made.extend((by_draw, counts))
            self.by_draw = by_draw
            for name in ("over_draws", "over_speakers", "over_speakers_and_seeds"):
                setattr(self, name, asked.append)

    tests = [types.SimpleNamespace(p_value=p) for p in (0.1, 0.2, 0.3)]
    monkeypatch.setattr(claims, "PairedDifference", types.SimpleNamespace(make=Difference))
    monkeypatch.setattr(claims.paired_tests, "over_draws", lambda *_: tests[:2])
    monkeypatch.setattr(claims.paired_tests, "sign_flip_over_speakers", lambda *_: tests[2])
    size = lambda by_draw, level, **_: asked.append(level)  # noqa: E731
    monkeypatch.setattr(claims.effect_sizes, "standardised_difference", size)
    monkeypatch.setattr(claims, "plain", lambda interval, factor: factor)
    rng = np.random.default_rng(2)
    uar, counts = rng.uniform(20, 80, (2, 3)), rng.integers(0, 9, (2, 3, 5, 4, 4))  # of methods
    found = claims._gain(EXPERIMENT, claims._Paired({"method": "ratio"}, uar, counts))
    assert asked == [0.9] * 4
    np.testing.assert_array_equal(made[0], uar[0] - uar[1])
    np.testing.assert_array_equal(made[1], np.stack(list(counts), axis=2))
    assert found == {
        "method": "ratio", "gain": pytest.approx((uar[0] - uar[1]).mean()), "over_draws": 1.0, "over_speakers": 100.0,
        "over_speakers_and_seeds": 100.0, "sign_flip_p": 0.1, "wilcoxon_p": 0.2, "speakers_sign_flip_p": 0.3,
        "effect_size": 1.0,
    }  # fmt: skip

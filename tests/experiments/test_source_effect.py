"""Sources compared over the target's speakers: whose clips are tested, which speakers count, and the family's level."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tiny_plan import PLAN, TARGET

from siamese_jax.experiments import source_effect
from siamese_jax.experiments.run_context import label
from siamese_jax.experiments.source_effect import SpeakerScores
from siamese_jax.stats import intervals


def test_a_speaker_is_tested_on_the_draws_without_any_clip_of_that_speaker():
    rng, support = np.random.default_rng(0), PLAN.draws.support(2)
    predictions = ((TARGET.label + rng.integers(0, 2, (1, 2, 3, 1, len(TARGET)))) % 4).astype(np.int8)
    arrays = xr.Dataset(
        {"predictions": (("loss", "frozen", "draw", "step", "clip"), predictions),
         "support": (("draw", "labelled"), support)},
        coords={"loss": ["none"], "step": [2]},
    )  # fmt: skip
    names, found = source_effect._score(label(PLAN, arrays), "none", 2)
    assert names == TARGET.speakers
    right = predictions[0, :, :, 0] == TARGET.label
    drawn = np.stack([np.isin(np.arange(len(names)), TARGET.speaker[rows]) for rows in support])
    for f, s in np.ndindex(found.shape):
        own = [right[f, ~drawn[:, s]][:, (TARGET.speaker == s) & (TARGET.label == c)] for c in range(4)]
        expected = 100 * np.mean([clips.mean() for clips in own]) if (~drawn[:, s]).any() else np.nan
        np.testing.assert_allclose(found[f, s], expected, rtol=1e-6)


def scores(name, uar):
    speakers = tuple(f"{name}_{s:02d}" for s in range(uar.shape[-1]))
    return SpeakerScores(name, speakers, uar, (0, 1), (2,))


def test_contrasts_share_their_error_and_are_over_speakers_whom_every_experiment_tested(monkeypatch):
    spread = lambda a, b, level, over: intervals.t_interval(a[0] - b[0], level, over=over)  # noqa: E731
    monkeypatch.setattr(source_effect, "spread_difference", spread)  # which takes seconds to compile
    uar = np.random.default_rng(1).uniform(20, 80, (3, 2, 1, 6))
    uar[1, 0, 0, 2] = np.nan  # never tested with one number of frozen layers of one experiment
    found = source_effect.compare([scores(name, of) for name, of in zip("abc", uar)], 0.9)
    assert found["speakers"] == 5
    kept = np.delete(uar, 2, axis=-1)
    for name, of_source in zip("abc", kept):
        assert found["source_means"][name] == pytest.approx(of_source.mean(), rel=1e-5)
    for frozen in range(2):
        assert found["frozen_means"][str(frozen)] == pytest.approx(kept[:, frozen].mean(), rel=1e-5)
    difference = found["source_variance_minus_frozen_variance"]
    assert difference["estimate"] == pytest.approx(kept[0].mean() - kept[:, 0].mean(), rel=1e-4)
    assert difference["kind"].startswith("90 %")
    # Three contrasts at 90 % together.
    by_speaker = kept.mean(axis=(1, 2))
    for contrast, (i, j) in zip(found["source_contrasts"], ((0, 1), (0, 2), (1, 2)), strict=True):
        gain = by_speaker[i] - by_speaker[j]
        half = stats.t.ppf(1 - 0.1 / 3 / 2, 4) * gain.std(ddof=1) / np.sqrt(5)
        assert contrast["estimate"] == pytest.approx(gain.mean(), rel=1e-4)
        assert (contrast["low"], contrast["high"]) == pytest.approx((gain.mean() - half, gain.mean() + half), rel=1e-3)

"""The study of degraded recordings: its clips, shares and draws."""

import numpy as np
import pytest

from scripts import degraded_study
from siamese_jax.datasets import shipped
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError


@pytest.fixture(scope="module")
def clean():
    return read_table(shipped.shipped("emodb", "whisper"))


def test_a_table_is_taken_in_the_order_of_the_clean_one_and_refused_where_a_clip_is_missing(clean):
    order = np.random.default_rng(0).permutation(len(clean))
    mixed = clean.select(order)
    np.testing.assert_array_equal(degraded_study._in_order("mixed", mixed, clean), clean.features)
    lacking = clean.clip[order[-1]]
    with pytest.raises(InputError, match=f"table mixed lacks 1 of {len(clean)} clips, such as '{lacking}'"):
        degraded_study._in_order("mixed", mixed.select(np.arange(len(clean) - 1)), clean)


def test_a_draw_without_accepted_labels_has_no_error_and_counts_as_one():
    scores = np.array([[0.5, 0.25, 0.5, np.nan, 0.0], [0.25, 0.25, 0.25, 0.125, 0.75], [0.0, 0.25, 0.75, 0.375, 0.25]])
    found = degraded_study._over_draws(scores)
    assert found["none_accepted"] == 1
    assert (found["wrong"], found["wrong_accepted"], found["accepted"]) == (0.25, 0.25, pytest.approx(1 / 3))
    assert (found["wrong_sd"], found["wrong_unchecked_sd"]) == (0.25, 0)
    assert degraded_study._over_draws(scores[:1])["wrong_accepted"] is None


@pytest.mark.long
def test_undegraded_copies_have_the_scores_of_the_clean_clips_and_noise_has_others(clean):
    noise = np.random.default_rng(0).standard_normal(clean.features.shape).astype(np.float32)
    worse = clean.__class__(**{**vars(clean), "features": clean.features + 20 * noise * clean.features.std(0)})
    rows = degraded_study.study("emodb", {"copy": clean, "noise": worse}, 2)
    by_condition = {
        name: [{k: v for k, v in row.items() if k != "condition"} for row in rows if row["condition"] == name]
        for name in ("clean", "copy", "noise")
    }
    assert by_condition["copy"] == by_condition["clean"]
    assert [row["mode"] for row in by_condition["clean"]] == ["clip", "folder"]
    for before, after in zip(by_condition["clean"], by_condition["noise"]):
        assert after["wrong"] > before["wrong"] + 0.1
    assert by_condition["noise"][0]["none_accepted"] == 2

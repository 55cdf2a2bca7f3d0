"""Standardisation: the clips it uses, and constant columns."""

import dataclasses

import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset, scaling_scopes
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import over_rows

SOURCE = dataset.from_table(make_table("source", seed=1), EMOTIONS, "source")
TARGET = dataset.from_table(make_table("target", seed=2, shift=3.0), EMOTIONS, "target")


def test_by_corpus_standardises_over_every_emotion():
    x = scaling_scopes.by_corpus(TARGET, 1e-3)
    raw = TARGET.full_table.features
    np.testing.assert_allclose(x, ((raw - raw.mean(0)) / raw.std(0))[TARGET.rows], rtol=1e-4, atol=1e-5)
    assert np.abs(x.mean(axis=0)).max() > 1e-3  # the four emotions alone are not centred


def test_by_speaker_centres_each_speaker():
    x = scaling_scopes.by_speaker(TARGET)
    table = TARGET.full_table
    one = table.features[table.speaker == "target_03"]
    mine = TARGET.table.speaker == "target_03"
    np.testing.assert_allclose(
        x[mine], (TARGET.table.features[mine] - one.mean(axis=0)) / one.std(axis=0), rtol=1e-4, atol=1e-5
    )


def test_by_source_uses_nothing_of_the_target():
    x = scaling_scopes.target_features(SOURCE, TARGET, "source", 1e-3)
    raw = SOURCE.full_table.features
    np.testing.assert_allclose(x, (TARGET.table.features - raw.mean(0)) / raw.std(0), rtol=1e-4, atol=1e-4)


def test_by_support_uses_the_support_only():
    x = scaling_scopes.target_features(SOURCE, TARGET, "support", 1e-3)
    rows = [np.arange(8), np.arange(8, 20)]
    scalings = over_rows(x, rows, 1e-3)
    raw = TARGET.table.features
    for i, r in enumerate(rows):
        ours = (x - scalings.shift[i]) / scalings.scale[i]
        np.testing.assert_allclose(ours, (raw - raw[r].mean(0)) / raw[r].std(0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scope", ["support", "train", "source", "speaker"])
def test_clips_outside_of_the_set_change_nothing_for_the_others(scope):
    """A column is 0 in the set: its scale comes from the source, or is the table's unit."""
    rows = np.arange(8)

    def scaled(factor):
        table = TARGET.full_table
        x = table.features.copy()
        x[TARGET.rows[rows], 0] = 0
        outside = np.setdiff1d(np.arange(len(x)), TARGET.rows[:24])
        outside = outside[~np.isin(table.speaker[outside], table.speaker[TARGET.rows[:24]])]
        x[outside] *= factor
        target = dataclasses.replace(TARGET, full_table=dataclasses.replace(table, features=x))
        x = scaling_scopes.target_features(SOURCE, target, scope, 1e-3)
        if scope in ("support", "train"):
            scaling = over_rows(x, [rows], 1e-3 if scope == "support" else 0)
            x = (x - scaling.shift) / scaling.scale
        return x[:24]

    np.testing.assert_array_equal(scaled(1), scaled(1e9))
    if scope == "support":
        unit = SOURCE.full_table.features[:, 0].std()
        np.testing.assert_allclose(scaled(1)[8:, 0], TARGET.table.features[8:24, 0] / unit, rtol=1e-4, atol=1e-4)


def test_a_column_that_hardly_changes_in_the_support_is_scaled_by_the_source():
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32) * [1e-4, 1e-2, 1]
    scale = over_rows(x, [np.arange(8)], 1e-3).scale[0]
    np.testing.assert_allclose(scale, [1, x[:, 1].std(), x[:, 2].std()], rtol=1e-5)
    scaled = dataclasses.replace(TARGET, full_table=dataclasses.replace(TARGET.full_table, made={"scaled": "corpus"}))
    # Units of the two tables differ.
    assert scaling_scopes.least_support_deviation(SOURCE, scaled, 1e-3) == 0
    assert scaling_scopes.least_support_deviation(scaled, scaled, 1e-3) == 1e-3


def test_a_column_that_never_changes_becomes_zero_and_one_that_hardly_does_is_held():
    table = make_table("flat")
    x = table.features.copy()
    x[:, 0] = 0.1  # constant: its computed spread is rounding
    x[:, 1] = np.where(table.speaker == "flat_02", 5.0, x[:, 1])  # constant for one speaker
    data = dataset.from_table(dataclasses.replace(table, features=x), EMOTIONS, "flat")
    for scaled in (scaling_scopes.by_corpus(data, 1e-3), scaling_scopes.by_speaker(data)):
        assert np.isfinite(scaled).all()
        np.testing.assert_allclose(scaled[:, 0], 0, atol=1e-5)
    np.testing.assert_allclose(scaling_scopes.by_speaker(data)[data.table.speaker == "flat_02", 1], 0, atol=1e-3)


def test_tables_scaled_by_their_authors_refuse_the_source_scope():
    scaled = dataset.from_table(dataclasses.replace(make_table("given"), made={"scaled": "corpus"}), EMOTIONS, "given")
    with pytest.raises(InputError, match="table of given came standardised"):
        scaling_scopes.check_scope(SOURCE, scaled, "source")
    for scope in ("corpus", "speaker", "support"):
        scaling_scopes.check_scope(SOURCE, scaled, scope)


def test_what_stands_in_for_the_support_set_where_nothing_is_labelled():
    scaled = dataset.from_table(dataclasses.replace(make_table("given"), made={"scaled": "corpus"}), EMOTIONS, "given")
    assert scaling_scopes.out_of_domain_scope(SOURCE, TARGET, "support") == "source"
    assert scaling_scopes.out_of_domain_scope(scaled, TARGET, "support") == "corpus"
    for scope in ("corpus", "speaker", "source"):
        assert scaling_scopes.out_of_domain_scope(SOURCE, TARGET, scope) == scope


def test_in_domain_no_scope_that_excludes_tested_clips_is_scaled_by_them():
    expected = {"corpus": "corpus", "speaker": "speaker", "support": "train", "source": "train", "train": "train"}
    assert expected == scaling_scopes.IN_DOMAIN_SCOPE

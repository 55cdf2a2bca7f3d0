"""Tables as datasets: labels, duplicates, and the checks that name the problem."""

import dataclasses

import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.errors import InputError


def test_only_the_experiments_emotions_are_labelled_but_all_are_kept_for_scaling():
    data = dataset.from_table(make_table(), EMOTIONS, "toy.npz")
    assert len(data) == 6 * 4 * 2
    assert len(data.full_table) == 6 * 5 * 2
    np.testing.assert_array_equal(np.array(EMOTIONS)[data.label], data.table.emotion)
    np.testing.assert_array_equal(np.array(data.speakers)[data.speaker], data.table.speaker)


def test_speakers_are_those_of_the_experiments_emotions():
    table = make_table(n_speakers=3)
    emotion = np.where(table.speaker == "toy_00", "neutral", table.emotion)
    data = dataset.from_table(dataclasses.replace(table, emotion=emotion), EMOTIONS, "toy.npz")
    assert data.speakers == ("toy_01", "toy_02")
    np.testing.assert_array_equal(np.array(data.speakers)[data.speaker], data.table.speaker)


def test_the_shipped_tables_are_the_papers_four_emotions():
    ravdess = dataset.from_table(dataset.read("ravdess", "", "", "is09", ()), EMOTIONS, "table")
    assert (len(ravdess), len(ravdess.speakers)) == (768, 24)
    np.testing.assert_array_equal(np.bincount(ravdess.label), [192] * 4)
    duplicates = ravdess.table.clip[np.bincount(ravdess.duplicate)[ravdess.duplicate] > 1]
    assert [str(c).removesuffix(".wav") for c in sorted(duplicates)] == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    emodb = dataset.from_table(dataset.read("emodb", "", "", "is09", ()), EMOTIONS, "table")
    assert (len(emodb), len(emodb.speakers)) == (329, 10)
    dataset.check_same_features(emodb, ravdess)


def test_the_columns_of_layers_are_picked_by_name():
    table = dataset.read("emodb", "", "", "whisper", (3, 1))
    assert len(table.feature_names) == 2 * 768
    assert {name.split(".layer")[1][0] for name in table.feature_names} == {"1", "3"}
    full_table = dataset.read("emodb", "", "", "whisper", ())
    column = full_table.feature_names.index(table.feature_names[800])
    np.testing.assert_array_equal(table.features[:, 800], full_table.features[:, column])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("whisper", r"no columns of layer 4; it holds 1, 2, 3\. Change config\.data\.layers"),
        ("is09", "it holds no columns"),
    ],
)
def test_a_layer_that_the_table_lacks_is_named(features, message):
    with pytest.raises(InputError, match=message):
        dataset.read("emodb", "", "", features, (2, 4))


def test_an_absent_emotion_is_named_with_what_is_there():
    table = make_table()
    with pytest.raises(InputError, match=r"toy.npz: no clip of 'fear'; it holds anger \(12\)"):
        dataset.from_table(table.select(table.emotion != "fear"), EMOTIONS, "toy.npz")


def test_tables_of_other_features_do_not_go_together():
    a = dataset.from_table(make_table(), EMOTIONS, "a")
    b = dataset.from_table(make_table("other", n_features=4), EMOTIONS, "b")
    with pytest.raises(InputError, match=r"toy \(5 features\) and other \(4\) do not match: toy alone has"):
        dataset.check_same_features(a, b)
    names = ("feature_1", "feature_0", "feature_2", "feature_3", "feature_4")
    c = dataset.from_table(dataclasses.replace(make_table("third"), feature_names=names), EMOTIONS, "c")
    with pytest.raises(InputError, match="the order of the columns differs"):
        dataset.check_same_features(a, c)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": "INTERSPEECH 2009"}, "features 'Whisper' of toy and 'INTERSPEECH 2009' of other"),
        ({"speech_encoder": "whisper.base"}, "speech encoder 'whisper.tiny.en' of toy and 'whisper.base' of other"),
        (
            {"layers": [2], "speech_encoder_digest": "b"},
            r"do not match: layers \[1, 2\] of toy and \[2\] of other\. Extract both with the same options",
        ),
        ({"loudness": -20.0}, "loudness -25.0 of toy and -20.0 of other"),
        ({"padding": "30s"}, "padding 'clip' of toy and '30s' of other"),
        ({"speech_encoder_digest": "b"}, "digest of the speech encoder's weights 'a' of toy and 'b' of other"),
        ({"padding": "30s", "loudness": -20.0}, "loudness .*, padding"),
        ({"padding": "x" * 10000}, "padding 'clip' of toy and 'xxx"),
    ],
    ids=["features", "speech_encoder", "layers", "loudness", "padding", "digest", "two", "a_long_text"],
)
def test_tables_of_equal_columns_made_in_different_ways_do_not_go_together(changes, message):
    made = {
        "features": "Whisper", "speech_encoder": "whisper.tiny.en", "speech_encoder_digest": "a", "layers": [1, 2],
        "loudness": -25.0, "padding": "clip", "precision": "float32", "packages": {"jax": "0.10"},
    }  # fmt: skip
    a, b, c = (
        dataset.from_table(dataclasses.replace(make_table(name), made=values), EMOTIONS, name)
        for name, values in (("toy", made), ("other", made | changes), ("third", made | {"packages": {"jax": "0.11"}}))
    )
    dataset.check_same_features(a, c)
    with pytest.raises(InputError, match=message) as caught:
        dataset.check_same_features(a, b)
    assert len(str(caught.value)) < 400


def test_a_table_that_does_not_say_how_it_was_made_goes_with_equal_columns():
    made = {"features": "Whisper", "speech_encoder": "whisper.tiny.en", "layers": [1]}
    a = dataset.from_table(dataclasses.replace(make_table("toy"), made=made), EMOTIONS, "toy")
    dataset.check_same_features(a, dataset.from_table(make_table("other"), EMOTIONS, "other"))


def test_tables_cut_to_the_same_layers_go_together():
    """Of encoders whose layers were computed to different depths, whose digests differ."""
    made = {"features": "Whisper", "speech_encoder": "whisper.a"}
    names = tuple(f"whisper.x.layer4.y.layer{layer}.mean.{i}" for layer in (1, 2) for i in range(2))
    whole = dataclasses.replace(make_table("toy", n_features=4), feature_names=names)
    a = dataclasses.replace(whole, made=made | {"layers": [1, 2], "speech_encoder_digest": "a"})
    b = dataclasses.replace(make_table("other", n_features=2), feature_names=names[:2])
    b = dataclasses.replace(b, made=made | {"layers": [1], "speech_encoder_digest": "b"})
    with pytest.raises(InputError, match=r"layers \[1, 2\] of toy and \[1\] of other"):
        dataset.check_same_features(*(dataset.from_table(table, EMOTIONS, "table") for table in (a, b)))
    cut = [dataset.of_layers(table, (1,), "table") for table in (a, b)]
    assert [len(table.feature_names) for table in cut] == [2, 2]
    dataset.check_same_features(*(dataset.from_table(table, EMOTIONS, "table") for table in cut))

"""Source corpora from tables: each corpus is a source of its own, with its words and speakers."""

import dataclasses

import numpy as np
import pytest
from tables_for_tests import make_table

from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.recognizer import sources
from siamese_jax.recognizer.transfer import OTHER


def test_each_corpus_of_a_table_is_a_source_with_its_own_clips(tmp_path):
    table = make_table("first", n_speakers=4)
    second = np.arange(len(table)) % 3 == 1
    speaker = np.where(second, np.char.add(table.speaker, "_other"), table.speaker)
    table = dataclasses.replace(table, corpus=np.where(second, "second", "first"), speaker=speaker)
    write_table(tmp_path / "two.npz", table)
    found = sources.read([str(tmp_path / "two.npz")], table.feature_names, {})
    assert [source.name for source in found] == ["first", "second"]
    for source, rows in zip(found, (~second, second)):
        np.testing.assert_array_equal(source.clips.x, table.features[rows])
        assert [source.emotions[i] for i in source.clips.label] == table.emotion[rows].tolist()
        assert source.clips.speaker.tolist() == speaker[rows].tolist()
        of_two = source.for_classes(("sadness", "anger")).label
        expected = [{"sadness": 0, "anger": 1}.get(word, OTHER) for word in table.emotion[rows]]
        assert of_two.tolist() == expected


def test_unlabelled_clips_take_no_part_and_speakers_count_where_all_are_known(tmp_path):
    table, rows = make_table("first", n_speakers=3), np.arange(30)
    for named, unlabelled, unnamed in (("all", rows % 5 == 2, rows < 0), ("most", rows < 0, rows == 7)):
        emotion, speaker = np.where(unlabelled, "", table.emotion), np.where(unnamed, "", table.speaker)
        write_table(tmp_path / f"{named}.npz", dataclasses.replace(table, emotion=emotion, speaker=speaker))
        (found,) = sources.read([str(tmp_path / f"{named}.npz")], table.feature_names, {})
        np.testing.assert_array_equal(found.clips.x, table.features[~unlabelled])
        assert "" not in found.emotions
        of_clips = None if unnamed.any() else table.speaker[~unlabelled].tolist()
        assert (None if found.clips.speaker is None else found.clips.speaker.tolist()) == of_clips


@pytest.mark.parametrize(
    ("changes", "names", "made", "message"),
    [
        ({}, 1, {"rate": 16000}, None),
        ({}, -1, {}, "its features are not those of the model: 5 columns, first 'feature_0'"),
        ({"made": {"scaled": "corpus"}}, 1, {}, "its columns came standardised"),
        ({"made": {"loudness": -20.0}}, 1, {"loudness": -26.0}, r"loudness -20.0, not -26.0"),
        ({"emotion": np.full(30, "")}, 1, {}, "no labelled clip; expected a table with emotions"),
    ],
)
def test_a_table_of_other_features_or_without_labels_is_refused(tmp_path, changes, names, made, message):
    table = make_table("first", n_speakers=3)
    path = str(tmp_path / "t.npz")
    write_table(tmp_path / "t.npz", dataclasses.replace(table, **changes))
    if message is None:
        assert len(sources.read([path], table.feature_names[::names], made)) == 1
        with pytest.raises(InputError, match=r"corpus 'first' is there twice; give each corpus once"):
            sources.read([path, path], table.feature_names, made)
    else:
        with pytest.raises(InputError, match=message):
            sources.read([path], table.feature_names[::names], made)

"""Source corpora from tables: each corpus is a source of its own, with its words and speakers."""

import dataclasses

import numpy as np
from tables_for_tests import make_table

from siamese_jax.datasets.table_files import write_table
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

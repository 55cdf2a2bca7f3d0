"""Our own tables: written, read back, checked, and their duplicates."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tables_for_tests import raw, table_of

from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.table_files import check_table, duplicates, read_table, write_table
from siamese_jax.errors import InputError


def assert_equal_tables(left: FeatureTable, right: FeatureTable) -> None:
    assert left.feature_names == right.feature_names
    assert left.made == right.made
    for field in ("features", "clip", "emotion", "speaker", "corpus", "sex", "audio_hash"):
        np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


@settings(max_examples=20, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e6, 1e6, width=32)),
    st.text(st.characters(exclude_categories=["C"]), max_size=8),
)
def test_written_tables_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, features: np.ndarray, text: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.npz"
    table = table_of(features, sex=np.full(len(features), "female"), made={"note": text, "scaled": "none"})
    write_table(path, table)
    assert_equal_tables(read_table(path), table)


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_table(tmp_path / name, table_of(raw(5)))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_nothing_is_pickled(tmp_path: Path) -> None:
    strings_as_objects = table_of(raw(4), clip=np.asarray(["a", "bb", "ccc", "d"], dtype=object))
    write_table(tmp_path / "t.npz", strings_as_objects)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        assert {file[name].dtype.kind for name in file.files} == {"U", "f"}
        assert json.loads(str(file["made"]))["sampling_rate"] == 16000


def test_one_corpus_of_a_pooled_table(tmp_path: Path) -> None:
    pooled = table_of(raw(4), corpus=np.asarray(["lab", "field", "lab", "field"]))
    write_table(tmp_path / "t.npz", pooled)
    assert read_table(tmp_path / "t.npz", corpus="field").clip.tolist() == ["clip_1", "clip_3"]
    with pytest.raises(InputError, match="no rows of corpus 'moon'; the table holds field, lab"):
        read_table(tmp_path / "t.npz", corpus="moon")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": np.asarray(["a", "a", "b"])}, "doubled clips: lab/a"),
        ({"feature_names": ("f", "g", "f")}, "doubled columns: f"),
        ({"feature_names": ("f", "g")}, "2 feature names for 3 columns"),
        ({"speaker": np.asarray(["a"])}, r"speaker has shape \(1,\), expected \(3,\)"),
        ({"features": np.asarray([[1, 2, 3], [4, np.nan, 6], [7, 8, np.inf]])},
         r"not finite: row clip_1, column f1: nan; row clip_2, column f2: inf"),
        ({"features": np.full((3, 3), 1e39)}, r"not finite: row clip_0, column f0: 1e\+39"),
        ({"features": np.zeros((0, 3))}, "shape"),
        ({"features": np.zeros(3)}, "shape"),
    ],
)  # fmt: skip
def test_broken_tables_are_not_written(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_table(tmp_path / "t.npz", table_of(raw(3), **changes))
    assert list(tmp_path.iterdir()) == []


def test_one_clip_name_in_two_corpora_is_fine() -> None:
    check_table(table_of(raw(2), clip=np.asarray(["a", "a"]), corpus=np.asarray(["x", "y"])), "here")


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the file that suffix"):
        write_table(tmp_path / "t.csv", table_of(raw(3)))
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "t.npz")
    write_table(tmp_path / "t.npz", table_of(raw(30)))
    content = (tmp_path / "t.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as npz"):
        read_table(tmp_path / "cut.npz")
    np.savez(tmp_path / "objects.npz", X=np.asarray([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"objects\.npz: cannot be read as npz"):
        read_table(tmp_path / "objects.npz")
    np.savez(tmp_path / "part.npz", made=np.asarray("{}"), features=np.zeros((2, 2)))
    with pytest.raises(InputError, match="no array feature_names, clip"):
        read_table(tmp_path / "part.npz")


def test_duplicates_by_hash_and_by_features() -> None:
    features = raw(6)
    features[3] = features[1]
    assert duplicates(table_of(features)).tolist() == [0, 1, 2, 1, 3, 4]
    hashed = table_of(features, audio_hash=np.asarray(["h", "", "h", "", "i", "h"]))
    assert duplicates(hashed).tolist() == [0, 1, 0, 1, 2, 0]
    # Where the sound is known, equal features alone do not make duplicates.
    known = table_of(features, audio_hash=np.asarray(list("abcdef")))
    assert duplicates(known).tolist() == [0, 1, 2, 3, 4, 5]


def test_minus_zero_is_zero() -> None:
    assert duplicates(table_of(np.asarray([[0.0, 1.0], [-0.0, 1.0]]))).tolist() == [0, 0]

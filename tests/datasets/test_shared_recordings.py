"""A source that holds the target's recordings: found by sound, by features, and by names."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tables_for_tests import make_table

from siamese_jax.datasets.shared_recordings import check_not_shared, shared_recordings
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError

FEW = make_table()
TARGET = make_table(n_features=20)
OTHER = make_table("other", n_features=20, seed=7)


def with_digests(table, prefix):
    return dataclasses.replace(table, audio_hash=np.array([f"{prefix}{i}" for i in range(len(table))]))


def renamed(table, corpus="copy"):
    return dataclasses.replace(
        table,
        corpus=np.full(len(table), corpus),
        clip=np.char.add(f"{corpus}_", table.clip),
        speaker=np.char.add(f"{corpus}_", table.speaker),
    )


def joined(a, b):
    columns = ("features", "clip", "emotion", "speaker", "corpus", "sex", "audio_hash")
    return dataclasses.replace(a, **{n: np.concatenate([getattr(a, n), getattr(b, n)]) for n in columns})


def test_other_recordings_are_not_shared():
    assert len(shared_recordings(OTHER, TARGET)) == 0
    assert len(shared_recordings(with_digests(OTHER, "a"), with_digests(TARGET, "b"))) == 0


@pytest.mark.parametrize("table", [TARGET, FEW], ids=["20 columns", "5 columns"])
def test_the_target_itself_is_the_source(table):
    assert shared_recordings(table, table).rows.tolist() == list(range(len(table)))


def test_equal_sound_under_other_names_with_other_features():
    noisy = dataclasses.replace(renamed(TARGET), features=TARGET.features + 1)
    shared = shared_recordings(with_digests(noisy, "a"), with_digests(TARGET, "a"))
    assert (len(shared), set(shared.reasons)) == (len(TARGET), {"sound"})


def test_equal_features_under_other_names():
    shared = shared_recordings(renamed(TARGET), with_digests(TARGET, "a"))
    assert (len(shared), set(shared.reasons)) == (len(TARGET), {"features"})
    silent = dataclasses.replace(renamed(TARGET), features=np.zeros_like(TARGET.features))
    zeros = dataclasses.replace(TARGET, features=np.zeros_like(TARGET.features))
    assert len(shared_recordings(with_digests(silent, "a"), with_digests(zeros, "b"))) == 0  # the sounds are known


def test_equal_features_that_a_text_file_rounded():
    rounded = np.array([[float(f"{value:.5g}") for value in row] for row in TARGET.features.tolist()], np.float32)
    assert len(shared_recordings(dataclasses.replace(renamed(TARGET), features=rounded), TARGET)) == len(TARGET)


def test_equal_names_with_other_features_and_no_digest():
    theirs = dataclasses.replace(TARGET, features=TARGET.features * 3 + 1, feature_names=tuple("abcdefghijklmnopqrst"))
    shared = shared_recordings(dataclasses.replace(theirs, corpus=np.full(len(theirs), "TOY")), TARGET)
    assert (len(shared), set(shared.reasons)) == (len(TARGET), {"corpus and clip names"})


def test_a_mixture_that_holds_a_part_of_the_target():
    part = np.arange(0, len(TARGET), 7)
    shared = shared_recordings(joined(OTHER, renamed(TARGET.select(part))), TARGET)
    assert shared.rows.tolist() == part.tolist()
    assert shared.others.tolist() == list(range(len(OTHER), len(OTHER) + len(part)))
    with pytest.raises(InputError, match=r"A holds 9 of the 60 recordings of B \(first: copy_toy_000 and toy_000"):
        check_not_shared(joined(OTHER, renamed(TARGET.select(part))), TARGET, ("A", "B"), "Leave them out.")


@pytest.mark.data
def test_the_authors_table_beside_ours(data_folder: Path):
    theirs = read_table(data_folder / "tables/authors_is09_ravdess.csv", corpus="ravdess")
    ours = read_table("siamese_jax/datasets/shipped/ravdess_is09.npz")
    assert len(shared_recordings(theirs, ours)) == len(ours)


def test_recordings_that_are_a_sample_longer_are_shared_by_equal_features():
    """Another digest of the sound, the same frames."""
    shared = shared_recordings(with_digests(TARGET, "a"), with_digests(renamed(TARGET), "b"))
    assert set(shared.reasons) == {"features"}
    assert len(shared) == len(TARGET)


def test_digests_in_capitals_are_the_same_digests():
    longer = dataclasses.replace(renamed(TARGET), features=TARGET.features * 2)
    shared = shared_recordings(with_digests(TARGET, "ab"), with_digests(longer, "AB"))
    assert shared.reasons == ("sound",) * len(TARGET)


@pytest.mark.parametrize("written", ["wav/{}", "{}.wav", "Actor_01/{}.FLAC"])
def test_folders_and_suffixes_in_clip_names_do_not_hide_a_recording(written):
    other = dataclasses.replace(
        TARGET, features=TARGET.features * 2, clip=np.array([written.format(clip) for clip in TARGET.clip])
    )
    assert len(shared_recordings(with_digests(TARGET, "a"), with_digests(other, "b"))) == len(TARGET)

"""The features of a corpus are kept clip by clip while a cross-training extracts them."""

import dataclasses
import os

import kill_targets
import numpy as np
import pytest
from tables_for_tests import make_table

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction, extraction_cache, table_files
from siamese_jax.datasets.extractors import interspeech_2009
from siamese_jax.experiments.cross_training import corpora
from siamese_jax.runtime import interrupt


def test_a_stopped_extraction_resumes_and_leaves_one_table_behind(tmp_path, monkeypatch):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    kill_targets.write_sounds(sounds, 6)
    clips = [Clip(path.name, path.stem, "fear", "c_1", "c") for path in sorted(sounds.glob("*.wav"))]
    manifest = Manifest(sounds, tuple(clips))
    decoded, real = [], extraction.decode
    monkeypatch.setattr(extraction, "decode", lambda path, *given: (decoded.append(path), real(path, *given))[1])
    monkeypatch.setattr(extraction, "GROUP", 2)

    def stop(*given):
        adding(*given)
        raise interrupt.Stopped(15)

    adding = extraction_cache.ExtractionCache.add
    with monkeypatch.context() as patch:
        patch.setattr(extraction_cache.ExtractionCache, "add", stop)
        with pytest.raises(interrupt.Stopped):
            corpora._features("mine", manifest, interspeech_2009(), tmp_path / "cache")
    decoded.clear()
    table = corpora._features("mine", manifest, interspeech_2009(), tmp_path / "cache")
    assert len(decoded) == 5
    np.testing.assert_array_equal(table.clip, [clip.name for clip in clips])
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]
    # It is found again, and an edited clip is not.
    corpora._features("mine", manifest, interspeech_2009(), tmp_path / "cache")
    assert len(decoded) == 5
    with (sounds / clips[0].file).open("ab") as file:
        file.write(bytes(2))
    corpora._features("mine", manifest, interspeech_2009(), tmp_path / "cache")
    assert len(decoded) == 11


def test_a_noisy_copy_with_the_same_names_sizes_and_times_is_another_corpus(tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(b"clean")
    manifest = Manifest(tmp_path, (Clip("a.wav", "a", "fear", "c_1", "c"),))
    clean, status = corpora.digest(manifest), file.stat()
    file.write_bytes(b"noisy")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert corpora.digest(manifest) != clean


@pytest.mark.parametrize(
    "change", [{"name": "b"}, {"emotion": "anger"}, {"speaker": "c_2"}, {"sex": "female"}, {"end": 1.0}]
)
def test_a_corpus_with_another_label_is_another_corpus(tmp_path, change):
    (tmp_path / "a.wav").write_bytes(b"sound")
    clip = Clip("a.wav", "a", "fear", "c_1", "c", "male")
    plain, changed = (Manifest(tmp_path, (c,)) for c in (clip, dataclasses.replace(clip, **change)))
    assert corpora.digest(plain) != corpora.digest(changed)


@pytest.mark.parametrize("damage", ["cut", "garbage", "another corpus"])
def test_a_damaged_cache_of_features_is_made_again(tmp_path, monkeypatch, caplog, damage):
    table = make_table("c", n_speakers=2)
    clips = zip(table.clip, table.emotion, table.speaker, strict=True)
    manifest = Manifest(tmp_path, tuple(Clip(f"{n}.wav", str(n), str(e), str(s), "c") for n, e, s in clips))
    made = []

    def extract(_, file, extractor, options):
        made.append(file)
        table_files.write_table(file, table)
        return table

    monkeypatch.setattr(extraction, "extract", extract)
    corpora._features("c", manifest, interspeech_2009(), tmp_path)
    assert len(corpora._features("c", manifest, interspeech_2009(), tmp_path)) == len(table)
    assert len(made) == 1
    content = made[0].read_bytes()
    if damage == "another corpus":
        table_files.write_table(made[0], dataclasses.replace(table, clip=np.array([f"x{n}" for n in table.clip])))
    else:
        made[0].write_bytes(content[: len(content) // 2] if damage == "cut" else b"garbage")
    corpora._features("c", manifest, interspeech_2009(), tmp_path)
    assert len(made) == 2
    assert "computed again" in caplog.text

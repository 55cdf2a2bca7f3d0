"""The features of a corpus are kept clip by clip while a cross-training extracts them."""

import kill_targets
import numpy as np
import pytest

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction, extraction_cache
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
            corpora._features("mine", manifest, tmp_path / "cache")
    decoded.clear()
    table = corpora._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 5
    np.testing.assert_array_equal(table.clip, [clip.name for clip in clips])
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]
    # It is found again, and an edited clip is not.
    corpora._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 5
    with (sounds / clips[0].file).open("ab") as file:
        file.write(bytes(2))
    corpora._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 11

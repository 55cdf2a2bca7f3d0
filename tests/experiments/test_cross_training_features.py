"""The features of a corpus are kept clip by clip while a cross-training extracts them."""

import numpy as np
import pytest
import victims

from siamese_jax import interrupt
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.facenet import corpus
from siamese_jax.features import extract, parts


def test_a_stopped_extraction_goes_on_and_leaves_one_table_behind(tmp_path, monkeypatch):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    victims.write_sounds(sounds, 6)
    clips = [Clip(path.name, path.stem, "fear", "c_1", "c") for path in sorted(sounds.glob("*.wav"))]
    manifest = Manifest(sounds, tuple(clips))
    decoded, real = [], extract.decode
    monkeypatch.setattr(extract, "decode", lambda path, *given: (decoded.append(path), real(path, *given))[1])
    monkeypatch.setattr(extract, "GROUP", 2)

    def stop(*given):
        adding(*given)
        raise interrupt.Stopped(15)

    adding = parts.Parts.add
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "add", stop)
        with pytest.raises(interrupt.Stopped):
            corpus._features("mine", manifest, tmp_path / "cache")
    decoded.clear()
    table = corpus._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 5
    np.testing.assert_array_equal(table.clip, [clip.name for clip in clips])
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]
    # It is found again, and an edited clip is not.
    corpus._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 5
    with (sounds / clips[0].file).open("ab") as file:
        file.write(bytes(2))
    corpus._features("mine", manifest, tmp_path / "cache")
    assert len(decoded) == 11

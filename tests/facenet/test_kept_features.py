"""The features of a corpus are kept clip by clip while a cross-training extracts them."""

import types

import numpy as np
import pytest
import victims

from configs import smoke
from siamese_jax import config, interrupt
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.facenet import corpus
from siamese_jax.features import extract, parts
from siamese_jax.workdir import WorkDir

E = types.SimpleNamespace(strict=True)


def test_a_stopped_extraction_goes_on_and_leaves_nothing_behind(tmp_path, monkeypatch):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    victims.write_sounds(sounds, 6)
    clips = [Clip(path.name, path.stem, "fear", "c_1", "c") for path in sorted(sounds.glob("*.wav"))]
    manifest = Manifest(sounds, tuple(clips))
    decoded, real = [], extract.decode
    monkeypatch.setattr(extract, "decode", lambda path, *given: (decoded.append(path), real(path, *given))[1])
    monkeypatch.setattr(extract, "GROUP", 2)

    def make(work):
        return corpus.table_arrays(corpus._extract(E, manifest, work, "mine"))

    def run():
        with WorkDir(tmp_path / "run", config.resolve(smoke.get_config()), {}, "test") as work:
            return work.arrays("features/mine", lambda: make(work))

    def stop(*given):
        adding(*given)
        raise interrupt.Stopped(15)

    adding = parts.Parts.add
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "add", stop)
        with pytest.raises(interrupt.Stopped):
            run()
    decoded.clear()
    arrays = run()
    assert len(decoded) == 5
    np.testing.assert_array_equal(arrays["clip"], [clip.name for clip in clips])
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["arrays", "config.json"]

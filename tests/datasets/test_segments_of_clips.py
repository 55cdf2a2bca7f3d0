"""Segment sources: samples of the right clips, subsets, duplicates, bad clips named, decoded once."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets.segments import from_arrays, load
from siamese_jax.errors import ClipError, InputError
from siamese_jax.features.segments import SegmentConfig

SEGMENTS = SegmentConfig(rate=8000, seconds=0.5, hop_seconds=0.25, shortest_seconds=0.2, quiet_db=200.0)


@pytest.fixture
def corpus(tmp_path):
    """Clips of 0.6 s and one of 0.1 s; clips 0 and 3 are duplicates, clip 2 is no sound."""
    rng = np.random.default_rng(0)
    sounds = [rng.integers(-9000, 9000, n).astype(np.int16) for n in (4800, 4800, 0, 4800, 800)]
    sounds[3] = sounds[0]
    for i, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{i}.wav", sound, 8000, subtype="PCM_16")
    (tmp_path / "2.wav").write_text("no sound")
    clips = [Clip(f"{i}.wav", f"{i}", ("anger", "fear")[i % 2], f"me_{i}", "me") for i in range(5)]
    return Manifest(tmp_path, tuple(clips)), sounds


class Count(list):
    """Progress."""

    def __call__(self, done):
        self.append(done)


@pytest.mark.parametrize("cached", [False, True])
def test_segments_come_from_their_clips(corpus, tmp_path, cached):
    manifest, sounds = corpus
    done = Count()
    source = load(manifest, SEGMENTS, tmp_path / "cache" if cached else None, False, done)
    assert sum(done) == 5
    assert source.clip.tolist() == [0, 0, 1, 1, 3, 3]
    assert source.emotion.tolist() == ["anger", "anger", "fear", "fear", "fear", "fear"]
    assert source.speaker.tolist() == ["me_0", "me_0", "me_1", "me_1", "me_3", "me_3"]
    assert source.duplicate.tolist() == [0, 0, 1, 1, 0, 0]
    np.testing.assert_array_equal(source.segments(np.array([2]))[0] * 32768, sounds[1][:4000])
    np.testing.assert_array_equal(source.segments(np.array([3]))[0, :2800] * 32768, sounds[1][2000:])
    assert [file for file, _ in source.left_out] == ["2.wav", "4.wav"]
    assert source.left_out[0][1].startswith("unreadable:")
    assert "0.100 s is too short" in source.left_out[1][1]


def test_strict_stops_at_the_first_bad_clip(corpus):
    with pytest.raises(ClipError, match=r"2\.wav: unreadable"):
        load(corpus[0], SEGMENTS, None, True, Count())


def test_nothing_usable_is_an_error(corpus):
    manifest = Manifest(corpus[0].root, corpus[0].clips[4:])
    with pytest.raises(InputError, match=r"none of 1 clips can be used\. 4\.wav: 0\.100 s is too short"):
        load(manifest, SEGMENTS, None, False, Count())


def test_the_cache_serves_until_a_clip_changes(corpus, tmp_path):
    manifest, sounds = corpus
    cache = tmp_path / "cache"
    first = load(manifest, SEGMENTS, cache, False, Count())
    done = Count()
    again = load(manifest, SEGMENTS, cache, False, done)
    assert not done
    assert isinstance(again.samples.all, np.memmap)
    np.testing.assert_array_equal(again.segments(np.arange(6)), first.segments(np.arange(6)))
    assert again.left_out == first.left_out
    soundfile.write(tmp_path / "1.wav", sounds[1][:4400] // 2, 8000, subtype="PCM_16")
    changed = load(manifest, SEGMENTS, cache, False, done)
    assert sum(done) == 5
    np.testing.assert_array_equal(changed.segments(np.array([2]))[0] * 32768, sounds[1][:4000] // 2)


def test_the_cache_holds_no_other_rate_and_no_other_part_of_a_file(corpus, tmp_path):
    manifest, sounds = corpus
    cache = tmp_path / "cache"
    assert len(load(manifest, SEGMENTS, cache, False, Count()).samples[0]) == 4800
    for times, expected in (({"start": 0.1}, sounds[0][800:]), ({"end": 0.5}, sounds[0][:4000])):
        clips = (dataclasses.replace(manifest.clips[0], **times), *manifest.clips[1:])
        part = load(Manifest(manifest.root, clips), SEGMENTS, cache, False, Count())
        np.testing.assert_array_equal(part.samples[0], expected)
    slow = load(manifest, dataclasses.replace(SEGMENTS, rate=4000), cache, False, Count())
    assert len(slow.samples[0]) == 2400


def test_a_damaged_cache_is_made_again(corpus, tmp_path, caplog):
    manifest, sounds = corpus
    cache = tmp_path / "cache"
    load(manifest, SEGMENTS, cache, False, Count())
    (file,) = cache.glob("*.npy")
    file.write_bytes(file.read_bytes()[:-100])
    source = load(manifest, SEGMENTS, cache, False, Count())
    assert "the clips are decoded again" in caplog.text
    np.testing.assert_array_equal(source.segments(np.array([0]))[0] * 32768, sounds[0][:4000])


def noisy_copy(path):
    """Replaces a clip by a louder one; name, size and times stay."""
    status = path.stat()
    sound, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, sound // 2, rate, subtype="PCM_16")
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_noisy_copy_with_the_same_names_sizes_and_times_is_decoded_again(corpus, tmp_path):
    manifest, sounds = corpus
    cache = tmp_path / "cache"
    clean = load(manifest, SEGMENTS, cache, False, Count())
    noisy_copy(tmp_path / "1.wav")
    done = Count()
    noisy = load(manifest, SEGMENTS, cache, False, done)
    assert sum(done) == 5
    assert noisy.fingerprint() != clean.fingerprint()
    np.testing.assert_array_equal(noisy.segments(np.array([2]))[0] * 32768, sounds[1][:4000] // 2)


def test_a_corpus_that_moved_is_found_in_the_cache(corpus, tmp_path):
    manifest, _ = corpus
    cache = tmp_path / "cache"
    load(manifest, SEGMENTS, cache, False, Count())
    (tmp_path / "moved").mkdir()
    for clip in manifest:
        shutil.copy(manifest.path(clip), tmp_path / "moved")
    done = Count()
    moved = load(Manifest(tmp_path / "moved", manifest.clips), SEGMENTS, cache, False, done)
    assert not done
    assert [file for file, _ in moved.left_out] == ["2.wav", "4.wav"]


def test_a_flipped_bit_in_the_cached_samples_or_their_list_is_noticed(corpus, tmp_path, caplog):
    manifest, _ = corpus
    cache = tmp_path / "cache"
    clean = load(manifest, SEGMENTS, cache, False, Count()).fingerprint()
    (samples,), (listing,) = cache.glob("*.npy"), cache.glob("*.json")
    for file, change in (
        (samples, lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]),
        (listing, lambda content: content.replace(b"4800", b"4799", 1)),
        (listing, lambda content: json.dumps({**json.loads(content), "bad": []}).encode()),
        (listing, lambda _: b"[" * 100_000),
        (listing, lambda _: b"null"),
    ):
        file.write_bytes(change(file.read_bytes()))
        done = Count()
        assert load(manifest, SEGMENTS, cache, False, done).fingerprint() == clean
        assert sum(done) == 5
        assert "the clips are decoded again" in caplog.text
        caplog.clear()


def test_the_cache_of_another_corpus_under_this_ones_name_is_noticed(corpus, tmp_path):
    manifest, _ = corpus
    first, second = Manifest(tmp_path, manifest.clips[:1]), Manifest(tmp_path, manifest.clips[1:2])
    for part in (first, second):
        load(part, SEGMENTS, tmp_path / part.clips[0].name, False, Count())
    for suffix in ("npy", "json"):
        (source,), (target,) = ((tmp_path / name).glob(f"*.{suffix}") for name in ("0", "1"))
        shutil.copy(source, target)
    done = Count()
    load(second, SEGMENTS, tmp_path / "1", False, done)
    assert sum(done) == 1


def test_a_corpus_of_undecodable_clips_is_cached_and_refused(corpus, tmp_path):
    manifest = Manifest(tmp_path, corpus[0].clips[2:3])
    for _ in range(2):
        with pytest.raises(InputError, match=r"none of 1 clips can be used\. 2\.wav: unreadable"):
            load(manifest, SEGMENTS, tmp_path / "cache", False, Count())


def test_subsets_keep_rows_of_the_manifest():
    clips = [np.full(4800, i + 1, np.int16) for i in range(4)]
    source = from_arrays(clips, list("aabb"), list("stst"), SEGMENTS)
    part = source.subset([3, 1])
    assert part.clip.tolist() == [1, 1, 3, 3]
    assert part.emotion.tolist() == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(part.segments(np.array([0, 2]))[:, 0] * 32768, [2, 4])
    assert part.subset({1}).speaker.tolist() == ["t", "t"]
    with pytest.raises(InputError, match="1 clips have no segments in this source, the first in row 0"):
        part.subset([0, 1])


def test_fingerprints_tell_samples_and_labels_apart():
    clips = [np.full(4800, i + 1, np.int16) for i in range(2)]
    base = from_arrays(clips, list("ab"), list("st"), SEGMENTS).fingerprint()
    assert from_arrays(clips, list("ab"), list("st"), SEGMENTS).fingerprint() == base
    assert from_arrays(clips[::-1], list("ab"), list("st"), SEGMENTS).fingerprint() != base
    assert from_arrays(clips, list("ba"), list("st"), SEGMENTS).fingerprint() != base
    assert from_arrays(clips, list("ab"), list("su"), SEGMENTS).fingerprint() != base

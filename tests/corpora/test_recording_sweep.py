"""Mutated recordings and manifests by the thousand: each is used, or refused in the project's own words, soon."""

import contextlib
from pathlib import Path

import mutants
import numpy as np
import pytest
from mutants import Random, mutated_bytes, pick
from test_half_files import DECLARING, SOUND, content_of, video_of

from siamese_jax.corpora.audio import decode
from siamese_jax.corpora.check import check_manifest, format_report
from siamese_jax.corpora.manifest import COMMON_ALIASES, PAPER_EMOTIONS, read_manifest, read_rows, write_manifest
from siamese_jax.errors import ClipError

pytestmark = pytest.mark.sweep

EACH = 60  # mutants of a format
HEADER = 300  # bytes that half of the mutants change alone

FORMATS = [
    *DECLARING, ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("IRCAM", "PCM_16"),
    ("HTK", "PCM_16"), ("PAF", "PCM_24"), ("XI", "DPCM_16"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"),
]  # fmt: skip
VIDEOS = [
    ("avi", "pcm_s16le"), ("avi", "mp3"), ("flv", "mp3"), ("flv", "aac"), ("mp4", "aac"), ("mkv", "pcm_s16le"),
    ("mpg", "mp2"), ("mov", "aac"),
]  # fmt: skip


def mutate(rng: Random, content: bytes) -> bytes:
    if rng.random() < 0.5:
        return mutated_bytes(rng, content)
    return mutated_bytes(rng, content[:HEADER]) + content[HEADER:]


@pytest.mark.parametrize(("container", "codec"), FORMATS)
def test_mutated_recordings(tmp_path: Path, container: str, codec: str) -> None:
    path, content = tmp_path / "a.wav", content_of(container, codec)
    mutants.sweep(lambda rng: void(path.write_bytes(mutate(rng, content))), lambda: decode(path), EACH)


@pytest.mark.parametrize(("suffix", "codec"), VIDEOS)
def test_mutated_videos(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    content = video_of(path, codec, 16000 if codec == "pcm_s16le" else 44100, pictures=True)
    mutants.sweep(lambda rng: void(path.write_bytes(mutate(rng, content))), lambda: decode(path), EACH)


@pytest.mark.parametrize(("container", "codec"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_a_changed_bit_of_a_format_with_checksums_is_never_another_sound(
    tmp_path: Path, container: str, codec: str
) -> None:
    path, content = tmp_path / "a.ogg", content_of(container, codec)
    path.write_bytes(content)
    whole = decode(path).samples
    for number in range(EACH):
        path.write_bytes(mutate(np.random.default_rng(number), content))
        with contextlib.suppress(ClipError):
            np.testing.assert_array_equal(decode(path).samples, whole)


@pytest.mark.parametrize(("container", "codec"), DECLARING)
def test_recordings_cut_anywhere(tmp_path: Path, container: str, codec: str) -> None:
    path, content = tmp_path / "a.wav", content_of(container, codec)
    for length in np.random.default_rng(0).integers(1, len(content) - 64, EACH // 4):
        path.write_bytes(content[:length])
        with pytest.raises(ClipError):
            decode(path)


def test_mutated_headers_of_large_rates_and_counts(tmp_path: Path) -> None:
    path, content = tmp_path / "a.wav", content_of("WAV", "PCM_16", channels=2)

    def make(rng: Random) -> None:
        data = bytearray(content)
        for at, width in ((4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)):
            if rng.random() < 0.3:
                value = pick(rng, (0, 1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, int(rng.integers(2**32))))
                data[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
        path.write_bytes(data)

    mutants.sweep(make, lambda: decode(path), 600)


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("aliases", [None, COMMON_ALIASES])
def test_mutated_manifests(tmp_path: Path, aliases: dict[str, str] | None) -> None:
    emotions = (*PAPER_EMOTIONS, "angry", "")
    header = ["file", "emotion", "speaker", "corpus", "name", "sex", "start", "end"]
    rows = [[f"{i}.wav", emotions[i % 6], f"s{i % 5}", "c", f"n{i}", "fm"[i % 2], "0", "0.5"] for i in range(30)]
    path = tmp_path / "m.csv"
    content = content_of("WAV", "PCM_16")
    for i in range(0, 30, 3):
        (tmp_path / f"{i}.wav").write_bytes(content)

    def use() -> None:
        manifest, problems = read_rows(path, aliases=aliases)
        report = check_manifest(manifest, PAPER_EMOTIONS, 1, problems)
        assert len(format_report(report, 20).encode("utf-8").splitlines()) < 300
        write_manifest(tmp_path / "again.csv", manifest)
        if len(manifest):
            assert read_manifest(tmp_path / "again.csv").clips == manifest.clips

    n_used = mutants.sweep(lambda rng: mutants.csv(rng, path, [header, *rows]), use, 1000)
    assert 100 < n_used < 1000
    assert len(SOUND) == 8000

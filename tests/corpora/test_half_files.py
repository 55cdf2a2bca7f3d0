"""Half a download is no whole clip, and a whole clip with a wrong length in its header is no half."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from siamese_jax.corpora import containers
from siamese_jax.corpora.audio import decode
from siamese_jax.errors import ClipError

SOUND = np.random.default_rng(0).integers(-9000, 9000, 8000).astype(np.int16)

DECLARING = [
    (f, s)
    for f in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST", "CAF", "SVX", "VOC", "AVR", "MPC2K", "MAT4", "MAT5")
    for s in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "GSM610", "ALAC_16")
    if soundfile.check_format(f, s)
]
"""Formats and codecs of libsndfile whose header holds a length."""


def content_of(container: str, codec: str, channels: int = 1) -> bytes:
    file = io.BytesIO()
    sound = SOUND / 32768 if codec == "FLOAT" else SOUND
    if channels > 1:
        sound = np.stack([sound] * channels, axis=1)
    with soundfile.SoundFile(file, "w", 16000, channels, codec, format=container) as out:
        out.write(sound)
    return file.getvalue()


@pytest.mark.parametrize(("container", "codec"), DECLARING)
@pytest.mark.parametrize("suffix", ["wav", "bin"])
def test_a_half_downloaded_recording_is_unreadable(tmp_path: Path, container: str, codec: str, suffix: str) -> None:
    path, content = tmp_path / f"a.{suffix}", content_of(container, codec)
    path.write_bytes(content)
    assert len(decode(path).samples) >= len(SOUND)
    for share in (0.3, 0.5, 0.9, 0.95):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ClipError, match=r"unreadable|empty"):
            decode(path)


@pytest.mark.parametrize(
    ("container", "codec"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16"), ("SDS", "PCM_16")]
)
def test_a_half_downloaded_stream_is_unreadable(tmp_path: Path, container: str, codec: str) -> None:
    path, content = tmp_path / "a.ogg", content_of(container, codec)
    for share in (0.5, 0.9, 0.985):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ClipError, match=r"unreadable|empty"):
            decode(path)


def with_length(content: bytes, length: int | None) -> bytes:
    """The content with a length of the sound in its header; None for the size of the file."""
    found = containers.declared(io.BytesIO(content), len(content))
    assert found is not None
    size = (len(content) if length is None else length) + found.extra
    field = min(size, 2 ** (8 * found.width) - 1).to_bytes(found.width, "big" if found.order == "big" else "little")
    return content[: found.field] + field + content[found.field + found.width :]


PATCHABLE = [
    (f, s) for f, s in DECLARING if f in ("WAV", "RF64", "W64", "AIFF", "AU", "CAF") and s in ("PCM_16", "FLOAT")
]


@pytest.mark.parametrize(("container", "codec"), PATCHABLE)
@pytest.mark.parametrize("length", [0, 16000 + 44, None, 2**64])
def test_a_wrong_length_in_the_header_with_the_whole_sound_behind_it_is_read(
    tmp_path: Path, container: str, codec: str, length: int | None
) -> None:
    if length == 16000 + 44 and codec == "FLOAT":
        length += 16000
    path, content = tmp_path / "a.wav", content_of(container, codec)
    path.write_bytes(content)
    whole = decode(path).samples
    path.write_bytes(with_length(content, length))
    np.testing.assert_array_equal(decode(path).samples, whole)
    np.testing.assert_array_equal(decode(path, 0.1, 0.3).samples, whole[1600:4800])


@pytest.mark.parametrize("length", [2**31 - 1, 2**31 - 4096, 2**31 - 2**20, 2**32 - 1, 2**32 - 37])
def test_a_wav_written_to_a_pipe_is_read(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.wav").write_bytes(with_length(content_of("WAV", "PCM_16"), length))
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").samples, SOUND)


def test_a_gigabyte_that_stopped_early_is_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(with_length(content_of("WAV", "PCM_16"), 1_500_000_000))
    with pytest.raises(ClipError, match="unreadable: 16044 of 1500000044 bytes are there"):
        decode(tmp_path / "a.wav")


def test_a_length_of_0_with_nothing_but_texts_behind_it_is_an_empty_file(tmp_path: Path) -> None:
    empty = b"RIFF\x00\x00\x00\x00WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    (tmp_path / "a.wav").write_bytes(empty + b"data\0\0\0\0LIST\x0c\0\0\0INFOIART\0\0\0\0")
    with pytest.raises(ClipError, match="empty: the file holds no samples"):
        decode(tmp_path / "a.wav")


def test_a_flac_stream_that_does_not_know_its_length_is_read(tmp_path: Path) -> None:
    content = bytearray(content_of("FLAC", "PCM_16"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    np.testing.assert_array_equal(decode(tmp_path / "a.flac").samples, SOUND)
    np.testing.assert_array_equal(decode(tmp_path / "a.flac", 0.1, 0.2).samples, SOUND[1600:3200])
    with pytest.raises(ClipError, match=r"bad segment: ends at 0\.6 s, but the file ends at 0\.500 s"):
        decode(tmp_path / "a.flac", 0.1, 0.6)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"), ("AU", "G723_24"), ("AIFF", "DWVW_16")],
)
def test_codecs_that_cannot_seek_are_read(tmp_path: Path, container: str, codec: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content_of(container, codec))
    samples = decode(path).samples
    assert len(samples) >= len(SOUND)
    np.testing.assert_array_equal(decode(path, 0.1, 0.3).samples, samples[1600:4800])


def video_of(path: Path, codec: str, rate: int = 16000, seconds: float = 1.0, pictures: bool = False) -> bytes:
    av = pytest.importorskip("av")
    sound = np.random.default_rng(1).integers(-9000, 9000, (1, round(rate * seconds))).astype(np.int16)
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream(codec, rate=rate, layout="mono")]
        if pictures:
            streams.append(container.add_stream("flv1" if path.suffix == ".flv" else "mpeg4", rate=25))
            streams[1].width, streams[1].height, streams[1].pix_fmt = 32, 32, "yuv420p"
        step = rate // 25
        for i in range(int(25 * seconds)):
            frame = av.AudioFrame.from_ndarray(sound[:, i * step : (i + 1) * step], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, i * step
            for packet in streams[0].encode(frame):
                container.mux(packet)
            if pictures:
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), i, np.uint8), format="rgb24")
                picture.pts = i
                for packet in streams[1].encode(picture):
                    container.mux(packet)
        for stream in streams:
            for packet in stream.encode(None):
                container.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("avi", "pcm_s16le"),
        ("avi", "mp3"),
        ("flv", "mp3"),
        ("flv", "aac"),
        ("mp4", "aac"),
        ("mkv", "pcm_s16le"),
        ("mov", "aac"),
    ],
)
def test_a_truncated_video_is_no_shorter_clip(tmp_path: Path, suffix: str, codec: str, pictures: bool) -> None:
    path = tmp_path / f"a.{suffix}"
    content = video_of(path, codec, 44100 if codec != "pcm_s16le" else 16000, pictures=pictures)
    assert 15900 < len(decode(path).samples) < 18000
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ClipError, match="unreadable"):
            decode(path)


def test_an_flv_that_ends_between_two_tags_is_told_by_its_duration(tmp_path: Path) -> None:
    path = tmp_path / "a.flv"
    content = video_of(path, "mp3", 44100, 2.0)
    start, ends = 13, []
    while start < len(content):
        start += 15 + int.from_bytes(content[start + 1 : start + 4], "big")
        ends.append(start)
    path.write_bytes(content[: ends[len(ends) // 2]])
    with pytest.raises(ClipError, match=r"unreadable: \d\.\d\d of 2\.\d\d s are there"):
        decode(path)


def test_an_avi_without_a_size_is_told_by_its_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    content = video_of(path, "pcm_s16le")
    path.write_bytes(content[:4] + bytes(4) + content[8:])
    assert len(decode(path).samples) == 16000
    path.write_bytes(content[:4] + bytes(4) + content[8 : len(content) // 2])
    with pytest.raises(ClipError, match="unreadable"):
        decode(path)


def test_an_avi_without_its_index_is_whole_and_one_of_two_parts_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    content = video_of(path, "pcm_s16le")
    path.write_bytes(content[: content.index(b"idx1") + 8])
    assert len(decode(path).samples) == 16000
    second = b"RIFF" + struct.pack("<I", 4000) + b"AVIXLIST" + struct.pack("<I", 3988) + b"movi" + bytes(1000)
    path.write_bytes(content + second)
    with pytest.raises(ClipError, match=r"unreadable: \d+ of \d+ bytes"):
        decode(path)


def test_an_ogg_without_the_mark_of_its_end_may_be_cut_between_two_pages(tmp_path: Path) -> None:
    content = content_of("OGG", "VORBIS")
    (tmp_path / "a.ogg").write_bytes(content[: content.rindex(b"OggS")])
    with pytest.raises(ClipError, match="unreadable: its last page is not marked as its end"):
        decode(tmp_path / "a.ogg")


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_an_ogg_of_two_streams_in_a_row_is_no_shorter_clip(tmp_path: Path, codec: str) -> None:
    (tmp_path / "a.ogg").write_bytes(content_of("OGG", codec) + content_of("OGG", codec, channels=2))
    with pytest.raises(ClipError, match="unreadable: several streams, one after the other; fetch the file again, or"):
        decode(tmp_path / "a.ogg")


@pytest.mark.parametrize("suffix", ["wav", "bin", "mp3"])
def test_a_video_or_a_sound_under_the_suffix_of_the_other_is_read(tmp_path: Path, suffix: str) -> None:
    for kind, codec in (("avi", "pcm_s16le"), ("mp4", "aac"), ("flv", "mp3"), ("mkv", "pcm_s16le"), ("mpg", "mp2")):
        content = video_of(tmp_path / f"a.{kind}", codec, 44100)
        (tmp_path / f"b.{suffix}").write_bytes(content)
        np.testing.assert_array_equal(decode(tmp_path / f"b.{suffix}").samples, decode(tmp_path / f"a.{kind}").samples)
    for kind in ("WAV", "FLAC", "AIFF", "RF64"):
        (tmp_path / "c.mp4").write_bytes(content_of(kind, "PCM_16"))
        np.testing.assert_array_equal(decode(tmp_path / "c.mp4").samples, SOUND)


@pytest.mark.parametrize(("rate", "layout"), [(48000, "mono"), (44100, "stereo")])
def test_a_stream_whose_rate_or_channels_change_is_one_bad_clip(tmp_path: Path, rate: int, layout: str) -> None:
    av = pytest.importorskip("av")
    contents = []
    for number, how in enumerate([(44100, "mono"), (rate, layout)]):
        path = tmp_path / f"{number}.mpg"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mp2", rate=how[0], layout=how[1])
            samples = np.tile(SOUND, 4 if how[1] == "stereo" else 2)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=how[1])
            frame.sample_rate = how[0]
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
        contents.append(path.read_bytes())
    path = tmp_path / "c.mpg"
    path.write_bytes(b"".join(contents))
    with pytest.raises(ClipError, match=r"unreadable: \d+ Hz and \d channels after \d+ Hz and \d"):
        decode(path)

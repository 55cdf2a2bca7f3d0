import builtins
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.corpora import audio, decoders
from siamese_jax.corpora.audio import audio_hash, decode
from siamese_jax.errors import ClipError, InputError


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(-32768, 32768, 16000).astype(np.int16)


def tone(rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 300 * np.arange(round(rate * seconds)) / rate)


def write_video(path: Path, codec: str, samples: np.ndarray, rate: int) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono" if samples.ndim == 1 else "stereo")
        planar = samples[None] if samples.ndim == 1 else np.ascontiguousarray(samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(planar, format="s16", layout=stream.layout.name)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


@pytest.mark.parametrize("suffix", ["wav", "flac", "WAV"])
def test_16_bit_mono_comes_through_bit_by_bit(tmp_path: Path, noise: np.ndarray, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", noise, 16000, subtype="PCM_16")
    decoded = decode(tmp_path / f"a.{suffix}")
    assert decoded.samples.dtype == np.int16
    np.testing.assert_array_equal(decoded.samples, noise)
    assert (decoded.source_rate, decoded.resampling) == (16000, "none")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=880, max_size=900).filter(lambda xs: len(set(xs)) > 1))
def test_any_16_bit_samples_come_through(tmp_path_factory: pytest.TempPathFactory, values: list[int]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.wav"
    soundfile.write(path, np.asarray(values, np.int16), 16000, subtype="PCM_16")
    np.testing.assert_array_equal(decode(path).samples, values)


def test_channels_are_averaged(tmp_path: Path, noise: np.ndarray) -> None:
    stereo = np.stack([noise, np.roll(noise, 7)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16000, subtype="PCM_16")
    expected = np.rint(stereo.astype(np.float64).mean(axis=1))
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").samples, expected)


def test_resampling_is_soxr_rounded_to_16_bits(tmp_path: Path) -> None:
    sound = tone(48000)
    soundfile.write(tmp_path / "a.wav", sound, 48000, subtype="DOUBLE")
    decoded = decode(tmp_path / "a.wav")
    expected = np.rint(soxr.resample(sound, 48000, 16000, quality="HQ") * 32768)
    np.testing.assert_array_equal(decoded.samples, expected)
    assert (decoded.source_rate, decoded.resampling) == (48000, "soxr HQ")
    assert len(decode(tmp_path / "a.wav", rate=22050).samples) == 22050


def test_a_few_float_samples_above_1_are_cut_off_and_said(tmp_path: Path) -> None:
    sound = tone(16000)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    assert decode(tmp_path / "a.wav").resampling == "none"
    sound[100:104] = 1.5, -1.5, 3.0, 1.01
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    decoded = decode(tmp_path / "a.wav")
    assert decoded.samples[100:104].tolist() == [32767, -32768, 32767, 32767]
    assert decoded.resampling == "none, cut off at full scale"
    assert decode(tmp_path / "a.wav", rate=8000).resampling == "soxr HQ, cut off at full scale"


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("peak", [1.2, 2.0, 3.9, 5.0])
def test_many_float_samples_above_1_are_refused(tmp_path: Path, subtype: str, peak: float) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000) / 0.3 * peak, 16000, subtype=subtype)
    with pytest.raises(ClipError, match=f"out of range: samples reach {peak:g}, expected .* lie outside; divide"):
        decode(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["mkv", "mov", "avi"])
def test_float_samples_above_1_in_a_video_are_refused(tmp_path: Path, suffix: str) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / f"a.{suffix}"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray((tone(16000) * 6).astype(np.float32)[None], format="flt", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(ClipError, match=r"out of range: samples reach 1\.8"):
        decode(tmp_path / f"a.{suffix}")


def test_a_long_sound_in_blocks_has_the_bits_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(4).normal(0, 0.1, (30000, 2))
    soundfile.write(tmp_path / "a.wav", sound, 44100, subtype="DOUBLE")
    monkeypatch.setattr(decoders, "_BLOCK", 998)
    whole = soxr.resample(sound.mean(axis=1), 44100, 16000, quality="HQ")
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").samples, np.rint(whole * 32768))


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_formats_give_nearly_the_same_sound(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", tone(16000), 16000)
    samples = decode(tmp_path / f"a.{suffix}").samples
    assert len(samples) == 16000
    assert np.abs(samples[2000:-2000] / 32768 - tone(16000)[2000:-2000]).max() < 0.03


def test_segment_in_seconds(tmp_path: Path, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", noise, 16000, subtype="PCM_16")
    np.testing.assert_array_equal(decode(tmp_path / "a.wav", 0.25, 0.5).samples, noise[4000:8000])
    np.testing.assert_array_equal(decode(tmp_path / "a.wav", start=0.5).samples, noise[8000:])
    # An end rounded to hundredths may lie a little beyond the file.
    np.testing.assert_array_equal(decode(tmp_path / "a.wav", end=1.005).samples, noise)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.5, 0.5), (0.5, 0.2), (-0.1, 0.5), (0.0, 1.5), (1.5, None), (1e308, None), (0.0, 1e308), (np.nan, 1.0)],
)
def test_segment_outside_the_file(tmp_path: Path, noise: np.ndarray, start: float, end: float | None) -> None:
    soundfile.write(tmp_path / "a.wav", noise, 16000, subtype="PCM_16")
    write_video(tmp_path / "a.avi", "pcm_s16le", noise, 16000)
    for name in ("a.wav", "a.avi"):
        with pytest.raises(ClipError, match="bad segment"):
            decode(tmp_path / name, start, end)


def test_avi_is_bit_exact(tmp_path: Path, noise: np.ndarray) -> None:
    write_video(tmp_path / "a.avi", "pcm_s16le", noise, 16000)
    decoded = decode(tmp_path / "a.avi")
    np.testing.assert_array_equal(decoded.samples, noise)
    assert (decoded.source_rate, decoded.resampling) == (16000, "none")
    np.testing.assert_array_equal(decode(tmp_path / "a.avi", 0.25, 0.5).samples, noise[4000:8000])


def test_stereo_avi_is_averaged(tmp_path: Path, noise: np.ndarray) -> None:
    stereo = np.stack([noise, np.roll(noise, 7)], axis=1)
    write_video(tmp_path / "a.avi", "pcm_s16le", stereo, 16000)
    np.testing.assert_array_equal(decode(tmp_path / "a.avi").samples, np.rint(stereo.astype(np.float64).mean(axis=1)))


@pytest.mark.parametrize("suffix", ["mp4", "flv"])
def test_compressed_video(tmp_path: Path, suffix: str) -> None:
    write_video(tmp_path / f"a.{suffix}", "aac", (tone(44100) * 32767).astype(np.int16), 44100)
    decoded = decode(tmp_path / f"a.{suffix}")
    assert (decoded.source_rate, decoded.resampling) == (44100, "soxr HQ")
    assert abs(len(decoded.samples) - 16000) < 1100  # AAC pads to whole frames of 1024
    middle = decoded.samples[4000:12000].astype(np.float64)
    peak = np.argmax(np.abs(np.fft.rfft(middle))) * 16000 / len(middle)
    assert abs(peak - 300) < 3


def test_missing_pyav_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.avi").write_bytes(b"RIFF" * 500)
    original = builtins.__import__

    def without_av(name: str, *args: object, **kwargs: object) -> object:
        if name == "av":
            raise ImportError(name)
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(InputError, match=r"pip install 'siamese_jax\[video\]'") as caught:
        decode(tmp_path / "a.avi")
    assert not isinstance(caught.value, ClipError)  # every clip would fail: the run has to stop
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0AVI " * 500)
    with pytest.raises(ClipError, match="a video under another suffix, which needs PyAV"):
        decode(tmp_path / "a.wav")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"nowhere\.wav: missing"):
        decode(tmp_path / "nowhere.wav")


@pytest.mark.parametrize("suffix", ["wav", "avi"])
def test_git_lfs_pointer_is_named(tmp_path: Path, suffix: str) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 73290\n"
    (tmp_path / f"a.{suffix}").write_text(text)
    with pytest.raises(ClipError, match=r"git-lfs pointer.*git lfs pull"):
        decode(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["wav", "mp3", "avi"])
def test_empty_and_corrupt_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(ClipError, match="empty: the file has 0 bytes"):
        decode(path)
    path.write_bytes(b"no sound at all, only words " * 100)
    with pytest.raises(ClipError, match="unreadable"):
        decode(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_file_cut_short_is_not_half_a_clip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(48000), 48000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ClipError, match="unreadable"):
        decode(path)


def test_a_wav_written_to_a_pipe_claims_too_much_and_is_fine(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise, 16000, subtype="PCM_16")
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:at] + struct.pack("<I", 0xFFFFFFFF) + content[at + 4 :])
    np.testing.assert_array_equal(decode(path).samples, noise)


def test_no_samples_in_a_whole_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(ClipError, match="empty: the file holds no samples"):
        decode(tmp_path / "a.wav")


def test_video_without_sound(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(ClipError, match="no audio stream"):
        decode(tmp_path / "a.avi")


def test_too_short_is_879_samples(tmp_path: Path, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", noise[:879], 16000)
    soundfile.write(tmp_path / "b.wav", noise[:880], 16000)
    with pytest.raises(ClipError, match="too short: 879 samples at 16000 Hz, expected at least 880"):
        decode(tmp_path / "a.wav")
    assert len(decode(tmp_path / "b.wav").samples) == 880


@pytest.mark.parametrize("value", [0, 12])
def test_silence_is_one_value_throughout(tmp_path: Path, value: int) -> None:
    samples = np.full(2000, value, np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    with pytest.raises(ClipError, match=f"silent: every sample is {value}"):
        decode(tmp_path / "a.wav")
    samples[1000] += 1
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_samples_that_are_not_finite(tmp_path: Path, bad: float, rate: int) -> None:
    sound = tone(rate)
    sound[500] = bad
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    with pytest.raises(ClipError, match="not finite"):
        decode(tmp_path / "a.wav")


def test_integers_stored_as_floating_point(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000) * 20000, 16000, subtype="FLOAT")
    with pytest.raises(ClipError, match="out of range: samples reach 6000"):
        decode(tmp_path / "a.wav")


def test_every_reason_begins_with_a_kind(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    for path in (tmp_path / "a.wav", tmp_path / "b.wav"):
        with pytest.raises(ClipError) as caught:
            decode(path)
        assert caught.value.reason.partition(":")[0] in audio.KINDS
        assert caught.value.file == str(path)


def test_hash_is_of_the_samples_alone(noise: np.ndarray) -> None:
    digest = audio_hash(noise)
    assert digest == audio_hash(noise.copy())
    assert len(digest) == 32
    assert audio_hash(np.repeat(noise, 2)[::2]) == digest  # not contiguous in memory
    other = noise.copy()
    other[-1] ^= 1
    assert audio_hash(other) != digest
    # Golden: must not change between versions, since tables on disk hold it.
    assert audio_hash(np.arange(880, dtype=np.int16)) == "fc53dea6b3e64702f1e702c1064aab22"
    with pytest.raises(TypeError, match="int16"):
        audio_hash(noise.astype(np.float32))

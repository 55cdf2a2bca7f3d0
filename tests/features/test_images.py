"""Both views on sounds whose pictures are known, and the sheet that shows them."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.corpora.manifest import read_manifest
from siamese_jax.errors import InputError
from siamese_jax.features.images import (
    VIEWS,
    ImageConfig,
    mel_triangles,
    spectrogram_images,
    view_images,
    waveform_images,
)
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.report.cross_training.contact_sheet import Sample, choose_samples, contact_sheet

RATE = 8000
CONFIG = ImageConfig(
    rate=RATE, size=32, waveform_peak=1.0, window_seconds=0.032, fft_size=1024, low_hz=0.0, high_hz=4000.0,
    floor_db=-80.0, ceiling_db=0.0,
)  # fmt: skip
TIME = np.arange(RATE) / RATE


def picture(view, sound, config=CONFIG):
    return np.asarray(view_images(jnp.asarray(sound, jnp.float32)[None], view, config))[0, :, :, 0]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("size", "fft_size"), [(64, 2048), (160, 4096), (31, 1024)])
def test_any_size_and_the_range(view, size, fft_size):
    config = dataclasses.replace(CONFIG, size=size, fft_size=fft_size)
    noise = np.random.default_rng(0).uniform(-3, 3, (2, 7000))
    sounds = jnp.asarray(noise * np.linspace(0, 1, 7000), jnp.float32)
    images = view_images(sounds, view, config)
    assert images.shape == (2, size, size, 1)
    assert images.dtype == jnp.float32
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    np.testing.assert_array_equal(images, view_images(sounds, view, config))
    # An image does not depend on the rest of the batch.
    np.testing.assert_allclose(images[1], view_images(sounds[1:], view, config)[0], atol=1e-6)


def test_a_square_wave_fills_its_band_exactly():
    config = dataclasses.replace(CONFIG, size=33)
    sound = 0.5 * np.sign(np.sin(2 * np.pi * 400 * TIME) + 1e-9)
    image = picture("waveform", sound, config)
    # Rows 0 to 32 stand for 1 to -1: 0.5 is row 8, -0.5 row 24.
    np.testing.assert_array_equal(image[8:25], 1)
    np.testing.assert_array_equal(image[:8], 0)
    np.testing.assert_array_equal(image[25:], 0)


def test_constants_are_a_line_whose_edges_are_shared_by_pixels():
    config = dataclasses.replace(CONFIG, size=33)
    image = picture("waveform", np.full(RATE, -0.25 / 16), config)
    np.testing.assert_allclose(image[15:19, 0], [0, 0.75, 0.25, 0], atol=1e-6)
    np.testing.assert_array_equal(image, image[:, :1] * np.ones((1, 33)))
    assert picture("waveform", np.full(RATE, 7.0))[0].min() == 1  # beyond the peak: at the edge


def test_silence_is_a_middle_line_and_a_black_spectrogram():
    image = picture("waveform", np.zeros(RATE))
    np.testing.assert_array_equal(image[15:17], 0.5)
    np.testing.assert_array_equal(np.delete(image, [15, 16], axis=0), 0)
    np.testing.assert_array_equal(picture("spectrogram", np.zeros(RATE)), 0)


@pytest.mark.parametrize("view", VIEWS)
def test_a_click_is_in_its_column(view):
    sound = np.zeros(RATE)
    sound[RATE // 4 + 60] = 0.9
    image = picture(view, sound)
    silent = picture(view, np.zeros(RATE))
    lit = np.flatnonzero(np.abs(image - silent).max(axis=0) > 0.05)
    assert 8 in lit
    assert lit.min() >= 7
    assert lit.max() <= 9
    if view == "waveform":
        assert image[0, 8] == 0
        np.testing.assert_allclose(image[2:15, 8], 1)
        np.testing.assert_array_equal(lit, [8])


@given(hertz=st.floats(150, 3800), bounds=st.sampled_from([(0.0, 4000.0), (100.0, 3900.0), (0.0, 3300.0)]))
@settings(max_examples=15, deadline=None)
def test_a_tone_lights_the_row_of_its_frequency(hertz, bounds):
    low, high = bounds
    hertz = min(hertz, 0.95 * high)
    config = dataclasses.replace(CONFIG, low_hz=low, high_hz=high)
    image = picture("spectrogram", np.sin(2 * np.pi * hertz * TIME), config)
    mel = 2595 * np.log10(1 + np.array([hertz, low, high]) / 700)
    band = (mel[0] - mel[1]) / (mel[2] - mel[1]) * 33 - 1  # bands are centred at 1 ... 32 of 33 steps
    rows = image[:, 4:-4].argmax(axis=0)
    assert np.abs((31 - rows) - band).max() <= 1
    assert image[:, 16].max() > 0.9  # a full-scale sine is near 0 dB


def test_twenty_decibels_are_a_quarter_of_the_range():
    loud, soft = (picture("spectrogram", a * np.sin(2 * np.pi * 1000 * TIME)).max() for a in (0.5, 0.05))
    np.testing.assert_allclose(loud - soft, 0.25, atol=1e-4)


def test_a_full_scale_sine_sums_to_zero_decibels():
    config = dataclasses.replace(CONFIG, floor_db=-200.0)
    image = picture("spectrogram", np.sin(2 * np.pi * 1000 * TIME), config)[:, 16]
    np.testing.assert_allclose(10 * np.log10(np.sum(10 ** (20 * image - 20))), 0, atol=0.5)


@pytest.mark.parametrize("view", VIEWS)
def test_padding_looks_like_silence(view):
    sound = 0.5 * np.sin(2 * np.pi * 440 * TIME)
    sound[RATE // 2 :] = 0
    image = picture(view, sound)
    np.testing.assert_allclose(image[:, 20:], picture(view, np.zeros(RATE))[:, 20:], atol=1e-6)
    assert np.abs(image[:, :12] - picture(view, np.zeros(RATE))[:, :12]).max() > 0.5


def test_the_spectrogram_against_a_plain_loop():
    config = dataclasses.replace(CONFIG, size=8, low_hz=100.0)
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, 2000)
    window = config.window
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
    expected = np.zeros((8, 8))
    for t in range(8):
        first = int(np.floor((t + 0.5) * 2000 / 8 - window / 2))
        frame = np.array([sound[i] if 0 <= i < 2000 else 0 for i in range(first, first + window)]) * hann
        power = np.abs(np.fft.rfft(frame, 1024)) ** 2 * 4 / (1024 * np.sum(hann**2))
        for band in range(8):
            decibels = 10 * np.log10(power @ mel_triangles(config)[:, band])
            expected[7 - band, t] = np.clip((decibels + 80) / 80, 0, 1)
    np.testing.assert_allclose(picture("spectrogram", sound, config), expected, atol=1e-5)


def test_the_waveform_against_a_plain_loop():
    sound = np.random.default_rng(2).uniform(-1, 1, 1013)
    config = dataclasses.replace(CONFIG, size=10, waveform_peak=0.8)
    expected = np.zeros((10, 10))
    for column in range(10):
        share = sound[column * 1013 // 10 : (column + 1) * 1013 // 10 + 1]
        rows = [(1 - np.clip(a / 0.8, -1, 1)) * 4.5 for a in (share.max(), share.min())]
        for row in range(10):
            expected[row, column] = np.clip(min(rows[1] + 0.5, row + 0.5) - max(rows[0] - 0.5, row - 0.5), 0, 1)
    np.testing.assert_allclose(picture("waveform", sound, config), expected, atol=1e-5)


def test_segments_shorter_than_the_image_are_drawn():
    assert waveform_images(jnp.ones((1, 5)), CONFIG).shape == (1, 32, 32, 1)
    assert np.isfinite(spectrogram_images(jnp.ones((1, 5)), CONFIG)).all()


def test_gradients_are_finite_in_silence():
    grad = jax.grad(lambda x: spectrogram_images(x, CONFIG).sum())(jnp.zeros((1, 800)))
    assert np.isfinite(grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"fft_size": 256, "size": 160}, "mel bands are narrower.*fft_size = 512"), ({"fft_size": 100}, "fft_size = 100"),
     ({"high_hz": 5000.0}, "high_hz = 5000.0: expected half the sampling rate"), ({"low_hz": 4000.0}, "low_hz"),
     ({"floor_db": 0.0}, "floor_db"), ({"size": 1}, "size = 1"), ({"waveform_peak": 0.0}, "waveform_peak"),
     ({"window_seconds": 0.0}, "window_seconds")],
)  # fmt: skip
def test_bad_configs_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_unknown_views_are_refused():
    with pytest.raises(InputError, match="view 'mfcc': expected one of waveform, spectrogram"):
        view_images(jnp.zeros((1, 800)), "mfcc", CONFIG)


SEGMENTS = SegmentConfig(rate=RATE, seconds=0.5, hop_seconds=0.25, shortest_seconds=0.2, quiet_db=200.0)


def test_a_contact_sheet_of_a_manifest_leaves_bad_clips_out(tmp_path):
    rng = np.random.default_rng(0)
    for name, seconds in (("a", 1.0), ("b", 0.1), ("c", 0.4)):
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, int(seconds * RATE)), RATE)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "emotion", "speaker"), ("a.wav", "anger", "x"), ("b.wav", "fear", "x"), ("c.wav", "fear", "y")]
        )
    samples, errors = choose_samples(read_manifest(tmp_path / "clips.csv"), SEGMENTS, 9)
    assert [sample.caption.split("\n")[1] for sample in samples] == ["a, 0-0.5 s", "a, 0.25-0.75 s", "c, 0-0.5 s"]
    assert [error.file for error in errors] == ["b.wav"]
    contact_sheet(tmp_path / "sheet.png", samples, CONFIG, 2, "three clips")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_demo_sounds_are_segments():
    samples, errors = choose_samples(None, SEGMENTS, 1)
    assert not errors
    assert {sample.samples.shape for sample in samples} == {(4000,)}
    assert all(np.abs(sample.samples).max() <= 1.5 for sample in samples)


def test_a_manifest_whose_clips_are_all_too_short_or_silent_is_refused_with_their_reasons(tmp_path):
    rows = ["file,emotion,speaker"]
    for i in range(5):
        sound = np.zeros(RATE) if i == 4 else 0.1 * np.sin(np.arange(RATE // 16))
        soundfile.write(tmp_path / f"{i}.wav", sound, RATE, subtype="PCM_16")
        rows.append(f"{i}.wav,anger,{i}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    message = (
        r"none of the 5 clips drawn of 5 has a segment to show: 0\.wav: 0\.062 s is too short.*2\.wav: .*; and 2 more"
    )
    with pytest.raises(InputError, match=message):
        choose_samples(read_manifest(tmp_path / "clips.csv"), SEGMENTS, 9)
    rows = [rows[0], *rows[-1:]]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"none of the 1 clips drawn of 1 has a segment to show: 4\.wav: silent"):
        choose_samples(read_manifest(tmp_path / "clips.csv"), SEGMENTS, 9)


def test_bad_contact_sheets_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected a name ending in one of \.png"):
        contact_sheet(tmp_path / "sheet.txt", [], CONFIG, 2, "")
    with pytest.raises(InputError, match="one segment or more"):
        contact_sheet(tmp_path / "sheet.png", [], CONFIG, 2, "")
    unequal = [Sample(np.zeros(n, np.float32), "") for n in (5, 6)]
    with pytest.raises(InputError, match="all of one length"):
        contact_sheet(tmp_path / "sheet.png", unequal, CONFIG, 2, "")

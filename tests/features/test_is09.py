import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siamese_jax.corpora import audio
from siamese_jax.features import is09, is09_lld

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import is09_sounds  # noqa: E402

SOUNDS = is09_sounds.sounds()
LENGTH = is09.sample_count(64)
few = settings(max_examples=25, deadline=None)


@functools.cache
def program(stage, block):
    return jax.jit(functools.partial(getattr(is09, stage), block=block))


def compute(clips, stage="features", block=32, length=None):
    """A stage on clips, padded to the longest or to `length`."""
    length = length or max(map(len, clips))
    samples = np.zeros((len(clips), length), np.int16)
    for row, clip in enumerate(clips):
        samples[row, : len(clip)] = clip
    return np.asarray(program(stage, block)(samples, np.array([len(clip) for clip in clips], np.int32)))


@functools.cache
def all_features(block):
    return dict(zip(SOUNDS, compute(list(SOUNDS.values()), block=block)))


def wrong_columns(features, reference, part_of_deviation=1e-5, relative=1e-3):
    """Names of columns off by more than `relative` of the value and that part of the contour's own deviation."""
    error = np.abs(features.astype(float) - reference)
    deviation = np.repeat(reference[1::2], 2)
    close = (error <= relative * np.abs(reference)) | (error <= part_of_deviation * deviation)
    return [(is09.FEATURE_NAMES[i], features[i], reference[i]) for i in np.flatnonzero(~close)]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "opensmile_is09.npz") as arrays:
        return dict(arrays)


def test_rates_agree():
    assert audio.RATE == is09.RATE
    assert is09.MIN_SAMPLES == 880 == round(audio.MIN_SECONDS * is09.RATE)


@pytest.mark.parametrize("block", [None, 32])
@pytest.mark.parametrize("sound", SOUNDS)
def test_features_are_opensmiles(golden, sound, block):
    assert tuple(golden["feature_names"]) == is09.FEATURE_NAMES
    # From jax 0.12 on, a mean of differences over five frames, nearly zero, is rounded otherwise.
    relative = 1e-3 if jax.__version_info__ < (0, 12) else 1.5e-3
    reference = golden[f"{sound}/features"].astype(float)
    assert wrong_columns(all_features(block)[sound], reference, relative=relative) == []


@pytest.mark.parametrize("sound", ["speech_with_digital_silence", "lone_bursts", "pitch_jumps"])
def test_smoothed_contours_are_opensmiles(golden, sound):
    reference = golden[f"{sound}/smoothed"]
    frames = int(is09.frame_count(len(SOUNDS[sound])))
    descriptors = compute([SOUNDS[sound]], "low_level_descriptors")
    smooth, _ = is09.contours(descriptors, jnp.array([frames]))
    np.testing.assert_allclose(smooth[0], reference[:frames], rtol=1e-4, atol=2e-4)
    voiced = reference[:frames, -1] > 0
    assert voiced.any()
    np.testing.assert_array_equal(np.asarray(smooth)[0, :, -1] > 0, voiced)


def test_features_are_those_of_the_opensmile_package():
    opensmile = pytest.importorskip("opensmile", reason="the extra `reference` is not installed")
    smile = opensmile.Smile(opensmile.FeatureSet.IS09, opensmile.FeatureLevel.Functionals)
    for sound, samples in SOUNDS.items():
        table = smile.process_signal((samples / 32768.0).astype(np.float32), is09.RATE)
        reference = table[list(is09.FEATURE_NAMES)].to_numpy(float)[0]
        assert wrong_columns(all_features(32)[sound], reference) == [], sound


def test_float64_agrees_with_opensmile_and_with_float32(golden):
    samples = SOUNDS["speech_with_digital_silence"]
    with jax.enable_x64(True):
        exact = np.asarray(is09.features(samples[None], np.array([len(samples)]), 32))[0]
    assert exact.dtype == np.float64
    assert wrong_columns(exact, golden["speech_with_digital_silence/features"].astype(float)) == []
    assert wrong_columns(all_features(32)["speech_with_digital_silence"], exact) == []


def test_too_short_a_clip_has_no_features():
    features = compute([SOUNDS["shortest"], SOUNDS["shortest"][:879], SOUNDS["shortest"][:300]])
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1:]).all()


def test_shapes_are_checked():
    with pytest.raises(AssertionError):
        is09.features(np.zeros(880, np.int16), np.array([880]))
    with pytest.raises(AssertionError):
        is09.features(np.zeros((2, 880), np.float32), np.array([880, 880]))


def test_neighbours_and_padding_leave_a_clip_alone():
    clips = [SOUNDS[name][:9000] for name in ("glide", "white_noise", "chirp", "shortest")]
    batch = compute(clips, length=LENGTH)
    np.testing.assert_array_equal(compute(clips[::-1], length=LENGTH)[::-1], batch)
    for row, clip in enumerate(clips):
        others = [SOUNDS["full_scale"]] * 3
        np.testing.assert_array_equal(compute([*others, clip], length=LENGTH)[3], batch[row])
    np.testing.assert_allclose(compute(clips, length=2 * LENGTH), batch, rtol=2e-6, atol=1e-6)


@few
@given(hnp.arrays(np.int16, LENGTH), st.integers(880, LENGTH))
def test_what_lies_past_a_clip_is_never_looked_at(samples, length):
    clean = samples.copy()
    clean[length:] = 0
    both = program("features", 32)(np.stack([samples, clean]), np.array([length, length], np.int32))
    np.testing.assert_array_equal(both[0], both[1])
    assert np.isfinite(both).all()


@few
@given(
    st.lists(st.sampled_from([-32768, -1, 0, 1, 32767]), min_size=1, max_size=40),
    st.integers(1, 300),
    st.integers(880, LENGTH),
)
def test_extreme_samples_give_finite_features(values, repeats, length):
    samples = np.resize(np.repeat(np.array(values, np.int16), repeats), length)
    assert np.isfinite(compute([samples], length=LENGTH)).all()


@few
@given(st.integers(0, 20), st.integers(0, 20))
def test_a_shift_by_whole_hops_in_silence_shifts_the_descriptors(one, other):
    sound = SOUNDS["vibrato"][2000:6000]

    def shifted(hops):
        samples = np.zeros(LENGTH, np.int16)
        samples[(5 + hops) * 160 : (5 + hops) * 160 + len(sound)] = sound
        return compute([samples], "low_level_descriptors")[0, 4 + hops : 34 + hops]

    assert (shifted(one)[:, -1] > 0).any()
    np.testing.assert_allclose(shifted(one), shifted(other), rtol=1e-4, atol=2e-4)


def test_digital_silence():
    descriptors = compute([np.zeros(4000, np.int16)], "low_level_descriptors")[0]
    np.testing.assert_allclose(descriptors[:, 13], 398 / 400, rtol=1e-6)
    np.testing.assert_array_equal(np.delete(descriptors, 13, axis=1), 0)


@few
@given(hnp.arrays(np.int16, is09.sample_count(3), elements=st.sampled_from([-300, -1, 0, 0, 1, 32767, -32768])))
def test_zero_crossings_are_counted_one_by_one(samples):
    counts = []
    for start in (0, 160, 320):
        x = samples[start : start + 400].astype(int)
        crossing = [
            x[i - 1] * x[i] < 0 or (x[i] == 0 and x[i - 1] * x[i + 1] <= 0) for i in range(1, 399)
        ]  # fmt: skip
        counts.append(sum(crossing) / 400)
    rates = jax.jit(is09_lld.zero_crossing_rate)(samples.astype(np.int32))
    np.testing.assert_allclose(rates, counts, rtol=1e-6)


def follow(candidates):
    """The pitch over time, frame by frame as the definition tells it."""
    mean, kept, lag, result = 0.0, [0.0, 0.0], [0.0], []
    for pitch in candidates:
        if pitch > 0:
            mean = pitch if mean == 0 else mean
            inside = 0.6 * mean < pitch < 1.4 * mean
            kept.append(pitch if inside else mean)
            weight = 0.3 if inside else 0.1
            mean = (1 - weight) * mean + weight * pitch
        else:
            kept.append(0.0)
        lag.append(0.0 if kept[-3] == 0 and kept[-1] == 0 else kept[-2])
        result.append((lag[-2] + lag[-1]) / 2 if lag[-2] and lag[-1] else lag[-1])
    return result


@few
@given(hnp.arrays(np.float32, (2, 24), elements=st.sampled_from([0, 0, 63, 100, 141, 180, 250, 484]).map(float)))
def test_pitch_is_followed_as_frame_by_frame(candidates):
    tracked = jax.jit(is09.track_pitch)(candidates)
    np.testing.assert_allclose(tracked, [follow(row.astype(float)) for row in candidates], rtol=2e-6)


@few
@given(hnp.arrays(np.float32, (1, 20, 2), elements=st.floats(-50, 50, width=32)), st.integers(4, 20))
def test_functionals_are_those_of_the_definition(descriptors, frames):
    x = descriptors[0, :frames].astype(float)
    padded = np.pad(x, ((1, 1), (0, 0)), "edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    padded = np.pad(smooth, ((2, 2), (0, 0)), "edge")
    delta = (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10
    both = np.concatenate([smooth, delta], axis=1)[: frames - 2]
    expected = np.stack([both.mean(axis=0), both.std(axis=0)], axis=1).ravel()
    stages = jax.jit(lambda d, n: is09.functionals(*is09.contours(d, n), n))
    np.testing.assert_allclose(stages(descriptors, np.array([frames]))[0], expected, rtol=1e-4, atol=1e-4)


def test_mean_delta_of_a_contour_that_returns_to_zero_is_exactly_zero():
    descriptors = np.zeros((1, 30, 1), np.float32)
    descriptors[0, 5:20, 0] = np.linspace(0.1, 77.7, 15)
    frames = jnp.array([30])
    assert float(is09.functionals(*is09.contours(descriptors, frames), frames)[0, 2]) == 0.0


def test_mel_triangles_cover_the_band_and_carry_nothing_at_its_ends():
    weights = is09_lld.mel_weights()
    assert weights.shape == (257, 26)
    assert not weights[[0, 256]].any()
    mel = 1127 * np.log1p(np.arange(257) * 31.25 / 700)
    edges = np.linspace(0, 1127 * np.log1p(8000 / 700), 28)
    inner = (mel >= edges[1]) & (mel <= edges[-2])
    np.testing.assert_allclose(weights[inner].sum(axis=1), 1, rtol=1e-12)


def test_cepstral_weights_are_a_liftered_cosine_transform():
    order = np.arange(1, 13)
    expected = scipy.fft.dct(np.eye(26), norm="ortho", axis=0)[1:13].T * (1 + 11 * np.sin(np.pi * order / 22))
    np.testing.assert_allclose(is09_lld.cepstral_weights(), expected, atol=1e-12)


@pytest.mark.parametrize("length", [is09.sample_count(64), is09.sample_count(64) - 1, 5000])
def test_pieces_give_the_features_of_the_whole(length):
    clips = [SOUNDS["glide"][:length], SOUNDS["speech_with_digital_silence"][: length // 2]]
    samples = np.zeros((2, length), np.int16)
    for row, clip in enumerate(clips):
        samples[row, : len(clip)] = clip
    lengths = np.array([len(clip) for clip in clips], np.int32)
    pieces = is09.cut(jnp.asarray(samples), 32)
    assert pieces.shape[2] == is09.sample_count(32)
    of_pieces = jax.jit(is09.features_of_pieces)(pieces, lengths)
    np.testing.assert_allclose(of_pieces, compute(clips), rtol=2e-6, atol=1e-6)


def read(folder, clip):
    return soundfile.read(folder / "audio" / "ravdess" / f"Actor_{clip[18:20]}" / clip, dtype="int16")[0]


@pytest.fixture(scope="module")
def ravdess(data_folder):
    with np.load(data_folder / "tables" / "opensmile_is09_ravdess.npz") as arrays:
        return dict(arrays)


@pytest.mark.data
def test_contours_of_real_clips_are_opensmiles(ravdess):
    for number in range(len(ravdess["contour_clips"])):
        samples, raw = ravdess[f"c{number}_int16"], ravdess[f"c{number}_raw"]
        frames = len(raw)
        descriptors = compute([samples], "low_level_descriptors")
        np.testing.assert_array_equal(descriptors[0, :, -1] > 0, raw[:, -1] > 0)
        np.testing.assert_allclose(descriptors[0], raw, rtol=1e-4, atol=3e-4)
        smooth, delta = is09.contours(descriptors, jnp.array([frames]))
        np.testing.assert_allclose(smooth[0], ravdess[f"c{number}_sma"][:frames], rtol=1e-4, atol=2e-4)
        counted = frames - 2
        np.testing.assert_allclose(delta[0, :counted], ravdess[f"c{number}_delta"][:counted], rtol=1e-4, atol=1e-4)


@pytest.mark.data
def test_features_of_all_real_clips_are_opensmiles(ravdess, data_folder):
    reference = ravdess["opensmile64"].astype(float)
    clips = [read(data_folder, clip) for clip in ravdess["clip"]]
    longest = max(map(len, clips))
    features = np.concatenate([compute(clips[i : i + 48], block=64, length=longest) for i in range(0, len(clips), 48)])
    error = np.abs(features - reference)
    deviation = np.repeat(reference[:, 1::2], 2, axis=1)

    def share(part):
        return ((error <= 1e-3 * np.abs(reference)) | (error <= part * deviation)).all(axis=1).mean()

    print(
        f"\nof {len(clips)} clips, all 64 features within 1e-3 of the value or 1e-6 of the deviation: "
        f"{share(1e-6):.4%}; or 1e-5: {share(1e-5):.4%}; largest error in across-clip deviations: "
        f"{(error / reference.std(axis=0)).max():.2g}"
    )
    assert share(1e-6) >= 0.99
    assert share(1e-5) == 1
    # A voicing flip moves the mean of F0 by at least 60 Hz / 500 frames, far beyond rounding.
    pitch = is09.FEATURE_NAMES.index("F0_sma_amean")
    assert error[:, pitch].max() < 0.01

"""Cutting clips into segments: every sample in one, padding only at the end, bad clips named."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.errors import ClipError, InputError
from siamese_jax.features.segments import (
    SegmentConfig,
    cut,
    gather_segments,
    index_segments,
    segment_starts,
    sounding_starts,
)

CONFIG = SegmentConfig(rate=100, seconds=1.0, hop_seconds=0.5, shortest_seconds=0.3, quiet_db=200.0)


@pytest.mark.parametrize(
    ("samples", "starts"),
    [(30, [0]), (100, [0]), (101, [0, 50]), (150, [0, 50]), (151, [0, 50, 100]), (275, [0, 50, 100, 150, 200])],
)
def test_starts(samples, starts):
    assert segment_starts(samples, CONFIG, "a.wav").tolist() == starts


def test_the_last_segment_is_padded_with_zeros():
    samples = np.arange(1, 121, dtype=np.float32) / 200
    segments = cut(samples, CONFIG, "a.wav")
    np.testing.assert_array_equal(segments[0], samples[:100])
    np.testing.assert_array_equal(segments[1], np.append(samples[50:], np.zeros(30, np.float32)))


def test_int16_is_scaled_to_full_scale():
    segments = cut(np.full(100, -32768, np.int16), CONFIG, "a.wav")
    assert segments.dtype == np.float32
    np.testing.assert_array_equal(segments, -1)


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(10, 400), length=st.integers(5, 120), data=st.data())
def test_every_sample_is_in_a_segment_and_no_more_are_made(samples, length, data):
    hop = data.draw(st.integers(1, length))
    config = SegmentConfig(rate=1, seconds=length, hop_seconds=hop, shortest_seconds=10, quiet_db=200.0)
    starts = segment_starts(samples, config, "a.wav")
    assert set(np.diff(starts)) <= {hop}
    assert starts[-1] + length >= samples
    assert len(starts) == 1 or starts[-2] + length < samples
    assert starts[-1] < samples


def test_batches_of_segments_come_from_their_clips():
    clips = [np.full(130, 0.25, np.float32), np.full(60, 8192, np.int16), np.full(100, 0.75, np.float32)]
    index = index_segments(clips, ["a", "b", "c"], CONFIG)
    assert index.clip.tolist() == [0, 0, 1, 2]
    assert index.start.tolist() == [0, 50, 0, 0]
    batch = gather_segments(clips, index, np.array([3, 1, 2]))
    np.testing.assert_array_equal(batch.sum(axis=1), [75, 20, 15])


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_quiet_segments_are_left_out(dtype):
    loudness = np.repeat([1, 1, 1000, 1000, 60, 60, 50, 50], 50)  # the last are 26 dB below the loudest
    samples = (loudness * np.tile([1, -1], 200) / (1 if dtype == np.int16 else 32768)).astype(dtype)
    quiet = dataclasses.replace(CONFIG, hop_seconds=1.0, quiet_db=25.0)
    np.testing.assert_array_equal(sounding_starts(samples, quiet, "a.wav"), [100, 200])
    kept = sounding_starts(samples, dataclasses.replace(quiet, quiet_db=200.0), "a.wav")
    np.testing.assert_array_equal(kept, [0, 100, 200, 300])
    np.testing.assert_array_equal(sounding_starts(np.zeros(250, dtype), quiet, "a.wav"), [0, 100, 200])


def test_short_clips_are_named():
    with pytest.raises(ClipError, match=r"b\.wav: 0\.290 s is too short: 0\.3 s or more are expected") as raised:
        index_segments([np.ones(100), np.ones(29)], ["a.wav", "b.wav"], CONFIG)
    assert raised.value.file == "b.wav"
    with pytest.raises(ClipError, match=r"a\.wav: 0\.000 s"):
        cut(np.zeros(0, np.int16), CONFIG, "a.wav")


@pytest.mark.parametrize(
    ("values", "message"),
    [((0, 1, 1, 1, 25), "rate = 0"), ((100, 1, 0, 1, 25), "hop_seconds = 0"),
     ((100, 1, 1.5, 1, 25), "would lose samples"),
     ((100, 0.001, 0.001, 1, 25), "one sample"), ((100, 1, 1, -1, 25), "shortest_seconds = -1"),
     ((100, 1, 1, 1, 0), "quiet_db = 0")],
)  # fmt: skip
def test_bad_configs_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SegmentConfig(*values)


def test_no_clips_have_no_segments():
    assert len(index_segments([], [], CONFIG)) == 0

"""Long recordings cut at pauses, and lists of segments that are given."""

import dataclasses
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tones_for_tests import EXTRACTOR, PITCHES, write_tone

from siamese_jax.corpora import audio
from siamese_jax.corpora.manifest import Clip
from siamese_jax.errors import ClipError, InputError
from siamese_jax.recognizer import recordings, segments
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.segment_lists import cut, read_segments, segmented
from siamese_jax.recognizer.segments import SEGMENTS, SegmentSettings, bounded, recording_segments

RATE = 16000


def speech(*parts, level=0.2):
    """Noise as loud as speech for positive seconds, the hiss of a room for negative ones: int16 [n]."""
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, level if s > 0 else 1e-5, round(abs(s) * RATE)) for s in parts]
    return (np.clip(np.concatenate(sounds), -1, 1) * 32767).astype(np.int16)


def written(path, samples):
    soundfile.write(path, samples, RATE)
    return path


def clips_of(*names):
    return [Clip(name, name, "", "", "") for name in names]


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 300)), max_size=12), st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_segments_are_in_bounds_apart_and_cover_all_sound_whatever_the_pauses(parts, before):
    rate = 50  # samples a second, so that a hop is one
    config = dataclasses.replace(SEGMENTS, hop=1 / rate, frame=1 / rate)
    intervals, place = [], before
    for sounding, pause in parts:
        intervals.append((place, place + sounding))
        place += sounding + pause
    sound = np.random.default_rng(place).normal(0, 1, place).astype(np.float32)
    found = bounded(intervals, sound, rate, config)
    covered = np.zeros(place, int)
    for start, end in found:
        assert 0 <= start < end <= place
        assert end - start <= 8 * rate
        assert end - start >= min(1 * rate, place)
        covered[start:end] += 1
    assert covered.max(initial=0) <= 1
    assert found == sorted(found)
    for start, end in intervals:
        assert covered[start:end].all()


def test_a_long_recording_is_cut_where_nobody_speaks(tmp_path):
    path = written(tmp_path / "a.wav", speech(-1, 3, -1.5, 2, -0.1, 2, -2))
    (first, second) = recording_segments(path)
    assert first == pytest.approx((0.9, 4.1), abs=0.05)
    # A tenth of a second is no pause.
    assert second == pytest.approx((5.4, 9.7), abs=0.05)


def test_a_sentence_without_a_pause_is_cut_into_pieces_of_8_s_at_most(tmp_path):
    found = recording_segments(written(tmp_path / "a.wav", speech(21)))
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(21, abs=0.02)
    assert all(1 <= end - start <= 8 for start, end in found)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


def test_a_short_recording_stays_whole_even_where_its_header_tells_no_length(tmp_path, monkeypatch):
    path = written(tmp_path / "a.wav", speech(2, -1, 2))
    assert recording_segments(path) is None
    monkeypatch.setattr(segments, "recording_seconds", lambda path: None)
    assert recording_segments(path) is None


def test_blocks_lose_and_double_nothing_and_bound_the_memory(tmp_path, monkeypatch):
    parts = [part for i in range(30) for part in (1.5 + 0.1 * (i % 7), -0.6)]
    path = written(tmp_path / "a.flac", speech(*parts))
    held = []
    speech_segments = segments.speech_segments
    monkeypatch.setattr(
        segments,
        "speech_segments",
        lambda samples, *rest: (held.append(len(samples)), speech_segments(samples, *rest))[1],
    )
    whole = recording_segments(path)
    assert len(held) == 1
    held.clear()
    found = recording_segments(path, dataclasses.replace(SEGMENTS, block=32.0))
    assert len(held) > 2
    assert max(held) <= 32 * RATE
    assert len(found) == len(whole) == 30
    assert np.abs(np.array(found) - np.array(whole)).max() < 0.15


def test_a_long_recording_of_a_quiet_room_is_named_and_left_out(tmp_path, caplog):
    written(tmp_path / "quiet.wav", speech(9, level=1e-5))
    written(tmp_path / "good.wav", speech(5, -1, 5))
    left_out = []
    found = list(segmented(tmp_path, clips_of("quiet.wav", "good.wav"), {}, left_out, strict=False))
    assert [clip.file for clip in found] == ["good.wav", "good.wav"]
    assert left_out == [("quiet.wav", "silent: nothing above -90 dBFS")]
    assert "left out: quiet.wav" in caplog.text
    with pytest.raises(ClipError, match=r"quiet\.wav: silent"):
        list(segmented(tmp_path, clips_of("quiet.wav"), {}, [], strict=True))


def test_a_damaged_recording_is_left_to_its_reader_and_the_others_are_cut(tmp_path):
    written(tmp_path / "good.wav", speech(5, -1, 5))
    bad = written(tmp_path / "bad.wav", speech(12))
    bad.write_bytes(bad.read_bytes()[:200_000])
    written(tmp_path / "short.wav", speech(1))
    clips = clips_of("bad.wav", "gone.wav", "good.wav", "short.wav")
    found = list(segmented(tmp_path, clips, {}, [], strict=True))
    assert [(clip.file, clip.start is None) for clip in found] == [
        ("bad.wav", True), ("gone.wav", True), ("good.wav", False), ("good.wav", False), ("short.wav", True),
    ]  # fmt: skip
    assert len({clip.name for clip in found}) == 5


def test_a_header_that_claims_days_is_refused_before_decoding(tmp_path, monkeypatch):
    path = written(tmp_path / "a.wav", speech(9))
    monkeypatch.setattr(audio, "_MOST_FRAMES", 8 * RATE)
    with pytest.raises(ClipError, match="too long"):
        recording_segments(path)


def test_times_of_a_clip_that_the_user_gave_stay(tmp_path):
    (clip,) = clips_of("a.wav")
    clip = dataclasses.replace(clip, start=1.0, end=20.0)
    assert list(segmented(tmp_path, [clip], {}, [], strict=True)) == [clip]


@pytest.fixture
def folder(tmp_path):
    written(tmp_path / "a.wav", speech(10))
    written(tmp_path / "b.wav", speech(2))
    return tmp_path


def listed(folder, *rows):
    path = folder / "segments.csv"
    path.write_text("\n".join(("file,start,end", *rows)), encoding="utf-8")
    return path


def test_a_list_gives_the_segments_which_may_overlap_and_other_files_are_cut_as_usual(folder):
    spans = read_segments(listed(folder, "a.wav,0,4", "a.wav,3.5,10.005", "a.wav,0:00:08,9"), folder)
    assert spans == {"a.wav": [(0, 4), (3.5, 10.005), (8, 9)]}
    found = list(segmented(folder, clips_of("a.wav", "b.wav"), spans, [], strict=True))
    assert [(clip.file, clip.start, clip.end) for clip in found] == [
        ("a.wav", 0, 4), ("a.wav", 3.5, 10.005), ("a.wav", 8, 9), ("b.wav", None, None),
    ]  # fmt: skip


def test_a_name_is_found_in_any_unicode_form_and_an_unused_one_is_named(folder, caplog):
    written(folder / "e\u0301.wav", speech(10))
    spans = read_segments(listed(folder, "./\u00e9.wav,0,4", "b.wav,0,1"), folder)
    (clip,) = segmented(folder, clips_of("e\u0301.wav"), spans, [], strict=True)
    assert (clip.start, clip.end) == (0, 4)
    assert "not among those given: b.wav" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c.wav,0,1", "row 2, file: 'c.wav' is no recording below .*missing: no such file"),
        (",0,1", "row 2, file: is empty"),
        ("a.wav,,1", "row 2, start: is empty; expected seconds"),
        ("a.wav,x,1", "row 2, start: 'x', expected seconds"),
        ("a.wav,-1,1", "row 2, start: '-1', expected seconds, 0 or more"),
        ("a.wav,2,1", "row 2, end: 1 s does not lie after the start, 2 s"),
        ("a.wav,2,2", "row 2, end: 2 s does not lie after the start"),
        ("a.wav,1,10.5", r"row 2, end: 10\.5 s lies after the end of the recording, 10\.00 s"),
        ("a.wav,nan,2", "row 2, start: 'nan', expected seconds"),
        ("a.wav,1,2\na.wav,1,2", "row 3, file: the segment is already in row 2; list it once"),
    ],
)
def test_a_bad_row_of_a_list_is_named_with_its_field(folder, row, message):
    with pytest.raises(InputError, match=rf"segments\.csv: 1 bad fields: {message}"):
        read_segments(listed(folder, row), folder)


def test_a_list_without_rows_or_columns_is_refused(folder):
    with pytest.raises(InputError, match="no rows below the header"):
        read_segments(listed(folder), folder)
    (folder / "other.csv").write_text("file,begin,stop\na.wav,0,1\n")
    with pytest.raises(InputError, match="no column start, end"):
        read_segments(folder / "other.csv", folder)


def test_segments_of_a_long_recording_get_labels_of_their_own_with_times(tmp_path):
    for word, take in itertools.product(PITCHES, range(4)):
        write_tone(tmp_path / "labelled" / word / f"{take}.wav", word, take)
    first, second = list(PITCHES)[:2]
    tones = [soundfile.read(tmp_path / "labelled" / word / "0.wav")[0] for word in (first, second)]
    pause = np.random.default_rng(0).normal(0, 1e-5, 5 * RATE)
    written(tmp_path / "long.wav", np.concatenate([np.tile(tones[0], 3), pause, np.tile(tones[1], 4), pause]))
    model = FewShotEmotion(source="", c=1.0, workers=1, extractor=EXTRACTOR)
    model.fit_manifest(recordings.labelled(tmp_path / "labelled"))
    given = cut(recordings.given([tmp_path / "long.wav"]), {}, strict=True)
    rows = [row.prediction for row in model.label(given)]
    assert [row.label for row in rows] == [first, second]
    assert [row.file for row in rows] == ["long.wav", "long.wav"]
    assert rows[0].start < 0.2
    assert rows[1].start == pytest.approx(len(tones[0]) * 3 / RATE + 5, abs=0.2)
    assert rows[1].end > rows[1].start + 1


@pytest.mark.parametrize("changed", [{"longest": 0.0}, {"pause": -1.0}, {"longest": 1.5}, {"block": 10.0}])
def test_settings_that_cannot_hold_are_refused(changed):
    with pytest.raises(InputError, match="SegmentSettings"):
        SegmentSettings(**changed)

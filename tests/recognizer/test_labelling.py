"""From recordings to predictions: unreadable, silent and poor clips, parts, modes, and evaluation."""

import itertools
import logging

import numpy as np
import pytest
import soundfile
from tones_for_tests import EXTRACTOR, PITCHES, RATE, write_tone

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction
from siamese_jax.errors import ClipError, InputError
from siamese_jax.recognizer import evaluation, labelling, recordings, segment_lists
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Clips


def recognizer(**changes):
    settings = {"source": "", "c": 1.0, "workers": 1, "extractor": EXTRACTOR} | changes
    return FewShotEmotion(**settings)


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    for word, take in itertools.product(PITCHES, range(4)):
        write_tone(folder / word / f"{take}.wav", word, take)
    return recognizer().fit_manifest(recordings.labelled(folder))


@pytest.fixture
def folder(tmp_path):
    for word, take in itertools.product(PITCHES, range(10, 14)):
        write_tone(tmp_path / "new" / f"{word}_{take}.wav", word, take)
    return tmp_path / "new"


def test_labels_of_new_recordings_are_right_and_probabilities_sum_to_one(enrolled, folder):
    rows = [row.prediction for row in enrolled.label(recordings.given([folder]))]
    assert [row.label for row in rows] == [row.file.split("_")[0] for row in rows]
    for row in rows:
        assert sum(row.probabilities.values()) == pytest.approx(1)
        assert (row.start, row.end, row.mode) == (0.0, 0.6, "clip")


def test_one_unreadable_clip_among_five_hundred_is_named_and_the_others_are_labelled(enrolled, folder, caplog):
    first = sorted(folder.iterdir())[0]
    for number in range(488):
        (folder / f"copy_{number}.wav").hardlink_to(first)
    (folder / "bad.wav").write_bytes(b"not a sound")
    given = recordings.given([folder])
    assert len(list(enrolled.label(given))) == 500
    assert [file for file, _ in given.left_out] == ["bad.wav"]
    assert "left out: bad.wav: unreadable" in caplog.text
    assert "1 of 501 clips were left out" in caplog.text


def test_unreadable_clips_of_many_parts_are_named_up_to_a_number_and_counted_once(
    enrolled, folder, caplog, monkeypatch
):
    monkeypatch.setitem(labelling.PART, "clip", 10)
    n_clips = len(list(folder.iterdir()))
    for number in range(60):
        (folder / f"bad_{number}.wav").write_bytes(b"")
    given = recordings.given([folder])
    assert len(list(enrolled.label(given))) == n_clips
    assert len(given.left_out) == 60
    assert caplog.text.count("left out: bad_") == extraction.NAMED
    assert caplog.text.count("clips were left out") == 1
    assert f"60 of {n_clips + 60} clips were left out (60 empty)" in caplog.text


@pytest.mark.long
def test_a_long_recording_has_a_label_for_each_segment_with_its_times(enrolled, tmp_path):
    parts = []
    for word in ("joy", "anger", "fear"):
        path = write_tone(tmp_path / "parts" / f"{word}.wav", word, 20, seconds=4.0)
        parts += [soundfile.read(path, dtype="int16")[0], np.zeros(RATE, np.int16)]
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), RATE, subtype="PCM_16")
    rows = [
        row.prediction
        for row in enrolled.label(segment_lists.cut(recordings.given([tmp_path / "long.wav"]), {}, False))
    ]
    assert [row.label for row in rows] == ["joy", "anger", "fear"]
    assert [row.start for row in rows] == pytest.approx([0, 5, 10], abs=0.2)
    assert [row.end for row in rows] == pytest.approx([4, 9, 14], abs=0.2)


def test_an_unreadable_clip_moves_no_label_to_another_file(enrolled, folder):
    (folder / "0_bad.wav").write_bytes(b"not a sound")
    rows = [row.prediction for row in enrolled.label(recordings.given([folder]))]
    assert [row.file for row in rows] == sorted(path.name for path in folder.iterdir())[1:]
    assert [row.label for row in rows] == [row.file.split("_")[0] for row in rows]


@pytest.mark.parametrize(("asked", "mode"), [("clip", "clip"), ("folder", "folder"), ("auto", "clip")])
def test_labels_have_the_mode_the_speakers_and_the_stated_error(enrolled, folder, monkeypatch, asked, mode):
    of_model, of_threshold = [], []
    threshold = labelling.confidence.unsure

    def log_probabilities(self, x, mode, speaker):
        of_model.append((len(x), mode, speaker.tolist()))
        return np.log(np.full((len(x), 3), 1 / 3))

    monkeypatch.setattr(type(enrolled.model), "log_probabilities", log_probabilities)
    monkeypatch.setattr(labelling.confidence, "unsure", lambda *given: of_threshold.append(given) or threshold(*given))
    files = sorted(path.name for path in folder.iterdir())
    speakers = [f"speaker {i % 2}" for i in range(len(files))]
    clips = [Clip(file, file, "joy", who, "") for file, who in zip(files, speakers)]
    given = recordings.Recordings(folder, iter(clips), [])
    labelled = list(enrolled.label(given, asked, 0.35))
    least = threshold(np.full(len(files), 1 / 3), mode, enrolled.model.held_out, 0.35)[1]
    reason = "no label is sure enough" if mode == "folder" else f"its probability is below {least:.2f}"
    assert [(row.prediction.unsure, row.prediction.reason) for row in labelled] == [(True, reason)] * len(files)
    monkeypatch.setattr(evaluation, "evaluate", lambda model, labelled, left_out: len(labelled))
    assert enrolled.evaluate(Manifest(folder, tuple(clips)), asked, 0.35) == len(files)
    assert enrolled.predict_proba([folder / file for file in files], asked, speakers).shape == (len(files), 3)
    assert of_model == 3 * [(len(files), mode, speakers)]
    assert len(of_threshold) == 2
    for _, of_mode, held_out, stated in of_threshold:
        assert (of_mode, stated) == (mode, 0.35)
        np.testing.assert_array_equal(held_out, enrolled.model.held_out)


def test_strict_stops_at_an_unreadable_clip(enrolled, folder, tmp_path):
    (folder / "bad.wav").write_bytes(b"not a sound")
    enrolled.save(tmp_path / "m")
    strict = FewShotEmotion.load(tmp_path / "m", workers=1, strict=True, extractor=EXTRACTOR)
    with pytest.raises(ClipError, match=r"bad\.wav"):
        list(strict.label(recordings.given([folder])))


def test_silence_is_left_out_by_name(enrolled, folder):
    soundfile.write(folder / "silence.wav", np.zeros(RATE, np.int16), RATE)
    given = recordings.given([folder])
    assert len(list(enrolled.label(given))) == 12
    assert given.left_out[0][0] == "silence.wav"
    assert given.left_out[0][1].startswith("silent")


def test_clipped_short_and_nearly_silent_clips_are_unsure_and_say_why(enrolled, tmp_path):
    square = np.where(np.arange(RATE) % 20 < 10, 32767, -32768).astype(np.int16)
    soundfile.write(tmp_path / "clipped.wav", square, RATE, subtype="PCM_16")
    write_tone(tmp_path / "short.wav", "joy", seconds=0.2)
    soundfile.write(tmp_path / "low.wav", (square // 8192), RATE, subtype="PCM_16")
    rows = {row.prediction.file: row.prediction for row in enrolled.label(recordings.given([tmp_path]))}
    assert {row.unsure for row in rows.values()} == {True}
    assert rows["clipped.wav"].reason.startswith("clipped: ")
    assert rows["short.wav"].reason == "too short: 0.20 s"
    assert rows["low.wav"].reason.startswith("almost silent: ")


def test_a_folder_of_a_million_files_is_read_part_by_part(enrolled, monkeypatch, folder):
    """No more than one part of the clips is listed before the first label."""
    monkeypatch.setitem(labelling.PART, "clip", 16)
    listed = itertools.count()
    name = sorted(path.name for path in folder.iterdir())[0]
    clips = (Clip(name, str(next(listed)), "", "", "") for _ in range(1_000_000))
    model, options = enrolled.model, enrolled._options
    rows = labelling.label(model, EXTRACTOR, options, folder, clips, "clip", [], 0.2)
    assert len(list(itertools.islice(rows, 40))) == 40
    assert next(listed) == 48


@pytest.mark.long
def test_a_large_folder_in_mode_folder_is_labelled_in_parts_and_says_so(enrolled, monkeypatch, folder, caplog):
    monkeypatch.setitem(labelling.PART, "folder", 6)
    assert len(list(enrolled.label(recordings.given([folder]), "folder"))) == 12
    assert "6 clips or more: they are labelled in parts" in caplog.text


def test_a_single_clip_has_the_same_probabilities_alone_and_among_others(enrolled, folder):
    files = sorted(folder.iterdir())
    together = enrolled.predict_proba(files)
    assert np.array_equal(together[3], enrolled.predict_proba(files[3:4])[0])
    assert enrolled.predict(files).tolist() == [path.name.split("_")[0] for path in files]


def test_rows_of_unreadable_files_are_nan_and_their_labels_empty(enrolled, folder):
    files = [folder / "lost.wav", *sorted(folder.iterdir())[:1], folder / "gone.wav"]
    assert np.isnan(enrolled.predict_proba(files)[[0, 2]]).all()
    assert enrolled.predict(files).tolist() == ["", "anger", ""]


def test_files_are_learned_with_their_labels_and_speakers(folder, monkeypatch):
    monkeypatch.setattr(labelling.confidence, "single_temperature", lambda *_: (1.0, np.zeros(0)))
    files = sorted(folder.iterdir())
    labels, speakers = [path.name.split("_")[0] for path in files], [f"s{i % 2}" for i in range(len(files))]
    for given in (speakers, None, ["", *speakers[1:]]):
        model = recognizer().fit(files, labels, given).model
        assert [model.classes[i] for i in model.enrolled.label] == labels
        assert (None if model.enrolled.speaker is None else model.enrolled.speaker.tolist()) == (
            speakers if given is speakers else None
        )


def test_a_loaded_recogniser_learns_other_recordings_by_its_models_recipe_from_its_sources(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(labelling.confidence, "single_temperature", lambda *_: (1.0, np.zeros(0)))
    files = sorted(folder.iterdir())
    labels = [path.name.split("_")[0] for path in files]
    clips = Clips(np.eye(3, dtype=np.float32)[np.arange(12) % 3], np.arange(12) % 3, None)
    source = Source("mine", "", ("anger", "fear", "joy"), clips)
    monkeypatch.setattr("siamese_jax.recognizer.sources.read", lambda *_: (source,))
    first = recognizer(source="mine.npz").fit(files, labels)
    first.save(tmp_path / "m")
    monkeypatch.setattr("siamese_jax.recognizer.sources.read", lambda *_: ())
    again = FewShotEmotion.load(tmp_path / "m", workers=1, extractor=EXTRACTOR).fit(files[1:], labels[1:])
    assert [found.digest for found in again.model.sources] == [source.digest]
    assert again.model.recipe == first.model.recipe
    assert len(again.model.enrolled.x) == len(files) - 1


def test_all_clips_unreadable_at_enrolment_is_an_error(tmp_path):
    for word in PITCHES:
        (tmp_path / word).mkdir()
        (tmp_path / word / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match="none of 3 clips can be used"):
        recognizer().fit_manifest(recordings.labelled(tmp_path))


def test_nothing_learned_yet_is_an_error():
    with pytest.raises(InputError, match="has learned nothing yet"):
        recognizer().predict(["a.wav"])


def test_evaluation_leaves_out_enrolled_recordings_and_unknown_words(enrolled, folder, tmp_path, caplog):
    lines = ["file,emotion,speaker"]
    for i, path in enumerate(sorted(folder.iterdir())):
        lines.append(f"{path},{path.name.split('_')[0]},s{i % 3}")
    again = write_tone(tmp_path / "again.wav", "joy", 0)
    other = write_tone(tmp_path / "other.wav", "joy", 30)
    lines += [f"{again},joy,s0", f"{other},boredom,s0"]
    (tmp_path / "l.csv").write_text("\n".join(lines))
    result = enrolled.evaluate(recordings.labelled(tmp_path / "l.csv"))
    assert (result.n_clips, result.n_speakers, result.uar, result.wa) == (12, 3, 1.0, 1.0)
    assert np.array_equal(result.confusion, 4 * np.eye(3, dtype=int))
    written = evaluation.as_json(result)
    assert written["measures"]["risk"]["estimate"] == [0.0] * 5
    of_measures = [result.measures.uar, result.measures.wa, result.measures.ece, result.measures.risk]
    assert {interval.level for interval in of_measures} == {0.95}
    assert written["log_loss"] == pytest.approx(written["measures"]["log_loss"]["estimate"], abs=1e-6)
    assert "most confident clips, share wrong: 0.0 % of 25 %" in evaluation.as_text(result)
    assert "1 recordings are among those that the model was enrolled on" in caplog.text
    assert "labels that the model does not have, left out: 'boredom' (1)" in caplog.text
    assert [reason for _, reason in result.left_out] == ["was enrolled", "label 'boredom' is not one of the model's"]


def test_evaluation_without_a_testable_clip_is_an_error(enrolled, tmp_path):
    write_tone(tmp_path / "boredom.wav", "joy", 30)
    (tmp_path / "l.csv").write_text("file,emotion\nboredom.wav,boredom\n")
    with pytest.raises(InputError, match="none of 1 recordings can be tested"):
        enrolled.evaluate(recordings.labelled(tmp_path / "l.csv"))


@pytest.fixture(autouse=True)
def _all_messages(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize("mode", ["clip", "folder"])
def test_recordings_unlike_those_enrolled_are_unsure_and_say_why(enrolled, folder, monkeypatch, mode):
    monkeypatch.setattr(labelling.familiarity, "FAR_CLIP", 1e-3)  # the limits are for the speech encoder's features
    rows = [row.prediction for row in enrolled.label(recordings.given([folder]), mode)]
    assert {(row.unsure, row.reason) for row in rows} == {(True, "features far from all that was learned")}

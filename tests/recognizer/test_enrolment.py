"""What enrolment refuses and says: classes, spellings, speakers, and words that the source lacks."""

import numpy as np
import pytest

from siamese_jax.errors import InputError
from siamese_jax.recognizer import recordings
from siamese_jax.recognizer.model import checked_classes
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Clips

SOURCE = Source("emodb", "emodb", ("anger", "fear"), Clips(np.zeros((2, 1)), np.arange(2), None))


def test_one_label_only_is_refused():
    with pytest.raises(InputError, match=r"a single class .'anger'. among 2 clips"):
        checked_classes(["anger", "anger"], ["a", "b"], [])


def test_a_label_in_two_spellings_is_refused():
    with pytest.raises(InputError, match=r"'Anger' .1 clips., 'anger' .2 clips."):
        checked_classes(["anger", "Anger", "anger", "fear"], [""] * 4, [])


def test_a_label_with_one_clip_is_named(caplog):
    assert checked_classes(["anger", "anger", "fear"], [""] * 3, []) == ("anger", "fear")
    assert "labels with a single clip: fear" in caplog.text


def test_all_clips_of_one_speaker_give_a_warning_that_says_what_it_means(caplog):
    checked_classes(["anger", "fear"] * 2, ["anna"] * 4, [])
    assert "all 4 enrolled clips are of one speaker" in caplog.text


def test_words_that_the_source_lacks_are_named(caplog):
    checked_classes(["anger", "boredom"] * 2, [""] * 4, [SOURCE])
    assert "not in the source (emodb): boredom; learned from the enrolled clips alone" in caplog.text


@pytest.mark.parametrize("folder", ["empty", "loose"])
def test_a_folder_without_labelled_audio_is_refused(tmp_path, folder):
    (tmp_path / folder).mkdir()
    if folder == "loose":
        (tmp_path / folder / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"no labelled sound file"):
        recordings.labelled(tmp_path / folder)


def test_a_label_is_the_outermost_folder_of_a_recording(tmp_path):
    for name in ("joy/anna/1.wav", "joy/2.wav", "fear/anna/day 2/3.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = {clip.file: clip.emotion for clip in recordings.labelled(tmp_path)}
    assert found == {"joy/anna/1.wav": "joy", "joy/2.wav": "joy", "fear/anna/day 2/3.wav": "fear"}


def test_a_folder_without_any_audio_is_refused_at_prediction(tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(InputError, match=r"no sound file here or in the folders below"):
        recordings.given([tmp_path])


def test_bad_rows_of_a_list_are_all_named(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("file,emotion,start,end\n,anger,,\na.wav,fear,2,1\nb.wav,fear,x,\n")
    with pytest.raises(InputError, match=r"3 bad rows: row 2: file is empty.*row 3: end 1 s.*row 4"):
        recordings.labelled(path)


def test_unlabelled_rows_of_a_list_are_left_out(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("file,emotion,speaker\na.wav,Wut,anna\nb.wav,,anna\n")
    manifest = recordings.labelled(path)
    assert [clip.emotion for clip in manifest] == ["Wut"]
    assert manifest.left_out == (("b.wav", "unlabelled"),)

"""What a user can get wrong with corpora and settings: refused by name, before anything is trained."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from corpora_for_tests import FIRST, SECOND, small, write_corpus, write_csv
from ml_collections import ConfigDict
from synthetic_audio import RATE, tone

from configs import facenet
from siamese_jax.datasets.folds import speaker_folds
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training import config, corpora, run

EMOTIONS = ("anger", "happiness", "sadness", "fear")


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    def refuse(*_):
        raise AssertionError("a training began")

    monkeypatch.setattr(run, "train", refuse)


def refused(message, places, tmp_path, **changes):
    with pytest.raises(InputError, match=message):
        run.run(small(places, **changes), tmp_path / "run", tmp_path / "cache")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("good"), FIRST, range(6))


def test_a_class_that_one_corpus_lacks_is_refused_with_both_remedies(tmp_path, good):
    other = write_corpus(tmp_path, SECOND, range(50, 56), emotions=EMOTIONS[:3])
    message = r"corpus second: no clip of 'fear'; it holds anger \(12\).*config.emotions.*config.corpora.second.relabel"
    refused(message, {FIRST: good, SECOND: other}, tmp_path)


def test_emotions_that_differ_are_compared_once_they_are_mapped(tmp_path, good):
    other = write_corpus(tmp_path, SECOND, range(50, 56), word=lambda e: "surprise" if e == "fear" else e)
    places = {FIRST: good, SECOND: other}
    refused("corpus second: no clip of 'fear'", places, tmp_path)
    refused("corpus first: no clip of .surprise.", places, tmp_path, emotions=())
    given = small(places)
    mapped = config.CorpusSettings(str(other), 3, (), ("surprise=fear",))
    found = corpora.manifests(dataclasses.replace(given, corpora={**given.corpora, SECOND: mapped}))
    assert corpora.common_emotions(found, EMOTIONS) == EMOTIONS
    assert sorted(corpora.common_emotions(found, ())) == sorted(EMOTIONS)


def test_words_of_a_manifest_are_mapped_where_the_configuration_says_so(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(6), word=lambda e: "wut" if e == "anger" else e)
    given = small({FIRST: path})
    with pytest.raises(InputError, match="12 x 'wut': did you mean anger"):
        corpora.manifests(given)
    one = config.CorpusSettings(str(path), 3, (), ("wut=anger",))
    found = corpora.manifests(dataclasses.replace(given, corpora={FIRST: one}))
    assert {clip.emotion for clip in found[FIRST]} == set(EMOTIONS)


def test_one_speaker_in_a_class_is_refused(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(6), emotions=EMOTIONS[:3])
    extra = write_corpus(tmp_path, "extra", range(1), emotions=EMOTIONS[3:])
    path.write_text(path.read_text() + "\n".join(extra.read_text().splitlines()[1:]) + "\n")
    refused(r"corpus first: 2 clip\(s\) of 'fear' by 1 speaker\(s\)", {FIRST: path}, tmp_path)


def test_one_clip_in_a_class_is_refused(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(6))
    lines = [line for line in path.read_text().splitlines() if ",fear," not in line or "0_fear_0" in line]
    path.write_text("\n".join(lines) + "\n")
    refused(r"corpus first: 1 clip\(s\) of 'fear' by 1 speaker\(s\)", {FIRST: path}, tmp_path)


def test_a_fold_whose_training_lacks_speakers_of_a_class_is_refused_by_fold(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(6))
    lines = [
        line for line in path.read_text().splitlines() if ",fear," not in line or ",s00," in line or ",s03," in line
    ]
    path.write_text("\n".join(lines) + "\n")
    refused(
        r"corpus first, split by speakers, fold \d of 3: \d training clip\(s\) of 'fear' by", {FIRST: path}, tmp_path
    )


@pytest.mark.long
def test_clips_shorter_than_the_bound_and_silence_are_left_out_and_named_or_stop_a_strict_run(tmp_path, caplog):
    path = write_corpus(tmp_path, FIRST, range(6))
    short, silent = tmp_path / FIRST / "0_anger_0.wav", tmp_path / FIRST / "1_anger_0.wav"
    soundfile.write(short, tone("anger", 0, 0)[: RATE // 8], RATE, subtype="PCM_16")
    soundfile.write(silent, 0 * tone("anger", 1, 0), RATE, subtype="PCM_16")
    refused("0_anger_0.*too short", {FIRST: path}, tmp_path / "a", strict=True)
    given = small({FIRST: path}, cells=("none to first/waveform",))
    with pytest.raises(AssertionError, match="a training began"):
        run.run(given, tmp_path / "b" / "run", tmp_path / "cache")
    left_out = json.loads((tmp_path / "b" / "run" / "corpora.json").read_text())["corpora"][FIRST]["left_out"]
    assert [(file, reason.split()[0]) for file, reason in left_out] == [
        ("first/0_anger_0.wav", "0.125"), ("first/1_anger_0.wav", "silent:")
    ]  # fmt: skip


def test_the_same_recording_in_two_corpora_is_refused(tmp_path, good):
    other = write_corpus(tmp_path, SECOND, range(50, 56))
    shutil.copy(good.parent / FIRST / "0_fear_0.wav", tmp_path / SECOND / "50_fear_0.wav")
    message = r"corpus first holds 1 of the 48 recordings of corpus second .*equal sound.*Keep each recording in one"
    refused(message, {FIRST: good, SECOND: other}, tmp_path)


def test_too_few_segments_for_a_batch_are_refused(tmp_path, good):
    learning = {"segments_per_class": 500}
    refused("fine-tuning on corpus first, fold_0: class", {FIRST: good}, tmp_path, fine_tuning=learning)
    refused("config.neighbours is 5000", {FIRST: good}, tmp_path, neighbours=5000)


def test_too_few_speakers_for_the_folds_are_refused(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(2), takes=4)
    refused(
        "config.corpora.first.folds: 3 folds need a speaker each, but there are 2, and 3 folds are the fewest; add",
        {FIRST: path},
        tmp_path,
    )


def test_a_folder_that_is_no_known_corpus_and_a_missing_manifest_are_refused(tmp_path):
    refused("no corpus that the package knows", {"mine": tmp_path}, tmp_path)
    refused("no such", {"mine": tmp_path / "absent.csv"}, tmp_path)
    refused("no such folder", {"ravdess": tmp_path / "absent"}, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "clips"}, "config.split holds 'clips'; expected one of speakers, random"),
        ({"decision": "vote"}, "config.decision holds 'vote'"),
        ({"projection": "umap"}, "config.projection holds 'umap'"),
        ({"views": ("pictures",)}, r"config.views is \('pictures',\)"),
        ({"emotions": ("anger",)}, "expected two or more"),
        ({"emotions": ("anger", "hunger")}, "config.emotions is"),
        ({"cells": ("none to c/waveform",)}, "config.cells holds 'none to c/waveform'"),
        ({"neighbours": 0}, "config.neighbours is 0"),
        ({"level": 1.0}, "config.level is 1.0"),
        ({"target": "b"}, "config.target is 'b', which has no audio; expected one of a"),
        ({"images": {"size": 4000}}, "mel bands"),
        ({"network": {"width": 0.0}}, "FaceNetConfig.width"),
        ({"pretraining": {"epochs": 0}}, "TrainConfig.epochs"),
        ({"features": {"training": {"batch_size": 31}}}, "config.features.training.batch_size is 31"),
        ({"features": {"data": {"scalings": ("moon",)}}}, "config.features.data.scalings holds 'moon'"),
        ({"corpora": {"a b": {"audio": "x.csv", "folds": 3, "options": (), "relabel": ()}}}, "letters, digits"),
        ({"corpora": {"a": {"audio": "x.csv", "folds": 3, "options": ("o",), "relabel": ()}}}, "a manifest has none"),
        ({"corpora": {"a": {"audio": "x.csv", "folds": 3, "options": (), "relabel": ("x=y",)}}}, "WORD=EMOTION"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    given = config.with_audio(facenet.get_config(), ["a=clips.csv"])
    for key, value in change.items():
        if isinstance(value, dict):
            given[key].update(ConfigDict(value))
        else:
            given[key] = value
    with pytest.raises(InputError, match=message):
        config.resolve(given)


def test_unknown_and_missing_keys_are_refused_where_they_stand():
    given = config.with_audio(facenet.get_config(), ["a=clips.csv"])
    given.network.widht = 0.5
    with pytest.raises(InputError, match=r"config\.network key 'widht' is unknown; did you mean 'width'"):
        config.resolve(given)
    del given.network.widht
    del given.fine_tuning.margin
    with pytest.raises(InputError, match=r"config\.fine_tuning lacks margin; configs/facenet.py shows every key"):
        config.resolve(given)


@pytest.mark.parametrize("place", ["ravdess", "=folder", "a=", ("a=x.csv", "a=y.csv")])
def test_audio_is_a_name_and_a_place_each_name_once(place):
    with pytest.raises(InputError, match="expected NAME=FOLDER or NAME="):
        config.with_audio(facenet.get_config(), [place] if isinstance(place, str) else list(place))


def test_without_audio_the_message_says_what_to_type():
    with pytest.raises(InputError, match=r"no corpus has audio.*--audio=ravdess=RAVDESS"):
        config.resolve(facenet.get_config())


def test_corpora_named_on_the_command_line_are_those_that_take_part():
    found = config.resolve(config.with_audio(facenet.get_config(), ["mine=clips.csv", "emodb=EMO"]))
    assert list(found.used) == ["mine", "emodb"]
    assert (found.used["mine"].folds, found.used["emodb"].folds) == (5, 5)
    assert config.resolve(config.with_audio(facenet.get_config(), ["emodb=E", "ravdess=R"])).target == "ravdess"


def test_a_manifest_without_a_header_or_rows_is_refused(tmp_path):
    refused("no rows below the header", {"mine": write_csv(tmp_path / "mine.csv", [])}, tmp_path)


def test_fewer_folds_are_advised_only_down_to_the_fewest():
    speakers, duplicate = [f"s{i}" for i in range(4)], np.arange(4)
    with pytest.raises(InputError, match="5 folds need a speaker each, but there are 4; take 3 to 4 folds"):
        speaker_folds(speakers, [""] * 4, duplicate, 5)
    with pytest.raises(InputError, match="there are 2, and 3 folds are the fewest; add recordings until there are 3"):
        speaker_folds(speakers[:2], [""] * 2, duplicate[:2], 3)


@pytest.mark.parametrize("keep_target", [False, True])
def test_a_target_that_no_corpus_has_is_refused(keep_target):
    given = facenet.get_config()
    given.target = "xx"
    with pytest.raises(InputError, match=r"config.target is 'xx', but --audio gives mine, emodb; take one of these"):
        config.with_audio(given, ["mine=clips.csv", "emodb=E"], keep_target)


def test_a_target_given_without_its_recordings_is_refused_and_the_configured_one_replaced():
    assert config.with_audio(facenet.get_config(), ["mine=clips.csv"]).target == "mine"
    with pytest.raises(InputError, match=r"config\.target is 'ravdess', but --audio gives mine"):
        config.with_audio(facenet.get_config(), ["mine=clips.csv"], keep_target=True)


def test_messages_name_flags_that_can_be_given():
    message = "config.corpora.rav.relabel and config.corpora.emodb.folds; config.corpora.rav.audio"
    shown = config.with_flags(message, ["emodb", "ravdess"])
    assert shown == "config.new_corpus.relabel and config.corpora.emodb.folds; config.corpora.rav.audio"


def launched(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=100)


@pytest.mark.long
def test_the_launcher_takes_the_flags_that_its_messages_advise(tmp_path):
    path = write_corpus(tmp_path, "rav", range(1), word=lambda e: "wut" if e == "anger" else e)
    launch = [f"--audio=rav={path}", f"--workdir={tmp_path / 'run'}", f"--cache={tmp_path / 'cache'}"]
    advised = "config.new_corpus.relabel"
    first = launched("launch.facenet", *launch)
    assert first.returncode == 2
    assert f"({advised}=\"('WORD=EMOTION',)\" renames labels)" in first.stderr
    second = launched("launch.facenet", *launch, f"--{advised}=('wut=anger',)", "--config.target=xx")
    assert second.returncode == 2
    assert "config.target is 'xx', but --audio gives rav" in second.stderr
    assert not (tmp_path / "run").exists()


def test_a_corpus_of_one_emotion_is_refused(tmp_path):
    path = write_corpus(tmp_path, FIRST, range(6), emotions=EMOTIONS[:1])
    refused("the corpora hold 1 emotion", {FIRST: path}, tmp_path, emotions=())

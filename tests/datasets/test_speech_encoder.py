"""Features of a speech encoder: equal to those of the exact length, for any loudness, batch, devices and stops."""

import csv
import dataclasses
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file
from whisper_folders import tensors, write_encoder

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction, shipped, speech_encoder
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError
from siamese_jax.features import log_mel
from siamese_jax.models import whisper, whisper_weights
from siamese_jax.runtime.distributed import Share

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = speech_encoder.Options((1, 2), -25.0, "clip", "float32")
WORKERS = extraction.Options(workers=2, strict=False)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The folder of an encoder of two layers, 24 wide."""
    folder = tmp_path_factory.mktemp("encoders") / "small"
    folder.mkdir()
    write_encoder("tiny", folder)
    return folder


@pytest.fixture(scope="module")
def small(encoder):
    return speech_encoder.extractor(str(encoder), OPTIONS)


def sound(length, seed=0):
    """A tone in noise, even int16 [length]."""
    rng = np.random.default_rng(seed)
    tone = 4000 * np.sin(np.arange(length) * rng.uniform(0.05, 0.2)) + 800 * rng.standard_normal(length)
    return (2 * np.rint(tone / 2)).astype(np.int16)


CLIPS = [sound(length, seed) for seed, length in enumerate((960, 1203, 4000, 7999, 8000, 8001))]
"""Clips of 6 to 50 frames, of one bucket."""


def write_clips(folder, clips=CLIPS):
    for number, clip in enumerate(clips):
        soundfile.write(folder / f"{number}.wav", clip, 16000, subtype="PCM_16")
    rows = (Clip(f"{i}.wav", f"{i}", ("anger", "fear")[i % 2], f"c_{i % 3}", "c") for i in range(len(clips)))
    return Manifest(folder, tuple(rows))


@functools.cache
def exact_program(encoder, layers):
    config = whisper_weights.read_config(encoder)
    params = whisper_weights.load(encoder, config, config.encoder_layers)

    @jax.jit
    def states(row, seen):
        mel = log_mel.log_mel(row, seen, config.num_mel_bins)
        return whisper.hidden_states(params, mel, seen, config.encoder_attention_heads, layers, "highest")

    return states


def exact_states(encoder, clip_L, options=OPTIONS):
    """The hidden states [P, D] of a clip alone, without padding beyond an even number of frames."""
    loud = clip_L * np.float32(10 ** (options.loudness / 20) / np.sqrt(np.mean(clip_L.astype(np.float64) ** 2)))
    frames = seen = log_mel.frame_count(len(loud))
    if options.padding == "30s":
        loud, seen = np.pad(loud, (0, speech_encoder.WINDOW - len(loud))), whisper.WINDOW_FRAMES
    row = log_mel.reflected(loud, seen + seen % 2)
    positions = whisper.position_count(frames)
    states = exact_program(encoder, options.layers)(row[None], jnp.array([seen]))
    return [np.asarray(state[0, :positions]) for state in states]


def row_of(states):
    return np.concatenate([np.concatenate([state.mean(axis=0), state.std(axis=0)]) for state in states])


# What a feature is called, and how clips are put together.


def test_columns_are_named_by_encoder_layer_and_statistic():
    config = whisper_weights.read_config(shipped.speech_encoder("tiny.en"))
    names = speech_encoder.feature_names("tiny.en", config, dataclasses.replace(OPTIONS, layers=(1, 2, 3)))
    assert len(set(names)) == len(names) == 3 * 2 * 384
    assert (names[0], names[384], names[-1]) == (
        "whisper.tiny.en.layer1.mean.000", "whisper.tiny.en.layer1.std.000", "whisper.tiny.en.layer3.std.383"
    )  # fmt: skip
    assert "whisper.tiny.en.layer2.mean.017" in names


def test_a_folder_names_its_columns_however_it_is_given(encoder, small, monkeypatch):
    assert small.feature_names[0] == "whisper.small.layer1.mean.00"
    assert small.made["speech_encoder"] == "whisper.small"
    monkeypatch.setenv("HOME", str(encoder.parent))
    monkeypatch.chdir(encoder)
    for given in (".", "~/small", f"{encoder}/", encoder.parent / "small" / ".." / "small"):
        assert speech_encoder.extractor(str(given), OPTIONS).version == small.version


def test_the_bucket_depends_on_the_length_alone_and_few_hold_all_lengths():
    lengths = np.unique(np.geomspace(880, 4 * 3600 * 16000, 3000).astype(int))
    buckets = {int(samples): speech_encoder.bucket(int(samples)) for samples in lengths}
    assert len(set(buckets.values())) <= 32
    for samples, frames in buckets.items():
        pieces = -(-samples // speech_encoder.WINDOW)
        own = log_mel.frame_count(-(-samples // pieces))
        assert own <= frames <= max(50, 1.16 * own + 2)
        assert frames % 2 == 0
        assert frames <= whisper.WINDOW_FRAMES
    assert speech_encoder.bucket(speech_encoder.WINDOW) == 3000
    assert 1500 <= speech_encoder.bucket(speech_encoder.WINDOW + 1) < 1800


def test_a_table_records_what_its_features_depend_on(small):
    assert small.made == {
        "features": "Whisper, mean and standard deviation",
        "extractor": speech_encoder.VERSION,
        "rate": 16000,
        "speech_encoder": "whisper.small",
        "speech_encoder_digest": small.made["speech_encoder_digest"],
        "layers": [1, 2],
        "loudness": -25.0,
        "padding": "clip",
        "precision": "float32",
    }
    assert len(small.made["speech_encoder_digest"]) == 16
    json.dumps(small.made)


# Values.


def test_rows_of_a_bucket_equal_those_of_the_exact_length(encoder, small):
    rows = small.features(CLIPS, small.bucket(len(CLIPS[0])))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[2], row_of(exact_states(encoder, CLIPS[2])), atol=2e-5)


def test_a_row_depends_on_its_clip_alone(small):
    together = small.features(CLIPS, 50)
    np.testing.assert_array_equal(small.features(CLIPS[::-1], 50)[::-1], together)
    np.testing.assert_array_equal(small.features(CLIPS[2:3], 50), together[2:3])
    np.testing.assert_array_equal(small.features(CLIPS[:3] * 43, 50)[-3:], together[:3])


def test_a_clip_at_half_its_amplitude_gives_the_same_row(small):
    np.testing.assert_array_equal(small.features([clip // 2 for clip in CLIPS], 50), small.features(CLIPS, 50))


def test_the_loudness_is_that_of_the_whole_clip_counted_in_parts(monkeypatch):
    clip = sound(5000)
    gain = speech_encoder.loudness_gain(clip, -25.0)
    assert np.sqrt(np.mean((gain * clip) ** 2)) == pytest.approx(10 ** (-25 / 20))
    monkeypatch.setattr(speech_encoder, "_PART", 999)
    assert speech_encoder.loudness_gain(clip, -25.0) == pytest.approx(gain, rel=1e-14)
    assert speech_encoder.loudness_gain(np.zeros(900, np.int16), -25.0) == 0


def test_a_long_clip_is_pooled_over_all_positions_of_its_pieces(encoder, small, monkeypatch):
    monkeypatch.setattr(speech_encoder, "WINDOW", 4000)
    clip = np.concatenate([sound(6000, 7), 4 * sound(6000, 8)])
    assert small.bucket(len(clip)) == 50
    pieces = [clip[start : start + 4000] for start in (0, 4000, 8000)]
    whole = dataclasses.replace(OPTIONS, loudness=0.0)
    rms = [np.sqrt(np.mean(part.astype(np.float64) ** 2)) for part in (clip, *pieces)]
    # Each piece at its own share of the clip's loudness.
    shares = [dataclasses.replace(whole, loudness=-25 + 20 * np.log10(part / rms[0])) for part in rms[1:]]
    states = [exact_states(encoder, piece, share) for piece, share in zip(pieces, shares)]
    expected = row_of([np.concatenate(layer) for layer in zip(*states)])
    other = small.features([CLIPS[3], clip], 50)
    np.testing.assert_allclose(other[1], expected, atol=3e-5)
    np.testing.assert_array_equal(other[0], small.features([CLIPS[3]], 50)[0])


def test_a_batch_shared_by_two_devices_gives_the_same_values(encoder, small, monkeypatch):
    monkeypatch.setattr(speech_encoder, "_devices", lambda: (jax.local_devices(), 100))
    both = speech_encoder.extractor(str(encoder), OPTIONS)
    assert both.clips(50) == 4
    assert both.clips(2000) == 2
    np.testing.assert_allclose(both.features(CLIPS[:5], 50), small.features(CLIPS[:5], 50), atol=2e-6)


@pytest.mark.long
def test_30_s_of_silence_around_a_clip_are_seen_but_not_counted(encoder):
    options = dataclasses.replace(OPTIONS, padding="30s")
    padded = speech_encoder.extractor(str(encoder), options)
    rows = padded.features(CLIPS[:2], 50)
    for clip, row in zip(CLIPS, rows):
        np.testing.assert_allclose(row, row_of(exact_states(encoder, clip, options)), atol=3e-5)
        assert np.abs(row - row_of(exact_states(encoder, clip))).max() > 1e-3


@pytest.mark.long
def test_bfloat16_is_near_float32(encoder, small):
    rough = speech_encoder.extractor(str(encoder), dataclasses.replace(OPTIONS, precision="bfloat16"))
    exact, near = small.features(CLIPS, 50), rough.features(CLIPS, 50)
    assert near.dtype == np.float32
    assert 1e-4 < np.linalg.norm(near - exact) / np.linalg.norm(exact) < 0.03


@pytest.mark.long
def test_an_hour_is_computed_in_pieces_within_a_third_of_its_own_memory(encoder, small):
    clip = np.tile(sound(16000), 61 * 60)
    frames = small.bucket(len(clip))
    assert whisper.WINDOW_FRAMES * 0.9 < frames <= whisper.WINDOW_FRAMES
    tracemalloc.start()
    row = small.features([clip], frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < clip.nbytes / 3
    assert np.isfinite(row).all()
    # A sound that repeats every second has the statistics of any long part of it.
    np.testing.assert_allclose(row, small.features([clip[: 120 * 16000]], frames), atol=0.01)


@pytest.mark.long
def test_a_file_of_an_hour_has_a_row(small, tmp_path):
    clip = np.tile(sound(16000), 61 * 60)
    manifest = write_clips(tmp_path, [clip, CLIPS[2]])
    tracemalloc.start()
    table = extraction.compute_table(manifest, small, WORKERS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 2
    assert peak < 3 * clip.nbytes


@pytest.mark.long
def test_the_encoder_that_ships_gives_its_default_layers():
    ready = speech_encoder.extractor("tiny.en", dataclasses.replace(OPTIONS, layers=(0, 1, 2, 3)))
    rows = ready.features(CLIPS, 50)
    assert rows.shape == (len(CLIPS), 4 * 2 * 384)
    folder = shipped.speech_encoder("tiny.en")
    options = dataclasses.replace(OPTIONS, layers=(0, 1, 2, 3))
    config = whisper_weights.read_config(folder)
    params = whisper_weights.load(folder, config, 3)
    assert ready.made["speech_encoder_digest"] == whisper_weights.digest(params)
    piece = speech_encoder.loudness_gain(CLIPS[4], -25.0) * CLIPS[4]
    row = log_mel.reflected(piece.astype(np.float32), 50)[None]
    expected = speech_encoder.piece_statistics(params, row, jnp.array([50]), n_heads=6, bands=80, options=options)
    np.testing.assert_allclose(rows[4], np.asarray(expected).ravel(), atol=2e-4)


def test_the_card_of_the_encoder_that_ships_has_the_checksums_of_its_files_and_its_licence():
    folder = shipped.speech_encoder("tiny.en")
    card = (folder / "README.md").read_text()
    for name in ("config.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        assert f"| {name} | {len(content)} | {hashlib.sha256(content).hexdigest()} |" in card
    licence = (ROOT / "LICENSES" / "MIT-OpenAI-Whisper.txt").read_text()
    assert card.endswith(licence[licence.index("MIT License") :])


# Options that cannot be.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ()}, "layers empty: expected increasing numbers from 0 to 2, the layers of .*small"),
        ({"layers": (1, 3)}, "layers 1,3: expected increasing numbers from 0 to 2"),
        ({"layers": (-1,)}, "layers -1: expected"),
        ({"layers": (2, 1)}, "layers 2,1: expected increasing"),
        ({"layers": (1, 1)}, "layers 1,1: expected increasing"),
        ({"loudness": 1.0}, "loudness 1: expected dBFS between -90 and 0"),
        ({"loudness": float("nan")}, "loudness nan: expected dBFS"),
        ({"padding": "10s"}, "'10s': expected one of clip, 30s"),
        ({"precision": "float64"}, "'float64': expected one of float32, bfloat16"),
    ],
)
def test_an_option_out_of_range(encoder, changes, message):
    with pytest.raises(InputError, match=message):
        speech_encoder.extractor(str(encoder), dataclasses.replace(OPTIONS, **changes))


@pytest.mark.parametrize("texts", [["x"], [""], ["1", "-1"], ["1.5"], ["²"], ["9" * 5000], ["1 2"]])
def test_layers_that_are_no_numbers(texts):
    with pytest.raises(InputError, match=r"expected numbers with commas, such as 1,2,3") as caught:
        speech_encoder.parse_layers(texts)
    assert len(str(caught.value)) < 200


def test_layers_are_numbers_with_commas():
    assert speech_encoder.parse_layers(["1", " 2 ", "30"]) == (1, 2, 30)


@pytest.mark.parametrize("encoder_name", ["large", "no/such/folder"])
def test_an_encoder_that_neither_ships_nor_is_a_folder(encoder_name):
    with pytest.raises(
        InputError, match=rf"{encoder_name}: no such folder; expected tiny\.en, or the folder of a Whis"
    ):
        speech_encoder.extractor(encoder_name, OPTIONS)


def test_an_encoder_for_shorter_windows(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "short")
    config = json.loads((folder / "config.json").read_text()) | {"max_source_positions": 750}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"max_source_positions is 750; expected at least 1500"):
        speech_encoder.extractor(str(folder), OPTIONS)


# Tables.


def test_bad_clips_are_named_counted_and_left_out(small, tmp_path, caplog):
    manifest = write_clips(tmp_path)
    soundfile.write(tmp_path / "short.wav", sound(160), 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "silent.wav", np.zeros(1600, np.int16), 16000, subtype="PCM_16")
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    bad = [Clip(file, file, "fear", "c_9", "c") for file in ("short.wav", "silent.wav", "broken.wav", "gone.wav")]
    manifest = dataclasses.replace(manifest, clips=(*bad[:2], *manifest.clips, *bad[2:]))
    table = extraction.extract(manifest, tmp_path / "t.npz", small, WORKERS)
    assert table.clip.tolist() == ["0", "1", "2", "3", "4", "5"]
    assert [left["file"] for left in table.made["left_out"]] == ["short.wav", "silent.wav", "broken.wav", "gone.wav"]
    assert "short.wav: too short: 160 samples" in caplog.text
    np.testing.assert_array_equal(table.features[[0, 1, 2, 3, 4]], small.features(CLIPS, 50)[:5])


def test_an_interrupted_extraction_resumes_with_the_same_values(small, tmp_path):
    manifest = write_clips(tmp_path)
    computed = []

    def interrupted(samples, frames):
        if computed:
            raise KeyboardInterrupt
        computed.append(len(samples))
        return small.features(samples, frames)

    stopping = dataclasses.replace(small, clips=lambda frames: 2, features=interrupted)
    with pytest.raises(KeyboardInterrupt):
        extraction.extract(manifest, tmp_path / "t.npz", stopping, extraction.Options(workers=1, strict=False))
    assert computed == [2]
    counted = dataclasses.replace(
        small, features=lambda x, frames: (computed.append(len(x)), small.features(x, frames))[1]
    )
    table = extraction.extract(manifest, tmp_path / "t.npz", counted, WORKERS)
    assert sum(computed[1:]) == 4
    np.testing.assert_array_equal(table.features[:5], small.features(CLIPS, 50)[:5])


@pytest.mark.parametrize(
    "changes",
    [{"layers": (2,)}, {"loudness": -20.0}, {"padding": "30s"}, {"precision": "bfloat16"}, "weights", "name"],
    ids=str,
)
def test_rows_of_other_layers_loudness_padding_precision_or_weights_are_not_resumed(encoder, small, tmp_path, changes):
    if isinstance(changes, dict):
        other = speech_encoder.extractor(str(encoder), dataclasses.replace(OPTIONS, **changes))
    else:
        folder = shutil.copytree(encoder, tmp_path / ("small" if changes == "weights" else "other"))
        if changes == "weights":
            values = {f"encoder.{name}": value for name, value in tensors("tiny").items()}
            values["encoder.layers.1.fc2.bias"] = values["encoder.layers.1.fc2.bias"] + np.float32(1e-3)
            save_file(values, folder / "model.safetensors")
        other = speech_encoder.extractor(str(folder), OPTIONS)
    assert other.version != small.version
    manifest, output = write_clips(tmp_path, CLIPS[:1]), tmp_path / "t.npz"
    with extraction.ExtractionCache(tmp_path / ".t.npz.partial", str(output), other.version) as cache:
        row = extraction.FeatureRow(np.full(len(other.feature_names), 9.0, np.float32), "0" * 32, 16000, "none")
        cache.add(manifest, manifest.clips[0], row)
    table = extraction.extract(manifest, output, small, WORKERS)
    np.testing.assert_array_equal(table.features, small.features(CLIPS[:1], 50))


def test_two_shares_make_the_table_of_one_process(small, tmp_path):
    manifest = write_clips(tmp_path)
    output = tmp_path / "t.npz"
    assert extraction.extract_share(manifest, output, small, WORKERS, Share(1, 2)) is None
    table = extraction.extract_share(manifest, output, small, WORKERS, Share(0, 2))
    np.testing.assert_array_equal(table.features, extraction.compute_table(manifest, small, WORKERS).features)


def launch(*arguments, **environment):
    command = [sys.executable, "-m", "launch.extract", "--features=whisper", "--workers=1", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


@pytest.mark.long
def test_two_processes_of_the_launcher_make_one_table(encoder, small, tmp_path):
    manifest = write_clips(tmp_path)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion", "speaker"])
        rows.writerows([clip.file, clip.emotion, clip.speaker] for clip in manifest)
    given = [f"--manifest={tmp_path / 'list.csv'}", f"--output={tmp_path / 't.npz'}", f"--speech_encoder={encoder}"]
    given += ["--layers=1,2", "--num_processes=2"]
    processes = [launch(*given, f"--process_id={index}") for index in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    table = read_table(tmp_path / "t.npz")
    assert table.feature_names == small.feature_names
    np.testing.assert_allclose(table.features[:5], small.features(CLIPS, 50)[:5], atol=2e-6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--layers=4", "holds 3 of 4 layers; layer 4 needs the whole model: give the folder"),
        ("--layers=5", "layers 5: expected increasing numbers from 0 to 4"),
        ("--layers=1,two", "layer 'two': expected numbers with commas"),
        ("--speech_encoder=base.en", "base.en: no such folder"),
        ("--loudness=3", "loudness 3: expected dBFS"),
    ],
)
def test_the_launcher_says_what_cannot_be(tmp_path, given, message):
    write_clips(tmp_path, CLIPS[:1])
    (tmp_path / "list.csv").write_text("file,emotion,speaker\n0.wav,fear,a\n")
    process = launch(f"--manifest={tmp_path / 'list.csv'}", f"--output={tmp_path / 't.npz'}", given)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert message in err
    assert "Traceback" not in err

import csv
import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_trees import make_bad
from extraction_for_tests import IS09, OPTIONS, ROOT, write_clips

from siamese_jax.corpora import audio
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction, extraction_cache
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import ClipError, InputError
from siamese_jax.features import is09
from siamese_jax.runtime import interrupt

N_CLIPS = 14  # of the fixture `manifest`


@pytest.fixture
def counted(decoded, monkeypatch):
    """Names of the files that were decoded, in groups of three."""
    monkeypatch.setattr(extraction, "GROUP", 3)
    return decoded


def with_clips(manifest, *files):
    more = tuple(Clip(file, file, "fear", "c_9", "c") for file in files)
    return dataclasses.replace(manifest, clips=(*more, *manifest.clips))


def test_bad_clips_of_every_kind_are_named_counted_and_left_out(tmp_path, manifest, table, caplog):
    told = make_bad(tmp_path)
    for clip in manifest:
        (tmp_path / clip.file).hardlink_to(manifest.path(clip))
    sound = soundfile.read(manifest.path(manifest.clips[0]))[0]
    sound[3] = 1.5
    soundfile.write(tmp_path / "loud.wav", sound, 16000, subtype="FLOAT")
    clips = with_clips(dataclasses.replace(manifest, root=tmp_path), "loud.wav", *told)
    found = extraction.extract(clips, tmp_path / "t.npz", IS09, OPTIONS)
    np.testing.assert_array_equal(found.features[1:], table.features)
    left_out = read_table(tmp_path / "t.npz").made["left_out"]
    assert [entry["file"] for entry in left_out] == list(told)
    assert all(reason in entry["reason"] for entry, reason in zip(left_out, told.values(), strict=True))
    assert f"{len(told)} of {len(clips)} clips were left out (7 missing, 5 unreadable, 1 " in caplog.text
    assert "1 clips hold samples beyond full scale, which were cut off at it" in caplog.text
    assert found.made["resampling"] == {"none": len(table), "none, cut off at full scale": 1}


def test_a_thousand_missing_clips_are_a_few_lines_and_a_count(tmp_path, manifest, caplog):
    clips = with_clips(manifest, *(f"gone{i}.wav" for i in range(1000)))
    assert len(extraction.compute_table(clips, IS09, OPTIONS).made["left_out"]) == 1000
    assert len(caplog.records) == 21
    assert f"1000 of {len(clips)} clips were left out (1000 missing); the table names them all" in caplog.text


def test_a_clip_without_an_emotion_has_a_row(manifest, table):
    unlabelled = dataclasses.replace(manifest.clips[0], emotion="")
    clips = dataclasses.replace(manifest, clips=(unlabelled, *manifest.clips[1:]))
    found = extraction.compute_table(clips, IS09, OPTIONS)
    assert found.emotion.tolist() == ["", *table.emotion[1:].tolist()]
    np.testing.assert_array_equal(found.features, table.features)


def test_table_holds_the_features_in_the_manifests_order(manifest, table):
    assert table.feature_names == is09.FEATURE_NAMES
    assert table.features.dtype == np.float32
    for name in ("emotion", "speaker", "corpus", "sex"):
        assert getattr(table, name).tolist() == [getattr(clip, name) for clip in manifest]
    assert table.clip.tolist() == [clip.name for clip in manifest]
    for row, clip in enumerate(manifest):
        samples, _ = soundfile.read(manifest.path(clip), dtype="int16")
        assert table.audio_hash[row] == audio.audio_hash(samples)
        if row in (0, 1, 5):
            expected = is09.features(samples[None], np.array([len(samples)]), 64)[0]
            np.testing.assert_allclose(table.features[row], expected, rtol=2e-5, atol=1e-5)
    assert table.made["resampling"] == {"none": 14}
    assert table.made["source_rates"] == {"16000": 14}
    assert table.made["left_out_count"] == 0
    json.dumps(table.made)


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_do_not_depend_on_order_workers_or_groups(manifest, table, counted, workers):
    order = np.random.default_rng(0).permutation(len(manifest))
    shuffled = dataclasses.replace(manifest, clips=tuple(manifest.clips[i] for i in order))
    other = extraction.compute_table(shuffled, IS09, extraction.Options(workers, strict=True))
    np.testing.assert_array_equal(other.features, table.features[order])
    assert len(counted) == len(manifest)


def test_a_bad_clip_is_named_counted_and_left_out(manifest, table, caplog):
    broken = manifest.root / "broken.wav"
    broken.write_bytes(b"RIFF")
    extracted = extraction.compute_table(with_clips(manifest, "broken.wav", "gone.wav"), IS09, OPTIONS)
    np.testing.assert_array_equal(extracted.features, table.features)
    assert extracted.made["left_out_count"] == 2
    left_out = extracted.made["left_out"]
    assert [item["file"] for item in left_out] == ["broken.wav", "gone.wav"]
    assert left_out[0]["reason"].startswith("unreadable")
    assert left_out[1]["reason"].startswith("missing")
    assert "left out: gone.wav: missing" in caplog.text
    assert "2 of 16 clips" in caplog.text


def test_strict_stops_at_a_bad_clip(manifest):
    with pytest.raises(ClipError, match=r"gone\.wav: missing"):
        extraction.compute_table(with_clips(manifest, "gone.wav"), IS09, extraction.Options(workers=2, strict=True))


def test_no_usable_clip_is_an_error(tmp_path):
    clip = Clip("gone.wav", "gone", "fear", "c_1", "c")
    with pytest.raises(InputError, match=r"none of 1 clips can be used\. gone\.wav: missing"):
        extraction.extract(Manifest(tmp_path, (clip,)), tmp_path / "t.npz", IS09, OPTIONS)
    assert not (tmp_path / "t.npz").exists()


def test_output_must_be_npz_and_writable(manifest, tmp_path):
    with pytest.raises(InputError, match=r"table\.csv.*\.npz"):
        extraction.extract(manifest, tmp_path / "table.csv", IS09, OPTIONS)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        extraction.extract(manifest, tmp_path / "file" / "table.npz", IS09, OPTIONS)


@pytest.mark.parametrize("stop_at", [2, 5, 11])
def test_an_interrupted_run_resumes(manifest, table, tmp_path, counted, monkeypatch, stop_at):
    output = tmp_path / "table.npz"
    counting = extraction.decode

    def interrupted(path, *arguments):
        if len(counted) == stop_at:
            raise KeyboardInterrupt
        return counting(path, *arguments)

    monkeypatch.setattr(extraction, "decode", interrupted)
    single = dataclasses.replace(IS09, clips=lambda frames: 1)
    with pytest.raises(KeyboardInterrupt):
        extraction.extract(manifest, output, single, extraction.Options(workers=1, strict=False))
    assert not output.exists()
    saved = sum(len(np.load(file)["key"]) for file in (tmp_path / ".table.npz.partial").glob("*.npz"))
    assert saved <= stop_at
    assert saved > 0 or stop_at < 11
    counted.clear()
    monkeypatch.setattr(extraction, "decode", counting)
    extraction.extract(manifest, output, IS09, OPTIONS)
    assert len(counted) == len(manifest) - saved
    np.testing.assert_array_equal(read_table(output).features, table.features)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["table.npz"]


def test_a_changed_clip_and_a_damaged_part_are_computed_again(tmp_path, counted, caplog):
    manifest = write_clips(tmp_path, 6)
    folder = tmp_path / ".t.npz.partial"
    for half in (manifest.clips[:3], manifest.clips[3:]):
        with extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION) as cache:
            extraction.compute_table(dataclasses.replace(manifest, clips=half), IS09, OPTIONS, cache)
    counted.clear()
    # One part is cut short; the other holds the clips of the half that is not in it, and one of these changes.
    damaged, whole = sorted(folder.glob("*.npz"))
    with np.load(whole) as part:
        kept_names = [Path(key.split("|")[1]).name for key in part["key"]]
    damaged.write_bytes(damaged.read_bytes()[:200])
    samples, _ = soundfile.read(tmp_path / kept_names[0], dtype="int16")
    soundfile.write(tmp_path / kept_names[0], samples[:-1], 16000, subtype="PCM_16")
    table = extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    assert sorted(counted) == sorted(
        {Path(clip.file).stem for clip in manifest} - {Path(name).stem for name in kept_names[1:]}
    )
    assert "computed again" in caplog.text
    np.testing.assert_array_equal(table.features, extraction.compute_table(manifest, IS09, OPTIONS).features)


def hold(output):
    """What a process that is killed in the middle of an extraction leaves."""
    return extraction_cache.ExtractionCache(output.with_name(f".{output.name}.partial"), str(output), is09.VERSION)


def test_a_second_run_on_one_output_is_refused_and_another_output_is_not(manifest, tmp_path):
    with hold(tmp_path / "t.npz"):
        with pytest.raises(InputError, match=rf"t\.npz: in use by process {os.getpid()} on"):
            extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
        extraction.extract(manifest, tmp_path / "other.npz", IS09, OPTIONS)
    extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.npz", "t.npz"]


def test_a_stop_keeps_every_finished_clip(manifest, table, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(extraction, "GROUP", 3)
    real, adding = interrupt.check, extraction_cache.ExtractionCache.add
    added = []
    monkeypatch.setattr(
        extraction_cache.ExtractionCache, "add", lambda *given: (added.append(given[2]), adding(*given))
    )

    def check():
        if len(added) == 4:
            raise interrupt.Stopped(15)
        real()

    monkeypatch.setattr(interrupt, "check", check)
    with pytest.raises(interrupt.Stopped):
        extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    assert [file.name for file in tmp_path.iterdir()] == [".t.npz.partial"]
    assert sum(len(np.load(file)["key"]) for file in tmp_path.rglob("*.npz")) == 4
    counted.clear()
    monkeypatch.undo()
    extracted = extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    np.testing.assert_array_equal(extracted.features, table.features)


def test_what_a_killed_run_leaves_is_cleared_away_and_nothing_else(manifest, table, tmp_path):
    folder = tmp_path / ".t.npz.partial"
    folder.mkdir()
    (folder / ".lock").write_text("{}")
    (folder / ".unfinished-abc-01234567.npz").write_bytes(b"PK")
    (tmp_path / ".unfinished-t-01234567.npz").write_bytes(b"PK")
    (tmp_path / ".unfinished-t-2-01234567.npz").write_bytes(b"another table's")
    extracted = extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    np.testing.assert_array_equal(extracted.features, table.features)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".unfinished-t-2-01234567.npz", "t.npz"]


def test_a_full_disk_is_named_once_and_what_was_saved_before_is_kept(manifest, table, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "GROUP", 3)
    monkeypatch.setattr(extraction_cache, "SAVE_SECONDS", 0.0)
    writes = []

    def savez(*given, **arrays):
        writes.append(given)
        if len(writes) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*given, **arrays)

    real = np.savez
    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(InputError, match=r"\.npz: cannot be written \(No space left on device\); make room"):
        extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS)
    assert len(writes) == 3
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    monkeypatch.undo()
    np.testing.assert_array_equal(
        extraction.extract(manifest, tmp_path / "t.npz", IS09, OPTIONS).features, table.features
    )


def test_a_place_that_vanishes_is_named(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction_cache, "SAVE_SECONDS", 0.0)
    folder = tmp_path / "there"
    real = extraction.decode
    monkeypatch.setattr(
        extraction, "decode", lambda *given: (shutil.rmtree(folder, ignore_errors=True), real(*given))[1]
    )
    with pytest.raises(InputError, match=r"t\.npz: was removed, replaced or unmounted"):
        extraction.extract(manifest, folder / "t.npz", IS09, OPTIONS)
    assert not folder.exists()


def test_segments_of_one_file_have_rows_of_their_own(manifest, tmp_path):
    whole = manifest.clips[0]
    segments = tuple(dataclasses.replace(whole, name=f"{start}", start=start, end=start + 0.5) for start in (0.0, 0.5))
    table = extraction.extract(dataclasses.replace(manifest, clips=segments), tmp_path / "t.npz", IS09, OPTIONS)
    assert len(set(table.audio_hash)) == 2


def test_nothing_of_the_machine_is_in_the_table(manifest, tmp_path):
    bad = with_clips(manifest, "gone.wav")
    extraction.extract(bad, tmp_path / "t.npz", IS09, OPTIONS)
    with np.load(tmp_path / "t.npz") as arrays:
        assert str(manifest.root) not in str(arrays["made"])


def launch(*arguments):
    command = [sys.executable, "-m", "launch.extract", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_launcher_writes_a_table_from_a_manifest(manifest, table, tmp_path):
    with (manifest.root / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion", "speaker"])
        rows.writerows([clip.file, clip.emotion, clip.speaker] for clip in manifest.clips[:4])
        rows.writerow(["gone.wav", "fear", "x"])
    output = tmp_path / "t.npz"
    run = launch(f"--manifest={manifest.root / 'list.csv'}", f"--output={output}", "--workers=1")
    assert run.returncode == 0, run.stderr
    assert "4 clips, 64 features, 1 clips left out" in run.stdout
    assert "gone.wav: missing" in run.stderr
    np.testing.assert_allclose(read_table(output).features, table.features[:4], rtol=2e-5, atol=1e-5)


def test_launcher_says_what_is_wrong(tmp_path):
    run = launch(f"--manifest={tmp_path / 'none.csv'}", f"--output={tmp_path / 't.npz'}")
    assert run.returncode == 2
    assert "none.csv" in run.stderr
    run = launch("--corpus=ravdess", f"--output={tmp_path / 't.npz'}")
    assert run.returncode != 0
    assert "--root" in run.stderr + run.stdout


def test_a_clip_whose_features_overflow_is_left_out_and_named(manifest, table):
    def features(samples, size):
        rows = np.array(IS09.features(samples, size))
        rows[:, 3] = np.where(np.arange(len(rows)) == 0, np.inf, rows[:, 3])
        return rows

    overflowing = dataclasses.replace(IS09, features=features, clips=lambda size: 7)
    extracted = extraction.compute_table(manifest, overflowing, OPTIONS)
    assert 0 < extracted.made["left_out_count"] < len(table)
    assert "its features overflow" in extracted.made["left_out"][0]["reason"]
    with pytest.raises(ClipError, match=r"\.wav: not finite"):
        extraction.compute_table(manifest, overflowing, extraction.Options(workers=2, strict=True))

"""An extraction shared out over processes: one table, whatever their number, and whatever an earlier run left."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from extraction_for_tests import IS09, OPTIONS, ROOT, write_clips

from siamese_jax.datasets import extraction, extraction_cache
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError, LostError
from siamese_jax.features import is09
from siamese_jax.runtime import distributed
from siamese_jax.runtime.distributed import Share
from siamese_jax.runtime.lock import holder

N_CLIPS = 10  # of the fixture `manifest`


def shared(manifest, output, index, count):
    return extraction.extract_share(manifest, output, IS09, OPTIONS, Share(index, count))


def test_a_share_is_every_so_many(manifest):
    assert [list(Share(i, 3).of(7)) for i in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    assert str(Share(1, 3)) == "process 1 of 3"


def test_shares_make_the_table_of_one_process(manifest, table, tmp_path, decoded):
    output = tmp_path / "t.npz"
    assert [shared(manifest, output, i, 3) for i in (2, 1)] == [None, None]
    assert sorted(decoded) == ["001", "002", "004", "005", "007", "008"]
    merged = shared(manifest, output, 0, 3)
    assert len(decoded) == 10
    for each in (merged, read_table(output)):
        np.testing.assert_array_equal(each.features, table.features)
        assert each.clip.tolist() == table.clip.tolist()
        assert each.made == table.made
    assert [file.name for file in tmp_path.iterdir()] == ["t.npz"]


def test_process_0_waits_for_the_others(manifest, table, tmp_path):
    output = tmp_path / "t.npz"
    merged = []
    thread = threading.Thread(target=lambda: merged.append(shared(manifest, output, 0, 2)))
    thread.start()
    time.sleep(1.5)
    assert thread.is_alive()
    shared(manifest, output, 1, 2)
    thread.join(timeout=30)
    np.testing.assert_array_equal(merged[0].features, table.features)


def test_a_process_that_never_comes_is_named_and_any_number_resumes(manifest, table, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(distributed, "LOST_SECONDS", 0.5)
    monkeypatch.setattr(distributed, "JOIN_SECONDS", 1.0)
    output = tmp_path / "t.npz"
    with pytest.raises(LostError, match=r"t\.npz: process 1 of 2 is not at work and has not finished its clips; start"):
        shared(manifest, output, 0, 2)
    assert sorted(decoded) == ["000", "002", "004", "006", "008"]
    decoded.clear()
    shared(manifest, output, 1, 3)
    assert sorted(decoded) == ["001", "007"]
    extracted = extraction.extract(manifest, output, IS09, OPTIONS)
    assert len(decoded) == 5
    np.testing.assert_array_equal(extracted.features, table.features)
    assert [file.name for file in tmp_path.iterdir()] == ["t.npz"]


@pytest.mark.parametrize("other", [Share(0, 1), Share(0, 3), Share(2, 3), Share(0, 2)])
def test_another_run_is_refused_and_the_other_process_of_this_one_is_not(tmp_path, other):
    folder = tmp_path / ".t.npz.partial"
    with extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION, Share(0, 2)):
        with pytest.raises(InputError, match=rf"t\.npz: in use by process {os.getpid()} on"):
            extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION, other)
        with extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION, Share(1, 2)):
            assert holder(folder / ".lock-1-of-2")
    with extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION, other):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_is_writing_is_cleared_away(tmp_path):
    folder = tmp_path / ".t.npz.partial"
    folder.mkdir()
    names = [f".unfinished-{start}-abc-01234567.npz" for start in ("0-of-2", "1-of-2", "1-of-3")]
    for name in (*names, ".lock-1-of-3", "done-0-of-2", "done-1-of-2"):
        (folder / name).write_bytes(b"")
    with extraction_cache.ExtractionCache(folder, "t.npz", is09.VERSION, Share(0, 2)) as cache:
        assert sorted(file.name for file in folder.iterdir() if file.stat().st_size == 0) == [
            ".lock-1-of-3", names[1], "done-1-of-2"
        ]  # fmt: skip
        cache.remove()
    assert [file.name for file in folder.iterdir()] == [names[1]]


def test_the_row_of_one_part_of_a_file_is_not_that_of_another(manifest, tmp_path):
    whole = manifest.clips[0]
    parts = [whole, dataclasses.replace(whole, name="b", start=0.1), dataclasses.replace(whole, name="c", end=0.5)]
    row = extraction_cache.FeatureRow(np.zeros(2, np.float32), "digest", 16000, "none")
    for part in parts:
        with extraction_cache.ExtractionCache(tmp_path / part.name, "t.npz", "1") as cache:
            cache.add(manifest, part, row)
        with extraction_cache.ExtractionCache(tmp_path / part.name, "t.npz", "1") as cache:
            assert [other.name for other in parts if cache.get(manifest, other)] == [part.name]


def test_a_clip_that_cannot_be_used_is_left_out_of_the_whole(manifest, tmp_path, caplog):
    (manifest.root / "003.wav").rename(tmp_path / "gone.wav")
    try:
        shared(manifest, tmp_path / "t.npz", 1, 2)
        merged = shared(manifest, tmp_path / "t.npz", 0, 2)
    finally:
        (tmp_path / "gone.wav").rename(manifest.root / "003.wav")
    assert [left["file"] for left in merged.made["left_out"]] == ["003.wav"]
    assert len(merged) == 9


def launch(*arguments):
    command = [sys.executable, "-m", "launch.extract", "--workers=1", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
def test_launchers_share_the_clips_and_a_killed_one_fails_the_run_until_it_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMESE_JAX_LOST_SECONDS", "2")
    monkeypatch.setenv("SIAMESE_JAX_SAVE_SECONDS", "0")
    manifest = write_clips(tmp_path, 400)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion", "speaker"])
        rows.writerows([clip.file, clip.emotion, clip.speaker] for clip in manifest.clips)
    given = [f"--manifest={tmp_path / 'list.csv'}"]
    alone = launch(*given, f"--output={tmp_path / 'one.npz'}")
    assert alone.wait(timeout=120) == 0

    def both():
        output = f"--output={tmp_path / 'two.npz'}"
        return [launch(*given, output, "--num_processes=2", f"--process_id={i}") for i in range(2)]

    first, second = both()
    limit = time.monotonic() + 100
    while time.monotonic() < limit and not list(tmp_path.glob(".two.npz.partial/1-of-2*.npz")):
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    _, err = first.communicate(timeout=120)
    assert first.returncode == distributed.LOST, err
    assert "process 1 of 2 is not at work" in err
    for process in both():
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "were finished by an earlier run" in err
    one, two = read_table(tmp_path / "one.npz"), read_table(tmp_path / "two.npz")
    np.testing.assert_array_equal(one.features, two.features)
    assert one.made == two.made

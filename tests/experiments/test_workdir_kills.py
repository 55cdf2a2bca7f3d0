"""A process that writes a work directory's files, killed over and over: every file and its digest stay together."""

import os
import random
import signal
import time

import kill_targets
import numpy as np
import pytest
import xarray as xr

from siamese_jax.experiments import stored_results
from siamese_jax.runtime.file_index import FileIndex

STAGES, KILLS = 25, 40


@pytest.mark.long
def test_forty_kills_while_files_and_their_index_are_written_leave_the_old_or_the_new_file(tmp_path):
    rng, kills, rounds = random.Random(5), 0, 0
    while kills < KILLS:
        folder, rounds = tmp_path / f"run_{rounds}", rounds + 1
        while not _ends(folder, rng.uniform(0.0, 0.3) if kills < KILLS else 100.0):
            kills += 1
            _assert_whole(folder)
        _assert_whole(folder)
        assert len(stored_results.stored_stages(folder)) == STAGES
        assert stored_results.stored_json(folder / "summary.json", list) == [STAGES - 1] * 100
        assert not list(folder.rglob(".unfinished-*"))


def _ends(folder, seconds):
    """Starts a run and kills it after some seconds of writing; whether it ended before."""
    process = kill_targets.start("files", "", str(folder))
    while not (folder / ".lock").exists() and process.is_alive():
        time.sleep(0.001)
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join(100)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def _assert_whole(folder):
    """A reader sees every file that the index names, or none of it."""
    if (folder / "index.json").exists():
        stored_results.stored_config(folder)
        index = FileIndex.load(folder)
        for name in stored_results.stored_stages(folder):
            with xr.open_dataset(index.find(f"arrays/{name}.nc"), engine="h5netcdf") as arrays:
                np.testing.assert_array_equal(arrays.y, int(name.removeprefix("stage_")))

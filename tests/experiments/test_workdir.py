"""A work directory: one run at a time, finished trials kept, and clear words where the disk will not do."""

import os
import resource
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from configs import smoke
from siamese_jax.errors import InputError
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import config
from siamese_jax.runtime import interrupt, vectorize

EXPERIMENT = config.resolve(smoke.get_config())


def opened(path, experiment=EXPERIMENT, reading=False):
    return WorkDir(path, experiment, {"source": "1", "target": "2"}, "test", reading)


class Stage:
    """Ten trials in chunks of two; stopped after `stop_after` chunks."""

    def __init__(self, stop_after=None):
        self.chunks, self.stop_after = [], stop_after

    def __call__(self):
        program = vectorize.TrialProgram(lambda x: jnp.full((3,), 2 * x), (0,), 2)
        return xr.Dataset({"y": (("trial", "z"), program(np.arange(10, dtype=np.float32), on_chunk=self._count))})

    def _count(self, n):
        self.chunks.append(n)
        if len(self.chunks) == self.stop_after:
            raise interrupt.Stopped(15)


def stop(path, after=2):
    with opened(path) as work, pytest.raises(interrupt.Stopped):
        work.arrays("a/b", Stage(after))


def names(path):
    return sorted(found.name for found in path.iterdir())


def test_a_stopped_stage_resumes_and_leaves_nothing_behind(tmp_path):
    stop(tmp_path)
    assert names(tmp_path) == ["checkpoints", "config.json", "index.json"]
    resumes = Stage()
    with opened(tmp_path) as work:
        arrays = work.arrays("a/b", resumes)
    assert resumes.chunks == [4, 2, 2, 2]
    np.testing.assert_array_equal(arrays.y[:, 0], 2 * np.arange(10))
    assert names(tmp_path) == ["arrays", "config.json", "index.json"]


def test_a_stop_that_was_asked_for_comes_before_the_next_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(interrupt, "_requested", [15])
    stage = Stage()
    with opened(tmp_path) as work, pytest.raises(interrupt.Stopped):
        work.arrays("a", stage)
    assert stage.chunks == []


def test_what_a_killed_run_leaves_is_cleared_away(tmp_path):
    stop(tmp_path)
    part = tmp_path / "checkpoints" / "a" / "b" / "part_00000"
    # Killed after the stage's file was written and before its checkpoint was removed; and while writing two others.
    shutil.copytree(part.parent, tmp_path / "keep")
    with opened(tmp_path) as work:
        work.arrays("a/b", Stage())
    shutil.move(tmp_path / "keep", part.parent)
    (part.parent / ".unfinished-part_00001.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "arrays" / "a" / ".unfinished-c-x1.nc").write_bytes(b"half")
    with opened(tmp_path):
        assert names(tmp_path) == [".lock", "arrays", "checkpoints", "config.json", "index.json"]
        assert names(tmp_path / "arrays" / "a") == ["b.nc"]
    assert names(tmp_path) == ["arrays", "config.json", "index.json"]


def test_killed_before_anything_was_written(tmp_path):
    (tmp_path / ".lock").write_text("{}")
    (tmp_path / ".unfinished-config-1.json").write_text("{")
    with opened(tmp_path):
        assert names(tmp_path) == [".lock", "config.json", "index.json"]


def test_a_second_run_is_refused_and_a_reader_is_not(tmp_path):
    with opened(tmp_path) as work:
        with pytest.raises(InputError, match=rf"{tmp_path}: in use by process {os.getpid()} on"):
            opened(tmp_path)
        made = work.arrays("a", Stage())
        np.testing.assert_array_equal(opened(tmp_path, reading=True).arrays("a", xr.Dataset).y, made.y)
    with opened(tmp_path):
        pass


def test_a_refused_configuration_leaves_the_folder_unlocked(tmp_path):
    with opened(tmp_path):
        pass
    other = EXPERIMENT.replace(n_draws=2)
    with pytest.raises(InputError, match="another configuration"):
        opened(tmp_path, other)
    assert names(tmp_path) == ["config.json", "index.json"]


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        ({"source": "1", "target": "3"}, "test", "tables.target: '2' there, '3' now"),
        ({"source": "2", "target": "1"}, "test", "tables.source: '1' there, '2' now"),
        ({"source": "1", "target": "2"}, "other", "kind: 'test' there, 'other' now"),
    ],
)
@pytest.mark.parametrize("reading", [False, True])
def test_results_of_other_tables_and_of_another_kind_of_run_are_refused(tmp_path, inputs, kind, message, reading):
    with opened(tmp_path):
        pass
    with pytest.raises(InputError, match=message):
        WorkDir(tmp_path, EXPERIMENT, inputs, kind, reading)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    stop(tmp_path / "one")
    other = EXPERIMENT.replace(n_draws=2)
    with opened(tmp_path / "two", other):
        shutil.copytree(tmp_path / "one" / "checkpoints", tmp_path / "two" / "checkpoints")
    with opened(tmp_path / "two", other) as work:
        with pytest.raises(InputError, match=r"part_00000: a checkpoint of other work \(config: '.* there, '.* now\)"):
            work.arrays("a/b", Stage())
        assert (tmp_path / "two" / "checkpoints" / "a" / "b" / "part_00000").exists()


def test_a_folder_that_vanishes_is_not_made_again(tmp_path):
    folder = tmp_path / "run"
    with opened(folder) as work:
        with pytest.raises(InputError, match=rf"{folder}: was removed, replaced or unmounted"):
            work.arrays("a", lambda: [shutil.rmtree(folder), Stage()()][1])
        with pytest.raises(InputError, match="was removed"):
            work.write_provenance(1.0)
        assert not folder.exists()


def test_a_checkpoint_in_a_folder_that_vanishes_is_not_made_again(tmp_path):
    folder = tmp_path / "run"
    stage = Stage()
    stage._count = lambda n: folder.exists() and shutil.rmtree(folder)
    with opened(folder) as work, pytest.MonkeyPatch.context() as patch:
        patch.setattr("siamese_jax.runtime.partial_results.SAVE_SECONDS", 0.0)
        with pytest.raises(InputError, match="was removed"):
            work.arrays("a", stage)
        assert not folder.exists()


def full_disk():
    """From now on no file may grow over a thousand bytes: the same refusal as a full disk's, for any user."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


FILL = """
import sys
sys.path.insert(0, "tests/experiments")
import numpy as np, xarray as xr
from siamese_jax.errors import InputError
from siamese_jax.runtime import partial_results, vectorize
from test_workdir import full_disk, opened

what, path = sys.argv[1:]
partial_results.SAVE_SECONDS = 0.0
noise = np.random.default_rng(0).normal(size=9999)

def make():
    if what == "checkpoint":
        program = vectorize.TrialProgram(lambda x: x * noise, (0,), 2)
        program(np.arange(4, dtype=np.float32), on_chunk=lambda n: full_disk())
    full_disk()
    return xr.Dataset({"y": ("x", noise)})

try:
    with opened(path) as work:
        work.arrays("a/b", make)
except InputError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize(
    ("what", "named"), [("file", r"arrays/a/b\.nc"), ("checkpoint", r"checkpoints/a/b/part_00001")]
)
def test_a_full_disk_is_named_and_what_was_finished_is_kept(tmp_path, what, named):
    with opened(tmp_path) as work:
        before = work.arrays("earlier", Stage())
    run = subprocess.run([sys.executable, "-c", FILL, what, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert "InputError" not in run.stderr
    assert named.replace("\\", "") + ": cannot be written (File too large); make room" in run.stdout
    with opened(tmp_path) as work:
        xr.testing.assert_identical(work.arrays("earlier", xr.Dataset), before)
        assert not list(tmp_path.rglob(".unfinished-*"))
        if what == "checkpoint":
            assert names(tmp_path / "checkpoints" / "a" / "b") == ["part_00000"]
        else:
            assert work.arrays("a/b", Stage()).sizes["trial"] == 10


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a hundred kilobytes; skipped where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_and_one_that_is_really_read_only(small_disk):
    noise = np.random.default_rng(0).normal(size=(10, 3000))

    def too_much():
        program = vectorize.TrialProgram(lambda x: x, (0,), 2)
        return xr.Dataset({"y": (("trial", "z"), program(noise.astype(np.float32)))})

    with opened(small_disk / "run") as work:
        first = work.arrays("first", Stage())
        # The stage's file does not fit, and neither does what would be kept of it.
        with pytest.raises(InputError, match=r": cannot be written \(No space left on device\); make room"):
            work.arrays("second", too_much)
        assert not work.has("second")
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    with opened(small_disk / "run") as work:
        xr.testing.assert_identical(work.arrays("first", xr.Dataset), first)
        np.testing.assert_array_equal(work.arrays("second", too_much).y, noise.astype(np.float32))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match=r"run: cannot be written \(Read-only file system\)"):
        opened(small_disk / "run")
    xr.testing.assert_identical(opened(small_disk / "run", reading=True).arrays("first", xr.Dataset), first)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=rf"{tmp_path / 'run'}: cannot be written \(Permission denied\)"):
        opened(tmp_path / "run")


def test_a_place_where_nobody_can_write_is_named():
    with pytest.raises(InputError, match=r"/proc/nowhere: cannot be written \(.*\); make room, fix the folder"):
        opened("/proc/nowhere")


def test_the_time_to_the_first_results_is_said_once(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    with opened(tmp_path / "run") as work:
        for name in ("first", "second"):
            work.arrays(name, lambda: xr.Dataset({"x": 1}))
    said = [record.getMessage() for record in caplog.records if "first results" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith("compiling included: first")

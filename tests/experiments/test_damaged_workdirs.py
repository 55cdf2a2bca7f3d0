"""A work directory changed from outside: no changed file is read, no link is followed, no kill loses a file."""

import concurrent.futures
import json
import os
import shutil
import signal

import pytest
import xarray as xr
from indexed_for_tests import rewrite
from test_workdir import EXPERIMENT, Stage, opened, stop

from siamese_jax.errors import InputError
from siamese_jax.experiments import stored_results
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.runtime import file_index, files
from siamese_jax.runtime.file_index import FileIndex


@pytest.fixture
def finished(tmp_path):
    """A work directory with two stages."""
    folder = tmp_path / "run"
    with opened(folder) as work:
        for name, value in (("a/fine_tuning_02", 2), ("a/fine_tuning_04", 4)):
            work.arrays(name, lambda value=value: xr.Dataset({"y": ("x", [value] * 50)}))
        work.write_json("summary.json", [1])
    return folder


@pytest.fixture
def never_opened(monkeypatch):
    """HDF5 may hang for ever on a damaged file: it must not be asked to open one."""

    def fail(*given, **how):
        raise AssertionError("a changed file was opened")

    monkeypatch.setattr(xr, "open_dataset", fail)


def assert_refused(folder, name="a/fine_tuning_04", message=r"fine_tuning_04\.nc: changed since it was written"):
    with opened(folder) as work, pytest.raises(InputError, match=message):
        work.arrays(name, xr.Dataset)
    with pytest.raises(InputError, match=message):
        stored_results.stored_arrays(folder, name, xr.open_dataset)


def test_a_stage_file_copied_over_another_is_refused(finished, never_opened):
    shutil.copyfile(finished / "arrays/a/fine_tuning_02.nc", finished / "arrays/a/fine_tuning_04.nc")
    assert_refused(finished)


@pytest.mark.parametrize("how", ["one bit", "a hundred zeros", "cut", "longer", "empty"])
def test_a_damaged_netcdf_is_refused_before_hdf5_opens_it(finished, never_opened, how):
    file = finished / "arrays/a/fine_tuning_04.nc"
    content = bytearray(file.read_bytes())
    if how == "one bit":
        content[len(content) // 2] ^= 4
    elif how == "a hundred zeros":
        content[100:212] = bytes(112)
    file.write_bytes({"cut": content[:-9], "longer": content + b"\0", "empty": b""}.get(how, content))
    assert_refused(finished)


def test_a_stage_file_that_no_run_wrote_is_refused(finished, never_opened):
    shutil.copyfile(finished / "arrays/a/fine_tuning_02.nc", finished / "arrays/a/fine_tuning_06.nc")
    assert_refused(finished, "a/fine_tuning_06", r"fine_tuning_06\.nc: not in index\.json, so no run wrote it")


def test_a_removed_stage_file_is_computed_again(finished):
    (finished / "arrays/a/fine_tuning_04.nc").unlink()
    with opened(finished) as work:
        assert work.arrays("a/fine_tuning_04", lambda: xr.Dataset({"y": 5})).y == 5
    with opened(finished) as work:
        assert work.arrays("a/fine_tuning_04", xr.Dataset).y == 5


def test_a_changed_result_is_refused_and_written_again_by_the_next_run(finished):
    (finished / "summary.json").write_text("[2]")
    with pytest.raises(InputError, match=r"summary\.json: changed since it was written"):
        stored_results.stored_json(finished / "summary.json", list)
    with opened(finished) as work:
        work.write_json("summary.json", [3])
    assert stored_results.stored_json(finished / "summary.json", list) == [3]


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "text", ["null", "[]", "{", DEEP, '{"format": 1, "sha256": "", "files": {}}', '{"files": NaN}', ""]
)
@pytest.mark.parametrize("name", ["config.json", "index.json"])
def test_a_config_or_index_of_other_json_is_refused_by_name(finished, name, text):
    (finished / name).write_text(text)
    with pytest.raises(InputError, match=rf"run/{name}: (changed|holds|not readable)"):
        opened(finished)
    with pytest.raises(InputError, match=rf"run/{name}: (changed|holds|not readable)"):
        stored_results.stored_config(finished)


@pytest.mark.parametrize(
    ("text", "message"),
    [("null", "holds null, expected a dict"), ("[]", "holds a list"), (DEEP, "nested too deep"), ("{", "not readable")],
)
def test_a_config_of_other_json_is_named_without_an_index_too(finished, text, message):
    (finished / "index.json").unlink()
    (finished / "config.json").write_text(text)
    with pytest.raises(InputError, match=rf"config\.json: .*{message}"):
        opened(finished)


@pytest.mark.parametrize("name", ["config.json", "index.json", "arrays/a/fine_tuning_04.nc"])
def test_a_folder_in_place_of_a_file_is_refused(finished, name):
    (finished / name).unlink()
    (finished / name).mkdir()
    with pytest.raises(InputError, match="is no plain file"):
        assert opened(finished).arrays("a/fine_tuning_04", xr.Dataset)


def test_a_flipped_digit_of_the_index_is_refused(finished):
    index = json.loads((finished / "index.json").read_text())
    entry = index["files"]["arrays/a/fine_tuning_04.nc"]
    entry["sha256"] = file_index._entry(finished / "arrays/a/fine_tuning_02.nc").sha256
    (finished / "index.json").write_text(json.dumps(index, indent=2) + "\n")
    with pytest.raises(InputError, match=r"index\.json: changed since it was written; restore it"):
        opened(finished)


@pytest.mark.parametrize("files", [3, [], {"a": 3}, {"a": {"sha256": "x"}}, {"a": {"sha256": 1, "size": "x"}}])
def test_an_index_of_other_entries_is_refused_though_its_digest_fits(finished, files):
    (finished / "index.json").write_bytes(file_index._rendered(files, 1))
    with pytest.raises(InputError, match=r"index\.json: changed since it was written"):
        opened(finished)


def test_an_index_of_another_format_is_named(finished):
    (finished / "index.json").write_bytes(file_index._rendered({}, 2))
    with pytest.raises(InputError, match=r"index\.json: is of the format 2, not 1"):
        opened(finished)


def test_a_work_directory_without_an_index_is_refused_by_its_version(finished):
    (finished / "index.json").unlink()
    for read in (opened, stored_results.stored_config):
        with pytest.raises(InputError, match=r"run: made by siamese_jax 0\.\d+\.\d+ without index\.json"):
            read(finished)


@pytest.mark.parametrize("target", ["nowhere", "victim", "folder"])
@pytest.mark.parametrize("link", [".lock", "tensorboard", "checkpoints", "arrays/a/b", "config.json", "training"])
def test_a_link_inside_a_work_directory_is_refused_and_not_followed(finished, tmp_path, link, target):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "folder" / "a" / "b").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "b" / "mine").write_text("mine")
    if link == "config.json":
        (finished / link).unlink()
    (finished / link).symlink_to(tmp_path / target)
    with pytest.raises(InputError, match=rf"{link}: is a link"):
        opened(finished)
    assert (tmp_path / "victim").read_text() == (tmp_path / "folder" / "a" / "b" / "mine").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_link_to_the_whole_work_directory_is_followed(finished, tmp_path):
    (tmp_path / "elsewhere").symlink_to(finished)
    with opened(tmp_path / "elsewhere") as work:
        assert work.arrays("a/fine_tuning_04", xr.Dataset).y[0] == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", [".lock", "config.json", "index.json", "arrays/a/fine_tuning_04.nc"])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(finished, name):
    (finished / name).unlink(missing_ok=True)
    os.mkfifo(finished / name)
    signal.alarm(10)
    with pytest.raises(InputError, match="is no plain file"):
        opened(finished)
    signal.alarm(0)


@pytest.mark.parametrize("name", ["part_00000x", "part_", "part_x", "part_-1", "part_\u0661\u0661\u0661\u0661\u0661"])
def test_a_checkpoint_folder_of_a_strange_name_is_named(tmp_path, name):
    stop(tmp_path)
    (tmp_path / "checkpoints/a/b" / name).mkdir()
    with opened(tmp_path) as work, pytest.raises(InputError, match=f"{name}: is no part of this stage by its name"):
        work.arrays("a/b", Stage())


def test_a_changed_checkpoint_is_refused_before_orbax_opens_it(tmp_path, monkeypatch):
    stop(tmp_path)
    part = tmp_path / "checkpoints/a/b/part_00000"
    monkeypatch.setattr("siamese_jax.runtime.checkpoints._checkpointer", lambda: pytest.fail("it was opened"))
    for file in [file for file in part.rglob("*") if file.is_file()]:
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]) if good else b"x")
        with opened(tmp_path) as work, pytest.raises(InputError, match=r"part_00000: damaged .*remove this folder"):
            work.arrays("a/b", Stage())
        file.write_bytes(good)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["before the index", "after the index"])
def test_a_kill_between_a_file_and_its_index_leaves_the_old_or_the_new_file(finished, monkeypatch, step):
    """Both are there together or neither is; a reader and the next run see the same."""

    def killed(self, target):
        if target.name == ("index.json" if step == "before the index" else "summary.json"):
            raise Killed
        return replace(self, target)

    replace = files.Path.replace
    work = opened(finished)
    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "replace", killed)
        patch.setattr(files.Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(Killed):
            work.write_json("summary.json", [2])
    work._lock.release()
    assert list(finished.glob(".unfinished-*"))
    wanted = [1] if step == "before the index" else [2]
    assert stored_results.stored_json(finished / "summary.json", list) == wanted
    with opened(finished):
        assert not list(finished.glob(".unfinished-*"))
        assert json.loads((finished / "summary.json").read_text()) == wanted
        FileIndex.load(finished).find("summary.json")


def test_a_kill_while_the_configuration_is_written_again_is_no_dead_end(tmp_path, monkeypatch):
    def open_with(level):
        changed = EXPERIMENT.replace(level=level)
        return WorkDir(tmp_path, changed, {}, "test", may_change=("report",))

    open_with(0.9).close()
    replace = files.Path.replace

    def killed(self, target):
        if target.name == "config.json":
            raise Killed
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "replace", killed)
        with pytest.raises(Killed):
            open_with(0.8)
    assert json.loads((tmp_path / "config.json").read_text())["report"]["level"] == 0.9
    assert stored_results.stored_config(tmp_path)["report"]["level"] == 0.8
    open_with(0.7).close()
    assert json.loads((tmp_path / "config.json").read_text())["report"]["level"] == 0.7


def test_a_reader_beside_a_run_that_writes_sees_whole_files(finished):
    def write():
        for number in range(60):
            work.write_json("summary.json", [number] * 100)

    with opened(finished) as work, concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            assert len(set(stored_results.stored_json(finished / "summary.json", list))) == 1
        writing.result()


def test_a_file_of_ten_terabytes_is_not_read(finished):
    with (finished / "summary.json").open("r+b") as file:
        file.truncate(10 << 40)
    with pytest.raises(InputError, match="changed since it was written"):
        stored_results.stored_json(finished / "summary.json", list)
    with (finished / "index.json").open("r+b") as file:
        file.truncate(1 << 29)
    with pytest.raises(InputError, match=r"index\.json: over 256 MiB"):
        stored_results.stored_config(finished)


def test_a_strange_config_can_be_read_where_the_index_agrees(finished):
    rewrite(finished / "config.json", "null")
    with pytest.raises(InputError, match=r"config\.json: holds null, expected a dict"):
        opened(finished)

"""The lock dies with its process, and says who holds it."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from siamese_jax.errors import InputError
from siamese_jax.runtime.lock import Lock

HOLD = """
import sys, time
from siamese_jax.runtime.lock import Lock
with Lock(sys.argv[1], "the results"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / ".lock"


@pytest.fixture
def holder(file):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_holds_it(file, holder):
    with pytest.raises(InputError, match=rf"the results: in use by process {holder.pid} on .* since 20.*\(-c .*lock\)"):
        Lock(file, "the results")
    assert holder.poll() is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_holds_nothing(file, holder, number):
    holder.send_signal(number)
    holder.wait()
    assert file.exists()
    with Lock(file, "the results") as lock:
        assert str(os.getpid()) in file.read_text()
        lock.check()
    assert not file.exists()


def test_a_holder_that_ends_lets_the_next_in(file, holder):
    holder.communicate("")
    assert not file.exists()
    with Lock(file, "x"):
        pass


def test_a_second_one_in_the_same_process_is_refused_too(file):
    with Lock(file, "x"):
        with pytest.raises(InputError, match=f"process {os.getpid()} "):
            Lock(file, "x")
        assert file.exists()
    Lock(file, "x").release()


def test_a_former_holders_file_that_was_removed_is_no_lock(file):
    first = Lock(file, "x")
    file.unlink()
    with Lock(file, "x") as second:
        with pytest.raises(InputError, match="removed, replaced or unmounted"):
            first.check()
        # Its end must not take the second one's file away.
        first.release()
        second.check()


def test_a_folder_that_vanishes_is_noticed(file):
    with Lock(file, "the results") as lock:
        shutil.rmtree(file.parent)
        with pytest.raises(InputError, match="the results: was removed, replaced or unmounted"):
            lock.check()


def test_a_holder_whose_name_cannot_be_read_is_still_a_holder(file, holder):
    file.write_text("{")
    with pytest.raises(InputError, match="another process, which has not written its name"):
        Lock(file, "x")


@pytest.mark.parametrize("kind", ["dangling link", "link", "second name", "pipe", "folder"])
def test_a_lock_that_is_a_link_is_refused_at_once_and_its_target_kept(file, tmp_path, kind):
    (tmp_path / "victim").write_text("mine")
    file.parent.mkdir()
    if kind == "second name":
        file.hardlink_to(tmp_path / "victim")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / ("victim" if kind == "link" else "nowhere"))
    signal.alarm(10)
    with pytest.raises(InputError, match=r"\.lock: is a link, a folder or no plain file, so x cannot be locked"):
        Lock(file, "x")
    signal.alarm(0)
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()

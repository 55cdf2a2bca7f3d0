"""`make` passes folders on as they are, and checks them before it installs anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments):
    return subprocess.run(["make", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def venv(tmp_path):
    """A finished installation whose programs print their arguments, a line each."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "siamese-jax"):
        (folder / "bin" / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    (folder / ".installed").touch()
    return f"VENV={folder}"


@pytest.mark.parametrize("name", ["two words", "it's", "a;b", 'a"b', "plain"])
def test_blanks_and_quotes_in_the_folders_of_make(venv, tmp_path, name):
    made = make("reproduce", venv, f"WORKDIR={name}")
    assert f"--workdir={name}" in made.stdout.splitlines(), made
    for corpus in ("ravdess", "emodb"):
        (tmp_path / name / "audio" / corpus).mkdir(parents=True)
    made = make("tables", venv, f"SIAMESE_JAX_DATA={tmp_path / name}")
    assert f"--data={tmp_path / name}" in made.stdout.splitlines(), made


def test_make_tables_checks_its_folder_before_it_installs_anything(tmp_path):
    venv = tmp_path / "venv"
    (tmp_path / "half" / "audio" / "ravdess").mkdir(parents=True)
    for place in ("", str(tmp_path / "absent"), str(tmp_path / "half")):
        made = make("tables", f"VENV={venv}", f"SIAMESE_JAX_DATA={place}")
        assert made.returncode != 0
        assert "give the recordings: make tables SIAMESE_JAX_DATA=DIR" in made.stdout
        assert not venv.exists()

"""The wheel, built from the tracked files and installed where no checkout is: all modules, the data, the program."""

import email
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, **how):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if not (ROOT / ".git").exists():
        pytest.skip("only git knows which files are tracked")
    folder = tmp_path_factory.mktemp("wheel")
    # New files count from the moment they are written, so that a test run before the commit sees them.
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "tree" / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "tree")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """The folder of programs of an environment with the wheel; its dependencies are this environment's."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # Folders that a .pth names are searched, the .pth files in them are not read: an editable install stays unseen.
    (Path(packages) / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))
    return environment / "bin"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of another project, with configurations and launchers of its own."""
    for name in ("configs", "launch"):
        (tmp_path / name).mkdir()
        for file in ("__init__", "smoke", "reproduce", "common"):
            (tmp_path / name / f"{file}.py").write_text("raise RuntimeError('of another project')\n")
    return tmp_path


def test_the_wheel_holds_one_package_with_its_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"siamese_jax"}
    assert {"siamese_jax/py.typed", *(f"siamese_jax/report/predictions/page.{kind}" for kind in ("css", "js"))} <= set(
        names
    )
    shipped = ROOT / "siamese_jax" / "datasets" / "shipped"
    files = {path.relative_to(ROOT).as_posix() for path in shipped.rglob("*.*") if "__pycache__" not in path.parts}
    assert files <= set(names)
    licences = {"LICENSE", *(path.name for path in (ROOT / "LICENSES").iterdir())}
    assert licences <= {Path(name).name for name in names if ".dist-info/" in name}


def test_the_wheel_says_which_file_is_under_which_licence(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
    metadata = email.message_from_bytes(archive.read(texts["METADATA"]))
    assert metadata["License"] == "Apache-2.0 AND MIT AND CC-BY-NC-SA-4.0"
    assert b"Apache License" in archive.read(texts["LICENSE"])
    assert b"Copyright (c) 2022 OpenAI" in archive.read(texts["MIT-OpenAI-Whisper.txt"])
    assert b"Section 8 \xe2\x80\x93 Interpretation." in archive.read(texts["CC-BY-NC-SA-4.0.txt"])
    index = archive.read(texts["README.md"]).decode()
    assert set(re.findall(r"\]\(([^)/]+)\)", index)) == {path.name for path in (ROOT / "LICENSES").glob("*.txt")}
    patterns = re.findall(r"^\| `([^`]+)`", index, re.MULTILINE)
    data = [n for n in archive.namelist() if n.startswith("siamese_jax/datasets/shipped/") and not n.endswith(".py")]
    assert len(data) > 8
    for name in data:
        assert sum(fnmatch.fnmatch(name, pattern) for pattern in patterns) == 1, name


def test_every_module_of_the_checkout_is_in_the_wheel(program, tmp_path):
    printed = run(program / "python", "-I", ROOT / "scripts" / "import_all.py", cwd=tmp_path)
    assert f"modules of {program.parent}" in printed


@pytest.mark.long
def test_the_program_runs_from_another_folder(program, elsewhere):
    run(program / "siamese-jax", "reproduce", "--config=smoke", "--workdir=results", cwd=elsewhere)
    assert (elsewhere / "results" / "table1.md").is_file()
    assert "siamese-jax manifest --corpus" in help_of(program, "manifest", elsewhere)


def help_of(program, command, folder):
    """What COMMAND --help prints; absl gives it exit status 1."""
    return subprocess.run(
        [program / "siamese-jax", command, "--help"], capture_output=True, text=True, cwd=folder
    ).stdout


@pytest.mark.long
def test_a_configuration_of_ones_own_is_given_by_path_and_starts_from_one_that_ships(program, elsewhere):
    text = "from siamese_jax import load_config\n\ndef get_config():\n    return load_config('smoke')\n"
    (elsewhere / "mine.py").write_text(text)
    flags = ("--config=~/mine.py", "--workdir=~/out")
    home = {**os.environ, "HOME": str(elsewhere)}
    printed = run(program / "siamese-jax", "reproduce", *flags, cwd=elsewhere, env=home)
    assert f"Results, figure and every repetition: {elsewhere}/out" in printed

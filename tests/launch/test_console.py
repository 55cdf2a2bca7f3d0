"""The program `siamese-jax`: its commands are the launchers, and its help imports none of them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch import console
from siamese_jax.errors import InputError
from siamese_jax.runtime import config_files

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "calibration",
    "choose",
    "enrol",
    "evaluate",
    "extract",
    "facenet",
    "images",
    "manifest",
    "predict",
    "rank_sources",
    "report",
    "reproduce",
    "rerun",
    "sources",
    "transfer",
    "tune",
]


def siamese_jax(*arguments):
    command = [sys.executable, "-m", "launch.console", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_help_lists_the_commands_with_a_line_each_at_once():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = siamese_jax("--help")
        times.append(time.perf_counter() - start)
    assert min(times) < 1
    assert done.returncode == 0
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, _ in lines] == COMMANDS
    assert all(text.endswith(".") or text.endswith("?") for _, text in lines)


def test_help_imports_no_launcher_and_no_jax():
    code = "import sys; sys.argv = ['siamese-jax', '--help']; from launch import console; console.main()"
    code += "; assert not {'jax', 'numpy', 'absl', 'launch.common'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 0


def test_help_of_a_command_is_its_docstring_and_flags():
    done = siamese_jax("sources", "--help")
    assert done.stdout.startswith(console.commands()["sources"])
    assert "--scaling:" in done.stdout


def test_an_unknown_command_says_which_exist(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["siamese-jax", "train"])
    assert console.main() == 2
    assert capsys.readouterr().err == f"siamese-jax: no command 'train'; expected one of {', '.join(COMMANDS)}\n"


def test_no_command_shows_the_usage_and_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["siamese-jax"])
    assert console.main() == 2
    assert "usage: siamese-jax COMMAND" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["siamese-jax", "--version"])
    assert console.main() == 0
    assert capsys.readouterr().out.startswith("siamese-jax 0.")


def test_an_unknown_configuration_exits_with_two_and_lists_the_names():
    done = siamese_jax("reproduce", "--config=pared")
    assert done.returncode == 2
    assert "configuration 'pared': no such file; give a path, or one of cremad, enterface05" in done.stderr


def test_a_configuration_is_found_by_name_before_files_and_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("smoke").touch()
    Path("mine.py").write_text("def get_config():\n    return {'a': 1}\n")
    assert config_files.find("smoke") == ROOT / "configs" / "smoke.py"
    assert config_files.find("./smoke") == tmp_path / "smoke"
    assert config_files.find("~/mine.py") == config_files.find("mine.py") == tmp_path / "mine.py"
    assert config_files.load("mine.py") == {"a": 1}
    with pytest.raises(InputError, match=r"'configs/smoke\.py': no such file"):
        config_files.find("configs/smoke.py")

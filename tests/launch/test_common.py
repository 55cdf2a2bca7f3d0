"""What ends a run is an exit code and a message; what is a defect keeps its traceback."""

import os
import shutil
import signal
import time
from logging import LogRecord

import pytest
from absl import flags

from launch import common
from siamese_jax.corpora.manifest import read_manifest
from siamese_jax.datasets.shipped import shipped
from siamese_jax.datasets.table_files import read_table
from siamese_jax.errors import InputError
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.files import user_path


@pytest.mark.parametrize(
    ("error", "shown"), [(InputError("a.csv: row 3"), "a.csv: row 3"), (OSError(28, "No space", "x.nc"), "'x.nc'")]
)
def test_what_a_user_can_mend_exits_with_two_and_its_message(error, shown, caplog):
    with pytest.raises(SystemExit) as ended, common.exit_codes():
        raise error
    assert ended.value.code == 2
    assert shown in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_exits_with_its_code_and_says_how_to_go_on(number, code, caplog):
    def work():
        os.kill(os.getpid(), number)
        while True:
            interrupt.check()
            time.sleep(0.01)

    with pytest.raises(SystemExit) as ended, common.exit_codes():
        work()
    assert ended.value.code == code
    assert "the same command resumes from them" in caplog.text


def test_a_defect_keeps_its_traceback():
    with pytest.raises(KeyError), common.exit_codes():
        raise KeyError("defect")


def test_a_good_end_is_silent(caplog):
    with common.exit_codes():
        pass
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.n_draws=3", "configurations are nested; give --config.protocol.n_draws"),
        ("--config.alternatives=()", "give --config.protocol.baselines"),
        ("--config.protocol.n_drws=3", "no key 'n_drws' there; expected one of baselines, frozen"),
        ("--config.protocol.frozen.x=3", "no key 'x' there; expected no key below a value"),
    ],
)
def test_an_override_of_a_missing_key_names_its_new_place_or_the_keys(argument, message, caplog):
    with pytest.raises(SystemExit) as ended, common.exit_codes():
        common._check_overrides([argument], "reproduce")
    assert ended.value.code == 2
    assert message in caplog.text


@pytest.mark.parametrize("words", [["--config=facenet"], ["--config", "facenet"], ["-config", "facenet"]])
def test_overrides_are_those_of_a_config_given_as_one_word_or_two(words):
    common._check_overrides([*words, "--config.features.training.batch_size=8"], "reproduce")
    with pytest.raises(InputError, match="no key 'protocol' there"):
        common._check_overrides([*words, "--config.protocol.n_draws=3"], "reproduce")
    common._check_overrides(["--config.protocol.n_draws=3", "--", *words], "reproduce")


def test_a_config_file_that_makes_no_configuration_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text("def get_config():\n    return {'a': 1}\n")
    with pytest.raises(InputError, match=r"mine\.py: get_config\(\) returns a dict; expected a ConfigDict"):
        common._check_overrides([f"--config={tmp_path / 'mine.py'}"], "reproduce")


def test_an_unknown_or_wrong_flag_exits_with_two_and_its_name(caplog):
    for flag in ("--nonsense=3", "--stderrthreshold=loud"):
        with pytest.raises(SystemExit) as ended:
            common._parsed(["program", flag])
        assert ended.value.code == 2
        assert flag.partition("=")[0].strip("-") in caplog.text


def test_memory_that_is_not_there_exits_with_two(caplog):
    with pytest.raises(SystemExit) as ended, common.exit_codes():
        raise MemoryError("Unable to allocate 7.28 TiB")
    assert ended.value.code == 2
    assert "out of memory (Unable to allocate 7.28 TiB); give smaller settings" in caplog.text


def test_control_characters_reach_neither_the_log_nor_the_output(capsys):
    common.show("a\x1b[2Jb")
    assert capsys.readouterr().out == "a\ufffd[2Jb\n"
    record = LogRecord("x", 40, "x", 1, "%s: row %d", ("a\x1b[2J.wav", 3), None)
    assert common._make_printable(record)
    assert record.getMessage() == "a\ufffd[2J.wav: row 3"


def test_control_characters_of_an_error_before_the_flags_are_read_reach_no_log(caplog):
    with pytest.raises(SystemExit), common.exit_codes():
        raise InputError("a\x1b[2J.wav: no sound")
    assert "a\ufffd[2J.wav: no sound" in caplog.text


def test_overrides_of_groups_in_groups_are_found():
    common._check_overrides(["--config.features.training.batch_size=8", "--config.level=0.9"], "facenet")
    with pytest.raises(InputError, match=r"give --config\.features\.training\.batch_size"):
        common._check_overrides(["--config.features.batch_size=8"], "facenet")


def test_a_tilde_is_expanded_in_flags_and_where_the_library_takes_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert common.define_path("a_path_of_tests", None, "").name == "a_path_of_tests"
    flags.FLAGS["a_path_of_tests"].parse("~/x")
    assert flags.FLAGS["a_path_of_tests"].value == f"{tmp_path}/x"
    shutil.copyfile(shipped("emodb"), tmp_path / "mine.npz")
    assert len(read_table("~/mine.npz")) == 535
    (tmp_path / "mine.csv").write_text("file,emotion,speaker\na.wav,anger,1\n")
    assert read_manifest("~/mine.csv").root == tmp_path
    assert read_manifest(tmp_path / "mine.csv", "~/audio").root == tmp_path / "audio"
    assert str(user_path("~no_such_user/x")) == "~no_such_user/x"

"""What ends a run is an exit code and a message; what is a defect keeps its traceback."""

import os
import signal
import time

import pytest

from launch import common
from siamese_jax.errors import InputError
from siamese_jax.runtime import interrupt


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
    assert "the same command goes on from there" in caplog.text


def test_a_defect_keeps_its_traceback():
    with pytest.raises(KeyError), common.exit_codes():
        raise KeyError("defect")


def test_a_good_end_is_silent(caplog):
    with common.exit_codes():
        pass
    assert caplog.text == ""

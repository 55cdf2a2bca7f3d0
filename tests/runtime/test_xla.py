"""Options for XLA's compiler: what is asked for, and that what is asked for changes no result."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamese_jax.runtime import xla

PROGRAM = """
from siamese_jax.runtime import devices, xla
devices.use_all_cores()
print(xla.one_pass("cpu"))
"""


def one_pass_of_a_process(flags: str) -> str:
    env = {**os.environ, "XLA_FLAGS": flags}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True).stdout


def test_the_launchers_get_loops_that_write_several_arrays():
    assert one_pass_of_a_process("").strip() == "True"


def test_backend_options_of_the_user_stay_as_they_are():
    assert one_pass_of_a_process("--xla_backend_extra_options=xla_cpu_of_no_effect").strip() == "False"


def test_other_flags_of_the_user_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    xla.ask_for_one_pass()
    xla.ask_for_one_pass()
    assert os.environ["XLA_FLAGS"] == f"--xla_cpu_multi_thread_eigen=false {xla.ONE_PASS_FLAG}"


def test_on_accelerators_nothing_is_asked_for():
    assert not xla.one_pass("gpu")
    assert xla.cpu_option("gpu", xla.VECTOR_OPTION, 512) == {}


def test_an_option_that_xla_does_not_know_is_left_out():
    assert xla.cpu_option("cpu", "xla_cpu_of_no_effect", 1) == {}


@pytest.mark.parametrize("one_pass", [True, False])
def test_what_is_computed_anew_is_the_same(one_pass: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(xla, "one_pass", lambda _: one_pass)
    x = jnp.arange(5.0)
    both = jax.jit(lambda x: (2 * x, 2 * xla.unshared({"x": x})["x"]))(x)
    np.testing.assert_array_equal(both[0], both[1])

"""Variables of the environment, Matplotlib's settings and names from files that would end or steer a program."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from matplotlib.figure import Figure

from siamese_jax.errors import InputError
from siamese_jax.report.render import figures, html, markdown
from siamese_jax.report.render.document import Code, Paragraph
from siamese_jax.report.render.notebook import Picture
from siamese_jax.runtime import devices, environment
from siamese_jax.runtime.terminal import printable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def problems(monkeypatch):
    monkeypatch.setattr(environment, "_problems", [])


@pytest.mark.parametrize("text", ["10s", "ten", "-1", "nan", "inf", "1e300", "1,5", "0x10"])
def test_a_variable_that_is_no_number_of_seconds_is_named_and_ends_no_import(monkeypatch, problems, text):
    monkeypatch.setenv("SIAMESE_JAX_SAVE_SECONDS", text)
    assert environment.seconds("SIAMESE_JAX_SAVE_SECONDS", 10) == 10
    with pytest.raises(InputError, match=rf"SIAMESE_JAX_SAVE_SECONDS is '{text}'; expected seconds as a number"):
        environment.check()


@pytest.mark.parametrize(("text", "value"), [("", 10), (" 3 ", 3), ("0", 0), ("1.5", 1.5)])
def test_seconds_of_the_environment_are_read(monkeypatch, problems, text, value):
    monkeypatch.setenv("SIAMESE_JAX_SAVE_SECONDS", text)
    assert environment.seconds("SIAMESE_JAX_SAVE_SECONDS", 10) == value
    environment.check()


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize backend 'cuda': no plugin.")])
def test_jax_platforms_without_its_plugin_is_named(monkeypatch, error):
    monkeypatch.setattr(devices.jax, "devices", lambda: (_ for _ in ()).throw(error))
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", "cuda")
    try:
        with pytest.raises(InputError, match=r"JAX_PLATFORMS is 'cuda', which JAX cannot use here \(.*plugin.*\); ins"):
            devices.require_platforms()
    finally:
        jax.config.update("jax_platforms", before)


def test_a_number_of_devices_that_no_machine_has_is_refused(monkeypatch):
    for number in (0, -2, 10**9):
        monkeypatch.setattr(devices.jax, "config", type("Config", (), {"jax_num_cpu_devices": number}))
        with pytest.raises(InputError, match=f"JAX_NUM_CPU_DEVICES is {number}; expected 1 to"):
            devices.use_all_cores(one_pass=False)


@pytest.mark.long
@pytest.mark.parametrize(
    "variable", ["SIAMESE_JAX_SAVE_SECONDS=10s", "JAX_PLATFORMS=cuda", "JAX_PLATFORMS=x", "JAX_NUM_CPU_DEVICES=two"]
)
def test_a_wrong_variable_is_a_line_and_status_two(variable, tmp_path):
    name, value = variable.split("=")
    command = [sys.executable, "-m", "launch.reproduce", "--config=smoke", f"--workdir={tmp_path / 'run'}"]
    environ = {**os.environ, name: value}
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert name.lower() in done.stderr.lower()
    assert value in done.stderr
    assert not (tmp_path / "run").exists()


def test_tex_in_the_user_s_matplotlibrc_is_not_asked_for(monkeypatch):
    def draw():
        figure = Figure(figsize=(1, 1))
        figure.subplots().set_title("100 %_^&")
        return figure

    plain = figures.png(draw)
    with figures.matplotlib.rc_context({"text.usetex": True, "font.size": 30, "savefig.dpi": 3}):
        assert figures.png(draw) == plain
        with figures.settings({}):
            picture = Picture(draw(), 50)
        assert picture._repr_png_()


HOSTILE = "\x1b[2J\x1b]0;mine\x07a\x9b31m\x00\r\u202eb\u2066\u2028\ud800"


def test_control_characters_of_a_name_reach_no_terminal_and_no_page():
    for text in (
        printable(HOSTILE),
        html.escape(HOSTILE),
        markdown.page("x", [Paragraph(HOSTILE), Code(HOSTILE)]),
    ):
        assert "a" in text
        assert "b" in text
        assert not any(
            (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in "\u202e\u2066\u2028" for c in text
        )
        text.encode()


def test_printable_text_stays_as_it_is():
    text = "Ångström \u0644\u0627 日本 \U0001f600\tx\n"
    assert printable(text) == text

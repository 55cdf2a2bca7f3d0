"""One small experiment on tables with hostile names, and its report; made once for all tests of the report."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import hostile_cross_training
from browser_for_tests import opened_browser
from tables_for_tests import make_table

from configs import smoke
from siamese_jax.datasets import table_files
from siamese_jax.experiments import reproduce
from siamese_jax.protocols import config
from siamese_jax.report import page

SPEAKER = '"><img src=x onerror=alert(1)>'
"""Names that would run as scripts, end attributes, start mathematics or break a Markdown table."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium; tests that ask for it are skipped where it is absent."""
    with opened_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def hostile_table(role, seed, sex):
    """Speakers alternate between `sex`'s values; every name is an attack."""
    table = make_table(role, n_speakers=7, seed=seed, apart=0.7)
    number = np.array([int(name.rsplit("_", 1)[1]) for name in table.speaker])
    return dataclasses.replace(
        table,
        corpus=np.array([hostile_cross_training.CORPUS + role] * len(table)),
        speaker=np.array([f"{SPEAKER}{n}" for n in number]),
        clip=np.array([f"<b>{clip}</b>" for clip in table.clip]),
        sex=np.array([sex[n % len(sex)] for n in number]),
    )


def settings_for(folder, **changes):
    given = smoke.get_config()
    given.data.update({"source": str(folder / "source.npz"), "target": str(folder / "target.npz")})
    given.protocol.update({"steps": (0, 2, 4)})
    given.report.update({"fixed_steps": 4, "level": 0.9})
    given.training.update({"source_steps": 20, "in_domain_steps": 5})
    given.network.update({"encoder_widths": (8, 6, 4)})
    given.protocol.update({"n_draws": 4, "n_seeds": 2})
    return config.resolve(given).replace(**changes)


@pytest.fixture(scope="session")
def table_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    table_files.write_table(folder / "source.npz", hostile_table("source", 1, ("",)))
    table_files.write_table(folder / "target.npz", hostile_table("target", 2, ("female", "male", "female", "male", "")))
    return folder


@pytest.fixture(scope="session")
def workdir(table_folder):
    reproduce.run(settings_for(table_folder), table_folder / "run")
    return table_folder / "run"


@pytest.fixture(scope="session")
def one_draw(table_folder):
    reproduce.run(settings_for(table_folder, n_draws=1, n_seeds=1), table_folder / "one_draw")
    return table_folder / "one_draw"


@pytest.fixture(scope="session")
def report(workdir, tmp_path_factory):
    """(path of the page, its document) on one work directory."""
    output = tmp_path_factory.mktemp("report") / "report.html"
    return output, page.write([workdir], output, ["siamese-jax", "report", str(workdir)])


@pytest.fixture(scope="session")
def comparison(workdir, one_draw, tmp_path_factory):
    """(path of the page, its document) on two work directories."""
    output = tmp_path_factory.mktemp("comparison") / "both.html"
    return output, page.write([workdir, one_draw], output, ["siamese-jax", "report", str(workdir), str(one_draw)])


@pytest.fixture(scope="session")
def crosstraining_workdir(tmp_path_factory):
    return hostile_cross_training.make(tmp_path_factory.mktemp("hostile_crosstraining"))


@pytest.fixture(scope="session")
def crosstraining(crosstraining_workdir, tmp_path_factory):
    """(path of the page, its document) on a cross-training."""
    output = tmp_path_factory.mktemp("page") / "crosstraining.html"
    return output, page.write([crosstraining_workdir], output, ["siamese-jax", "report", str(crosstraining_workdir)])

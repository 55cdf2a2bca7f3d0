"""A whole launcher gives the same bits on any number of processes and devices, each with chunks of the same shape."""

import json

import kill_targets
import pytest
from hosts_for_tests import ends, slurm_step, start_all

from siamese_jax.protocols.config import GROUP_OF

LAYOUTS = {"1x1": (1, 1), "1x3": (1, 3), "2x2": (2, 2), "3x1": (3, 1)}
"""Processes, and devices of each; ten trials of a call, two on a device, leave some of all but the first idle."""

CHANGES = {"n_draws": 5, "n_seeds": 3, "frozen": (0, 1)}


def start(workdir, layout, launcher, *given, **changes):
    """A launcher's processes, writing into `workdir`; several find one another as under Slurm."""
    n_processes, devices = LAYOUTS[layout]
    settings = {**kill_targets.SMALL, **CHANGES, **kill_targets.tables(workdir.parent), **changes}
    flags = [f"--config.{GROUP_OF[name]}.{name}={value}" for name, value in settings.items()]
    command = ["tests/launched_for_tests.py", launcher, "--config=configs/smoke.py", f"--workdir={workdir}", *flags]
    return start_all([*command, *given], n_processes, devices, cluster=slurm_step)


def assert_same_everywhere(tmp_path, layouts, at_once, launcher, *given, **changes):
    """Runs the launcher in all layouts, so many of them at once."""
    for first in range(0, len(layouts), at_once):
        now = layouts[first : first + at_once]
        processes = [one for layout in now for one in start(tmp_path / layout, layout, launcher, *given, **changes)]
        for code, _, err in ends(processes, 500):
            assert code == 0, err
    for layout in layouts:
        n_processes, devices = LAYOUTS[layout]
        found = json.loads((tmp_path / layout / "provenance.json").read_text())
        assert (found["processes"], len(found["devices"])) == (n_processes, n_processes * devices)
        kill_targets.assert_same_results(tmp_path / layout, tmp_path / layouts[0])
    assert len(list((tmp_path / layouts[0]).rglob("*.nc"))) >= 2


@pytest.mark.long
def test_a_rerun_gives_the_same_bits_on_two_processes(tmp_path, monkeypatch):
    # Optimised programs take three times as long to compile; the long test has them.
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    less = {"n_speakers": (2,), "losses": ("ratio",), "baselines": ()}
    given = ("launch.rerun", "--draws=10")
    assert_same_everywhere(tmp_path, ["1x1", "2x2"], 2, *given, **less)


@pytest.mark.long
@pytest.mark.parametrize(
    ("launcher", "given"),
    [
        ("launch.reproduce", []),
        ("launch.rerun", ["--draws=20", "--baseline_draws=10"]),
        ("launch.rerun", ["--protocol=out_of_domain", "--draws=10"]),
        ("launch.rerun", ["--protocol=in_domain", "--draws=10"]),
        ("launch.rerun", ["--crossed"]),
    ],
    ids=["reproduce", "rerun", "out_of_domain", "in_domain", "crossed"],
)
def test_every_launcher_gives_the_same_bits_on_any_processes_and_devices(tmp_path, launcher, given):
    assert_same_everywhere(tmp_path, list(LAYOUTS), 1, launcher, *given)

"""Runs that are killed at random points, over and over, end with the bits of a run that nobody touched.

The full count, at least 50 kills: python -m pytest -m long tests/test_kills.py -s
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import kill_targets
import pytest

KINDS = ("reproduce", "rerun", "extract")
WRITES = {"reproduce": 70, "rerun": 40, "stages": 30, "extract": 40, "facenet": 120}
"""About how many files and folders a whole run writes; where in these a kill falls is drawn."""
LIMIT = 300.0


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the runs read; and, by kind, an untouched run and the seconds that another took with all compiled."""
    folder = tmp_path_factory.mktemp("given")
    kill_targets.write_sounds(folder, 40)
    return folder, {}


def untouched(given, kind):
    folder, known = given
    if kind not in known:
        known[kind] = folder / f"{kind}_untouched"
        seconds_of_a_run(given, kind, known[kind])
    return known[kind]


def seconds_of_a_run(given, kind, output):
    begun = time.monotonic()
    process = kill_targets.start(kind, str(given[0]), str(output))
    process.join(LIMIT)
    assert process.exitcode == 0
    return time.monotonic() - begun


def kill_until_done(kind, folder, output, seconds, rng, kills, stop_signal=signal.SIGKILL):
    """Starts the run again and again, killing it, until it ends by itself; how each kill was timed and what it hit.

    Half of the kills come while a file is being written, half at any time in `seconds`; all of the former without.
    """
    hits = []
    while True:
        process = kill_targets.start(kind, str(folder), str(output))
        if len(hits) < kills:
            if seconds and rng.random() < 0.5:
                process.join(rng.uniform(0.1, 0.9) * seconds)
                how = "clock"
            else:
                kill_targets.wait_for_write(output, process, rng.randint(1, WRITES[kind] // 2), LIMIT)
                how = "write"
                time.sleep(rng.choice((0.0, 0.001, 0.01, 0.05)))
            if process.is_alive():
                os.kill(process.pid, stop_signal)
                process.join(LIMIT)
                if process.exitcode == 0:  # it was over before the signal reached it
                    return hits
                assert process.exitcode == (-9 if stop_signal == signal.SIGKILL else 128 + stop_signal)
                left = kill_targets.files(output) if output.exists() else set()
                half = ", half a file left" if any(".unfinished-" in name for name in left) else ""
                inside = ", inside a training" if any(name.startswith("training/") for name in left) else ""
                hits.append(f"{how}{half}{inside}")
                continue
        process.join(LIMIT)
        assert process.exitcode == 0
        return hits


def survive(given, kind, tmp_path, seed, kills, by_clock=True, **how):
    folder, expected = given[0], untouched(given, kind)
    seconds = seconds_of_a_run(given, kind, tmp_path / "timed") if by_clock else None
    rng = random.Random(seed)
    hits, rounds = [], 0
    while len(hits) < kills:
        output = tmp_path / f"{kind}_{rounds}"
        hits += kill_until_done(kind, folder, output, seconds, rng, min(8, kills - len(hits)), **how)
        kill_targets.assert_same_results(output, expected)
        rounds += 1
        assert rounds < 5 * kills
    return hits, rounds


@pytest.mark.parametrize("kind", [pytest.param("stages", marks=pytest.mark.long), "extract"])
def test_a_few_kills_change_no_bit(given, kind, tmp_path):
    hits, _ = survive(given, kind, tmp_path, seed=1, kills=2, by_clock=False)
    assert len(hits) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "kills"), [("stages", 8), ("reproduce", 12), ("rerun", 12), ("extract", 10), ("facenet", 8)]
)
def test_many_kills_change_no_bit(given, kind, kills, tmp_path):
    hits, rounds = survive(given, kind, tmp_path, seed=2, kills=kills)
    counts = {hit: hits.count(hit) for hit in sorted(set(hits))}
    print(
        f"\n{kind}: {len(hits)} kills over {rounds} runs, each with the bits of an untouched one: {json.dumps(counts)}"
    )
    assert len(hits) >= kills


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_clean_stops_change_no_bit(given, kind, tmp_path):
    hits, _ = survive(given, kind, tmp_path, seed=3, kills=4, stop_signal=signal.SIGTERM)
    assert len(hits) >= 4


def launch(*arguments, **how):
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=kill_targets.ROOT, text=True, **how)


@pytest.mark.long
def test_the_launcher_stops_cleanly_on_sigterm_and_refuses_a_second_run(tmp_path):
    command = ("launch.reproduce", "--config=configs/smoke.py", f"--workdir={tmp_path / 'run'}")
    first = launch(*command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = launch(*command, stderr=subprocess.PIPE)
    refusal = second.communicate(timeout=60)[1]
    assert second.returncode == 2
    assert f"in use by process {first.pid} on" in refusal
    assert "Traceback" not in refusal
    first.send_signal(signal.SIGTERM)
    told = first.communicate(timeout=120)[1]
    assert first.returncode == 143, told
    assert "stopped by SIGTERM; finished results are kept: the same command resumes from them" in told
    assert "Traceback" not in told
    assert not (tmp_path / "run" / ".lock").exists()
    assert not (tmp_path / "run" / "summary.json").exists()

"""The faults that the tests are tried with: each can be put into the code, and tests reach its file."""

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts.numbers import records

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import mutate

ROOT = mutate.ROOT
FAULTS = mutate.read_faults(ROOT / "scripts" / "faults.txt")


def test_there_are_enough_of_every_kind():
    kinds = Counter(fault.kind for fault in FAULTS)
    assert len(FAULTS) >= 200
    assert sum(kinds[kind] for kind in mutate.SILENT) >= 60
    assert set(kinds) == set(mutate.KINDS)
    assert 30 <= sum(fault.short for fault in FAULTS) <= 40
    assert len({fault.title for fault in FAULTS}) == len(FAULTS)


def test_each_fault_can_be_put_into_its_file_and_is_python():
    for fault in FAULTS:
        text = (ROOT / fault.file).read_text(encoding="utf-8")
        assert text.count(fault.old) == 1, fault.title
        assert fault.old != fault.new
        ast.parse(text.replace(fault.old, fault.new))


def test_the_last_runs_saw_95_per_cent_of_nearly_all_faults_and_of_the_silent_ones():
    """Some faults may be newer than the record. CONTRIBUTING.md names those that were not seen (scripts/numbers)."""
    outcomes = {row["fault"]: row["outcome"] for row in records.read("mutations").tables["faults"].dicts()}
    titles = {fault.title for fault in FAULTS}
    assert len(titles & set(outcomes)) >= max(200, 0.9 * len(titles))
    assert len(set(outcomes) - titles) <= 0.1 * len(titles)
    for faults in (FAULTS, [fault for fault in FAULTS if fault.kind in mutate.SILENT]):
        run = [outcomes[fault.title] for fault in faults if fault.title in outcomes]
        assert run.count("seen") >= 0.95 * len(run)


def test_tests_reach_every_file_from_the_nearest_to_the_farthest():
    reached = mutate.distances(ROOT)
    for fault in FAULTS:
        assert mutate.tests_of(fault, reached), fault.title
    fault = next(f for f in FAULTS if f.file.endswith("losses/pair_masks.py"))
    (marks, first), (_, whole), *_ = mutate.tests_of(fault, reached)
    assert first[0] == "tests/losses/test_pair_masks.py"
    assert marks == mutate.QUICK
    assert "tests/protocols/test_axes.py" in {*first, *whole}


def test_a_table_with_a_strange_line_is_refused(tmp_path):
    (tmp_path / "faults.txt").write_text("== a.py\nleak: x\n- a\n+ b\n  c\n")
    with pytest.raises(ValueError, match=r"row 5: '  c'; expected 'KIND: name'"):
        mutate.read_faults(tmp_path / "faults.txt")


def test_an_old_text_that_occurs_twice_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(ValueError, match="occurs 2 times"):
        mutate.Fault("a.py", "leak", "x", "x = 1", "x = 2", False).apply(tmp_path)


@pytest.mark.long
def test_a_run_tells_seen_missed_and_out_of_time(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import time\ndef test_good(): pass\ndef test_bad(): assert False\ndef test_slow(): time.sleep(60)\n"
    )
    results = [
        mutate.run_tests(tmp_path, [f"test_it.py::test_{name}"], (), seconds)
        for name, seconds in (("bad", 50), ("good", 50), ("slow", 5), ("gone", 50))
    ]
    assert results == [("seen", ["test_it.py::test_bad"]), ("missed", []), ("time", []), ("missed", [])]

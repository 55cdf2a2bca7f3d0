"""Puts known faults into the code, one at a time, and runs the tests that import the file: does a test fail?

    python scripts/mutate.py --results=results/mutations.json          # all faults of scripts/faults.txt
    python scripts/mutate.py --results=results/short.json --short      # those of CI

Each fault is applied in a copy of the repository. The tests that import its file run, from the nearest to the farthest,
until one fails or the seconds are over. In the end the tests that failed run without a fault. Results are kept in a
JSON file; a fault whose text, file or nearest tests have not changed is not run again, and another one starts with the
test that saw it last, there or in docs/records. The status is 1 if fewer than `--least` per cent are seen.
"""

import argparse
import ast
import dataclasses
import hashlib
import json
import multiprocessing
import os
import queue
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from siamese_jax.runtime.files import write_json

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = (".git", ".venv", "results", "build", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "*.nc")
SILENT = ("leak", "scope", "ignored", "swapped", "other")
"""Kinds of faults that give another experiment's numbers under the right name."""

WHOLE = (
    "test_plan.py", "test_trial_steps.py", "test_stages.py", "test_baselines.py", "test_axes.py", "test_leaks.py",
    "test_cross_training_leaks.py", "test_code_tables.py",
)  # fmt: skip
"""Test files of whole trials."""

QUICK, LONG = (f"{mark} and not sweep and not notebook and not data" for mark in ("not long", "long"))

KINDS = (*SILENT, "formula", "index", "bound", "code")


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault: the text `old`, which occurs once in `file`, becomes `new`."""

    file: str
    kind: str
    name: str
    old: str
    new: str
    short: bool

    @property
    def title(self) -> str:
        return f"{self.file}: {self.name}"

    def apply(self, root: Path) -> None:
        """Writes the file with the fault. Raises ValueError unless the old text occurs once."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.title}: the old text occurs {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def read_faults(path: Path) -> list[Fault]:
    """Returns the faults of a table. Raises ValueError for a line that is none of its kinds."""
    faults: list[Fault] = []
    file, head = "", ("", "", False)
    texts: dict[str, list[str]] = {"-": [], "+": []}

    def finish() -> None:
        if texts["-"]:
            old, new = ("\n".join(texts[sign]) for sign in "-+")
            faults.append(Fault(file, head[0], head[1], old, new, head[2]))
        texts["-"], texts["+"] = [], []

    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line[:1] in ("-", "+"):
            texts[line[0]].append(line[2:])
            continue
        if not line.strip() or line.startswith("#"):
            continue
        finish()
        if line.startswith("== "):
            file = line[3:].strip()
        elif match := re.fullmatch(rf"(short )?({'|'.join(KINDS)}): (.+)", line):
            head = (match[2], match[3], bool(match[1]))
        else:
            raise ValueError(f"{path}, row {number}: {line!r}; expected 'KIND: name' of {', '.join(KINDS)}")
    finish()
    return faults


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Returns the dotted names that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def distances(root: Path) -> dict[str, dict[str, int]]:
    """Returns for each module, launcher, configuration and script the tests that reach it, with the imports between."""
    folders = ("siamese_jax", "launch", "configs", "scripts")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    sources = {module_of(path.relative_to(root)): path for path in files}
    helpers = {module_of(p.relative_to(root / "tests")): p for p in (root / "tests").glob("*.py")}
    uses = {name: imports(path) & (set(sources) | set(helpers)) for name, path in {**helpers, **sources}.items()}
    configs = {name for name in sources if name.startswith("configs.")}
    reached: dict[str, dict[str, int]] = {name: {} for name in sources}
    for test in sorted((root / "tests").rglob("test_*.py")):
        seen: dict[str, int] = {}
        front = imports(test) & set(uses)
        front |= configs if "configs" in front else set()  # found by name
        while front:
            depth = max(seen.values(), default=0) + 1
            seen |= dict.fromkeys(front, depth)
            front = set().union(*(uses[name] for name in front)) - set(seen)
        for name in seen.keys() & reached.keys():
            reached[name][str(test.relative_to(root))] = seen[name]
    return reached


def tests_of(fault: Fault, reached: dict[str, dict[str, int]]) -> list[tuple[str, list[str]]]:
    """Returns (marks, test files) of the runs for a fault: the quick tests of the nearest files and of whole trials,
    the long ones of the latter and of the former, and the quick tests of farther files; each by folder and name."""
    module = module_of(Path(fault.file))
    folder, stem = Path(fault.file).parent.name, Path(fault.file).stem
    far = reached[module]

    def order(test: str) -> tuple[int, bool, bool, str]:
        return far[test], stem not in test, folder not in test, test

    tests = sorted(far, key=order)
    nearest = [test for test in tests if far[test] == min(far.values())]
    whole = [test for test in tests if Path(test).name in WHOLE]
    farther = [test for test in tests if test not in (*nearest, *whole)]
    # Tests of the trials themselves compile; those of whole trials mostly do not.
    first = [*whole, *nearest] if folder == "protocols" else [*nearest, *whole]
    runs = [(QUICK, list(dict.fromkeys(first))), (LONG, whole), (LONG, nearest)]
    runs += [(QUICK, [test for test in farther if far[test] == distance]) for distance in sorted(set(far.values()))]
    return [(marks, files) for marks, files in runs if files]


PRELOADED = ("flax.linen", "hypothesis", "jax", "optax", "pytest", "scipy.stats", "sklearn.linear_model", "xarray")
"""Modules that every process of tests would import: they start as forks of a process that has done so."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(list(PRELOADED))


def _pytest(copy: Path, arguments: Sequence[str], output: Path) -> None:
    """Runs pytest on a copy of the repository, in a process of its own."""
    import pytest

    os.setsid()
    os.chdir(copy)
    for name in [name for name in sys.modules if name.split(".")[0] in ("siamese_jax", "configs", "launch")]:
        del sys.modules[name]
    sys.path.insert(0, str(copy))
    # The suite's own order puts its longest groups first.
    os.environ.update({"PYTHONPATH": str(copy), "SIAMESE_JAX_ORDER_AS_GIVEN": "1"})
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
    with output.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        sys.exit(int(pytest.main([*PYTEST, *arguments])))


PYTEST = ("-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-rfE")


def run_tests(copy: Path, tests: Sequence[str], options: Sequence[str], seconds: float) -> tuple[str, list[str]]:
    """Returns ("seen", the failing tests), ("missed", []) or ("time", [])."""
    with tempfile.TemporaryDirectory(prefix="pytest-") as folder:
        output = Path(folder) / "output"
        process = _PROCESSES.Process(target=_pytest, args=(copy, (*options, *tests), output))
        process.start()
        process.join(max(seconds, 1))
        if process.exitcode is None:
            os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            return "time", []
        text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE)
    if process.exitcode in (1, 2) and failed:
        return "seen", failed
    gone = process.exitcode == 4 and "::" in tests[0]
    if process.exitcode in (0, 5) or gone:
        return "missed", []
    if process.exitcode < 0:  # a test's process crashed
        return "seen", [f"signal {-process.exitcode}"]
    raise RuntimeError(f"pytest ended with {process.exitcode}: {text[-2000:]}")


Runs = Sequence[tuple[str, list[str]]]


def run_fault(copy: Path, fault: Fault, runs: Runs, seconds: float) -> dict[str, Any]:
    """Returns the result of a fault in a copy of the repository, as kept in the file; the copy is clean again then."""
    start, outcome, failed = time.monotonic(), "missed", [""]
    original = (copy / fault.file).read_text(encoding="utf-8")
    try:
        fault.apply(copy)
        for marks, tests in runs:
            left = seconds - (time.monotonic() - start)
            if outcome == "missed":
                outcome, failed = run_tests(copy, tests, ("-x", "-m", marks), left) if left > 1 else ("time", [])
    finally:
        (copy / fault.file).write_text(original, encoding="utf-8")
    return {"outcome": outcome, "test": " ".join(failed[:1]), "seconds": round(time.monotonic() - start, 1)}


def check_tests(copy: Path, kept: dict[str, Any], verified: set[str]) -> None:
    """Runs the failing tests without a fault; a fault whose test fails then as well has the outcome "broken"."""
    tests = sorted({result["test"] for result in kept.values() if result["outcome"] == "seen"} - verified - {""})
    if tests:
        outcome, failed = run_tests(copy, tests, (), 1800)
        if outcome == "time":
            raise RuntimeError(f"{len(tests)} tests without a fault took over 1800 s")
        verified |= set(tests) - set(failed)
        for result in kept.values():
            if result["outcome"] == "seen" and result["test"] in failed:
                result["outcome"] = "broken"


def digest(fault: Fault, runs: Runs) -> str:
    """Returns a digest of the fault, its file and its nearest tests: what a kept result depends on most."""
    names = (fault.file, *(name for _, tests in runs[:2] for name in tests))
    content = [repr(fault), *((ROOT / name).read_text(encoding="utf-8") for name in names)]
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:16]


def summary(faults: Sequence[Fault], kept: dict[str, Any]) -> tuple[str, float]:
    """Returns the text of a run's end, and the per cent of the faults run that were seen."""
    results = {fault: kept[fault.title] for fault in faults if fault.title in kept}
    seen = [fault for fault, result in results.items() if result["outcome"] == "seen"]
    share = 100 * len(seen) / max(len(results), 1)
    silent = [fault for fault in results if fault.kind in SILENT]
    lines = [
        f"{len(seen)} of {len(results)} faults seen ({share:.1f} %), {len(faults) - len(results)} not run; of "
        f"{len(silent)} silent experiments {sum(fault in seen for fault in silent)}"
    ]
    lines += [f"  {result['outcome']:6} {fault.kind:8} {fault.title}"
              for fault, result in results.items() if fault not in seen]  # fmt: skip
    return "\n".join(lines), share


def recorded_tests() -> dict[str, str]:
    """The test that saw each fault in the last recorded run."""
    table = json.loads((ROOT / "docs" / "records" / "mutations.json").read_text(encoding="utf-8"))["tables"]["faults"]
    fault, test = (table["fields"].index(name) for name in ("fault", "test"))
    return {row[fault]: row[test] for row in table["rows"]}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=Path, default=ROOT / "scripts" / "faults.txt", help="the table of faults")
    parser.add_argument("--results", type=Path, default=Path("results/mutations.json"), help="the file of results")
    parser.add_argument("--short", action="store_true", help="only the faults marked short")
    parser.add_argument("--only", default="", help="only faults whose kind, file and name match this expression")
    parser.add_argument("--seconds", type=float, default=60, help="the time of a fault's tests")
    parser.add_argument("--minutes", type=float, default=1e6, help="starts no fault after these; a later call resumes")
    parser.add_argument("--workers", type=int, default=1, help="faults at a time")
    parser.add_argument("--least", type=float, default=95, help="per cent of the faults run that must be seen")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    faults = [f for f in read_faults(given.faults) if f.short or not given.short]
    faults = [f for f in faults if re.search(given.only, f"{f.kind} {f.title}")]
    reached, path = distances(ROOT), given.results
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"faults": {}, "verified": []}
    kept, verified, recorded = stored["faults"], set(stored["verified"]), recorded_tests()
    todo = [(fault, tests_of(fault, reached)) for fault in faults]
    todo = [(f, runs) for f, runs in todo if kept.get(f.title, {}).get("digest") != digest(f, runs)]
    stop, lock = time.monotonic() + 60 * given.minutes, threading.Lock()

    def write() -> None:
        write_json(path, {"faults": dict(sorted(kept.items())), "verified": sorted(verified)})

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for i in range(given.workers):
            copies.put(Path(shutil.copytree(ROOT, Path(folder) / str(i), ignore=shutil.ignore_patterns(*NOT_COPIED))))

        def run(task: tuple[Fault, Runs]) -> None:
            fault, runs = task
            if time.monotonic() > stop:
                return
            copy = copies.get()
            last = kept.get(fault.title, {}).get("test") or recorded.get(fault.title, "")
            again = [("", [last])] if "::" in last else []
            result = run_fault(copy, fault, [*again, *runs], given.seconds)
            copies.put(copy)
            with lock:
                kept[fault.title] = {"kind": fault.kind, **result, "digest": digest(fault, runs)}
                write()
                print(f"{result['outcome']:6} {result['seconds']:5.1f} s  {fault.title}  {result['test']}", flush=True)

        with ThreadPoolExecutor(given.workers) as executor:
            list(executor.map(run, todo))
        check_tests(copies.get(), kept, verified)
        write()
    text, share = summary(faults, kept)
    print(text)
    return int(share < given.least)


if __name__ == "__main__":
    sys.exit(main())

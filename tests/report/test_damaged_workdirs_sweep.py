"""Damaged work directories by the thousand: each is read as it was written, or refused in the project's own words."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import mutants
import numpy as np
import pytest
import xarray as xr
from mutants import Random, mutated_bytes, pick

from siamese_jax.errors import InputError
from siamese_jax.experiments import run_context, stored_results
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.report.loading import kinds, workdir
from siamese_jax.runtime import checkpoints
from siamese_jax.runtime.file_index import INDEX, FileIndex

RESULTS = ("summary.json", "optimism.json", "differences.json", "provenance.json")

pytestmark = pytest.mark.sweep

TEXTS = (
    "null",
    "[]",
    "{}",
    "3",
    "",
    "NaN",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"version": null}',
    "\ufeff{}",
    "9" * 9999,
)
STRANGE = (
    ".lock", ".unfinished-config-abcdefgh.json", "arrays/x.nc", "arrays/abs_difference/corpus/x", "notes.txt",
    "checkpoints", "checkpoints/abs_difference/corpus/in_domain/part_00000x", "training/x", "tensorboard", "weights",
)  # fmt: skip
KINDS = (
    *["bytes"] * 6,
    "copy",
    "swap",
    "gone",
    "text",
    "index",
    "link",
    "folder",
    "pipe",
    "strange",
    "longer",
    "renamed",
)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.stat().st_size < 10_000_000 else b"large"


def damage(rng: Random, folder: Path, names: list[str]) -> None:
    """Changes one file of the folder, or adds one."""
    file, other, kind = folder / pick(rng, names), folder / pick(rng, names), pick(rng, KINDS)
    if kind == "strange":
        file = folder / pick(rng, STRANGE)
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = pick(rng, ("bytes", "link", "folder", "pipe", "text")) if not file.exists() else "bytes"
    file = folder / INDEX if kind == "index" else file
    content = _content(file) if file.is_file() else b"something"
    if file.is_dir() or other.is_dir():
        return
    if kind == "swap" and file.exists():
        file.rename(folder / "kept")
        other.rename(file) if other.exists() else None
        (folder / "kept").rename(other)
        return
    file.unlink(missing_ok=True)
    if kind in ("bytes", "index"):
        file.write_bytes(mutated_bytes(rng, content))
    elif kind == "copy":
        shutil.copyfile(other, file) if other.exists() else None
    elif kind == "text":
        file.write_text(pick(rng, TEXTS))
    elif kind == "longer":
        file.write_bytes(content)
        os.truncate(file, len(content) + int(rng.integers(1, 1 << 36)))
    elif kind == "renamed":
        file.with_name(f"{file.stem}_{file.suffix}").write_bytes(content)
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(pick(rng, (folder.parent / "victim", folder.parent / "nowhere", folder, other)))


@pytest.fixture
def place():
    """A folder in memory where there is one: what a loaded disk takes is not the time that is limited here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def original(request, place):
    """A run's folder without what is never read back."""
    shutil.copytree(
        request.getfixturevalue("workdir"),
        place / "original",
        ignore=shutil.ignore_patterns("tensorboard", "report", "*.md", "fig*"),
    )
    (place / "victim").mkdir()
    (place / "victim" / "mine").write_text("mine")
    return place / "original"


def test_damaged_work_directories_by_the_thousand_are_read_unchanged_or_refused(original, place):
    folder, number = place / "run", 0
    names = sorted(FileIndex.load(original).files)
    experiment = kinds.load_all([original])[0].experiment
    inputs = run_context.digests(*run_context.load(experiment))

    def make(rng):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder, copy_function=os.link)
        for _ in range(pick(rng, (1, 1, 1, 2))):
            damage(rng, folder, names)

    def use():
        nonlocal number
        number += 1
        before = {name: _content(folder / name) for name in names if (folder / name).is_file()}
        if number % 2:
            (loaded,) = kinds.load_all([folder])
            for name in stored_results.stored_stages(folder):
                loaded.arrays(name).close()
        else:
            with WorkDir(folder, experiment, inputs, "reproduce") as work:
                for name in stored_results.stored_stages(original):
                    work.arrays(name, lambda: xr.Dataset({"made": 1}))
        # The report reads no differences; a run writes its results again.
        written = ("differences.json",) if number % 2 else RESULTS
        read = [name for name in before if name not in written]
        changed = [name for name in read if before[name] != _content(original / name)]
        assert not changed, f"read as if unchanged: {changed}"

    tables = workdir._tables(experiment, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workdir, "_tables", lambda *given: tables)  # reading them anew takes most of the time
        n_used = mutants.sweep(make, use, 1200)
    assert 50 < n_used < 600
    assert (place / "victim" / "mine").read_text() == "mine"
    assert not (place / "nowhere").exists()


def test_three_hundred_damaged_checkpoints_are_read_unchanged_or_refused(place):
    folder, state = place / "part", {"x": np.arange(2000.0), "y": np.arange(3, dtype=np.int8)}
    checkpoints.save(place / "original", state, {"stage": "s"}, {"seconds": 1.0})
    names = [path.relative_to(place / "original").as_posix() for path in (place / "original").rglob("*.*")]
    names += ["_METADATA", "d/x", "part_00000x"]

    def make(rng):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / "original", folder)
        damage(rng, folder, [name for name in names if not (folder / name).is_dir()])

    def use():
        arrays, notes = checkpoints.load_arrays(folder, {"stage": "s"})
        assert notes == {"seconds": 1.0}
        for name, values in state.items():
            np.testing.assert_array_equal(arrays[name], values)

    assert mutants.sweep(make, use, 300) < 150


def test_a_hundred_damaged_caches_of_a_report_are_read_unchanged_or_made_again(place):
    file = place / "report" / "plane.nc"
    made = xr.Dataset({"plane": ("x", np.arange(100.0))})
    workdir.cached(file, "digest", lambda: made)
    good = {path: path.read_bytes() for path in file.parent.iterdir()}

    def make(rng):
        shutil.rmtree(file.parent)
        file.parent.mkdir()
        for path, content in good.items():
            path.write_bytes(content)
        damage(rng, file.parent, [path.name for path in good])

    def use():
        np.testing.assert_array_equal(workdir.cached(file, "digest", lambda: made).plane, made.plane)

    assert mutants.sweep(make, use, 100) == 100


def test_a_forged_index_leads_to_no_file_outside(original):
    """Names of an index are looked up, never walked."""
    index = FileIndex.load(original)
    index.files["../victim/mine"] = index.files["config.json"]
    index.write("summary.json", json.dumps([]).encode())
    with pytest.raises(InputError, match=r"summary\.json: holds no result"):
        kinds.load_all([original])
    assert (original.parent / "victim" / "mine").read_text() == "mine"

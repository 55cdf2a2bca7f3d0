"""Runs that are there to be killed: small experiments and extractions in processes of their own.

Each process is forked from one that has imported everything and started nothing, so that a kill costs the run itself
and not the import of JAX.
"""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

from siamese_jax.runtime.file_index import FileIndex

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests", ROOT / "tests" / "facenet"
IMPORTS = [
    "kill_targets", "siamese_jax.experiments.reproduce", "siamese_jax.experiments.rerun",
    "siamese_jax.datasets.extraction", "orbax.checkpoint",
    "siamese_jax.experiments.cross_training.run",
]  # fmt: skip


SMALL = {
    "n_speakers": (2, 3), "steps": (0, 3), "fixed_steps": 3, "fixed_n_speakers": 2, "n_draws": 2, "source_steps": 30,
    "in_domain_steps": 20, "encoder_widths": (8, 6, 4), "pad_speakers": 4, "losses": ("none", "ratio"),
    "baselines": ("logistic_regression",),
}  # fmt: skip
"""What an experiment of seconds differs by from configs/smoke.py."""


def context():
    """Where victims are started from."""
    sys.path[:0] = [path for path in (str(ROOT), *map(str, TESTS)) if path not in sys.path]
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(IMPORTS)
    return found


def start(kind, *arguments):
    """A process that runs `kind`; its exit code is the launchers'."""
    process = context().Process(target=_run, args=(kind, *arguments), daemon=True)
    process.start()
    return process


def _run(kind, *arguments):
    import jax

    from launch import common
    from siamese_jax.datasets import extraction, extraction_cache
    from siamese_jax.runtime import partial_results, vectorize

    # Every chunk and every part is written, so that there is much to hit.
    partial_results.SAVE_SECONDS = extraction_cache.SAVE_SECONDS = 0.0
    vectorize.chunk_size = lambda n_trials, floats_per_trial: 2
    extraction.GROUP = 4
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # Compiled in a third of the time: kills hit files, and all runs have the same programs.
    jax.config.update("jax_disable_most_optimizations", True)
    runs = {"reproduce": _reproduce, "rerun": _rerun, "stages": _stages, "extract": _extract, "facenet": _facenet,
            "files": _files}  # fmt: skip
    with common.exit_codes():
        runs[kind](*arguments)


def _settings(folder, **changes):
    from configs import smoke
    from siamese_jax.protocols import config

    return config.resolve(smoke.get_config()).replace(**{**SMALL, **tables(folder), **changes})


def tables(folder):
    """Small feature tables of a source and a target in `folder`, made where they are not there; their files by role."""
    from tables_for_tests import make_table

    from siamese_jax.datasets.table_files import write_table

    files = {role: str(Path(folder) / f"{role}.npz") for role in ("source", "target")}
    for seed, (role, file) in enumerate(files.items(), 1):
        if not Path(file).exists():
            write_table(file, make_table(role, seed=seed, n_speakers=5))
    return files


def _reproduce(folder, output):
    from siamese_jax.experiments import reproduce

    reproduce.run(_settings(folder), output)


def _rerun(folder, output):
    from siamese_jax.experiments import rerun

    settings = _settings(folder, n_draws=3, n_seeds=3, frozen=(0,), n_speakers=(2,))
    rerun.run(settings, output, 6, 3)


def _stages(folder, output):
    """The trials of an experiment alone, without its statistics and figures."""
    from siamese_jax.experiments import run_context
    from siamese_jax.experiments.workdir import WorkDir
    from siamese_jax.protocols import stages
    from siamese_jax.protocols.plan import Plan
    from siamese_jax.runtime import interrupt

    e = _settings(folder)
    source, target = run_context.load(e)
    plan = Plan.make(e, source, target)
    with WorkDir(output, e, run_context.digests(source, target), "stages") as work, interrupt.threads(2) as executor:
        tuning = stages.FineTuning(plan, "abs_difference", e.protocol.n_speakers, executor)
        trained = work.arrays(
            "source", lambda: stages.source_training(plan, "abs_difference", "corpus", lambda _: None)
        )
        params = stages.params_from_arrays(trained)
        for k in e.protocol.n_speakers:
            work.arrays(f"tuned_{k}", lambda k=k: tuning.run(plan, k, "corpus", params, lambda _: None))


def _extract(folder, output):
    from siamese_jax.corpora.manifest import Clip, Manifest
    from siamese_jax.datasets import extraction
    from siamese_jax.datasets.extractors import interspeech_2009

    Path(output).mkdir(exist_ok=True)
    clips = [Clip(path.name, path.stem, "fear", "c_1", "c") for path in sorted(Path(folder).glob("*.wav"))]
    table = Path(output) / "table.npz"
    extraction.extract(Manifest(Path(folder), tuple(clips)), table, interspeech_2009(), extraction.Options(2, True))


def _facenet(folder, output):
    """What launch.facenet calls, on two corpora of tones: a pre-training and two cells of three folds."""
    from corpora_for_tests import FIRST, SECOND, small, write_corpus

    from siamese_jax.experiments.cross_training import run

    places = {name: Path(folder) / f"{name}.csv" for name in (FIRST, SECOND)}
    for name, speakers in ((FIRST, range(6)), (SECOND, range(50, 56))):
        if not places[name].exists():
            write_corpus(Path(folder), name, speakers)
    settings = small(places, cells=("comparison",), pretraining={"epochs": 2}, fine_tuning={"epochs": 3})
    run.run(settings, output, f"{output}_cache")


def _files(folder, output):
    """Stages that cost nothing, and a result that is written again after each."""
    from configs import smoke
    from siamese_jax.experiments.workdir import WorkDir
    from siamese_jax.protocols import config

    with WorkDir(output, config.resolve(smoke.get_config()), {}, "files", may_change=("report",)) as work:
        for number in range(25):
            work.arrays(f"stage_{number}", lambda number=number: xr.Dataset({"y": ("x", np.full(300, number))}))
            work.write_json("summary.json", [number] * 100)


def write_sounds(folder, count):
    """Clips of a quarter of a second to two and a half."""
    import soundfile

    rng = np.random.default_rng(3)
    for number in range(count):
        samples = rng.integers(-6000, 6000, 4000 + 9000 * (number % 5) + 31 * number)
        soundfile.write(folder / f"{number:03d}.wav", samples.astype(np.int16), 16000, subtype="PCM_16")


TIMES = (
    "seconds", "fit_seconds", "training_seconds", "pretraining_seconds", "embedding_seconds", "seconds_per_clip",
    "training_images_per_second", "images_per_second", "ms_per_clip",
)  # fmt: skip
COSTS = "| training, s | images/s | ms a clip |"


def _without_times(value):
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _text_without_times(file, folder):
    """A report but for the run's name, the costs of its systems, and its provenance."""
    lines, costs = [], False
    text = file.read_text(encoding="utf-8").replace(folder.name, "RUN")
    for line in text.partition("## Provenance")[0].splitlines():
        costs = line.startswith("|") and (costs or line.endswith(COSTS))
        lines.append(line.rsplit("|", 4)[0] if costs else line)
    return lines


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def assert_same_results(folder, expected):
    """Every file of one run is there in the other, with the same bits, but for times; and nothing is left behind."""
    names, wanted = ({name.split(".out.")[0] for name in files(path)} for path in (folder, expected))
    assert names == wanted
    for name in sorted(wanted):
        mine, theirs = folder / name, expected / name
        if name.endswith(".nc"):
            with xr.open_dataset(mine) as a, xr.open_dataset(theirs) as b:
                drop = [key for key in TIMES if key in a]
                a, b = a.drop_vars(drop).load(), b.drop_vars(drop).load()
                a.attrs, b.attrs = _without_times(a.attrs), _without_times(b.attrs)
                xr.testing.assert_identical(a, b)
        elif name == "provenance.json" or "/events" in name:
            continue
        elif name == "index.json":
            index = FileIndex.load(folder)
            assert set(index.files) == set(FileIndex.load(expected).files)
            for indexed in index.files:
                index.find(indexed)
        elif name.endswith(".json"):
            assert _without_times(json.loads(mine.read_text())) == _without_times(json.loads(theirs.read_text())), name
        elif name.endswith(".npz"):
            with np.load(mine) as a, np.load(theirs) as b:
                assert set(a) == set(b)
                for key in b:
                    np.testing.assert_array_equal(a[key], b[key])
        elif name.endswith(".md"):
            assert _text_without_times(mine, folder) == _text_without_times(theirs, expected), name
        elif name.endswith(".png"):
            assert mine.read_bytes() == theirs.read_bytes(), name


def wait_for_write(folder, process, number, limit):
    """Waits until the `number`th file or folder is seen being written below `folder`, or the run ends."""
    seen, deadline = set(), time.monotonic() + limit
    while process.is_alive() and time.monotonic() < deadline:
        for place, folders, names in os.walk(folder):
            seen.update((place, name) for name in (*folders, *names) if name.startswith(".unfinished-"))
        if len(seen) >= number:
            return
        time.sleep(0.0005)

"""Times the extraction of the 64 features, compared with the opensmile package and librosa, and its memory.

    python -m benchmarks.extraction --record=extraction.json
    python -m benchmarks.extraction --folder=DIR --record=extraction.json

All but the line `all_cores` runs on one core, to which its process is bound (Linux). A unit of work is all the
clips that a way is given; the ways take turns, and the median over the repeats counts. Seconds of the processor are
kept beside seconds of the clock: on a busy machine only they tell what a core does.
"""

import functools
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import librosa
import numpy as np
from absl import app, flags

from benchmarks import sounds
from siamese_jax.corpora.audio import decode
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets import extraction
from siamese_jax.datasets.extractors import interspeech_2009
from siamese_jax.experiments import workdir
from siamese_jax.features import is09, is09_lld
from siamese_jax.features.bucketing import CPU_BLOCK, Engine
from siamese_jax.runtime import files as io
from siamese_jax.runtime import xla
from siamese_jax.runtime.devices import available_cores

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_FOLDER = flags.DEFINE_string("folder", None, "Folder of wav files; without it they are synthesised.")
_CLIPS = flags.DEFINE_integer("clips", 1000, "Synthesised clips: hard links to sixteen files.", lower_bound=16)
_SLOW_CLIPS = flags.DEFINE_integer("slow_clips", 64, "Clips for the ways other than ours.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timings of each way; the median counts.", lower_bound=1)
_MEMORY = flags.DEFINE_list("memory", ["1000", "10000"], "Clips of one second to extract for the peak of memory.")
_WORKER = flags.DEFINE_string("worker", None, "For the program's own use: the part to run in this process.")

Timing = dict[str, float]


def _first(manifest: Manifest, clips: int) -> Manifest:
    return Manifest(manifest.root, manifest.clips[:clips])


def _fft_bound(audio_seconds: float) -> Callable[[], Any]:
    """Three 512-point transforms a frame, as the features need them, over blocks that stay in the cache."""
    blocks = max(1, round(audio_seconds * is09.RATE / is09_lld.HOP / 256))
    frames = jnp.asarray(np.random.default_rng(0).standard_normal((blocks, 256, 512)), jnp.float32)

    def three(frames_Tx512: jax.Array) -> jax.Array:
        bins = jnp.fft.rfft(frames_Tx512)
        return sum(jnp.fft.irfft(part)[:, 0] for part in (bins * bins, bins + 1)) + bins[:, 0].real

    program = jax.jit(functools.partial(jax.lax.map, three))
    return lambda: program(frames).block_until_ready()


def _from_memory(samples: Sequence[np.ndarray]) -> Callable[[], Any]:
    engine = Engine()
    buckets: dict[int, list[np.ndarray]] = {}
    for clip_L in samples:
        buckets.setdefault(engine.bucket(len(clip_L)), []).append(clip_L)

    def compute() -> None:
        for frames, clips in buckets.items():
            size = engine.clips(frames)
            for start in range(0, len(clips), size):
                engine.features(clips[start : start + size], frames)

    return compute


def _librosa(signal_L: np.ndarray, with_pitch: bool) -> None:
    shape = {"frame_length": 400, "hop_length": 160}
    librosa.feature.mfcc(y=signal_L, sr=is09.RATE, n_mfcc=13, n_fft=512, win_length=400, hop_length=160, n_mels=26)
    librosa.feature.rms(y=signal_L, **shape)
    librosa.feature.zero_crossing_rate(signal_L, **shape)
    if with_pitch:
        librosa.yin(signal_L, fmin=63, fmax=500, sr=is09.RATE, frame_length=800, hop_length=160)


def _ways(manifest: Manifest) -> dict[str, tuple[float, Callable[[], Any]]]:
    """Each way to be timed: seconds of audio that one call works through, and the call."""
    extractor, options = interspeech_2009(), extraction.Options(workers=1, strict=True)
    part = _first(manifest, _SLOW_CLIPS.value)
    files = [part.path(clip) for clip in part]
    samples = [decode(manifest.path(clip)).samples for clip in _first(manifest, 256)]
    floats = [(clip_L / 32768.0).astype(np.float32) for clip_L in samples[: len(files)]]
    whole, slow, held = sounds.seconds(manifest), sounds.seconds(part), sum(map(len, samples)) / is09.RATE
    ways: dict[str, tuple[float, Callable[[], Any]]] = {
        "siamese_jax_files": (whole, lambda: extraction.compute_table(manifest, extractor, options)),
        "siamese_jax_memory": (held, _from_memory(samples)),
        "decode": (held, lambda: [decode(manifest.path(clip)) for clip in _first(manifest, 256)]),
        "fft_bound": (held, _fft_bound(held)),
        "librosa_files": (slow, lambda: [_librosa(librosa.load(file, sr=None)[0], False) for file in files]),
        "librosa_memory": (slow, lambda: [_librosa(signal_L, False) for signal_L in floats]),
        "librosa_with_yin_memory": (slow, lambda: [_librosa(signal_L, True) for signal_L in floats]),
    }
    if importlib.util.find_spec("opensmile"):
        import opensmile

        smile = opensmile.Smile(opensmile.FeatureSet.IS09, opensmile.FeatureLevel.Functionals)
        ways["opensmile_files"] = slow, lambda: [smile.process_file(file) for file in files]
        ways["opensmile_memory"] = slow, lambda: [smile.process_signal(x.copy(), is09.RATE) for x in floats]
    return ways


def _timed(call: Callable[[], Any]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _measure(ways: dict[str, tuple[float, Callable[[], Any]]]) -> dict[str, Any]:
    """Medians of seconds of audio per second, after one call of each that compiles and warms."""
    first = {name: _timed(call)["wall"] for name, (_, call) in ways.items()}
    timings: dict[str, list[Timing]] = {name: [] for name in ways}
    for _ in range(_REPEATS.value):
        for name, (_, call) in ways.items():
            timings[name].append(_timed(call))
    return {
        name: {
            "audio_seconds": seconds,
            "first_call_seconds": first[name],
            "audio_per_wall_second": seconds / statistics.median(timing["wall"] for timing in timings[name]),
            "audio_per_cpu_second": seconds / statistics.median(timing["cpu"] for timing in timings[name]),
        }
        for name, (seconds, _) in ways.items()
    }


def _one_core(folder: Path) -> dict[str, Any]:
    return _measure(_ways(sounds.manifest(folder)))


def _all_cores(folder: Path) -> dict[str, Any]:
    manifest = sounds.manifest(folder)
    extractor, options = interspeech_2009(), extraction.Options(available_cores(), strict=True)
    call = functools.partial(extraction.compute_table, manifest, extractor, options)
    return {"all_cores": {**_measure({"x": (sounds.seconds(manifest), call)})["x"], "cores": options.workers}}


def _peak(folder: Path) -> dict[str, Any]:
    """Peak of memory of one extraction in this process, parts and table on disk included."""
    with tempfile.TemporaryDirectory() as scratch:
        extractor, options = interspeech_2009(), extraction.Options(available_cores(), strict=True)
        took = _timed(
            lambda: extraction.extract(sounds.manifest(folder), Path(scratch) / "table.npz", extractor, options)
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mib": peak / 1024, "wall_seconds": took["wall"]}


def _in_process(part: str, folder: Path) -> dict[str, Any]:
    """A part in a process of its own, so that its cores, threads and memory are its own too."""
    arguments = [
        f"--worker={part}",
        f"--folder={folder}",
        f"--repeats={_REPEATS.value}",
        f"--slow_clips={_SLOW_CLIPS.value}",
    ]
    cores = os.sched_getaffinity(0)
    environment = dict(os.environ)
    if part == "one_core":
        # Inherited by the child; libraries that start threads of their own are told as well.
        os.sched_setaffinity(0, {min(cores)})
        environment |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    try:
        command = [sys.executable, "-m", "benchmarks.extraction", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    finally:
        os.sched_setaffinity(0, cores)
    return json.loads(done.stdout.splitlines()[-1])


def _report(scratch: Path) -> dict[str, Any]:
    folder = Path(_FOLDER.value) if _FOLDER.value else scratch / "speed"
    if not _FOLDER.value:
        folder.mkdir()
        sounds.synthesise(folder, _CLIPS.value, [2.0 + 0.2 * number for number in range(16)])
    record: dict[str, Any] = {"provenance": workdir.provenance(), "block": CPU_BLOCK, "repeats": _REPEATS.value}
    record["ways"] = {**_in_process("one_core", folder), **_in_process("all_cores", folder)}
    ours, bound = (record["ways"][name]["audio_per_cpu_second"] for name in ("siamese_jax_memory", "fft_bound"))
    record["share_of_fft_bound"] = ours / bound
    record["memory"] = {}
    for clips in map(int, _MEMORY.value):
        many = scratch / f"memory{clips}"
        many.mkdir()
        sounds.synthesise(many, clips, [1.0] * 16)
        record["memory"][str(clips)] = _in_process("peak", many)
    return record


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    xla.ask_for_one_pass()
    if _WORKER.value:
        part = {"one_core": _one_core, "all_cores": _all_cores, "peak": _peak}[_WORKER.value]
        print(json.dumps(part(Path(_FOLDER.value))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        record = _report(Path(scratch))
    print(f"{'':26s}{'audio seconds per second':>26s}{'per processor second':>24s}")
    for name, row in record["ways"].items():
        print(f"{name:26s}{row['audio_per_wall_second']:26.0f}{row['audio_per_cpu_second']:24.0f}")
    print(f"share of the FFT bound: {record['share_of_fft_bound']:.2f}")
    for clips, row in record["memory"].items():
        print(f"{clips} clips of 1 s: {row['wall_seconds']:.1f} s, peak {row['peak_mib']:.0f} MiB")
    if _RECORD.value:
        io.write_json(_RECORD.value, record)


if __name__ == "__main__":
    app.run(main)

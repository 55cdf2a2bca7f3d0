"""Times the features of a speech encoder, compared with transformers and CTranslate2, and measures their memory.

    python -m benchmarks.speech_encoder --speech_encoder=FOLDER --torch_python=VENV/bin/python \\
        --ctranslate2=FOLDER --record=speech_encoder.json
    python -m benchmarks.speech_encoder --record=speech_encoder.json

The clips are those of RAVDESS in SIAMESE_JAX_DATA, or synthesised. A pass goes from samples to statistics of hidden
states, log-mel spectrogram included; `from files` decodes too. The ways take turns, and the median over the repeats
counts; of a way's forms the fastest counts. The results must agree, else the program stops. The bound is the rate of
large float32 products on all local devices in the same run.

The interpreter VENV has torch and transformers, and ctranslate2 for --ctranslate2, the folder of the same model in
CTranslate2's layout. These need a whole encoder: --speech_encoder is a folder in the published layout.
"""

import collections
import dataclasses
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks import sounds
from benchmarks.speech_encoder_bound import Operations, bound
from benchmarks.speech_encoder_torch import Torch
from siamese_jax.corpora.audio import RATE, decode
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets import extraction, shipped, speech_encoder
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.models import whisper_weights
from siamese_jax.runtime import files
from siamese_jax.runtime.devices import available_cores, use_all_cores
from siamese_jax.runtime.provenance import provenance

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_FOLDER = flags.DEFINE_string("folder", None, "Folder of wav files, in place of RAVDESS in SIAMESE_JAX_DATA.")
_CLIPS = flags.DEFINE_integer("clips", 1440, "Clips of ours, evenly from the folder.", lower_bound=8)
_SLOW_CLIPS = flags.DEFINE_integer("slow_clips", 24, "Clips of the other programs, evenly from these.", lower_bound=8)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Timings of each way; the median counts.", lower_bound=1)
_ENCODER = flags.DEFINE_string("speech_encoder", "tiny.en", "An encoder that ships, or a folder.")
_LAYERS = flags.DEFINE_list("layers", ["1", "2", "3"], "Layers to take.")
_PRECISION = flags.DEFINE_enum("precision", "float32", speech_encoder.PRECISIONS, "Of the layers.")
_TORCH = flags.DEFINE_string("torch_python", "", "Interpreter with torch and transformers; without it ours runs alone.")
_CTRANSLATE2 = flags.DEFINE_string("ctranslate2", "", "Folder of the same model in CTranslate2's layout.")
_THREADS = flags.DEFINE_integer("threads", available_cores(), "Threads of each program.", lower_bound=1)
_MEMORY_CLIPS = flags.DEFINE_integer("memory_clips", 10000, "Clips to extract for the peak of memory; 0: none.")
_WORKER = flags.DEFINE_bool("worker", False, "For the program's own use: the extraction whose memory is measured.")

AGREEMENT = 1e-3
"""The largest difference of statistics between two programs, relative to their norm."""

COMPARED = 4  # clips whose 30 s windows are compared

Timing = dict[str, float]
Way = tuple[float, Callable[[], Timing]]
"""The seconds of audio in a pass, and the pass."""


def _evenly(manifest: Manifest, clips: int) -> Manifest:
    """Returns at most `clips` clips of a manifest, evenly spaced."""
    indices = np.linspace(0, len(manifest) - 1, min(clips, len(manifest))).astype(int)
    return Manifest(manifest.root, tuple(manifest.clips[i] for i in indices))


def _options(layers: Sequence[int], padding: str) -> speech_encoder.Options:
    return speech_encoder.Options(tuple(layers), -25.0, padding, _PRECISION.value)


def _from_memory(extractor: Extractor, samples: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the features of decoded clips, in order: batches of one bucket, computed by threads."""
    buckets = collections.defaultdict(list)
    for index, clip_L in enumerate(samples):
        buckets[extractor.bucket(len(clip_L))].append(index)
    batches = [
        (frames, indices[start : start + extractor.clips(frames)])
        for frames, indices in buckets.items()
        for start in range(0, len(indices), extractor.clips(frames))
    ]
    rows = np.empty((len(samples), len(extractor.feature_names)), np.float32)

    def compute(batch: tuple[int, list[int]]) -> None:
        frames, indices = batch
        rows[indices] = extractor.features([samples[i] for i in indices], frames)

    with ThreadPoolExecutor(_THREADS.value) as pool:
        list(pool.map(compute, batches))
    return rows


def _timed(call: Callable[[], Any]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _agreement(torch: Torch, ours: Extractor, samples: Sequence[np.ndarray], layers: Sequence[int]) -> dict[str, float]:
    """Returns how far each way's statistics are from ours, relative to their norm. Raises where they do not agree."""
    n_layers = whisper_weights.read_config(shipped.speech_encoder(_ENCODER.value)).encoder_layers
    few = samples[:COMPARED]
    windows = speech_encoder.extractor(_ENCODER.value, _options([*layers, n_layers], "30s"))
    in_windows = _from_memory(windows, few).reshape(len(few), len(layers) + 1, -1)
    expected = {
        "torch_own_length": _from_memory(ours, samples),
        "transformers": in_windows[:, :-1].reshape(len(few), -1),
        "ctranslate2": in_windows[:, -1],
    }
    differences = {}
    for way in torch.ways:
        a = expected[way.split("/")[0]]
        b = torch.results(way, len(a))
        differences[way] = float(np.max(np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)))
    if max(differences.values()) > (AGREEMENT if _PRECISION.value == "float32" else 0.05):
        raise RuntimeError(f"the results do not agree: {differences}")
    return differences


# Memory.


def _status(field: str) -> float:
    """Returns a size of this process in MiB (Linux), 0 where it is unknown."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)


def _extract_many(manifest: Manifest) -> dict[str, Any]:
    """Extracts a manifest into a table in this process; returns its peak of memory, and the memory over time."""
    extractor = speech_encoder.extractor(_ENCODER.value, _options(list(map(int, _LAYERS.value)), "clip"))
    done, curve, ended = [0], [], threading.Event()

    def counted(samples: Sequence[np.ndarray], frames: int) -> np.ndarray:
        rows = extractor.features(samples, frames)
        done[0] += len(samples)
        return rows

    def watch() -> None:
        while not ended.wait(0.25):
            curve.append((done[0], _status("VmRSS")))

    counting = dataclasses.replace(extractor, features=counted)
    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as scratch:
        options = extraction.Options(_THREADS.value, strict=True)
        took = _timed(lambda: extraction.extract(manifest, Path(scratch) / "table.npz", counting, options))
    ended.set()
    watcher.join()
    at = {}
    for quarter in (1, 2, 3, 4):
        seen = [mib for clips, mib in curve if clips <= len(manifest) * quarter / 4]
        at[f"{25 * quarter} %"] = seen[-1] if seen else 0.0
    return {"clips": len(manifest), "peak_mib": _status("VmHWM"), "rss_mib": at, "wall_seconds": took["wall"]}


def _repeated(manifest: Manifest, clips: int) -> Manifest:
    """Returns the clips of a manifest again and again under new names, `clips` in all."""
    originals = manifest.clips
    names = (dataclasses.replace(originals[i % len(originals)], name=f"{i:06d}") for i in range(clips))
    return Manifest(manifest.root, tuple(names))


def _memory(folder: Path) -> dict[str, Any]:
    """Runs `_extract_many` in a process of its own."""
    arguments = [f"--{flag.name}={flag.value}" for flag in (_ENCODER, _PRECISION, _THREADS, _MEMORY_CLIPS)]
    arguments += ["--worker", f"--folder={folder}", f"--layers={','.join(_LAYERS.value)}"]
    command = [sys.executable, "-m", "benchmarks.speech_encoder", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# The run.


def _measure(
    ways: dict[str, Way], measure_bound: Callable[[], dict[str, float]]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Returns the seconds of a pass of each way, after one that compiles and warms, and the bound's best rates."""
    first = {name: call()["wall"] for name, (_, call) in ways.items()}
    timings: dict[str, list[Timing]] = {name: [] for name in ways}
    bounds = []
    for _ in range(_REPEATS.value):
        for name, (_, call) in ways.items():
            bounds.append(measure_bound())
            timings[name].append(call())
    rates = {
        name: {
            "audio_seconds": seconds,
            "first_pass_seconds": first[name],
            **{f"{clock}_seconds": statistics.median(t[clock] for t in timings[name]) for clock in ("wall", "cpu")},
        }
        for name, (seconds, _) in ways.items()
    }
    return rates, {clock: max(rate[clock] for rate in bounds) for clock in ("wall", "cpu")}


def _operations(extractor: Extractor, samples: Sequence[np.ndarray], layers: Sequence[int]) -> dict[str, float]:
    """Returns the operations of a pass: those of products that the clips need, and those that are computed."""
    operations = Operations(_ENCODER.value, _options(layers, "clip"))
    counts = collections.Counter(extractor.bucket(len(clip_L)) for clip_L in samples)
    totals = {"needed_products": sum(operations.products(len(clip_L)) for clip_L in samples)}
    totals |= {"computed_products": 0.0, "computed_all": 0.0}
    for frames, clips in counts.items():
        padded = -(-clips // extractor.clips(frames)) * extractor.clips(frames)
        for kind, value in operations.compiled(frames).items():
            totals[f"computed_{kind}"] += padded * value
    return totals


def _report(folder: Path, scratch: Path) -> dict[str, Any]:
    layers = [int(layer) for layer in _LAYERS.value]
    manifest = _evenly(sounds.manifest(folder), _CLIPS.value)
    ours = speech_encoder.extractor(_ENCODER.value, _options(layers, "clip"))
    samples = [decode(manifest.path(clip)).samples for clip in manifest]
    audio = sum(map(len, samples)) / RATE
    options = extraction.Options(_THREADS.value, strict=True)
    ways: dict[str, Way] = {
        "siamese_jax, from files": (audio, lambda: _timed(lambda: extraction.compute_table(manifest, ours, options))),
        "siamese_jax": (audio, lambda: _timed(lambda: _from_memory(ours, samples))),
    }
    record: dict[str, Any] = {"provenance": provenance(), "speech_encoder": ours.made, "clips": len(manifest)}
    if _TORCH.value:
        spaced = np.linspace(0, len(samples) - 1, min(_SLOW_CLIPS.value, len(samples))).astype(int)
        slow = [samples[i] for i in spaced]
        loud = [np.float32(speech_encoder.loudness_gain(clip_L, -25.0)) * clip_L for clip_L in slow]
        folder = shipped.speech_encoder(_ENCODER.value)
        torch = Torch(_TORCH.value, folder, _CTRANSLATE2.value, loud, layers, _THREADS.value, scratch)
        slow_audio = sum(map(len, slow)) / RATE
        record |= {"torch": torch.version, "slow_clips": len(slow), "agreement": _agreement(torch, ours, slow, layers)}
        ways |= {way: (slow_audio, functools.partial(torch.run, way, len(slow))) for way in torch.ways}
    rates, best = _measure(ways, bound(_PRECISION.value))
    operations = _operations(ours, samples, layers)
    shares = {
        f"{kind}_by_{clock}": operations[kind] / rates["siamese_jax"][f"{clock}_seconds"] / best[clock]
        for kind in ("needed_products", "computed_products")
        for clock in ("wall", "cpu")
    }
    return record | {"ways": rates, "operations": operations, "bound_per_second": best, "share_of_bound": shares}


def _lines(record: dict[str, Any]) -> Iterator[str]:
    """Yields the record as Markdown."""
    rates = {name: row["audio_seconds"] / row["wall_seconds"] for name, row in record["ways"].items()}
    best: dict[str, float] = {}
    for name, rate in rates.items():
        best[name.split("/")[0]] = max(best.get(name.split("/")[0], 0.0), rate)
    ours, from_files = rates["siamese_jax"], record["ways"]["siamese_jax, from files"]
    operations, audio, bound_rate = record["operations"], from_files["audio_seconds"], record["bound_per_second"]
    yield "| | audio seconds per second | siamese_jax is faster by |"
    yield "| --- | --- | --- |"
    for way, rate in best.items():
        yield f"| {way} | {rate:.0f} | {'' if way.startswith('siamese_jax') else f'{ours / rate:.1f}'} |"
    yield f"| bound of the products | {bound_rate['wall'] / operations['needed_products'] * audio:.0f} | |"
    yield ""
    yield (
        f"- {record['clips']} clips, {audio:.0f} s of audio, from files: {from_files['wall_seconds']:.1f} s, the first "
        f"pass {from_files['first_pass_seconds']:.1f} s, in which the program is compiled."
    )
    needed, computed, everything = (
        operations[kind] / audio / 1e9 for kind in ("needed_products", "computed_products", "computed_all")
    )
    yield (
        f"- GFLOP per second of audio: {needed:.2f} of products without padding, {computed:.2f} with it, "
        f"{everything:.2f} of all by XLA's count."
    )
    shares = record["share_of_bound"]
    on_cpu = record["provenance"]["devices"][0].startswith("cpu")
    for clock in ("wall", "cpu")[: 1 + on_cpu]:
        yield (
            f"- By the {clock} clock: bound {bound_rate[clock] / 1e9:.0f} GFLOP/s, share "
            f"{shares[f'needed_products_by_{clock}']:.2f}, {shares[f'computed_products_by_{clock}']:.2f} with padding."
        )
    for way, difference in record.get("agreement", {}).items():
        yield f"- {way} differs by {difference:.1e} of the norm."
    if memory := record.get("memory"):
        over_time = ", ".join(f"{mib:.0f} MiB at {at}" for at, mib in memory["rss_mib"].items())
        yield f"- {memory['clips']} clips: {memory['wall_seconds']:.1f} s, at most {memory['peak_mib']:.0f} MiB;"
        yield f"  {over_time}."


def _folder(scratch: Path) -> Path:
    data = os.environ.get("SIAMESE_JAX_DATA")
    if _FOLDER.value or data:
        return Path(_FOLDER.value or Path(data or "") / "audio" / "ravdess")
    folder = scratch / "synthesised"
    folder.mkdir()
    sounds.synthesise(folder, _CLIPS.value, [2.0 + 0.2 * number for number in range(16)])
    return folder


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores()
    if _WORKER.value:
        print(json.dumps(_extract_many(_repeated(sounds.manifest(Path(_FOLDER.value)), _MEMORY_CLIPS.value))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = _folder(Path(scratch))
        record = _report(folder, Path(scratch))
        if _MEMORY_CLIPS.value:
            record["memory"] = _memory(folder)
    print("\n".join(_lines(record)))
    if _RECORD.value:
        files.write_json(_RECORD.value, record)


if __name__ == "__main__":
    app.run(main)

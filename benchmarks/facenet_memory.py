"""Peak of memory of FaceNet by the number of segments, from wav files to decided clips: images are never all held.

    python -m benchmarks.facenet_memory --record=facenet_memory.json

Each number of segments runs from end to end in a process of its own: 3 s clips (hard links to 256 synthesised files),
five segments each, are decoded into the cache and cut; a network takes `--steps` training steps on the speakers that
are not held out and is validated on the rest; all segments are embedded, and all clips decided by each rule. Reported:
the peak of anonymous memory, which is what the process holds, by the end of each stage. The samples lie in a mapped
file, which the system drops and reads again as it likes, so they do not count.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import soundfile
from absl import app, flags

from configs import facenet as config_file
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets.class_batches import draw_batch, plan_batches
from siamese_jax.datasets.segments import SegmentSource, load
from siamese_jax.experiments import workdir
from siamese_jax.experiments.cross_training import config as settings
from siamese_jax.models import embedding_classifiers, facenet
from siamese_jax.runtime import files
from siamese_jax.training.facenet import validation
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import Programs, embed_all

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_SEGMENTS = flags.DEFINE_list("segments", ["1000", "10000", "100000"], "Numbers of segments, multiples of five.")
_STEPS = flags.DEFINE_integer("steps", 30, "Training steps.", lower_bound=1)
_WIDTH = flags.DEFINE_float("width", 0.0625, "Of the network.")
_DEPTH = flags.DEFINE_float("depth", 0.1, "Of the network.")
_SIZE = flags.DEFINE_integer("size", 32, "Pixels a side.")
_VIEW = flags.DEFINE_string("view", "spectrogram", "waveform or spectrogram")
_WORKER = flags.DEFINE_integer("worker", None, "For the program's own use: the number of segments of this process.")
_FOLDER = flags.DEFINE_string("folder", "", "For the program's own use: where clips and cache are made.")

EMOTIONS = ("anger", "fear", "happiness", "sadness")
CLIP_SECONDS, PER_CLIP, FILES, SPEAKERS, HELD_OUT = 3, 5, 256, 24, 4
"""Segments of 1 s every 0.5 s; of the speakers, the last four are held out."""


def _synthesise(folder: Path, clips: int) -> Manifest:
    """Noise of a level of its own in each file; links to a file share its emotion and speaker."""
    rng, rows = np.random.default_rng(0), []
    for number in range(clips):
        file, origin = folder / f"{number:06d}.wav", number % FILES
        if number < FILES:
            samples = rng.normal(0, rng.uniform(0.02, 0.2), CLIP_SECONDS * 16000)
            soundfile.write(file, np.clip(samples, -1, 1), 16000, subtype="PCM_16")
        else:
            os.link(folder / f"{origin:06d}.wav", file)
        speaker = f"s{origin // len(EMOTIONS) % SPEAKERS:02d}"
        rows.append(Clip(file.name, file.stem, EMOTIONS[origin % len(EMOTIONS)], speaker, "made"))
    return Manifest(folder, tuple(rows))


def _config() -> TrainConfig:
    """The default training but for the sizes of the flags; nothing is quiet enough to be left out."""
    given = config_file.get_config()
    given.corpora.ravdess.audio = given.corpora.emodb.audio = "unused"
    given.network.update({"width": _WIDTH.value, "depth": _DEPTH.value})
    given.images.size = _SIZE.value
    given.segments.quiet_db = 200.0
    return settings.resolve(given).train_config("fine_tuning", _VIEW.value)


class Peak:
    """The most anonymous memory that this process has held, looked at a hundred times a second (Linux)."""

    def __init__(self) -> None:
        self.mib, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            self.mib = max(self.mib, int(status.partition("RssAnon:")[2].split()[0]) / 1024)

    def stop(self) -> None:
        """Looks no more."""
        self._over.set()
        self._thread.join()


def _train(config: TrainConfig, source: SegmentSource) -> dict[str, Any]:
    """`--steps` updates as `facenet.train` makes them; the variables."""
    plan = plan_batches(
        source.emotion.tolist(), source.speaker.tolist(), source.clip.tolist(), config.classes_per_batch,
        config.segments_per_class,
    )  # fmt: skip
    program = Programs(config)
    state = program.start(facenet.init(jax.random.key(0), config.network))
    for step in range(_STEPS.value):
        drawing, changing = jax.random.split(jax.random.key(step))
        rows = draw_batch(drawing, plan)
        class_B = np.searchsorted(EMOTIONS, source.emotion[rows])
        state, result = program.step(state, source.segments(rows), class_B, 1e-3, changing)
        result.loss.block_until_ready()
    return state.variables


def _decide(source: SegmentSource, emb_NxE: np.ndarray, held_out_N: np.ndarray) -> None:
    label_N = np.searchsorted(EMOTIONS, source.emotion)
    for kind in embedding_classifiers.DECISIONS:
        train = emb_NxE[~held_out_N], label_N[~held_out_N]
        scores = embedding_classifiers.segment_scores(kind, emb_NxE, *train, len(EMOTIONS), 15)
        by_clip = embedding_classifiers.utterance_scores(scores, source.clip, int(source.clip.max()) + 1)
        assert np.isfinite(by_clip).all()


def _whole_way(folder: Path, segments: int) -> dict[str, Any]:
    """Peaks in MiB and seconds, by stage, for one number of segments."""
    config = _config()
    manifest = _synthesise(folder, segments // PER_CLIP)
    peak, stages, before = Peak(), {}, time.perf_counter()

    def over(stage: str) -> None:
        nonlocal before
        stages[stage] = {"peak_mib": peak.mib, "seconds": time.perf_counter() - before}
        before = time.perf_counter()

    source = load(manifest, config.segments, folder / "cache", True, lambda _: None)
    if len(source) != segments:
        raise app.UsageError(f"--segments={segments}: the clips have {len(source)}; give multiples of {PER_CLIP}")
    over("load")
    held_out_N = np.isin(source.speaker, np.unique(source.speaker)[-HELD_OUT:])
    train, rest = (source.subset(np.unique(source.clip[part])) for part in (~held_out_N, held_out_N))
    variables = _train(config, train)
    over("train")
    validation.score(config, variables, validation.plan(config, train, rest, jax.random.key(1)))
    over("validate")
    emb = embed_all(config, variables, source)
    over("embed")
    _decide(source, emb, held_out_N)
    over("decide")
    peak.stop()
    pixels = _SIZE.value**2
    held = {
        "samples_mapped_mib": source.samples.all.nbytes / 2**20,
        "images_would_be_mib": 4 * pixels * segments / 2**20,
    }
    return {"peak_mib": peak.mib, "stages": stages, **held, "config": dataclasses.asdict(config)}


def _in_process(segments: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        given = [f"--{flag.name}={flag.value}" for flag in (_STEPS, _WIDTH, _DEPTH, _SIZE, _VIEW)]
        command = [sys.executable, "-m", "benchmarks.facenet_memory", f"--worker={segments}", f"--folder={scratch}"]
        done = subprocess.run([*command, *given], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if _WORKER.value:
        print(json.dumps(_whole_way(Path(_FOLDER.value), _WORKER.value)))
        return
    record: dict[str, Any] = {"provenance": workdir.provenance(), "segments": {}}
    for segments in _SEGMENTS.value:
        row = record["segments"][segments] = _in_process(segments)
        by_stage = ", ".join(f"{k} {v['peak_mib']:.0f} MiB {v['seconds']:.1f} s" for k, v in row["stages"].items())
        print(
            f"{segments} segments: peak {row['peak_mib']:.0f} MiB ({by_stage}); samples mapped "
            f"{row['samples_mapped_mib']:.0f} MiB, all images would be {row['images_would_be_mib']:.0f} MiB"
        )
        if _RECORD.value:
            files.write_json(_RECORD.value, record)


if __name__ == "__main__":
    app.run(main)

"""From a manifest to a feature table: decode, compute, remember what is done.

Every worker thread takes a small group of clips, decodes it and computes its features: one thread decodes while
another computes, all cores are busy, and only the audio of those groups is ever held. Finished rows are kept in
`.TABLE.npz.partial` beside the table (`extraction_cache`), so that an interrupted run goes on where it
stopped. What a clip's row holds depends on the clip alone, not on its neighbours, its place or the thread.
"""

import concurrent.futures
import dataclasses
import importlib.metadata
import itertools
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.audio import Decoded, audio_hash, decode
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets.extraction_cache import Parts, Row
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import ClipError, InputError
from siamese_jax.features import is09
from siamese_jax.features.bucketing import Engine
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.devices import available_cores as available_cores
from siamese_jax.runtime.distributed import WHOLE, Share
from siamese_jax.runtime.files import remove_unfinished_of, user_path, writable
from siamese_jax.runtime.progress import bars
from siamese_jax.runtime.provenance import VERSION

log = logging.getLogger(__name__)

GROUP = 32
"""Clips that a worker takes at a time."""

PACKAGES = ("jax", "jaxlib", "numpy", "soundfile", "soxr")

Result = tuple[int, Row | ClipError]
"""A clip's index in its manifest, and its row or what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How to extract. None of it changes the rows.

    Fields:
      workers: threads that decode and compute, at least 1.
      strict: stop at the first clip that cannot be used, instead of leaving it out and going on.
    """

    workers: int
    strict: bool


def extract(manifest: Manifest, output: str | Path, options: Options) -> FeatureTable:
    """Computes the table of a manifest and writes it to `output`, in the manifest's order.

    If an earlier run with the same output was interrupted, its finished clips are not computed again. Clips that
    cannot be used are logged, and listed with their reasons in `made["left_out"]`.

    Args:
      manifest: the clips.
      output: the table to write (.npz).
      options: see `Options`.

    Raises:
      InputError: no clip of the manifest can be used, another run is at work on this output, or it cannot be written.
      interrupt.Stopped: a signal has come; what was finished is kept for the next run.
      ClipError: a clip cannot be used, and `options.strict`. What was finished is kept for the next run.
    """
    table = extract_share(manifest, output, options, WHOLE)
    assert table is not None  # the only process writes it
    return table


def extract_share(manifest: Manifest, output: str | Path, options: Options, share: Share) -> FeatureTable | None:
    """As `extract`, by several processes, on one host or many, that see the same files; they need not reach each other.

    Each computes its share of the clips. Process 0 waits for the others, then writes the table, and returns it; the
    others return None. Whatever a run left undone, the next one does, on any number of processes.

    Raises:
      LostError: on process 0, where another one is not at work any more, or never came; what was finished is kept.
    """
    output = user_path(output)
    if output.suffix != ".npz":
        raise InputError(f"{output}: feature tables are written as .npz; give the file that suffix")
    folder = output.with_name(f".{output.name}.partial")
    with writable(output), Parts(folder, str(output), share) as parts:
        if share.count > 1:
            _compute(manifest, share.of(len(manifest)), options, parts)
            parts.finish()
            if share.index:
                return None
            parts.wait()
            parts.load()
        remove_unfinished_of(output)
        table = compute_table(manifest, options, parts)
        write_table(output, table)
        parts.remove()
    return table


def compute_table(manifest: Manifest, options: Options, parts: Parts | None = None) -> FeatureTable:
    """As `extract`, without writing a table. `parts` holds finished rows and keeps new ones; None does neither."""
    rows, bad = _compute(manifest, range(len(manifest)), options, parts)
    return _assemble(manifest, rows, [(error.file, error.reason) for _, error in sorted(bad.items())])


def _compute(
    manifest: Manifest, indices: Sequence[int], options: Options, parts: Parts | None
) -> tuple[dict[int, Row], dict[int, ClipError]]:
    """The rows of the clips at `indices`, by index, and what is wrong with those that cannot be used."""
    rows = {index: row for index in indices if (row := parts and parts.get(manifest, manifest.clips[index]))}
    missing = [index for index in indices if index not in rows]
    if rows:
        log.info("%d of %d clips were finished by an earlier run", len(rows), len(indices))
    bad: dict[int, ClipError] = {}
    with bars() as progress:
        advance = progress.start("features", len(indices))
        advance(len(rows))
        for index, result in _results(manifest, missing, options):
            if isinstance(result, ClipError):
                bad[index] = result
                log.warning("left out: %s", result)
            else:
                rows[index] = result
                if parts:
                    parts.add(manifest, manifest.clips[index], result)
            advance(1)
            interrupt.check()
    if bad:
        log.warning("%d of %d clips were left out", len(bad), len(indices))
    return rows, bad


def _results(manifest: Manifest, indices: Sequence[int], options: Options) -> Iterator[Result]:
    """The rows of the clips at `indices`, group by group; under `strict` the first bad clip is raised."""
    engine = Engine()
    stop = threading.Event()

    def work(group: Sequence[int]) -> list[Result]:
        return [] if stop.is_set() else _group_rows(manifest, group, engine, options.strict)

    groups = (indices[start : start + GROUP] for start in range(0, len(indices), GROUP))
    running: deque[concurrent.futures.Future[list[Result]]] = deque()
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        try:
            # A few groups ahead keep the workers busy; no more, so that finished rows do not wait unsaved.
            for group in itertools.islice(groups, 2 * options.workers):
                running.append(pool.submit(work, group))
            while running:
                yield from running.popleft().result()
                running.extend(pool.submit(work, group) for group in itertools.islice(groups, 1))
        finally:
            stop.set()


def _group_rows(manifest: Manifest, indices: Sequence[int], engine: Engine, strict: bool) -> list[Result]:
    """Decodes a group and computes it, batch by batch as the buckets fill."""
    results: list[Result] = []
    waiting: dict[int, list[tuple[int, Decoded]]] = {}

    def compute(frames: int) -> None:
        clips = waiting.pop(frames)
        features = engine.features([sound.samples for _, sound in clips], frames)
        for (index, sound), row in zip(clips, features):
            results.append((index, Row(row, audio_hash(sound.samples), sound.source_rate, sound.resampling)))

    for index in indices:
        clip = manifest.clips[index]
        try:
            sound = decode(manifest.path(clip), clip.start, clip.end)
        except ClipError as error:
            if strict:
                raise
            results.append((index, ClipError(clip.file, error.reason)))
            continue
        frames = engine.bucket(len(sound.samples))
        waiting.setdefault(frames, []).append((index, sound))
        if len(waiting[frames]) == engine.clips(frames):
            compute(frames)
    for frames in list(waiting):
        compute(frames)
    return results


def _assemble(manifest: Manifest, rows: dict[int, Row], left_out: list[tuple[str, str]]) -> FeatureTable:
    if not rows:
        shown = "; ".join(f"{file}: {reason}" for file, reason in left_out[:3])
        raise InputError(f"{manifest.root}: none of {len(manifest)} clips can be used. {shown}")
    order = sorted(rows)
    clips = [manifest.clips[index] for index in order]
    ordered = [rows[index] for index in order]
    return FeatureTable(
        features=np.stack([row.features for row in ordered]),
        feature_names=is09.FEATURE_NAMES,
        clip=np.asarray([clip.name for clip in clips]),
        emotion=np.asarray([clip.emotion for clip in clips]),
        speaker=np.asarray([clip.speaker for clip in clips]),
        corpus=np.asarray([clip.corpus for clip in clips]),
        sex=np.asarray([clip.sex for clip in clips]),
        audio_hash=np.asarray([row.audio_hash for row in ordered]),
        made=_made(ordered, left_out),
    )


def _made(rows: Sequence[Row], left_out: list[tuple[str, str]]) -> dict[str, Any]:
    """How the table was made, and nothing that differs between two runs on the same clips."""
    return {
        "program": f"siamese_jax {VERSION}",
        "features": "INTERSPEECH 2009, mean and standard deviation",
        "extractor": is09.VERSION,
        "scaled": "none",
        "rate": is09.RATE,
        "source_rates": {str(rate): count for rate, count in sorted(Counter(r.source_rate for r in rows).items())},
        "resampling": dict(sorted(Counter(row.resampling for row in rows).items())),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "left_out": [{"file": file, "reason": reason} for file, reason in left_out],
        "left_out_count": len(left_out),
    }

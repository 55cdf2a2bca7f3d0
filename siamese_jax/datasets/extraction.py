"""From a manifest to a feature table: threads decode groups of clips, and compute batches of one bucket.

Finished rows are kept in `.TABLE.npz.partial` beside the table (`extraction_cache`), so that an interrupted run
resumes. A row depends on its clip alone, not on its neighbours, its place or the thread.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.audio import CUT_OFF, Decoded, audio_hash, decode
from siamese_jax.corpora.manifest import Manifest, none_usable
from siamese_jax.corpora.spelling import printable
from siamese_jax.datasets.extraction_cache import ExtractionCache, FeatureRow
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.table_files import npz_path, write_table
from siamese_jax.errors import ClipError, InputError
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.distributed import WHOLE, Share
from siamese_jax.runtime.files import remove_unfinished_of, writable
from siamese_jax.runtime.progress import bars
from siamese_jax.runtime.provenance import VERSION
from siamese_jax.runtime.threads import in_order

log = logging.getLogger(__name__)

NAMED = 20  # clips of one kind of error that the log names
_IN_TABLE = "; the table names them all"
GROUP = 32  # clips that a worker takes at a time
PACKAGES = ("jax", "jaxlib", "numpy", "soundfile", "soxr")

Result = tuple[int, FeatureRow | ClipError]
"""A clip's index in its manifest, and its row or its error."""

Batch = tuple[int, list[tuple[int, Decoded]] | ClipError]
"""A bucket and its clips, with their indices; or a bad clip's index and its error."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How to extract, without effect on the rows: `workers` threads; `strict` stops at the first unusable clip."""

    workers: int
    strict: bool


def extract(manifest: Manifest, output: str | Path, extractor: Extractor, options: Options) -> FeatureTable:
    """Computes the table of a manifest and writes it to `output`, in the manifest's order.

    Clips that an interrupted run with the same output has finished are not computed again. Unusable clips are logged,
    and listed with their reasons in `made["left_out"]`.

    Raises InputError where no clip is usable, another run is at work on this output, or it cannot be written;
    interrupt.Stopped after a signal; ClipError for an unusable clip if `options.strict`. Finished clips are kept.
    """
    table = extract_share(manifest, output, extractor, options, WHOLE)
    assert table is not None  # the only process writes it
    return table


def extract_share(
    manifest: Manifest, output: str | Path, extractor: Extractor, options: Options, share: Share
) -> FeatureTable | None:
    """As `extract`, by several processes, on one or more hosts, that see the same files and need no connection.

    Each process computes its share of the clips. Process 0 waits for the others, writes the table and returns it; the
    others return None. The next run resumes with any number of processes. Raises LostError on process 0 where another
    process has stopped or never comes; finished clips are kept.
    """
    output = npz_path(output)
    folder = output.with_name(f".{output.name}.partial")
    with writable(output), ExtractionCache(folder, str(output), extractor.version, share) as cache:
        if share.count > 1:
            own, kinds = share.of(len(manifest)), Counter[str]()
            _compute(manifest, own, extractor, options, cache, kinds)
            log_left_out(kinds, len(own), _IN_TABLE)
            cache.finish()
            if share.index:
                return None
            cache.wait()
        remove_unfinished_of(output)
        table = compute_table(manifest, extractor, options, cache)
        write_table(output, table)
        cache.remove()
    return table


def compute_table(
    manifest: Manifest, extractor: Extractor, options: Options, cache: ExtractionCache | None = None
) -> FeatureTable:
    """As `extract`, without writing a table; `cache` gives finished rows and keeps new ones."""
    kinds = Counter[str]()
    rows, bad = _compute(manifest, range(len(manifest)), extractor, options, cache, kinds)
    log_left_out(kinds, len(manifest), _IN_TABLE)
    return _assemble(manifest, extractor, rows, [(error.file, error.reason) for _, error in sorted(bad.items())])


def compute_rows(
    manifest: Manifest, extractor: Extractor, options: Options, kinds: Counter[str]
) -> tuple[dict[int, FeatureRow], dict[int, ClipError]]:
    """As `compute_table`, but returns the rows, and the errors of unusable clips, by index in the manifest.

    No clip need be usable. `kinds` counts the errors over calls, so that the log names the first of each kind;
    `log_left_out` writes the counts.
    """
    return _compute(manifest, range(len(manifest)), extractor, options, None, kinds)


def log_left_out(kinds: Counter[str], n_clips: int, note: str = "") -> None:
    """Writes one line to the log: how many of the clips were left out, by kind of error."""
    if kinds:
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        log.warning("%d of %d clips were left out (%s)%s", kinds.total(), n_clips, counts, note)


def _compute(
    manifest: Manifest, indices: Sequence[int], extractor: Extractor, options: Options, cache: ExtractionCache | None,
    kinds: Counter[str],
) -> tuple[dict[int, FeatureRow], dict[int, ClipError]]:  # fmt: skip
    """Returns the rows of the clips at `indices`, and the errors of unusable ones, by index."""
    rows = {index: row for index in indices if (row := cache and cache.get(manifest, manifest.clips[index]))}
    missing = [index for index in indices if index not in rows]
    if rows:
        log.info("%d of %d clips were finished by an earlier run", len(rows), len(indices))
    bad: dict[int, ClipError] = {}
    with bars() as progress:
        advance = progress.start("features", len(indices))
        advance(len(rows))
        for index, result in _results(manifest, missing, extractor, options):
            if isinstance(result, ClipError):
                bad[index] = result
                kinds[_kind(result)] += 1
                if kinds[_kind(result)] <= NAMED:
                    log.warning("left out: %s", printable(str(result)))
            else:
                rows[index] = result
                if cache:
                    cache.add(manifest, manifest.clips[index], result)
            advance(1)
            interrupt.check()
    if cut_off := sum(row.resampling.endswith(CUT_OFF) for row in rows.values()):
        log.warning("%d clips hold samples beyond full scale, which were cut off at it", cut_off)
    return rows, bad


def _kind(error: ClipError) -> str:
    return error.reason.partition(":")[0]


def _results(manifest: Manifest, indices: Sequence[int], extractor: Extractor, options: Options) -> Iterator[Result]:
    """Yields results as batches fill, in no order; under `strict` raises for the first bad clip."""
    groups = (indices[start : start + GROUP] for start in range(0, len(indices), GROUP))
    # A few groups and batches ahead keep the workers busy; no more, so that finished rows do not wait unsaved.
    decoded = in_order(functools.partial(_decoded, manifest, options.strict), groups, options.workers, options.workers)
    batches = _batches(itertools.chain.from_iterable(decoded), extractor)
    work = functools.partial(_batch_rows, manifest, options.strict, extractor)
    return itertools.chain.from_iterable(in_order(work, batches, options.workers, 2 * options.workers))


def _decoded(manifest: Manifest, strict: bool, indices: Sequence[int]) -> list[tuple[int, Decoded | ClipError]]:
    """Decodes a group of clips."""
    results: list[tuple[int, Decoded | ClipError]] = []
    for index in indices:
        clip = manifest.clips[index]
        try:
            results.append((index, decode(manifest.path(clip), clip.start, clip.end)))
        except ClipError as error:
            if strict:
                raise
            results.append((index, ClipError(clip.file, error.reason)))
    return results


def _batches(decoded: Iterable[tuple[int, Decoded | ClipError]], extractor: Extractor) -> Iterator[Batch]:
    """Yields full batches of one bucket, then the rest; a bad clip is a batch of its own."""
    waiting: dict[int, list[tuple[int, Decoded]]] = {}
    for index, sound in decoded:
        if isinstance(sound, ClipError):
            yield index, sound
            continue
        size = extractor.bucket(len(sound.samples))
        waiting.setdefault(size, []).append((index, sound))
        if len(waiting[size]) == extractor.clips(size):
            yield size, waiting.pop(size)
    yield from waiting.items()


def _batch_rows(manifest: Manifest, strict: bool, extractor: Extractor, batch: Batch) -> list[Result]:
    """Computes a batch. Raises ClipError under `strict` where features are not finite."""
    size, clips = batch
    if isinstance(clips, ClipError):
        return [(size, clips)]
    features = extractor.features([sound.samples for _, sound in clips], size)
    results: list[Result] = []
    for (index, sound), row in zip(clips, features):
        if np.isfinite(row).all():
            results.append((index, FeatureRow(row, audio_hash(sound.samples), sound.source_rate, sound.resampling)))
            continue
        error = ClipError(manifest.clips[index].file, "not finite: its features overflow; check the encoder's weights")
        if strict:
            raise error
        results.append((index, error))
    return results


def _assemble(
    manifest: Manifest, extractor: Extractor, rows: dict[int, FeatureRow], left_out: list[tuple[str, str]]
) -> FeatureTable:
    if not rows:
        raise InputError(none_usable(manifest, left_out))
    clips = [manifest.clips[index] for index in sorted(rows)]
    ordered = [rows[index] for index in sorted(rows)]
    labels = {name: [getattr(clip, name) for clip in clips] for name in ("emotion", "speaker", "corpus", "sex")}
    labels |= {"clip": [clip.name for clip in clips], "audio_hash": [row.audio_hash for row in ordered]}
    return FeatureTable(
        features=np.stack([row.features for row in ordered]),
        feature_names=extractor.feature_names,
        made=_made(extractor, ordered, left_out),
        **{name: np.asarray(texts) for name, texts in labels.items()},
    )


def _made(extractor: Extractor, rows: Sequence[FeatureRow], left_out: list[tuple[str, str]]) -> dict[str, Any]:
    """Returns how the table was made; equal for two runs on the same clips."""
    return {
        "program": f"siamese_jax {VERSION}",
        **extractor.made,
        "scaled": "none",
        "source_rates": {str(rate): count for rate, count in sorted(Counter(r.source_rate for r in rows).items())},
        "resampling": dict(sorted(Counter(row.resampling for row in rows).items())),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "left_out": [{"file": file, "reason": reason} for file, reason in left_out],
        "left_out_count": len(left_out),
    }

"""Decoded clips, concatenated in memory or in a memory-mapped file."""

import dataclasses
import hashlib
import importlib.metadata
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.corpora.audio import CUT_OFF, audio_hash, decode
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.errors import ClipError, InputError
from siamese_jax.runtime import interrupt
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import atomic_path, write_json
from siamese_jax.runtime.threads import in_order

log = logging.getLogger(__name__)

_FORMAT = 2  # incremented when decoding, or the layout of the cache, changes


@dataclasses.dataclass(frozen=True)
class Samples(Sequence[np.ndarray]):
    """The samples of M clips; `samples[row]` is a view of a clip's, empty if it could not be decoded.

    `all` is [S] int16, clip after clip; `begin` is [M + 1] int64, the start of each clip in `all`, and the end;
    `hashes` are M digests (`audio.audio_hash`), "" for an undecoded clip; `bad` holds the errors of undecoded clips by
    row.
    """

    all: np.ndarray
    begin: np.ndarray
    hashes: tuple[str, ...]
    bad: dict[int, str]

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, row: int) -> np.ndarray:  # type: ignore[override]
        return self.all[self.begin[row] : self.begin[row + 1]]


def join(clips: Sequence[np.ndarray], errors: Sequence[str]) -> Samples:
    """Returns the samples of clips in memory, int16 [n] each; `errors` holds the error of each, "" for none."""
    hashes = tuple("" if reason else audio_hash(clip) for clip, reason in zip(clips, errors, strict=True))
    together = np.concatenate([*clips, np.zeros(0, np.int16)])
    bad = {row: reason for row, reason in enumerate(errors) if reason}
    return Samples(together, np.cumsum([0, *map(len, clips)]), hashes, bad)


def content_digests(manifest: Manifest) -> tuple[str, ...]:
    """Returns a digest [M] of the bytes of each clip's file; "missing" or "unreadable" where there are none to read.

    Reads every file once, also where several clips are segments of it.
    """
    files = list(dict.fromkeys(manifest.path(clip) for clip in manifest))
    workers, by_file = available_cores(), {}
    for file, digest in zip(files, in_order(_content, files, workers, 16 * workers)):
        by_file[file] = digest
        interrupt.check()
    return tuple(by_file[manifest.path(clip)] for clip in manifest)


def _content(path: Path) -> str:
    try:
        if not path.is_file():
            return "missing"
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except (OSError, ValueError):  # the decoder gives the reason
        return "unreadable"


def decode_all(
    manifest: Manifest, rate: int, cache_dir: str | Path | None, on_progress: Callable[[int], None]
) -> Samples:
    """Decodes every clip of a manifest, or reads them from `cache_dir`.

    The cache's key holds the content of each file: an edited clip is decoded again, under whatever name, size and time
    of change. Cached samples are compared with their digests.
    Args and raises: as `segments.load`; `on_progress` is not called on a cache hit.
    """
    if cache_dir is None:
        decoded = list(_decode(manifest, rate, on_progress))
        return join([samples for samples, _ in decoded], [error for _, error in decoded])
    file = Path(cache_dir) / f"samples-{_key(manifest, rate)}.npy"
    samples = _read(file, len(manifest))
    if samples is None:
        advice = "make room or give another folder"
        try:
            _write(file, _decode(manifest, rate, on_progress))
        except OSError as error:
            raise InputError(f"{file}: decoded samples cannot be kept ({error}); {advice}") from error
        samples = _read(file, len(manifest))
        if samples is None:
            raise InputError(f"{file}: cannot be read back after it was written; {advice}")
    return samples


Decoding = tuple[np.ndarray, str]
"""A clip's samples and its error, "" for none."""


def _decode(manifest: Manifest, rate: int, on_progress: Callable[[int], None]) -> Iterator[Decoding]:
    """Yields the clips in order, decoded by several threads, a few ahead of the caller and no more."""

    def work(clip: Clip) -> tuple[Decoding, bool]:
        try:
            decoded = decode(manifest.path(clip), clip.start, clip.end, rate)
            return (decoded.samples, ""), decoded.resampling.endswith(CUT_OFF)
        except ClipError as error:
            return (np.zeros(0, np.int16), error.reason), False

    workers, n_cut_off = available_cores(), 0
    for decoding, cut_off in in_order(work, manifest, workers, 16 * workers):
        yield decoding
        n_cut_off += cut_off
        on_progress(1)
    if n_cut_off:
        log.warning("%d clips hold samples beyond full scale, which were cut off at it", n_cut_off)


def _write(file: Path, decoded: Iterator[Decoding]) -> None:
    """Writes the samples as they come, then the list of clips, which marks the file as complete."""
    lengths, hashes, bad = [], [], {}
    with atomic_path(file) as temporary, temporary.open("wb") as out:
        out.write(_header(0))
        for row, (samples, error) in enumerate(decoded):
            out.write(samples.astype("<i2").tobytes())
            lengths.append(len(samples))
            hashes.append("" if error else audio_hash(samples))
            if error:
                bad[row] = error
        out.seek(0)
        out.write(_header(sum(lengths)))
    listing = {"file": file.name, "lengths": lengths, "hashes": hashes, "bad": [list(pair) for pair in bad.items()]}
    write_json(file.with_suffix(".json"), listing | {"digest": _listing_digest(listing)})


def _header(n_samples: int) -> bytes:
    """Returns the header of an npy file of int16 samples, of one length for every number of samples."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i2", "fortran_order": False, "shape": (n_samples,)}
    )  # NumPy leaves room for the first axis to grow
    return header.getvalue()


def _listing_digest(listing: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(listing, sort_keys=True).encode(), digest_size=16).hexdigest()


def _read(file: Path, clips: int) -> Samples | None:
    """Returns the samples that `_write` wrote, mapped into memory, or None if they are missing or not those."""
    path = file.with_suffix(".json")
    if not (file.exists() and path.exists()):
        return None
    try:
        listing = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(listing, dict) or listing.pop("digest", None) != _listing_digest(listing):
            raise ValueError(f"{path.name} differs from the one written")
        begin = np.cumsum([0, *listing["lengths"]])
        header = _header(int(begin[-1]))
        if listing["file"] != file.name or len(begin) != clips + 1:
            raise ValueError(f"{path.name} lists other clips")
        if file.stat().st_size != len(header) + 2 * begin[-1]:
            raise ValueError(f"{file.stat().st_size} bytes, where {begin[-1]} int16 samples are listed")
        samples = np.memmap(file, np.dtype("<i2"), "r", offset=len(header), shape=(int(begin[-1]),))
        bad = {int(row): str(error) for row, error in listing["bad"]}
        cached = Samples(samples, begin, tuple(listing["hashes"]), bad)
        for row, digest in enumerate(cached.hashes):
            if digest and audio_hash(cached[row]) != digest:
                raise ValueError(f"the samples of clip {row} differ from those written")
        return cached
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: cannot be used (%s); the clips are decoded again", file, error)
        return None


def _key(manifest: Manifest, rate: int) -> str:
    """Returns a digest of the inputs that the samples depend on."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{_FORMAT} {rate} {importlib.metadata.version('soxr')}".encode())
    for clip, content in zip(manifest, content_digests(manifest), strict=True):
        digest.update(f"\n{content} {clip.start} {clip.end}".encode())
    return digest.hexdigest()

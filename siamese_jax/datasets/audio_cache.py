"""Decoded clips, concatenated in memory or in a memory-mapped file."""

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from siamese_jax.corpora.audio import audio_hash, decode
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.errors import ClipError, InputError
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.files import atomic_path, write_json
from siamese_jax.runtime.threads import in_order

log = logging.getLogger(__name__)

_FORMAT = 1  # incremented when decoding, or the layout of the cache, changes


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


def decode_all(
    manifest: Manifest, rate: int, cache_dir: str | Path | None, on_progress: Callable[[int], None]
) -> Samples:
    """Decodes every clip of a manifest, or reads them from `cache_dir`.

    The cache's key holds each file's path, size and time of change, so that an edited clip is decoded again.
    Args and raises: as `segments.load`; `on_progress` is not called on a cache hit.
    """
    if cache_dir is None:
        decoded = list(_decode(manifest, rate, on_progress))
        return join([samples for samples, _ in decoded], [error for _, error in decoded])
    file = Path(cache_dir) / f"samples-{_key(manifest, rate)}.npy"
    samples = _read(file, len(manifest))
    if samples is None:
        try:
            _write(file, _decode(manifest, rate, on_progress))
        except OSError as error:
            advice = "make room or give another folder"
            raise InputError(f"{file}: decoded samples cannot be kept ({error}); {advice}") from error
        samples = _read(file, len(manifest))
        assert samples is not None
    return samples


Decoding = tuple[np.ndarray, str]
"""A clip's samples and its error, "" for none."""


def _decode(manifest: Manifest, rate: int, on_progress: Callable[[int], None]) -> Iterator[Decoding]:
    """Yields the clips in order, decoded by several threads, a few ahead of the caller and no more."""

    def work(clip: Clip) -> Decoding:
        try:
            return decode(manifest.path(clip), clip.start, clip.end, rate).samples, ""
        except ClipError as error:
            return np.zeros(0, np.int16), error.reason

    workers = available_cores()
    for decoding in in_order(work, manifest, workers, 16 * workers):
        yield decoding
        on_progress(1)


def _write(file: Path, decoded: Iterator[Decoding]) -> None:
    """Writes the samples as they come, then the list of clips, which marks the file as complete."""
    lengths, hashes, bad = [], [], {}
    with atomic_path(file) as temporary, temporary.open("wb") as out:
        header = {"descr": "<i2", "fortran_order": False, "shape": (0,)}
        np.lib.format.write_array_header_1_0(out, header)
        begin = out.tell()
        for row, (samples, error) in enumerate(decoded):
            out.write(samples.astype("<i2").tobytes())
            lengths.append(len(samples))
            hashes.append("" if error else audio_hash(samples))
            if error:
                bad[row] = error
        # NumPy leaves room in a header for the first axis to grow.
        out.seek(0)
        np.lib.format.write_array_header_1_0(out, header | {"shape": (sum(lengths),)})
        assert out.tell() == begin
    write_json(file.with_suffix(".json"), {"lengths": lengths, "hashes": hashes, "bad": list(bad.items())})


def _read(file: Path, clips: int) -> Samples | None:
    """Returns the samples that `_write` wrote, mapped into memory, or None if they are missing or incomplete."""
    listing = file.with_suffix(".json")
    if not (file.exists() and listing.exists()):
        return None
    try:
        made = json.loads(listing.read_text(encoding="utf-8"))
        begin = np.cumsum([0, *made["lengths"]])
        samples = np.load(file, mmap_mode="r", allow_pickle=False)
        if samples.shape != (begin[-1],) or samples.dtype != np.int16 or len(begin) != clips + 1:
            raise ValueError(f"{samples.shape} {samples.dtype}, where {begin[-1]} int16 samples are listed")
        return Samples(samples, begin, tuple(made["hashes"]), {int(row): str(error) for row, error in made["bad"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: cannot be used (%s); the clips are decoded again", file, error)
        return None


def _key(manifest: Manifest, rate: int) -> str:
    """Returns a digest of the inputs that the samples depend on."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{_FORMAT} {rate} {importlib.metadata.version('soxr')}".encode())
    for clip in manifest:
        digest.update(f"\n{manifest.state(clip) or manifest.path(clip)}".encode())
    return digest.hexdigest()

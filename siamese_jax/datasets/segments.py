"""The segments of a corpus, for training and embedding: samples, emotion, speaker and clip of each.

In memory are 16-bit samples (memory-mapped if there is a cache folder) and a few labels a segment; samples become float
segments a batch at a time, and segments become images inside the compiled step.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from siamese_jax.corpora.manifest import Clip, Manifest, none_usable
from siamese_jax.datasets.audio_cache import Samples, decode_all, join
from siamese_jax.errors import ClipError, InputError
from siamese_jax.features.segments import SegmentConfig, SegmentIndex, gather_segments, sounding_starts


@dataclasses.dataclass(frozen=True)
class SegmentSource:
    """Segments [N], in the order of their clips.

    `samples` is of all clips of the manifest, also of clips without segments here; `index` holds the clip (row of the
    manifest) and first sample of each segment; `emotion` and `speaker` (prefixed by the corpus) are [N] str;
    `duplicate` [N] int64 is the manifest's first row with the same samples: a fold keeps duplicates together;
    `left_out` holds (file, reason) of the unusable clips.
    """

    samples: Samples
    index: SegmentIndex
    emotion: np.ndarray
    speaker: np.ndarray
    duplicate: np.ndarray
    left_out: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def clip(self) -> np.ndarray:
        """[N] int64, row of the manifest."""
        return self.index.clip

    def segments(self, rows: np.ndarray) -> np.ndarray:
        """Returns samples [B, L] float32 in [-1, 1] of the segments at `rows` [B]."""
        return gather_segments(self.samples, self.index, rows)

    def subset(self, clips: Collection[int] | np.ndarray) -> "SegmentSource":
        """Returns the segments of the clips at these rows of the manifest; copies labels only.

        Raises InputError for a clip without a segment here.
        """
        wanted = np.unique(np.asarray(list(clips), np.int64))
        absent = np.setdiff1d(wanted, self.clip)
        if len(absent):
            first = f"the first in row {absent[0]} of its manifest; take rows of SegmentSource.clip"
            raise InputError(f"{len(absent)} clips have no segments in this source, {first}")
        keep = np.isin(self.clip, wanted)
        index = dataclasses.replace(self.index, clip=self.index.clip[keep], start=self.index.start[keep])
        columns = {name: getattr(self, name)[keep] for name in ("emotion", "speaker", "duplicate")}
        return dataclasses.replace(self, index=index, **columns)

    def fingerprint(self) -> str:
        """Returns a digest of all that training on these segments uses: samples, starts, labels."""
        clips, clip_N = np.unique(self.clip, return_inverse=True)
        names = [self.samples.hashes[clip] for clip in clips] + self.emotion.tolist() + self.speaker.tolist()
        digest = hashlib.blake2b("\n".join([*names, str(self.index.length)]).encode(), digest_size=16)
        for column in (clip_N, self.index.start):
            digest.update(column.astype("<i8").tobytes())
        return digest.hexdigest()


def load(
    manifest: Manifest,
    segment_config: SegmentConfig,
    cache_dir: str | Path | None,
    strict: bool,
    on_progress: Callable[[int], None],
) -> SegmentSource:
    """Decodes the clips of a manifest and cuts them as `segment_config` says.

    `cache_dir` keeps decoded samples for this and later runs; None keeps them in memory. `strict` stops at the first
    unusable clip, instead of leaving it out. `on_progress` is called with the number of clips decoded since the last
    call. Raises ClipError where a clip is bad or too short, and `strict`; InputError where no clip is usable, or the
    cache cannot be written.
    """
    return _cut(manifest, decode_all(manifest, segment_config.rate, cache_dir, on_progress), segment_config, strict)


def from_arrays(
    clips: Sequence[np.ndarray], emotion: Sequence[str], speaker: Sequence[str], segment_config: SegmentConfig
) -> SegmentSource:
    """Returns the segments of clips in memory, int16 samples [n] each. Raises as `load` with `strict`."""
    rows = [Clip(f"clip {i}", f"{i}", e, s, "memory") for i, (e, s) in enumerate(zip(emotion, speaker, strict=True))]
    return _cut(Manifest(Path(), tuple(rows)), join(clips, [""] * len(clips)), segment_config, strict=True)


def _cut(manifest: Manifest, samples: Samples, config: SegmentConfig, strict: bool) -> SegmentSource:
    errors = dict(samples.bad)
    starts: dict[int, np.ndarray] = {}
    for row, clip in enumerate(manifest):
        if row not in errors:
            try:
                starts[row] = sounding_starts(samples[row], config, clip.file)
            except ClipError as error:
                errors[row] = error.reason
        if strict and row in errors:
            raise ClipError(clip.file, errors[row])
    left_out = tuple((manifest.clips[row].file, reason) for row, reason in sorted(errors.items()))
    if not starts:
        raise InputError(none_usable(manifest, left_out))
    clip_N = np.repeat(np.fromiter(starts, np.int64), [len(s) for s in starts.values()])
    first: dict[str, int] = {}
    duplicate_M = np.array([first.setdefault(digest, row) for row, digest in enumerate(samples.hashes)])
    return SegmentSource(
        samples=samples,
        index=SegmentIndex(clip_N, np.concatenate(list(starts.values())), config.length),
        emotion=np.array([clip.emotion for clip in manifest])[clip_N],
        speaker=np.array([clip.speaker for clip in manifest])[clip_N],
        duplicate=duplicate_M[clip_N],
        left_out=left_out,
    )

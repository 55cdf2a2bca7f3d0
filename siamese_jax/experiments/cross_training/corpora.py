"""The corpora of a cross-training, checked before any training: clips as segments and as features, and folds."""

import dataclasses
import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import Manifest, read_manifest
from siamese_jax.datasets import dataset as datasets
from siamese_jax.datasets import extraction, speech_encoder, table_files
from siamese_jax.datasets.audio_cache import content_digests
from siamese_jax.datasets.dataset import Dataset
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.folds import Fold, check_folds, random_folds, speaker_folds
from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.datasets.segments import load as load_segments
from siamese_jax.datasets.shared_recordings import check_not_shared
from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.config import CorpusSettings, CrossTraining, relabelling
from siamese_jax.runtime.devices import available_cores
from siamese_jax.runtime.progress import Bars

TIMED = 128  # clips that time the extraction of features


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A corpus as both systems see it: the same clips [N], in one order.

    Fields:
      dataset: the clips' features, classes [N], speakers [N] and duplicates.
      source: the clips' segments; their `clip` is a row of the manifest. row: [N] int, the clips' rows of the manifest.
      folds: by place 0..N-1 of the clips. others: numbers of clips of other emotions.
      left_out: (file, reason) of the unused clips of the configured emotions.
      extraction_seconds: mean time to decode a clip and compute its features.
    """

    name: str
    dataset: Dataset
    source: SegmentSource
    row: np.ndarray
    folds: tuple[Fold, ...]
    left_out: tuple[tuple[str, str], ...]
    others: Mapping[str, int]
    extraction_seconds: float

    def segments_of(self, clips: np.ndarray) -> SegmentSource:
        """The segments of clips by their places 0..N-1."""
        return self.source.subset(self.row[clips])

    @property
    def place(self) -> np.ndarray:
        """The place 0..N-1 of the clip that each segment of `source` is of."""
        return np.searchsorted(self.row, self.source.clip)


def manifests(config: CrossTraining) -> dict[str, Manifest]:
    """The clips of every corpus in use, relabelled by the configuration. Raises InputError."""
    return {name: _manifest(name, settings) for name, settings in config.used.items()}


def _manifest(name: str, settings: CorpusSettings) -> Manifest:
    words = relabelling(name, settings)
    if settings.is_manifest:
        try:
            manifest = read_manifest(settings.audio, aliases=words)
        except InputError as error:
            advice = f"config.corpora.{name}.relabel=\"('WORD=EMOTION',)\" renames labels"
            raise InputError(f"corpus {name}: {error} ({advice})") from error
    else:
        manifest = adapters.scan(name, settings.audio, **dict.fromkeys(settings.options, True))
    clips = tuple(dataclasses.replace(c, emotion=words.get(c.emotion, c.emotion)) for c in manifest)
    return dataclasses.replace(manifest, clips=clips).labelled()


def digest(manifest: Manifest) -> str:
    """SHA-256 of a corpus: the content of every clip's file, and its labels."""
    clips = zip(manifest, content_digests(manifest), strict=True)
    lines = [json.dumps([content, *dataclasses.astuple(clip)]) for clip, content in clips]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def common_emotions(corpora: Mapping[str, Manifest], wanted: Sequence[str]) -> tuple[str, ...]:
    """The classes: `wanted`, or if empty all emotions of the corpora.

    Raises InputError if a corpus lacks one of them, or holds it in one clip or by one speaker alone.
    """
    counts = {name: Counter(clip.emotion for clip in manifest) for name, manifest in corpora.items()}
    emotions = tuple(wanted) or tuple(dict.fromkeys(emotion for count in counts.values() for emotion in sorted(count)))
    if len(emotions) < 2:
        raise InputError(f"the corpora hold {len(emotions)} emotion(s); expected two or more. Add clips of others")
    for name, count in counts.items():
        for emotion in emotions:
            if not count[emotion]:
                present = ", ".join(f"{word} ({n})" for word, n in sorted(count.items()))
                raise InputError(
                    f"corpus {name}: no clip of {emotion!r}; it holds {present}. Change config.emotions, or "
                    f"rename an emotion of the corpus (config.corpora.{name}.relabel=\"('WORD={emotion}',)\")"
                )
            speakers = {clip.speaker for clip in corpora[name] if clip.emotion == emotion}
            if count[emotion] < 2 or len(speakers) < 2:
                raise InputError(
                    f"corpus {name}: {count[emotion]} clip(s) of {emotion!r} by {len(speakers)} speaker(s); expected "
                    "two clips and two speakers or more. Add clips, or leave the emotion out of config.emotions"
                )
    return emotions


def load(
    config: CrossTraining, manifests: Mapping[str, Manifest], emotions: Sequence[str], cache: str | Path, progress: Bars
) -> dict[str, Corpus]:
    """Decodes the corpora, computes their features, lays out their folds, and checks all.

    The folder `cache` keeps decoded samples and tables of features for later runs.

    Raises InputError if a corpus cannot be used, or two of them hold the same recordings.
    """
    loaded = {
        name: _load(config, name, manifest, tuple(emotions), Path(cache), progress)
        for name, manifest in manifests.items()
    }
    _check_disjoint(list(loaded.values()))
    return loaded


def _load(
    config: CrossTraining, name: str, manifest: Manifest, emotions: tuple[str, ...], cache: Path, progress: Bars
) -> Corpus:
    wanted = manifest.only(emotions)
    advance = progress.start(f"decoding {name}", len(wanted))
    segments = load_segments(wanted, config.segments, cache, config.strict, advance)
    data = config.features.data
    extractor = speech_encoder.of_shipped_tables(data.features, data.layers)
    table = _features(name, manifest, extractor, cache)
    keys = list(zip(table.corpus.tolist(), table.clip.tolist()))
    with_features = set(keys)
    key_of = {i: (wanted.clips[i].corpus, wanted.clips[i].name) for i in np.unique(segments.clip).tolist()}
    row = np.array([i for i, key in key_of.items() if key in with_features])
    usable = {key_of[i] for i in row.tolist()}
    in_table = [key in usable or emotion not in emotions for key, emotion in zip(keys, table.emotion.tolist())]
    dataset = datasets.from_table(table.select(np.array(in_table)), emotions, f"corpus {name}")
    segments = segments.subset(row)
    folds = _folds(config, name, dataset, segments, row)
    others = dict(Counter(clip.emotion for clip in manifest if clip.emotion not in emotions))
    logging.info(
        "%s: %d clips, %d speakers, %d segments, %d clips left out", name, len(row), len(dataset.speakers),
        len(segments), len(wanted) - len(row),
    )  # fmt: skip
    left_out, seconds = tuple(dict(segments.left_out).items()), _seconds_per_clip(wanted, extractor, row)
    return Corpus(name, dataset, segments, row, folds, left_out, others, seconds)


def _folds(
    config: CrossTraining, name: str, dataset: Dataset, segments: SegmentSource, row: np.ndarray
) -> tuple[Fold, ...]:
    """The folds of a corpus under the configured split, checked. Raises InputError if there can be none."""
    clips, first = np.unique(segments.clip, return_index=True)
    assert np.array_equal(clips, row)
    duplicate, n_folds, table = segments.duplicate[first], config.corpora[name].folds, dataset.table
    try:
        if config.split == "random":
            folds = random_folds(dataset.label, duplicate, n_folds, config.seed)
        else:
            folds = speaker_folds(table.speaker.tolist(), table.sex.tolist(), duplicate, n_folds)
    except InputError as error:
        raise InputError(f"config.corpora.{name}.folds: {error}") from error
    emotions = table.emotion[np.unique(dataset.label, return_index=True)[1]].tolist()
    check_folds(folds, dataset.label, table.speaker, emotions, f"corpus {name}, split by {config.split}")
    return folds


def _check_disjoint(corpora: Sequence[Corpus]) -> None:
    """Raises InputError if two corpora hold one recording: pre-training would have seen the other's test clips."""
    tables = [
        dataclasses.replace(c.dataset.table, audio_hash=np.array(c.source.samples.hashes)[c.row]) for c in corpora
    ]
    for (corpus, table), (other, other_table) in itertools.combinations(zip(corpora, tables), 2):
        names = f"corpus {corpus.name}", f"corpus {other.name}"
        check_not_shared(table, other_table, names, "Keep each recording in one corpus only")


def _features(name: str, manifest: Manifest, extractor: Extractor, cache: Path) -> FeatureTable:
    """The features of every clip, whatever its emotion; computed once for each content of a corpus."""
    file = cache / f"features-{name}-{extractor.version}-{digest(manifest)[:16]}.npz"
    if file.exists():
        try:
            return _of_manifest(table_files.read_table(file), manifest)
        except InputError as error:
            logging.warning("%s; the features are computed again", error)
    return extraction.extract(manifest, file, extractor, extraction.Options(available_cores(), strict=False))


def _of_manifest(table: FeatureTable, manifest: Manifest) -> FeatureTable:
    """The table, if its clips are the manifest's. Raises InputError otherwise."""
    columns = (table.corpus, table.clip, table.emotion, table.speaker)
    known = {(clip.corpus, clip.name, clip.emotion, clip.speaker) for clip in manifest}
    if not set(zip(*(column.tolist() for column in columns))) <= known:
        raise InputError("a cached table holds other clips than its corpus")
    return table


def _seconds_per_clip(manifest: Manifest, extractor: Extractor, rows: np.ndarray) -> float:
    """Seconds to decode a clip and compute its features, on all cores; timed on the second call, without compiling."""
    timed = rows[np.unique(np.linspace(0, len(rows) - 1, min(TIMED, len(rows))).astype(int))]
    clips = dataclasses.replace(manifest, clips=tuple(manifest.clips[i] for i in timed.tolist()))
    options = extraction.Options(available_cores(), strict=False)
    extraction.compute_table(clips, extractor, options)
    start = time.perf_counter()
    extraction.compute_table(clips, extractor, options)
    return (time.perf_counter() - start) / len(clips)

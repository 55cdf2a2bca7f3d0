"""Unlabelled recordings to a list of those to label first, see `protocols.transfer.choice`."""

import csv
import dataclasses
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamese_jax.corpora.csv_files import read_csv
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError
from siamese_jax.features.scaling import floor
from siamese_jax.protocols.transfer import choice
from siamese_jax.protocols.transfer.choice import ChoiceSettings
from siamese_jax.recognizer import recordings, segment_lists, sources
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.prediction_files import FORMULA, spreadsheet_cell
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import OTHER, OWN_STATISTICS, Clips, Recipe, joint_log_probabilities, scaled_by
from siamese_jax.runtime.files import user_path, write_text

log = logging.getLogger(__name__)

COLUMNS = ("file", "emotion", "speaker", "predicted", "stands_for")
LEAST_OF_SPEAKER = 4
"""Recordings; the features of a speaker with fewer say nothing once they are standardised over these."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How to choose.

    Fields:
      n: how many recordings.
      source: names of shipped tables and paths of feature tables, with commas; "none" for none.
      emotions: the classes that the source predicts, in its words; () for all that it has.
      c: of the source's logistic regression.
      scale_floor: least standard deviation of a feature, as a share of the corpora's own.
      choice: settings of the choice.
    """

    n: int
    source: str
    emotions: tuple[str, ...]
    c: float
    scale_floor: float
    choice: ChoiceSettings


@dataclasses.dataclass(frozen=True)
class ToLabel:
    """A recording to label: `predicted` by the source, "" without one; the nearest chosen one of `stands_for`."""

    clip: Clip
    predicted: str
    stands_for: int


def read(path: str | Path, strict: bool) -> Manifest:
    """Returns the recordings of a folder, or of a CSV with file and, where they are known, speaker, start and end.

    Long recordings are cut at their pauses; those that cannot be cut are logged, or raised as ClipError under `strict`.
    Raises InputError where there is none.
    """
    given = segment_lists.cut(recordings.given([path]), {}, strict)
    clips = tuple(given.clips)
    return Manifest(given.root, clips, tuple(given.left_out))


def choose(manifest: Manifest, extractor: Extractor, options: Options, how: extraction.Options) -> list[ToLabel]:
    """Returns recordings to label, the typical ones first. The names, labels and order of the files play no part.

    Recordings that cannot be read are logged; of copies one takes part. Features are standardised by speaker where all
    speakers are known with `LEAST_OF_SPEAKER` recordings or more, else over all recordings.

    Raises InputError for `n` below 1, for fewer different recordings, and for a source that lacks an emotion.
    """
    if options.n < 1:
        raise InputError(f"--n={options.n}: expected the number of recordings to choose, 1 or more")
    _check_number(len(manifest), options.n, "recordings")
    known = sources.read(sources.parse(options.source), extractor.feature_names, extractor.made)
    classes = _classes(known, options.emotions)
    table = _without_copies(extraction.compute_table(manifest, extractor, how))
    _check_number(len(table), options.n, "different recordings that can be used")
    target = Clips(table.features, np.full(len(table), OTHER), _speakers(table))
    x_NxF = scaled_by(target, floor(table.features, options.scale_floor), target.speaker is not None)
    log_p = _source_log_probabilities(known, classes, target, options) if known else None
    chosen = choice.choose(x_NxF, log_p, options.n, options.choice)
    clips = {clip.name: clip for clip in manifest}
    return [
        ToLabel(clips[str(table.clip[row])], classes[c] if known else "", int(size)) for row, c, size in zip(*chosen)
    ]


def _check_number(n_clips: int, n: int, of: str) -> None:
    if n_clips < n:
        raise InputError(f"--n={n}: there are {n_clips} {of}; give that number or a smaller one")


def _classes(known: Sequence[Source], emotions: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes that the sources predict."""
    has = sorted({emotion for source in known for emotion in source.emotions})
    if known and (lacking := [emotion for emotion in emotions if emotion not in has]):
        raise InputError(
            f"--emotions: {lacking[0]!r:.80} is not in the source, which has {', '.join(has)}; give some of these, or "
            "--source=none"
        )
    return tuple(dict.fromkeys(emotions)) or tuple(has)


def _without_copies(table: FeatureTable) -> FeatureTable:
    """Returns the table without copies of recordings, in an order that the recordings' content alone gives."""
    rows = np.unique(table.audio_hash, return_index=True)[1]
    if len(rows) < len(table):
        log.warning("%d of %d recordings are copies of others; each is chosen once", len(table) - len(rows), len(table))
    return table.select(rows)


def _speakers(table: FeatureTable) -> np.ndarray | None:
    """Returns the speakers where features can be standardised by them."""
    speakers, n_clips_S = np.unique(table.speaker, return_counts=True)
    usable = "" not in speakers and n_clips_S.min() >= LEAST_OF_SPEAKER
    log.info("standardised %s", "by speaker" if usable else "over all recordings")
    return table.speaker if usable else None


def _source_log_probabilities(
    known: Sequence[Source], classes: Sequence[str], target: Clips, options: Options
) -> np.ndarray:
    """Returns log-probabilities [N, C] of the target's clips by the logistic regression of the sources alone."""
    none = Clips(target.x[:0], target.label[:0], None if target.speaker is None else target.speaker[:0])
    settings = dataclasses.replace(SETTINGS, c=options.c)
    recipe = Recipe("logistic_regression", settings, "none", options.scale_floor, prior_clips=OWN_STATISTICS)
    of_sources = [source.for_classes(classes) for source in known]
    return joint_log_probabilities(of_sources, none, target, len(classes), recipe)


def csv_text(chosen: Sequence[ToLabel], root: Path, folder: Path) -> str:
    """Returns the list as CSV, to be filled in; files are relative to `folder`, in which it will lie.

    Spreadsheets compute no cell: such files begin with "./", other cells with an apostrophe.
    """
    timed = any(row.clip.start is not None or row.clip.end is not None for row in chosen)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(("start", "end") if timed else ())])
    for row in chosen:
        times = ["" if time is None else f"{time:.3f}" for time in (row.clip.start, row.clip.end)] if timed else []
        file = os.path.relpath(Path(os.path.realpath(root)) / row.clip.file, os.path.realpath(folder))
        file = f"./{file}" if file.lstrip().startswith(FORMULA) else file
        speaker, predicted = spreadsheet_cell(row.clip.speaker), spreadsheet_cell(row.predicted)
        writer.writerow([file, "", speaker, predicted, row.stands_for, *times])
    return text.getvalue()


def check_output(path: str | Path) -> None:
    """Raises InputError where a list that is there holds labels, which writing it again would lose."""
    path = user_path(path)
    if path.exists():
        filled = sum(bool(row["emotion"]) for _, row in read_csv(path, ("file", "emotion"), ()))
        if filled:
            raise InputError(f"{path}: holds {filled} labels, which would be lost; give another --output")


def write(path: str | Path, chosen: Sequence[ToLabel], root: Path) -> None:
    """Writes the list. Raises InputError as `check_output`."""
    check_output(path)
    path = user_path(path)
    write_text(path, csv_text(chosen, root, path.parent))

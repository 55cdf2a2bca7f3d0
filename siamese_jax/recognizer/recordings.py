"""The recordings that a user gives, a sound file, a folder or a CSV, as a manifest; labels are any words."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.csv_files import read_csv, some
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.corpora.row_fields import file_problem, seconds
from siamese_jax.corpora.scanning import SUFFIXES, each_sound, list_sounds
from siamese_jax.corpora.spelling import nfc, printable
from siamese_jax.errors import InputError
from siamese_jax.recognizer import label_words
from siamese_jax.runtime.files import user_path

_LABELLED = "a folder with a folder of sound files for each label, or a CSV with file, emotion and, if known, speaker"
_LISTS = (".csv", ".tsv", ".txt")
_OPTIONAL = ("emotion", "speaker", "start", "end")


def labelled(path: str | Path, aliases: bool = False) -> Manifest:
    """Returns the labelled recordings of a folder (LABEL/*.wav) or of a CSV (file, emotion, optional speaker).

    `aliases` maps common words to emotion nouns, see `label_words.aliased`. Files without a label are in `left_out`.
    Raises InputError where there is no label or no sound file.
    """
    path = user_path(path)
    if path.is_dir():
        manifest = _by_folder(path)
    elif path.is_file() and path.suffix.lower() not in SUFFIXES:
        manifest = read_list(path, ("file", "emotion")).labelled()
    else:
        found = "is a sound file without a label" if path.is_file() else "no such file or folder"
        raise InputError(f"{printable(str(path))}: {found}; expected {_LABELLED}")
    if not manifest.clips:
        places = "; ".join(f"{file}: {reason}" for file, reason in manifest.left_out[:3])
        raise InputError(f"{printable(str(path))}: no labelled sound file{f' ({places})' if places else ''}; "
                         f"expected {_LABELLED}")  # fmt: skip
    return label_words.aliased(manifest) if aliases else manifest


@dataclasses.dataclass
class Recordings:
    """Recordings to label: `clips`, one after the other, below `root`; `left_out` grows as they are listed."""

    root: Path
    clips: Iterator[Clip]
    left_out: list[tuple[str, str]]


def given(paths: Sequence[str | Path]) -> Recordings:
    """Returns the recordings of sound files, of folders with all sound files below them, and of CSVs with `file`.

    Files of a single folder or CSV are named relative to it. Raises InputError for a path that is not there, a bad row
    of a CSV, and where the first sound file of all paths is not found.
    """
    known = [user_path(path) for path in paths]
    for path in known:
        if not path.exists():
            raise InputError(
                f"{printable(str(path))}: no such file or folder; expected recordings, or a CSV with `file`"
            )
    left_out: list[tuple[str, str]] = []
    lists = {path: read_list(path, ("file",)) for path in known if path.suffix.lower() in _LISTS and path.is_file()}
    alone = len(known) == 1
    root = (known[0] if known[0].is_dir() else known[0].parent) if alone else Path()
    clips = itertools.chain.from_iterable(_each(path, lists, "" if alone else str(path), left_out) for path in known)
    first = next(clips, None)
    if first is None:
        suffixes = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(
            f"{printable(', '.join(map(str, paths)))}: no sound file here or in the folders below; expected {suffixes}"
        )
    return Recordings(root, itertools.chain([first], clips), left_out)


def _each(path: Path, lists: Mapping[Path, Manifest], prefix: str, left_out: list[tuple[str, str]]) -> Iterator[Clip]:
    """Yields the clips of one of the paths; `prefix` comes before the names of files of a folder or CSV."""
    if path in lists:
        folder = str(Path(prefix).parent) if prefix else ""
        yield from (_below(folder, clip) for clip in lists[path])
    elif path.is_dir():
        files = each_sound(path, lambda place, reason: left_out.append((place, reason)))
        yield from (_below(prefix, _clip(file)) for file in files)
    else:
        yield _clip(PurePosixPath(prefix or path.name))


def _below(folder: str, clip: Clip) -> Clip:
    if not folder:
        return clip
    return dataclasses.replace(clip, file=str(PurePosixPath(folder, clip.file)), name=f"{folder}/{clip.name}")


def of_files(files: Sequence[str | Path], labels: Sequence[str], speakers: Sequence[str]) -> Manifest:
    """Returns the manifest of files in their order; labels and speakers may be "".

    Raises InputError where the numbers differ.
    """
    if not len(files) == len(labels) == len(speakers):
        raise InputError(
            f"{len(files)} files, {len(labels)} labels, {len(speakers)} speakers; expected as many of each"
        )
    rows = enumerate(zip(files, labels, speakers))
    clips = (Clip(str(user_path(f)), str(i), nfc(str(label)), nfc(str(s)), "") for i, (f, label, s) in rows)
    return Manifest(Path(), tuple(clips))


def _clip(file: PurePosixPath, emotion: str = "") -> Clip:
    return Clip(str(file), str(file), nfc(emotion), "", "")


def _by_folder(root: Path) -> Manifest:
    listing = list_sounds(root)
    clips = tuple(_clip(file, file.parts[0]) for file in listing.files if len(file.parts) > 1)
    loose = tuple((str(file), "lies in no folder of a label") for file in listing.files if len(file.parts) == 1)
    return Manifest(root, clips, (*listing.refused, *loose))


def read_list(path: Path, required: tuple[str, ...]) -> Manifest:
    """Returns the clips of a CSV; `file` is relative to its folder, `start` and `end` are in seconds.

    Raises InputError, naming the row and field.
    """
    optional = [column for column in _OPTIONAL if column not in required]
    clips, problems = [], []
    for number, row in read_csv(path, required, optional):
        try:
            clips.append(_row_clip(row))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise InputError(f"{printable(str(path))}: {len(problems)} bad rows: {some(problems)}")
    if not clips:
        raise InputError(f"{printable(str(path))}: no rows below the header; expected one row for each recording")
    return Manifest(path.parent, tuple(clips))


def _row_clip(row: dict[str, str]) -> Clip:
    file = nfc(row["file"]).replace("\\", "/")
    if not file or (problem := file_problem(file)):
        raise ValueError("file is empty; fill it in" if not file else f"file {problem}")
    start, end = seconds(row.get("start", "")), seconds(row.get("end", ""))
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"end {end:g} s does not lie after the start, {start or 0.0:g} s")
    segment = "" if start is None and end is None else f"#{row.get('start', '')}-{row.get('end', '')}"
    name = file + segment
    return Clip(file, name, nfc(row.get("emotion", "")), nfc(row.get("speaker", "")), "", "", start, end)

"""The manifest: the clips of a corpus and their labels; also a CSV file, for recordings that no adapter knows:

    file,emotion,speaker
    anna/001.wav,anger,anna
    bert/001.wav,fear,bert

`file` is relative to the CSV's own folder, or absolute. A clip without an emotion is unlabelled: it can be predicted,
and takes no part in the protocols. Optional columns: `corpus`, `sex` (female, male, f, m or nothing), `start` and `end`
(seconds) of a segment, and `name`, the clip's id, by default its file without the suffix. Other columns are ignored.
"""

import csv
import dataclasses
import difflib
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.csv_files import read_csv, repeated, some
from siamese_jax.corpora.emotion_words import COMMON_ALIASES
from siamese_jax.corpora.row_fields import ALIASES, RowProblem, file_problem, grouped, seconds
from siamese_jax.corpora.spelling import distinct_speakers, is_utf8, nfc, printable, similar_speakers, stored_path
from siamese_jax.errors import InputError
from siamese_jax.runtime.files import atomic_path, user_path

log = logging.getLogger(__name__)

EMOTIONS = (
    "anger", "happiness", "sadness", "fear", "disgust", "surprise", "neutral", "calm", "boredom",
)  # fmt: skip
"""The label nouns that corpus adapters may use (audformat's)."""

PAPER_EMOTIONS = ("anger", "happiness", "sadness", "fear")
"""The four classes of Feng & Chaspari 2020, section 3."""

NOT_LISTED = "cannot be listed"
"""Beginning of the reason for a folder in `Manifest.left_out`, an unknown number of clips."""

_REQUIRED = ("file", "emotion", "speaker")
_OPTIONAL = ("name", "corpus", "sex", "start", "end")
SEXES = {"": "", "female": "female", "male": "male", "f": "female", "m": "male"}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip of a corpus.

    `file` is relative to the manifest's root, with "/" as separator; `name` is unique within the corpus; `emotion` is a
    noun of `EMOTIONS`, or "" for an unlabelled clip; `speaker` is prefixed by the corpus ("ravdess_07"); `sex` is
    "female", "male", or "" if unknown.
    `start` and `end` bound the segment in seconds; None means the file's beginning and end.
    """

    file: str
    name: str
    emotion: str
    speaker: str
    corpus: str
    sex: str = ""
    start: float | None = None
    end: float | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The clips below `root`; creation raises InputError unless names are unique within a corpus.

    `Clip.file` is relative to `root`; `left_out` holds (file, reason) of the files left out on purpose.
    """

    root: Path
    clips: tuple[Clip, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if doubled := repeated(f"{clip.corpus}/{clip.name}" for clip in self.clips):
            names = some(doubled)
            raise InputError(f"{self.root}: clip names occur twice in one corpus: {names}; give each clip its own name")

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def path(self, clip: Clip) -> Path:
        """Returns the path of the clip's sound file, in the Unicode form that the disk has."""
        return stored_path(self.root, clip.file)

    def state(self, clip: Clip) -> str | None:
        """Returns path, segment, size and time of change of the clip's file, for a cache's key; None if missing."""
        path = self.path(clip)
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        return f"{path.absolute()}|{clip.start}-{clip.end}|{status.st_size}|{status.st_mtime_ns}"

    def labelled(self) -> "Manifest":
        """Returns the manifest of the clips with an emotion; logs the number of the others, which join `left_out`."""
        unlabelled = [clip for clip in self.clips if not clip.emotion]
        if not unlabelled:
            return self
        log.warning("%s: %d of %d clips are unlabelled and left out", self.root, len(unlabelled), len(self))
        return self.only({clip.emotion for clip in self.clips} - {""})

    def only(self, emotions: Collection[str]) -> "Manifest":
        """Returns the manifest of the clips with one of `emotions`; the others join `left_out`."""
        keep = tuple(clip for clip in self.clips if clip.emotion in emotions)
        drop = tuple(
            (c.file, f"emotion not asked for: {c.emotion}" if c.emotion else "unlabelled")
            for c in self.clips
            if c.emotion not in emotions
        )
        return dataclasses.replace(self, clips=keep, left_out=self.left_out + drop)


def read_manifest(
    path: str | Path, root: str | Path | None = None, aliases: Mapping[str, str] | None = None
) -> Manifest:
    """Reads a CSV manifest, UTF-8, separated by commas, semicolons or tabs (columns in the module's text).

    The stem of `path` names the corpus if there is no such column; speakers get the corpus as a prefix. `file` is
    relative to `root`, by default the CSV's folder. `aliases` are other words for the emotion nouns, such as
    `COMMON_ALIASES`, in any letter case. Speakers whose ids differ by case, form or leading zeros are logged.
    Raises InputError, naming the file, the first few rows and fields, and the expected values.
    """
    manifest, problems = read_rows(path, root, aliases)
    if problems:
        bad, usable = len({problem.row for problem in problems}), len(manifest)
        remedy = ALIASES if aliases is None else ""
        raise InputError(
            f"{path}: {len(problems)} bad fields: {some([str(group) for group in grouped(problems, remedy)])}; "
            f"{usable} of {usable + bad} rows usable"
        )
    if warning := similar_speakers(clip.speaker for clip in manifest):
        log.warning("%s: %s", path, warning)
    return manifest


def read_rows(
    path: str | Path, root: str | Path | None = None, aliases: Mapping[str, str] | None = None
) -> tuple[Manifest, tuple[RowProblem, ...]]:
    """As `read_manifest`, but leaves out bad rows and returns their problems, for a report.

    Raises InputError for a file that is missing, not UTF-8, without rows or header, or lacks or doubles a column.
    """
    path = user_path(path)
    clips: list[Clip] = []
    problems: list[RowProblem] = []
    rows_seen: dict[tuple[object, ...], int] = {}
    for number, row in read_csv(path, _REQUIRED, _OPTIONAL):
        clip, row_problems = _clip(row, number, path.stem, aliases or {})
        if clip is not None:
            row_problems = _doubled(clip, number, rows_seen)
        if clip is not None and not row_problems:
            clips.append(clip)
        problems += row_problems
    if not clips and not problems:
        raise InputError(f"{path}: no rows below the header; expected one row for each clip")
    speakers = distinct_speakers([clip.speaker for clip in clips], [clip.corpus for clip in clips])
    distinct = tuple(dataclasses.replace(clip, speaker=speaker) for clip, speaker in zip(clips, speakers))
    return Manifest(path.parent if root is None else user_path(root), distinct), tuple(problems)


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Writes a CSV that `read_manifest` reads back; files are written relative to the CSV's own folder.

    Raises InputError where it cannot be written, or a path is no UTF-8.
    """
    path = user_path(path)
    columns = ("file", "emotion", "speaker", "corpus", "name", "sex", "start", "end")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for clip in manifest:
            # Not through links: `..` leads to the parent of what a link points to.
            file_path = manifest.path(clip).absolute()
            relative = os.path.relpath(file_path.parent.resolve() / file_path.name, path.absolute().parent.resolve())
            values = dataclasses.asdict(clip) | {"file": Path(relative).as_posix()}
            if not is_utf8("".join(map(str, values.values()))):
                raise InputError(f"{printable(str(file_path))}: no name in UTF-8, which a CSV can hold; rename it")
            writer.writerow("" if values[column] is None else values[column] for column in columns)


def unknown_label(label: str, allowed: Collection[str] = EMOTIONS) -> str:
    """Returns the message for an emotion label that is not `allowed`: the allowed labels and the nearest."""
    nearest = _nearest(label, allowed)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return f"unknown label {label!r}, expected one of {', '.join(allowed)}{hint}"


def _nearest(label: str, allowed: Collection[str]) -> str:
    """Returns the allowed label that was probably meant, or ""."""
    nearest = COMMON_ALIASES.get(label.lower()) or next(iter(difflib.get_close_matches(label.lower(), allowed, 1)), "")
    return nearest if nearest in allowed else ""


def label_problem(row: int, label: str) -> RowProblem:
    """Returns the problem of a row whose emotion is no noun of `EMOTIONS`."""
    nearest = _nearest(label, EMOTIONS)
    shared = f"did you mean {nearest}?" if nearest else f"expected one of {', '.join(EMOTIONS)}, or nothing"
    aliased = label.lower() in COMMON_ALIASES or label.lower() in EMOTIONS
    return RowProblem(row, "emotion", unknown_label(label), subject=label, shared=shared, aliased=aliased)


def none_usable(manifest: Manifest, left_out: Sequence[tuple[str, str]]) -> str:
    """Returns the message for a manifest whose clips are all left out, with the first reasons."""
    reasons = "; ".join(f"{file}: {reason}" for file, reason in left_out[:3])
    return f"{manifest.root}: none of {len(manifest)} clips can be used. {reasons}"


def _clip(
    row: Mapping[str, str], number: int, stem: str, aliases: Mapping[str, str]
) -> tuple[Clip | None, list[RowProblem]]:
    """Returns the clip of a row, or None, and the problems of the row. All texts are composed (NFC)."""
    problems = [RowProblem(number, field, "is empty; fill it in") for field in ("file", "speaker") if not row[field]]
    for field in ("speaker", "name", "corpus"):
        if "\0" in (row.get(field) or ""):
            problems.append(RowProblem(number, field, "holds a NUL character; write the name again"))
    emotion = _renamed(row["emotion"], aliases)
    if emotion and emotion not in EMOTIONS:
        problems.append(label_problem(number, emotion))
    sex = SEXES.get(row.get("sex", "").lower())
    if sex is None:
        problems.append(RowProblem(number, "sex", f"{row['sex']!r}, expected female, male or nothing"))
    start, end = (_seconds(row, field, number, problems) for field in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        late = f"{end:g} s does not lie after the start, {start or 0.0:g} s"
        problems.append(RowProblem(number, "end", late, shared="does not lie after the start"))
    given = nfc(row["file"]).replace("\\", "/")
    if given and (problem := file_problem(given)):
        problems.append(RowProblem(number, "file", problem))
    if problems:
        return None, problems
    file = PurePosixPath(given).as_posix()
    segment = "" if start is None and end is None else f"#{row.get('start', '')}-{row.get('end', '')}"
    corpus = nfc(row.get("corpus") or stem)
    name = nfc(row.get("name") or "") or PurePosixPath(file).with_suffix("").as_posix() + segment
    return Clip(file, name, emotion, with_corpus(nfc(row["speaker"]), corpus), corpus, sex or "", start, end), []


def _renamed(label: str, aliases: Mapping[str, str]) -> str:
    """Returns the label by `aliases`; where there are any, letter case does not matter."""
    label = nfc(label)
    if label in aliases or not aliases:
        return aliases.get(label, label)
    return {**{noun: noun for noun in EMOTIONS}, **aliases}.get(label.lower(), label)


def _doubled(clip: Clip, number: int, rows_seen: dict[tuple[object, ...], int]) -> list[RowProblem]:
    """Returns the fields of the clip that an earlier row has already, and adds the clip to `rows_seen`."""
    keys = {"name": ("name", clip.corpus, clip.name), "file": ("file", clip.file, clip.start, clip.end)}
    firsts = {field: rows_seen.setdefault(key, number) for field, key in keys.items()}
    return [
        RowProblem(
            number,
            field,
            f"{getattr(clip, field)!r} is already in row {first}; list each clip once",
            shared="is already in an earlier row; list each clip once",
        )
        for field, first in firsts.items()
        if first != number
    ]


def with_corpus(speaker: str, corpus: str) -> str:
    """Returns the speaker's id with the corpus in front, once."""
    return speaker if speaker.startswith(f"{corpus}_") else f"{corpus}_{speaker}"


def _seconds(row: Mapping[str, str], field: str, number: int, problems: list[RowProblem]) -> float | None:
    text = row.get(field, "")
    try:
        return seconds(text)
    except ValueError as error:
        problems.append(RowProblem(number, field, f"{text!r}, {error}", shared=str(error)))
        return None

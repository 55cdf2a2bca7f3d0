"""From a folder of sound files to a manifest, for the adapters of all corpora."""

import dataclasses
import filecmp
import logging
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.audio import AUDIO_SUFFIXES, VIDEO_SUFFIXES, is_lfs_pointer
from siamese_jax.corpora.csv_files import some
from siamese_jax.corpora.manifest import NOT_LISTED, Clip, Manifest
from siamese_jax.corpora.spelling import is_utf8, printable
from siamese_jax.errors import InputError, first_line
from siamese_jax.runtime.files import user_path

log = logging.getLogger(__name__)

SUFFIXES = AUDIO_SUFFIXES + VIDEO_SUFFIXES
"""Of a take in several formats, the file whose suffix comes first here is kept."""


@dataclasses.dataclass(frozen=True)
class Label:
    """The facts in a clip's name: its id within the corpus, the emotion noun, the prefixed speaker, and the sex."""

    name: str
    emotion: str
    speaker: str
    sex: str = ""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a corpus names its files.

    `corpus` is its short name, the prefix of its speakers; `title` and `expected` (the content of the root) are for
    messages. `parse` returns the label of a clip's id or relative path, None for a name of another corpus; `drop`
    returns the reason to leave out a file, None to keep it. By the `inner` folders of a corpus, at most `inner_depth`
    levels above the given root, a root given too low is refused.
    """

    corpus: str
    title: str
    expected: str
    parse: Callable[[str], Label | None]
    drop: Callable[[PurePosixPath], str | None] = lambda file: None
    inner: re.Pattern[str] | None = None
    inner_depth: int = 0


def scan_names(root: str | Path, layout: Layout) -> Manifest:
    """Returns the manifest of a corpus whose file names or paths hold all labels.

    All sound files below `root` are read, so a folder above the corpus works as well. Files that do not belong, other
    formats of a kept take, and identical second copies go to `left_out`. Raises InputError for a missing or empty
    folder, a folder inside the corpus, no file named as expected, copies that differ, or nothing but git-lfs pointers.
    """
    folder = require_folder(root, layout)
    listing = list_sounds(folder)
    files, left_out = list(listing.files), list(listing.refused)
    labels: dict[PurePosixPath, Label] = {}
    for file in files:
        reason = layout.drop(file)
        label = layout.parse(str(file)) if reason is None else None
        if label is not None:
            labels[file] = label
        else:
            left_out.append((str(file), reason or f"not named like a clip of {layout.title}"))
    if not labels:
        raise InputError(_nothing_found(folder, layout, files, left_out))
    for place, reason in listing.refused:
        log.warning("%s: %s", folder / place, reason)
    files, copies = drop_copies(folder, {file: label.name for file, label in labels.items()}, layout.title)
    require_content(folder, files)
    clips = tuple(Clip(file=str(file), corpus=layout.corpus, **dataclasses.asdict(labels[file])) for file in files)
    return Manifest(folder, clips, tuple(left_out + copies))


def require_folder(root: str | Path, layout: Layout) -> Path:
    """Returns `root` as a Path, or raises an InputError that names the expected folder."""
    folder = user_path(root)
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder}: no such folder; expected {layout.expected}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(str(folder))}: {first_line(error)}; expected {layout.expected}") from error
    if not is_folder:
        raise InputError(f"{folder}: is a file; unpack it and give the folder: {layout.expected}")
    for level in [folder.resolve(), *folder.resolve().parents][: layout.inner_depth + 1]:
        if layout.inner is not None and layout.inner.fullmatch(level.name):
            raise InputError(
                f"{folder}: lies inside {layout.title}; give the folder above, {level.parent} ({layout.expected}). "
                "For a part of a corpus, write a CSV manifest"
            )
    return folder


@dataclasses.dataclass(frozen=True)
class Listing:
    """The sound files below a folder, relative to it; `refused` holds (place, reason) of what cannot be used."""

    files: tuple[PurePosixPath, ...]
    refused: tuple[tuple[str, str], ...]


def list_sounds(root: Path) -> Listing:
    """Returns all sound files below `root`, sorted, without hidden files and macOS archives'.

    Folders that may not be listed, and files whose names are no UTF-8, are refused by name.
    """
    refused: list[tuple[str, str]] = []
    files = tuple(each_sound(root, lambda place, reason: refused.append((place, reason))))
    return Listing(files, tuple(refused))


def each_sound(root: Path, refuse: Callable[[str, str], None]) -> Iterator[PurePosixPath]:
    """Yields the files of `list_sounds` one by one, for folders of any size; `refuse` takes (place, reason)."""

    def unlisted(error: OSError) -> None:
        place = printable(os.path.relpath(error.filename or root, root))
        refuse(place, f"{NOT_LISTED} ({error.strerror}); change its permissions")

    for file in _walk(root, unlisted):
        if is_utf8(str(file)):
            yield file
        else:
            refuse(printable(str(file)), "its name is no UTF-8; rename it")


def _walk(root: Path, refuse: Callable[[OSError], None]) -> Iterator[PurePosixPath]:
    seen = set()
    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        real = os.path.realpath(folder)
        if real in seen:  # a link back up the tree
            below.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            if not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES:
                yield PurePosixPath((Path(folder) / name).relative_to(root).as_posix())


def drop_copies(
    root: Path, names: dict[PurePosixPath, str], title: str
) -> tuple[list[PurePosixPath], list[tuple[str, str]]]:
    """Returns a file for each name, and (file, reason) of its copies. Raises InputError for copies that differ."""
    by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
    for file, name in names.items():
        by_name[name].append(file)
    originals, copies = [], []
    for name, files in by_name.items():
        first, *others = sorted(files, key=lambda f: (SUFFIXES.index(f.suffix.lower()), len(f.parts), f))
        originals.append(first)
        for copy in others:
            if copy.suffix.lower() != first.suffix.lower():
                copies.append((str(copy), f"the same take in another format: {first}"))
            elif _equal(root / first, root / copy):
                copies.append((str(copy), f"a second copy: {first}"))
            else:
                raise InputError(
                    f"{root}: two copies of {title} that differ: clip {name} is {first} and {copy}; "
                    f"give the folder of one, such as {root / first.parent}"
                )
    return sorted(originals), copies


def _equal(first: Path, second: Path) -> bool:
    """Returns whether two files have the same content; a file that cannot be read is reported by the decoder."""
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError:
        return True


def is_file(path: Path) -> bool:
    """Returns whether there is such a file, also in folders without permission."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_table(manifest: Manifest, name: str) -> Path | None:
    """Returns the first file of that name beside or above the clips of a manifest, or above its root."""
    folders = {manifest.root, manifest.root.resolve().parent}
    folders |= {manifest.root / parent for clip in manifest for parent in PurePosixPath(clip.file).parents}
    return next(iter(sorted(folder / name for folder in folders if is_file(folder / name))), None)


def with_sexes(manifest: Manifest, sexes: Mapping[str, str]) -> Manifest:
    """Returns the manifest with the sex of each speaker, "" where it is unknown."""
    clips = tuple(dataclasses.replace(clip, sex=sexes.get(clip.speaker, "")) for clip in manifest)
    return dataclasses.replace(manifest, clips=clips)


def require_content(root: Path, files: list[PurePosixPath]) -> None:
    """Raises InputError if every file is a git-lfs pointer; the decoder reports single ones."""
    if files and all(is_lfs_pointer(root / file) for file in files):
        raise InputError(
            f"{root}: all {len(files)} clips (first: {files[0]}) are git-lfs pointers, short texts in place of the "
            "sound; run `git lfs pull` in the clone, or download the corpus' files themselves"
        )


def _nothing_found(root: Path, layout: Layout, files: list[PurePosixPath], left_out: list[tuple[str, str]]) -> str:
    if not files:
        refused = "".join(f" ({place}: {reason})" for place, reason in left_out[:1])
        return f"{root}: no sound files in this folder or below{refused}; expected {layout.expected}"
    reasons = Counter(reason for _, reason in left_out)
    summary = some([f"{count} {reason}" for reason, count in reasons.most_common()])
    none = f"{root}: none of {len(files)} sound files can be used"
    return f"{none} ({summary}; first: {files[0]}); expected {layout.expected}"

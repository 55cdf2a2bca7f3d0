"""From a folder of sound files to a manifest, for the adapters of all corpora."""

import dataclasses
import filecmp
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.audio import AUDIO_SUFFIXES, VIDEO_SUFFIXES, is_lfs_pointer
from siamese_jax.corpora.csv_files import some
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.errors import InputError
from siamese_jax.runtime.files import user_path

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
    files = list(sound_files(folder))
    labels: dict[PurePosixPath, Label] = {}
    left_out: list[tuple[str, str]] = []
    for file in files:
        reason = layout.drop(file)
        label = layout.parse(str(file)) if reason is None else None
        if label is not None:
            labels[file] = label
        else:
            left_out.append((str(file), reason or f"not named like a clip of {layout.title}"))
    if not labels:
        raise InputError(_nothing_found(folder, layout, files, left_out))
    files, copies = drop_copies(folder, {file: label.name for file, label in labels.items()}, layout.title)
    require_content(folder, files)
    clips = tuple(Clip(file=str(file), corpus=layout.corpus, **dataclasses.asdict(labels[file])) for file in files)
    return Manifest(folder, clips, tuple(left_out + copies))


def require_folder(root: str | Path, layout: Layout) -> Path:
    """Returns `root` as a Path, or raises an InputError that names the expected folder."""
    folder = user_path(root)
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; expected {layout.expected}")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; unpack it and give the folder: {layout.expected}")
    for level in [folder.resolve(), *folder.resolve().parents][: layout.inner_depth + 1]:
        if layout.inner is not None and layout.inner.fullmatch(level.name):
            raise InputError(
                f"{folder}: lies inside {layout.title}; give the folder above, {level.parent} ({layout.expected}). "
                "For a part of a corpus, write a CSV manifest"
            )
    return folder


def sound_files(root: Path) -> Iterator[PurePosixPath]:
    """Yields the relative paths of all sound files below `root`, sorted, without hidden files and macOS archives'."""
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True):
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
            elif filecmp.cmp(root / first, root / copy, shallow=False):
                copies.append((str(copy), f"a second copy: {first}"))
            else:
                raise InputError(
                    f"{root}: two copies of {title} that differ: clip {name} is {first} and {copy}; "
                    f"give the folder of one, such as {root / first.parent}"
                )
    return sorted(originals), copies


def require_content(root: Path, files: list[PurePosixPath]) -> None:
    """Raises InputError if every file is a git-lfs pointer; the decoder reports single ones."""
    if files and all(is_lfs_pointer(root / file) for file in files):
        raise InputError(
            f"{root}: all {len(files)} clips (first: {files[0]}) are git-lfs pointers, short texts in place of the "
            "sound; run `git lfs pull` in the clone, or download the corpus' files themselves"
        )


def _nothing_found(root: Path, layout: Layout, files: list[PurePosixPath], left_out: list[tuple[str, str]]) -> str:
    if not files:
        return f"{root}: no sound files in this folder or below; expected {layout.expected}"
    reasons = Counter(reason for _, reason in left_out)
    summary = some([f"{count} {reason}" for reason, count in reasons.most_common()])
    none = f"{root}: none of {len(files)} sound files can be used"
    return f"{none} ({summary}; first: {files[0]}); expected {layout.expected}"

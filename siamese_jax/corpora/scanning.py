"""From a folder of sound files to a manifest: what the adapters of all corpora share."""

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

SUFFIXES = AUDIO_SUFFIXES + VIDEO_SUFFIXES
"""Where a take lies in several formats, the one whose suffix stands first here is kept."""


@dataclasses.dataclass(frozen=True)
class Label:
    """What a clip's name says: its id within the corpus, the emotion noun, the prefixed speaker, and the sex."""

    name: str
    emotion: str
    speaker: str
    sex: str = ""


@dataclasses.dataclass(frozen=True)
class Layout:
    """What an adapter knows of its corpus.

    Fields:
      corpus: short name, the prefix of its speakers.
      title: the corpus' own name, for messages.
      expected: what the root should hold, for messages.
      parse: the label of a clip's id or relative path, None where it is no name of this corpus.
      drop: why a file is left out although it belongs to the corpus, None to keep it.
      inner: names of folders below the root, so that a root given too low is told from the right one.
      inner_depth: how many levels such a folder may lie above the given root.
    """

    corpus: str
    title: str
    expected: str
    parse: Callable[[str], Label | None]
    drop: Callable[[PurePosixPath], str | None] = lambda file: None
    inner: re.Pattern[str] | None = None
    inner_depth: int = 0


def scan_names(root: str | Path, layout: Layout) -> Manifest:
    """The manifest of a corpus whose file names (or paths) say everything.

    All sound files below `root` are looked at, so a root that lies higher than the corpus works as well. Files that
    do not belong, other formats of a kept take, and identical second copies go to `left_out`.

    Raises:
      InputError: no such folder; an empty one; a folder inside the corpus; no file named as expected; two copies of
        the corpus that differ; nothing but git-lfs pointers.
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
    kept, copies = drop_copies(folder, {file: label.name for file, label in labels.items()}, layout.title)
    require_content(folder, kept)
    clips = tuple(Clip(file=str(file), corpus=layout.corpus, **dataclasses.asdict(labels[file])) for file in kept)
    return Manifest(folder, clips, tuple(left_out + copies))


def require_folder(root: str | Path, layout: Layout) -> Path:
    """`root` as a Path, or an InputError that says which folder was expected."""
    folder = Path(root)
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
    """Relative paths of all sound files below `root`, sorted; hidden files and those of macOS archives are not."""
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
    """Keeps one file of each name: (kept, [(file, reason) of the others]).

    Raises:
      InputError: two files of one name and format that differ, since it is unknown which is meant.
    """
    by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
    for file, name in names.items():
        by_name[name].append(file)
    kept, dropped = [], []
    for name, files in by_name.items():
        first, *others = sorted(files, key=lambda f: (SUFFIXES.index(f.suffix.lower()), len(f.parts), f))
        kept.append(first)
        for other in others:
            if other.suffix.lower() != first.suffix.lower():
                dropped.append((str(other), f"the same take in another format: {first}"))
            elif filecmp.cmp(root / first, root / other, shallow=False):
                dropped.append((str(other), f"a second copy: {first}"))
            else:
                raise InputError(
                    f"{root}: two copies of {title} that differ: clip {name} is {first} and {other}; "
                    f"give the folder of one, such as {root / first.parent}"
                )
    return sorted(kept), dropped


def require_content(root: Path, files: list[PurePosixPath]) -> None:
    """Raises InputError if every file is a git-lfs pointer; single ones are for the decoder to report."""
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
    return f"{root}: none of {len(files)} sound files can be used ({summary}; first: {files[0]}); " + (
        f"expected {layout.expected}"
    )

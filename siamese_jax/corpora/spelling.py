"""Spellings of one name: Unicode forms (NFC, NFD), letter case, leading zeros."""

import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

_MOST_LISTED = 8  # groups named in one warning


def nfc(text: str) -> str:
    """Returns the text with composed characters: "é" is one code point, however it was typed."""
    return unicodedata.normalize("NFC", text)


def printable(text: str) -> str:
    """Returns the text with bytes that are no UTF-8 and control characters written as escapes."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def is_utf8(text: str) -> bool:
    """Returns whether a file name can be written as UTF-8. Names in Latin-1 can not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def stored_path(root: Path, relative: str) -> Path:
    """Returns the path of `relative` below `root`, in the Unicode form in which the disk has it.

    Where no such file exists in any form, returns the path as given.
    """
    path = root / relative
    if relative.isascii():
        return path
    found = Path(path.anchor) if Path(relative).is_absolute() else root
    for part in path.parts[len(found.parts) :]:
        candidate = found / part
        if not _exists(candidate):
            candidate = found / _names_in(str(found), _change_time(found)).get(nfc(part), part)
        found = candidate
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def _change_time(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@functools.lru_cache(maxsize=64)
def _names_in(folder: str, change_time: int) -> dict[str, str]:
    """Returns the names in a folder by their NFC form; `change_time` makes a changed folder be read again."""
    try:
        return {nfc(entry.name): entry.name for entry in Path(folder).iterdir()}
    except (OSError, ValueError):
        return {}


def _key(name: str) -> str:
    """Returns a name without letter case, compatibility form, invisible characters, blanks and leading zeros."""
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    folded = " ".join(unicodedata.normalize("NFKC", visible).casefold().split())
    folded = re.sub(r"(\d)[.,]0+$", r"\1", folded)  # a spreadsheet's 1.0
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", folded).replace("_ ", "_")


def similar(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns the groups of different names that differ by case, form, blanks or leading zeros alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[_key(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def similar_speakers(speakers: Iterable[str]) -> str:
    """Returns the warning about speakers that may be one person, from the speaker of each clip; "" for none."""
    clips = Counter(speakers)
    groups = similar(clips)
    if not groups:
        return ""
    listed = [", ".join(f"{name!r} ({clips[name]} clips)" for name in group) for group in groups]
    more = f"; and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
    return (
        "speakers that differ by letter case, Unicode form, blanks or leading zeros alone count as different people: "
        f"{'; '.join(listed[:_MOST_LISTED])}{more}. If they are one person, give one spelling"
    )


def distinct_speakers(speakers: Sequence[str], corpora: Sequence[str]) -> list[str]:
    """Returns ids of speakers that no two corpora share: an id of several corpora gets its corpus behind it.

    The corpus in front does not tell them apart: speaker "c" of corpus "a_b" and speaker "b_c" of "a" are "a_b_c".
    """
    corpora_of = defaultdict(set)
    for speaker, corpus in zip(speakers, corpora, strict=True):
        corpora_of[speaker].add(corpus)
    return [f"{s} ({c})" if len(corpora_of[s]) > 1 else s for s, c in zip(speakers, corpora)]

"""The length that the headers of videos declare, format by format."""

import re
from typing import BinaryIO

from siamese_jax.corpora.header_bytes import MOST_CHUNKS, UNKNOWN, Declared, at, chunks, known, number


def avi(file: BinaryIO, length: int) -> Declared:
    """AVI: its last list `movi` of pictures and sounds. The index behind it may be missing."""
    found = Declared(12, 0)
    for name, content, size in chunks(file, 0, length, "little"):
        found = Declared(content, known(size, 4), slack=1) if name == b"RIFF" else found
        end = content + size if known(size, 4) > 0 else length
        for inner, start, inner_size in chunks(file, content + 4, min(length, end), "little"):
            if inner == b"LIST" and at(file, start, 4) == b"movi" and known(inner_size, 4) > 0:
                found = Declared(start, inner_size, slack=1)
    return found


def mp4(file: BinaryIO, length: int) -> Declared | None:
    """MP4 and MOV: boxes up to the file's end; the last may leave its size open (0)."""
    start = 0
    for _ in range(MOST_CHUNKS):
        header = at(file, start, 16)
        size, name = number(header[:4], "big"), header[4:8]
        if size == 1:
            size = number(header[8:], "big")
        if len(header) < 8 or size < 8 or not re.fullmatch(rb"[ -~\xa9]{4}", name):
            return None
        if start + size >= length:
            return Declared(start, size, slack=0)
        start += size
    return None


def flash(file: BinaryIO, length: int) -> Declared | None:
    """FLV: tags, each followed by its size. A file that ends between two tags cannot be told from a whole one."""
    start = number(at(file, 5, 4), "big") + 4
    for _ in range(length // 15):
        header = at(file, start, 11)
        if not header:
            return None
        end = start + 15 + number(header[1:4], "big")
        if len(header) < 11 or end > length:
            # The last four bytes may be left out.
            return Declared(start, end - 4 - start, slack=0)
        start = end
    return None


def matroska(file: BinaryIO, length: int) -> Declared | None:
    """Matroska and WebM: a header, then one segment with its size."""
    start = 0
    for _ in range(8):
        name, start = _vint(file, start, keep_marker=True)
        size, start = _vint(file, start, keep_marker=False)
        if name == 0x18538067:
            return Declared(start, size, slack=0)
        if size == UNKNOWN or name == UNKNOWN or start + size > length:
            return None
        start += size
    return None


def _vint(file: BinaryIO, start: int, keep_marker: bool) -> tuple[int, int]:
    """Returns a number of EBML at `start`, UNKNOWN where all its bits are set or it is broken, and its end."""
    first = at(file, start, 1)
    width = 9 - first[0].bit_length() if first and first[0] else 0
    if not width:
        return UNKNOWN, start + 1
    value = number(at(file, start, width), "big")
    bare = value & (2 ** (7 * width) - 1)
    if not keep_marker and bare == 2 ** (7 * width) - 1:
        return UNKNOWN, start + width
    return value if keep_marker else bare, start + width
